//! Reading a query string.
//!
//! Owns how parameters are written: what is unknown, said twice or not readable is refused by name, with what would be
//! right. Never knows what they are for.

use std::time::Duration;

use watchkeeper_collector_core::series::Filter;
use watchkeeper_expr::{duration, spelling};
use watchkeeper_model::time::SECOND;
use watchkeeper_model::{Decimal, Timestamp};

use super::endpoints::Endpoint;
use super::error::ApiError;
use crate::store::Page;

const MAX_LIMIT: u32 = 1_000;
const DEFAULT_LIMIT: u32 = 100;

/// The parameters of one request.
#[derive(Clone, Debug)]
pub(super) struct Params {
    given: Vec<(String, String)>,
}

impl Params {
    /// Takes a query string apart.
    pub(super) fn read(endpoint: &Endpoint, query: Option<&str>) -> Result<Self, ApiError> {
        let known: Vec<&str> = endpoint.parameters.iter().map(|p| p.name).collect();
        let mut given: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&name.as_str()) {
                return Err(unknown(&name, &known));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::bad(&name, format!("{name} is given twice")));
            }
            given.push((name, value));
        }
        let params = Self { given };
        match endpoint.parameters.iter().find(|p| p.required && params.text(p.name).is_none()) {
            Some(missing) => {
                let error = format!("{} is missing: {}", missing.name, missing.about);
                Err(ApiError::bad(missing.name, error))
            }
            None => Ok(params),
        }
    }

    /// A parameter as it is; an empty one is the same as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.given.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The same, owned.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(ToOwned::to_owned)
    }

    /// Unix seconds, fractions allowed, or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.parsed(name, "Unix seconds or RFC 3339, as 2026-11-22T18:00:00Z", |text| {
            let seconds = Decimal::parse(text).and_then(|d| d.scale(SECOND)).map(Timestamp);
            seconds.or_else(|| text.parse().ok().map(Timestamp::from_jiff))
        })
    }

    /// Whole seconds, at least one: `60` or `1m`.
    pub(super) fn whole_seconds(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        self.parsed(name, "whole seconds, at least one, as 60 or 1m", |text| {
            let nanos = Decimal::parse(text)
                .and_then(|d| d.scale(SECOND))
                .or_else(|| duration::parse(text).ok())
                .filter(|nanos| *nanos >= SECOND && nanos % SECOND == 0)?;
            Some(Duration::from_nanos(nanos.unsigned_abs()))
        })
    }

    /// A condition over labels; without one everything matches.
    pub(super) fn condition(&self, name: &str) -> Result<Filter, ApiError> {
        Filter::compile(self.text(name).unwrap_or("")).map_err(|problems| {
            let texts: Vec<String> = problems
                .iter()
                .map(|p| {
                    let help =
                        if p.help.is_empty() { String::new() } else { format!(" ({})", p.help) };
                    format!("at byte {}: {}{help}", p.offset, p.message)
                })
                .collect();
            ApiError::bad(name, texts.join("; "))
        })
    }

    /// Names separated by commas.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let all = self.text(name).unwrap_or("").split(',').map(str::trim);
        all.filter(|n| !n.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// How many rows.
    pub(super) fn limit(&self) -> Result<u32, ApiError> {
        let expected = format!("a number from 1 to {MAX_LIMIT}");
        let limit = self.parsed("limit", &expected, |text| {
            text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n))
        })?;
        Ok(limit.unwrap_or(DEFAULT_LIMIT))
    }

    /// Which page of a list by time.
    pub(super) fn page(&self) -> Result<Page, ApiError> {
        let limit = self.limit()?;
        let cursor = self.parsed("after", "`next` of the page before", |text| text.parse().ok())?;
        Ok(cursor.map_or(Page::first(limit), |cursor| Page::after(limit, cursor)))
    }

    /// A value out of text.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(ApiError::bad(name, format!("{name} is {text:?}: expected {expected}"))),
        }
    }
}

fn unknown(name: &str, known: &[&str]) -> ApiError {
    let list = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
    let nearest = spelling::closest(name, known.iter().copied());
    let hint = nearest.map_or(String::new(), |near| format!("did you mean {near}? "));
    ApiError::bad(name, format!("unknown parameter {name:?}: {hint}known here: {list}"))
}

/// `%2F` and `+` as in a form.
fn decode(text: &str) -> Result<String, ApiError> {
    let bad = || ApiError::bad(text, format!("{text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let [high, low, tail @ ..] = rest else { return Err(bad()) };
                let digit = |b: &u8| char::from(*b).to_digit(16);
                let value = digit(high).zip(digit(low)).ok_or_else(bad)?;
                bytes.push((value.0 * 16 + value.1) as u8);
                rest = tail;
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::super::endpoints;
    use super::*;

    fn read(query: &str) -> Result<Params, ApiError> {
        Params::read(&endpoints::QUERY, Some(query))
    }

    #[test]
    fn text_is_decoded_as_a_form() {
        let params = read("signal=a%2Fb&stat=p95&where=x+%3D%3D+%22%C3%A4%22").unwrap();
        assert_eq!(params.text("where"), Some("x == \"ä\""));
        assert_eq!((params.text("signal"), params.text("good")), (Some("a/b"), None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, parameter, says) in [
            ("stat=p95", "signal", "signal is missing"),
            ("signal=x&stat=", "stat", "stat is missing"),
            ("signal=x&stat=p95&form=1", "form", "did you mean from?"),
            ("signal=x&stat=p95&nonsense=1", "nonsense", "known here: signal, service"),
            ("signal=x&signal=y&stat=p95", "signal", "given twice"),
            ("signal=%zz&stat=p95", "%zz", "percent-encoded"),
            ("signal=%ff&stat=p95", "%ff", "UTF-8"),
        ] {
            let error = read(query).unwrap_err();
            assert_eq!(error.parameter.as_deref(), Some(parameter), "{query}");
            assert!(error.error.contains(says), "{query}: {}", error.error);
        }
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        for (text, nanos) in [
            ("1793491200", Some(1_793_491_200_000_000_000)),
            ("1793491200.25", Some(1_793_491_200_250_000_000)),
            ("-1", Some(-1_000_000_000)),
            ("1970-01-01T01:00:00%2B01:00", Some(0)),
            ("yesterday", None),
        ] {
            let params = read(&format!("signal=x&stat=p95&from={text}")).unwrap();
            assert_eq!(params.time("from").ok().flatten().map(Timestamp::nanos), nanos, "{text}");
        }
    }

    #[test]
    fn steps_are_whole_seconds() {
        for (text, secs) in
            [("60", Some(60)), ("1h30m", Some(5_400)), ("0.5", None), ("0", None), ("-1", None)]
        {
            let params = read(&format!("signal=x&stat=p95&step={text}")).unwrap();
            let step = params.whole_seconds("step").ok().flatten();
            assert_eq!(step, secs.map(Duration::from_secs), "{text}");
        }
    }
}

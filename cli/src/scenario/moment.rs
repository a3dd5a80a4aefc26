//! Time as a scenario tells it: `90m`, `9m after errors`, `29m after end of errors`, `8m..9m after errors`.
//!
//! Owns the grammar and what names mean. All times are nanoseconds since the scenario's start.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_config::{Node, Reader, read};
use watchkeeper_expr::duration;
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::time::nanos_of;

/// Stretches by their names: when they begin and end.
pub(super) type Names = BTreeMap<String, (i64, i64)>;

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// As it was written.
    pub(super) text: String,
    pub(super) at: i64,
    /// The point it is counted from.
    pub(super) base: Base,
}

/// A point from which others are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) at: i64,
    /// ` after end of errors`; nothing for the start.
    pub(super) words: String,
}

/// From one point to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// As it was written.
    pub(super) text: String,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) base: Base,
}

impl Base {
    /// A time as people count it from here: `8m 38s after errors`.
    pub(super) fn tell(&self, at: i64) -> String {
        let since = at - self.at;
        let span = duration::format(since.abs() / 1_000_000 * 1_000_000);
        let sign = if since < 0 { "-" } else { "" };
        format!("{sign}{span}{}", self.words)
    }
}

impl Span {
    /// Around a point.
    pub(super) fn around(moment: &Moment, within: Duration) -> Self {
        let (text, base, within) = (moment.text.clone(), moment.base.clone(), nanos_of(within));
        Self { text, from: moment.at - within, to: moment.at + within, base }
    }

    /// From a point on, for so long.
    pub(super) fn after(moment: &Moment, within: Duration) -> Self {
        let (text, base) = (moment.text.clone(), moment.base.clone());
        Self { text, from: moment.at, to: moment.at + nanos_of(within), base }
    }
}

/// Reads a point in time.
pub(super) fn moment(names: &Names) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Moment> {
    move |node, reader| {
        let text = read::text(node, reader)?;
        let parsed = parse_base(&text, names).and_then(|(span, base)| {
            let at = base.at + if span.is_empty() { 0 } else { offset(span)? };
            Ok(Moment { text: text.clone(), at, base })
        });
        told(parsed, node, reader)
    }
}

/// Reads a stretch of time, or a point with so much around it.
pub(super) fn span(
    names: &Names,
    within: Duration,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Span> {
    move |node, reader| {
        let text = read::text(node, reader)?;
        let Some((first, rest)) = text.split_once("..") else {
            return Some(Span::around(&moment(names)(node, reader)?, within));
        };
        let parsed = parse_base(rest, names).and_then(|(last, base)| {
            let (from, to) = (base.at + offset(first.trim())?, base.at + offset(last)?);
            match from < to {
                true => Ok(Span { text: text.clone(), from, to, base }),
                false => Err((format!("{text:?} ends before it begins"), String::new())),
            }
        });
        told(parsed, node, reader)
    }
}

type Wrong = (String, String);

fn told<T>(parsed: Result<T, Wrong>, node: &Node, reader: &mut Reader<'_>) -> Option<T> {
    parsed
        .map_err(|(message, help)| {
            reader.error(node.place(), message).help(help);
        })
        .ok()
}

fn offset(text: &str) -> Result<i64, Wrong> {
    if text == "0" {
        return Ok(0);
    }
    duration::parse(text).map_err(|_| {
        let help = "write 90m, 9m after NAME, 29m after end of NAME, or 8m..9m after NAME";
        (format!("{text:?} is no time in a scenario"), help.to_owned())
    })
}

/// Splits off what a time is counted from.
fn parse_base<'t>(text: &'t str, names: &Names) -> Result<(&'t str, Base), Wrong> {
    let text = text.trim();
    let (span, point) = match text.split_once(" after ") {
        Some((span, point)) => (span.trim(), point.trim()),
        None if names.contains_key(text) || text.starts_with("end of ") => ("", text),
        None => return Ok((text, Base::default())),
    };
    let (is_end, name) = match point.strip_prefix("end of ") {
        Some(name) => (true, name.trim()),
        None => (false, point),
    };
    let Some((from, to)) = names.get(name) else {
        let help = match closest(name, names.keys().map(String::as_str)) {
            Some(close) => format!("did you mean {close:?}?"),
            None => "give a stretch under `given` that name, above where it is used".to_owned(),
        };
        return Err((format!("no stretch is called {name:?}"), help));
    };
    let at = if is_end { *to } else { *from };
    Ok((span, Base { at, words: format!(" after {point}") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_config::load_str;

    const MINUTE: i64 = 60_000_000_000;

    /// From and to in minutes, and how the beginning is told.
    fn read_span(text: &str) -> Result<(i64, i64, String), String> {
        let names: Names = [("errors".to_owned(), (60 * MINUTE, 90 * MINUTE))].into();
        let mut reader = Reader::new(&|_: &str| None);
        let document = load_str("s.yaml", &format!("at: {text}\n"), &mut reader).unwrap();
        let node = document.root().get("at").unwrap();
        let read = span(&names, Duration::from_secs(60))(node, &mut reader);
        let (span, _) = reader.finish(read).map_err(|problems| problems.render())?;
        Ok((span.from / MINUTE, span.to / MINUTE, span.base.tell(span.from)))
    }

    #[test]
    fn times_are_counted_from_the_start_or_from_stretches() {
        for (text, from, to, told) in [
            ("90m", 89, 91, "1h29m"),
            ("0m", -1, 1, "-1m"),
            ("9m after errors", 68, 70, "8m after errors"),
            ("29m after end of errors", 118, 120, "28m after end of errors"),
            ("8m..9m after errors", 68, 69, "8m after errors"),
            ("1h..2h", 60, 120, "1h"),
            ("errors", 59, 61, "-1m after errors"),
            ("end of errors", 89, 91, "-1m after end of errors"),
        ] {
            assert_eq!(read_span(text).unwrap(), (from, to, told.to_owned()), "{text}");
        }
        for (text, said) in [
            ("soon", "\"soon\" is no time in a scenario"),
            ("9m after erors", "did you mean \"errors\"?"),
            ("9m..8m", "ends before it begins"),
        ] {
            let problem = read_span(text).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }
}

//! Times as people type them: `-1h`, `now`, `2026-11-22T18:00:00Z`, `2026-11-22T18:00`, `1793491200`.
//!
//! Owns that grammar. Never reads a clock: what is relative is resolved against the screen's time and zone.

use std::str::FromStr;

use jiff::civil::DateTime;
use watchkeeper_expr::duration;
use watchkeeper_model::time::SECOND;
use watchkeeper_model::{Decimal, Timestamp};

use crate::terminal::Screen;

/// A time as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Moment {
    /// So many nanoseconds ago.
    Ago(i64),
    /// An instant.
    At(Timestamp),
    /// A date and time where the reader is.
    Local(DateTime),
}

impl Moment {
    /// The instant that is meant.
    pub(crate) fn resolve(&self, screen: &Screen) -> Timestamp {
        match self {
            Self::Ago(nanos) => screen.now.shifted(-nanos),
            Self::At(at) => *at,
            // A time that the clock skips or repeats is taken as the zone's rules do for calendars.
            Self::Local(local) => screen
                .zone
                .to_ambiguous_timestamp(*local)
                .compatible()
                .map_or(screen.now, Timestamp::from_jiff),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Ago(0));
        }
        if let Some(nanos) = text.strip_prefix('-').and_then(|span| duration::parse(span).ok()) {
            return Ok(Self::Ago(nanos));
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Timestamp::from_jiff(at)));
        }
        if let Ok(local) = text.parse::<DateTime>() {
            return Ok(Self::Local(local));
        }
        if let Some(nanos) = Decimal::parse(text).and_then(|secs| secs.scale(SECOND)) {
            return Ok(Self::At(Timestamp(nanos)));
        }
        Err(match duration::parse(text) {
            Ok(_) => format!("write -{text} for {text} ago"),
            Err(_) => {
                "write -1h, now, 2026-11-22T18:00:00Z, 2026-11-22T18:00 (local) or unix seconds"
                    .to_owned()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_people_mean() {
        let screen = Screen::plain(None, Timestamp::from_secs(1_795_370_829));
        for (text, expected) in [
            ("now", "2026-11-22T18:07:09Z"),
            ("-1h30m", "2026-11-22T16:37:09Z"),
            ("-0s", "2026-11-22T18:07:09Z"),
            ("2026-11-22T18:00:00+01:00", "2026-11-22T17:00:00Z"),
            ("2026-11-22T18:00", "2026-11-22T18:00:00Z"),
            ("2026-11-22 18:00", "2026-11-22T18:00:00Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
            ("1793491200.5", "2026-11-01T00:00:00.5Z"),
            ("-5", "1969-12-31T23:59:55Z"),
        ] {
            let moment: Moment = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(moment.resolve(&screen).rfc3339(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_would_be() {
        for (text, says) in [("1h", "write -1h"), ("yesterday", "unix seconds"), ("", "write")] {
            assert!(text.parse::<Moment>().unwrap_err().contains(says), "{text}");
        }
    }
}

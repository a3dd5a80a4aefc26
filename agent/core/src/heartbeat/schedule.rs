//! When a run is due.
//!
//! Owns the two ways to say it: a line of cron in a time zone, and a longest time from one run to the next. What cron means
//! where clocks are set forward or back is what Debian's cron does: a run at fixed times, whose minutes and hours do not begin
//! with `*`, is due when the clock goes on if its time is skipped, and once if it comes twice; others follow the clock.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use watchkeeper_model::{Timestamp, Zone, readable};

/// When a run is due.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At times of the calendar.
    Cron {
        /// The line as it was written.
        text: String,
        /// What it means.
        cron: Box<Cron>,
        /// Where.
        zone: Zone,
    },
    /// At the latest so long after the one before.
    Every(Duration),
}

/// A line of cron that can't be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSchedule {
    /// It is not understood.
    #[error("is no line of cron: {0}")]
    NotUnderstood(String),
    /// There is no such time.
    #[error("never comes")]
    Never,
}

impl Schedule {
    /// Reads five fields of crontab(5), or one of its words such as `@daily`.
    ///
    /// # Errors
    /// If it can't be read, or no time is meant by it.
    pub fn cron(text: &str, zone: Zone) -> Result<Self, NoSchedule> {
        let parser = CronParser::builder();
        let parser = parser.seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let said = |error: croner::errors::CronError| {
            let said = error.to_string();
            NoSchedule::NotUnderstood(said.trim_end_matches('.').to_owned())
        };
        let cron = parser.parse(text).map_err(said)?;
        let schedule = Self::Cron { text: text.to_owned(), cron: Box::new(cron), zone };
        // 2000 was a leap year, so that 29 February comes too.
        let some_time = Timestamp::from_secs(946_684_800);
        schedule.next_after(some_time).map(|_| schedule.clone()).ok_or(NoSchedule::Never)
    }

    /// The first time after this one at which a run is due, if the one before began then.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => Some(at + *every),
            Self::Cron { cron, zone, .. } => {
                if cron.pattern.minutes.from_wildcard || cron.pattern.hours.from_wildcard {
                    return next_in(cron, zone, at);
                }
                // The hands of a clock that is never set know of no time that is skipped or comes twice.
                let hands = |at| Zone::UTC.instant(zone.zoned(at).datetime());
                let mut shown = Timestamp::checked_from_jiff(hands(at)?)?;
                loop {
                    shown = next_in(cron, &Zone::UTC, shown)?;
                    let next = first_time(Zone::UTC.zoned(shown).datetime(), zone)?;
                    if next > at {
                        return Some(next);
                    }
                }
            }
        }
    }

    /// In one line, the same for the same.
    pub fn text(&self) -> String {
        match self {
            Self::Cron { text, zone, .. } => format!("schedule {text} {}", zone.name()),
            Self::Every(every) => format!("every {}", readable::span(*every)),
        }
    }

    /// A time as people read it where the schedule is meant.
    pub fn shown(&self, at: Timestamp) -> String {
        let zone = match self {
            Self::Cron { zone, .. } => zone.clone(),
            Self::Every(_) => Zone::UTC,
        };
        zone.zoned(at).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }
}

/// The next time that a line of cron means, by the crate: of what begins with `*` that is what Debian's cron does, but it
/// takes a list or a range for the like.
fn next_in(cron: &Cron, zone: &Zone, at: Timestamp) -> Option<Timestamp> {
    let next = cron.find_next_occurrence(&zone.zoned(at), false).ok()?;
    Timestamp::checked_from_jiff(next.timestamp()).filter(|next| *next > at)
}

/// When clocks show this for the first time, or go on if they skip it.
fn first_time(shown: DateTime, zone: &Zone) -> Option<Timestamp> {
    let at = zone.instant(shown)?;
    let zoned = zone.zoned(Timestamp::checked_from_jiff(at)?);
    let is_skipped = zoned.datetime() != shown;
    // What is skipped counts on from before, and so lies behind the moment at which they go on, or on it.
    let until = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
    let goes_on = || zoned.time_zone().preceding(until).next().map(|turn| turn.timestamp());
    Timestamp::checked_from_jiff(if is_skipped { goes_on()? } else { at })
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Every(a), Self::Every(b)) => a == b,
            (Self::Cron { .. }, Self::Cron { .. }) => self.text() == other.text(),
            _ => false,
        }
    }
}

impl Eq for Schedule {}

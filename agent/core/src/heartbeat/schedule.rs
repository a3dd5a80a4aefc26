//! When a run is due.
//!
//! Owns the two ways to say it: a line of cron in a time zone, and a longest time from one run to the next. What cron means
//! where clocks are set forward or back is what the crate `croner` and Debian's cron do: a run at a fixed time that is skipped
//! is due when the clock goes on, and one whose time comes twice is due once; runs every so many minutes follow the clock.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
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
                let next = cron.find_next_occurrence(&zone.zoned(at), false).ok()?;
                Timestamp::checked_from_jiff(next.timestamp()).filter(|next| *next > at)
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

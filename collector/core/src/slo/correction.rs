//! Corrections: planned maintenance that no budget pays for.
//!
//! Owns which SLOs one is about and which stretches of time it covers. Never changes a count: what is covered is left out
//! of sums, and comes back when the correction goes.

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use watchkeeper_model::{Service, Timestamp, Zone};

use super::settings::SloSettings;
use super::zone::{instant, midnight};

/// Which SLOs a correction is about: those named, those of a service, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concerned {
    /// Those of these names.
    #[serde(default)]
    pub slos: Vec<String>,
    /// Those of this service.
    #[serde(default)]
    pub service: Option<Service>,
}

impl Concerned {
    /// Whether it is about this SLO.
    pub fn includes(&self, slo: &SloSettings) -> bool {
        let named = self.slos.is_empty() || self.slos.contains(&slo.name);
        named && self.service.as_ref().is_none_or(|service| *service == slo.service)
    }
}

/// A correction of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// What it is called; "" if nobody gave it a name.
    pub name: String,
    /// About which SLOs.
    pub concerned: Concerned,
    /// When.
    pub when: When,
    /// Why.
    pub reason: String,
}

/// When a correction covers time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Once.
    Once {
        /// From this moment on.
        from: Timestamp,
        /// Until this one, not included.
        to: Timestamp,
    },
    /// Each week.
    Weekly(Weekly),
}

/// Hours of some days of each week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// The days it begins on.
    pub days: Vec<Weekday>,
    /// Minutes after midnight at which it begins.
    pub from_minute: u16,
    /// Minutes after midnight at which it ends, up to 1440; on the next day if that is not later than the beginning.
    pub to_minute: u16,
    /// Where these are the days and hours.
    pub zone: Zone,
}

/// A correction that somebody added to the running collector. Never deleted: ending it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionRow {
    /// Its number, from 1.
    pub id: u64,
    /// What it is called; "" if nobody gave it a name.
    pub name: String,
    /// About which SLOs.
    pub concerned: Concerned,
    /// From this moment on.
    pub from: Timestamp,
    /// Until this one, not included.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
    /// Who added it.
    pub by: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// Who took it back, and when: since then it is as if it had never been.
    #[serde(default)]
    pub ended: Option<Ended>,
}

/// Who took a correction back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl When {
    /// What it covers of the time around `from..to`: everything that touches it, and perhaps a little more.
    pub fn stretches(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        match self {
            Self::Once { from, to } => vec![(*from, *to)],
            Self::Weekly(weekly) => weekly.stretches(from, to),
        }
    }

    /// What it covers that contains this moment.
    pub fn at(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let all = self.stretches(now, now);
        all.into_iter().find(|(from, to)| *from <= now && now < *to)
    }
}

impl Weekly {
    fn stretches(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let (mut day, last) = (self.zone.date(from).yesterday(), self.zone.date(to));
        let mut all = Vec::new();
        while let Ok(date) = day {
            if date > last {
                break;
            }
            if self.days.contains(&date.weekday()) {
                let is_overnight = self.to_minute <= self.from_minute;
                let end = if is_overnight { date.tomorrow().unwrap_or(date) } else { date };
                let stretch =
                    (self.moment(date, self.from_minute), self.moment(end, self.to_minute));
                all.push(stretch);
            }
            day = date.tomorrow();
        }
        all
    }

    fn moment(&self, date: Date, minute: u16) -> Timestamp {
        if minute >= 24 * 60 {
            return midnight(&self.zone, date.tomorrow().unwrap_or(date));
        }
        let part = |n: u16| i8::try_from(n).unwrap_or(0);
        instant(&self.zone, date.at(part(minute / 60), part(minute % 60), 0, 0))
    }
}

impl CorrectionRow {
    /// When it covers time; nothing if it was taken back.
    pub fn when(&self) -> Option<When> {
        let (from, to) = (self.from, self.to);
        self.ended.is_none().then_some(When::Once { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Decimal;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_jiff(text.parse().unwrap())
    }

    #[test]
    fn weekly_hours_are_those_on_the_wall() {
        for (days, from, to, around, expected, sentence) in [
            (
                vec![Weekday::Sunday],
                120,
                180,
                "2026-11-08T01:30:00Z",
                Some(("2026-11-08T01:00:00Z", "2026-11-08T02:00:00Z")),
                "02:00 to 03:00 in winter",
            ),
            (
                vec![Weekday::Sunday],
                120,
                180,
                "2026-08-02T00:30:00Z",
                Some(("2026-08-02T00:00:00Z", "2026-08-02T01:00:00Z")),
                "02:00 to 03:00 in summer",
            ),
            (vec![Weekday::Sunday], 120, 180, "2026-11-09T01:30:00Z", None, "Monday is not Sunday"),
            (
                vec![Weekday::Sunday],
                120,
                180,
                "2026-10-25T01:30:00Z",
                Some(("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z")),
                "clocks go back: the hour that comes twice is covered twice",
            ),
            (
                vec![Weekday::Sunday],
                120,
                180,
                "2026-03-29T01:30:00Z",
                None,
                "clocks go forward: there is no such hour",
            ),
            (
                vec![Weekday::Saturday],
                1380,
                60,
                "2026-11-07T23:30:00Z",
                Some(("2026-11-07T22:00:00Z", "2026-11-08T00:00:00Z")),
                "over midnight",
            ),
            (
                vec![Weekday::Saturday],
                0,
                1440,
                "2026-11-07T22:59:59Z",
                Some(("2026-11-06T23:00:00Z", "2026-11-07T23:00:00Z")),
                "a whole day",
            ),
            (
                vec![Weekday::Friday, Weekday::Saturday],
                0,
                1440,
                "2026-11-06T22:59:59Z",
                Some(("2026-11-05T23:00:00Z", "2026-11-06T23:00:00Z")),
                "several days",
            ),
        ] {
            let zone = Zone::named("Europe/Berlin").unwrap();
            let weekly = When::Weekly(Weekly { days, from_minute: from, to_minute: to, zone });
            let expected = expected.map(|(from, to)| (at(from), at(to)));
            assert_eq!(weekly.at(at(around)), expected, "{sentence}");
        }
    }

    #[test]
    fn a_year_has_each_week_once() {
        let days = vec![Weekday::Wednesday];
        let weekly =
            When::Weekly(Weekly { days, from_minute: 60, to_minute: 120, zone: Zone::UTC });
        let all = weekly.stretches(at("2026-01-01T00:00:00Z"), at("2026-12-31T23:00:00Z"));
        assert_eq!(all.len(), 53, "the Wednesday before the beginning is among them");
        assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn it_is_about_those_named_or_a_service_or_all() {
        let objective = super::super::Objective::from_percent(Decimal::from_int(99)).unwrap();
        let slo = SloSettings::new("a", Service::new("shop").unwrap(), "requests", objective);
        let shop = Service::new("shop");
        for (slos, service, is_about) in [
            (vec![], None, true),
            (vec!["a"], None, true),
            (vec!["b"], None, false),
            (vec![], shop.clone(), true),
            (vec![], Service::new("db"), false),
            (vec!["a"], shop, true),
        ] {
            let slos = slos.into_iter().map(str::to_owned).collect();
            assert_eq!(Concerned { slos, service }.includes(&slo), is_about);
        }
    }
}

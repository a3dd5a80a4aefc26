//! How observations become good and bad: each by itself, or slice by slice.
//!
//! Owns the verdict on a slice. A slice's counts are kept as they were observed and its verdict is made of them each
//! time, so that it may change while parts of it still arrive.

use std::time::Duration;

use watchkeeper_model::Decimal;

use super::counts::Counts;
use super::settings::BUCKET;

/// What one good or bad thing of an SLO is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// An observation.
    #[default]
    Occurrences,
    /// A slice of time.
    Timeslices(Slices),
}

/// Aligned stretches of time, each of which is good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    /// How long one is: whole seconds that divide a day.
    pub length: Duration,
    /// What makes it good.
    pub objective: SliceObjective,
}

/// The share of a slice's observations that may be bad in a good slice, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceObjective {
    allowed_nano: u64,
}

impl SliceObjective {
    /// From percent, `95`; `None` unless 0 < x <= 100 with at most seven digits after the point that count. 100 means
    /// that one bad observation makes a slice bad.
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let target_nano = u64::try_from(percent.scale(10_000_000)?).ok()?;
        (1..=1_000_000_000)
            .contains(&target_nano)
            .then(|| Self { allowed_nano: 1_000_000_000 - target_nano })
    }
}

impl Slices {
    /// Whether this may be the length of a slice: 1 s to 1 h in whole seconds, dividing a day.
    pub fn is_length(length: Duration) -> bool {
        let secs = length.as_secs();
        length.subsec_nanos() == 0 && (1..=3600).contains(&secs) && 86_400 % secs == 0
    }

    /// The verdict on a slice in which this was observed: one good or bad slice, or none if nothing was judged in it. It is
    /// unjudged if there were observations and none could be judged, estimated if one of them was.
    fn verdict(self, seen: &Counts) -> Counts {
        if seen.total == 0 {
            return Counts { unjudged: u64::from(seen.unjudged > 0), ..Counts::default() };
        }
        let bad = u128::from(seen.bad()) * 1_000_000_000;
        let is_good = bad <= u128::from(seen.total) * u128::from(self.objective.allowed_nano);
        Counts {
            good: u64::from(is_good),
            total: 1,
            unjudged: 0,
            estimated: u64::from(seen.estimated > 0),
        }
    }
}

impl Method {
    /// The width of the buckets in which counts are stored: a slice, or [`BUCKET`].
    pub const fn bucket(self) -> Duration {
        match self {
            Self::Occurrences => BUCKET,
            Self::Timeslices(slices) => slices.length,
        }
    }

    /// The length of its slices.
    pub const fn slice(self) -> Option<Duration> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices(slices) => Some(slices.length),
        }
    }

    /// What a bucket of observations counts for.
    pub(crate) fn worth(self, seen: &Counts) -> Counts {
        match self {
            Self::Occurrences => *seen,
            Self::Timeslices(slices) => slices.verdict(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(percent: &str) -> Option<SliceObjective> {
        SliceObjective::from_percent(Decimal::parse(percent).unwrap())
    }

    #[test]
    fn a_slice_is_good_when_enough_of_it_is() {
        let slices = |percent: &str| {
            let objective = objective(percent).unwrap();
            Method::Timeslices(Slices { length: Duration::from_secs(60), objective })
        };
        for (percent, good, bad, unjudged, verdict, sentence) in [
            ("95", 95, 5, 0, (1, 1, 0), "exactly enough is enough"),
            ("95", 94, 6, 0, (0, 1, 0), "one more is too many"),
            ("95", 0, 0, 0, (0, 0, 0), "nothing seen is neither"),
            ("95", 0, 0, 7, (0, 0, 1), "nothing judged is neither, and shown"),
            ("95", 20, 1, 7, (1, 1, 0), "what could be judged decides"),
            ("100", 1_000_000, 1, 0, (0, 1, 0), "all means all"),
            ("99.9999", 999_999, 1, 0, (1, 1, 0), "without rounding"),
            ("0.1", 1, 999, 0, (1, 1, 0), "a low bar is one too"),
        ] {
            let seen = Counts { good, total: good + bad, unjudged, estimated: 0 };
            let found = slices(percent).worth(&seen);
            assert_eq!((found.good, found.total, found.unjudged), verdict, "{sentence}");
            assert_eq!(Method::Occurrences.worth(&seen), seen);
        }
    }

    #[test]
    fn slices_divide_a_day_and_objectives_are_percentages() {
        for (millis, fits) in [
            (1_000, true),
            (45_000, true),
            (60_000, true),
            (3_600_000, true),
            (0, false),
            (500, false),
            (1_500, false),
            (7_000, false),
            (7_200_000, false),
        ] {
            assert_eq!(Slices::is_length(Duration::from_millis(millis)), fits, "{millis} ms");
        }
        for (percent, fits) in [("95", true), ("100", true), ("0", false), ("100.1", false)] {
            assert_eq!(objective(percent).is_some(), fits, "{percent}");
        }
    }
}

//! When a budget will be gone if it goes on as it does now.
//!
//! Owns what "goes on" means: good and bad arrive at the pace of the first tier's long window, and what is in the window
//! now leaves it when its time has come. A calendar period only fills, and there is no forecast beyond its end.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::counts::Counts;
use crate::series::Part as _;

/// One term of the bad ratio: an SLO itself, or a part of a composite.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// How much it weighs among the others.
    pub(super) weight: f64,
    /// What is in the window: where each bucket starts, the oldest first.
    pub(super) buckets: Vec<(Timestamp, Counts)>,
    /// How wide they are.
    pub(super) width: Duration,
    /// What arrives, each second.
    pub(super) good_per_sec: f64,
    /// What arrives and is bad, each second.
    pub(super) bad_per_sec: f64,
}

/// How a window goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Horizon {
    /// What is older than this leaves it.
    Rolls(Duration),
    /// It ends then.
    Ends(Timestamp),
}

/// The moment at which more than `allowed` of a window is bad; `None` if that is not before its end.
pub(super) fn exhausts_at(
    courses: &[Course],
    horizon: Horizon,
    allowed: f64,
    now: Timestamp,
) -> Option<Timestamp> {
    let end = match horizon {
        Horizon::Rolls(length) => now + length,
        Horizon::Ends(at) => at,
    };
    let mut walk: Vec<Walk<'_>> = courses.iter().map(Walk::new).collect();
    let mut since = now;
    while since < end {
        // Good ones that leave may do it by themselves.
        if ratio(&walk, since.since(now)) > allowed {
            return Some(since);
        }
        let next = match horizon {
            Horizon::Rolls(length) => walk.iter().filter_map(|w| w.leaves_at(length)).min(),
            Horizon::Ends(_) => None,
        };
        let until = next.map_or(end, |at| at.max(since).min(end));
        if ratio(&walk, until.since(now)) > allowed {
            let at = crossing(&walk, (since, until), allowed, now);
            return Some(at).filter(|at| *at < end || matches!(horizon, Horizon::Rolls(_)));
        }
        if let (Horizon::Rolls(length), true) = (horizon, next.is_some()) {
            walk.iter_mut().for_each(|w| w.leave(until, length));
        }
        since = until;
    }
    None
}

/// Where between two moments the ratio goes over: it moves one way between them.
fn crossing(
    walk: &[Walk<'_>],
    (mut below, mut above): (Timestamp, Timestamp),
    allowed: f64,
    now: Timestamp,
) -> Timestamp {
    while above.since(below) > Duration::from_secs(1) {
        let middle = below + above.since(below) / 2;
        match ratio(walk, middle.since(now)) > allowed {
            true => above = middle,
            false => below = middle,
        }
    }
    above
}

/// The weighted bad ratio after a while.
fn ratio(walk: &[Walk<'_>], after: Duration) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for term in walk {
        let (bad, total) = term.after(after);
        if total > 0.0 {
            sum += term.course.weight * bad / total;
            weights += term.course.weight;
        }
    }
    if weights > 0.0 { sum / weights } else { 0.0 }
}

/// A course on its way: what is left of the buckets.
#[derive(Debug)]
struct Walk<'a> {
    course: &'a Course,
    first: usize,
    sum: Counts,
}

impl<'a> Walk<'a> {
    fn new(course: &'a Course) -> Self {
        let mut sum = Counts::default();
        course.buckets.iter().for_each(|(_, counts)| sum.add(counts));
        Self { course, first: 0, sum }
    }

    /// When the oldest bucket leaves.
    fn leaves_at(&self, length: Duration) -> Option<Timestamp> {
        let (start, _) = self.course.buckets.get(self.first)?;
        Some(*start + length.max(self.course.width))
    }

    fn leave(&mut self, now: Timestamp, length: Duration) {
        while self.leaves_at(length).is_some_and(|at| at <= now) {
            self.sum.remove(&self.course.buckets[self.first].1);
            self.first += 1;
        }
    }

    /// Bad ones and all after a while.
    fn after(&self, after: Duration) -> (f64, f64) {
        let secs = after.as_secs_f64();
        let bad = self.sum.bad() as f64 + self.course.bad_per_sec * secs;
        (bad, bad + self.sum.good as f64 + self.course.good_per_sec * secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const T0: i64 = 1_793_491_200;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(T0 + secs)
    }

    /// `hours` of buckets of an hour that end now, each with so much good and bad; then so much a second.
    fn course(hours: i64, (good, bad): (u64, u64), per_sec: (f64, f64)) -> Course {
        let counts = Counts { good, total: good + bad, ..Counts::default() };
        Course {
            weight: 1.0,
            buckets: (-hours..0).map(|hour| (at(hour * 3600), counts)).collect(),
            width: Duration::from_secs(HOUR),
            good_per_sec: per_sec.0,
            bad_per_sec: per_sec.1,
        }
    }

    fn hours(courses: &[Course], horizon: Horizon, allowed: f64) -> Option<f64> {
        let found = exhausts_at(courses, horizon, allowed, at(0));
        found.map(|at| (at.since(Timestamp::from_secs(T0)).as_secs_f64() / 36.0).round() / 100.0)
    }

    #[test]
    fn it_is_the_moment_at_which_the_counts_will_say_so() {
        let day = Horizon::Rolls(Duration::from_secs(24 * HOUR));
        let ends = |hours: i64| Horizon::Ends(at(hours * 3600));
        // 3600 an hour, 1 % allowed.
        let healthy = |n_hours| course(n_hours, (3600, 0), (0.9, 0.1));
        for (sentence, courses, horizon, expected) in [
            // 10 % bad are 360 an hour; 1 % of some 24 hours of 3600 may be bad, the oldest of which leaves whole.
            ("a full window keeps its size", vec![healthy(24)], day, Some(2.33)),
            // After x hours 360x of 3600 (12 + x) are bad: x = 12 / 9.
            ("a window that fills grows", vec![healthy(12)], day, Some(1.33)),
            ("a period only grows", vec![healthy(12)], ends(8), Some(1.33)),
            ("there is no forecast beyond a period's end", vec![healthy(12)], ends(1), None),
            ("a period that begins now has no budget yet", vec![healthy(0)], ends(8), Some(0.0)),
            ("it may go on for ever", vec![course(24, (3600, 0), (0.995, 0.005))], day, None),
            (
                "of two parts of equal weight only half counts",
                vec![healthy(24), course(24, (3600, 0), (1.0, 0.0))],
                day,
                Some(4.75),
            ),
            (
                "traffic does not weigh",
                vec![healthy(24), course(24, (36, 0), (0.01, 0.0))],
                day,
                Some(4.75),
            ),
        ] {
            assert_eq!(hours(&courses, horizon, 0.01), expected, "{sentence}");
        }
    }

    #[test]
    fn bad_ones_that_leave_put_it_off() {
        let day = Horizon::Rolls(Duration::from_secs(24 * HOUR));
        let mut course = course(24, (3600, 0), (0.97, 0.03));
        // 700 bad ones that leave in an hour: after that 864 take 8 h at 108 an hour.
        course.buckets[1].1 = Counts { good: 2900, total: 3600, ..Counts::default() };
        assert_eq!(hours(&[course.clone()], day, 0.01), Some(8.0));
        course.bad_per_sec = 0.1;
        course.good_per_sec = 0.9;
        assert_eq!(hours(&[course], day, 0.01), Some(0.4), "they are still there");
    }
}

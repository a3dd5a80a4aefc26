//! A tally against a plain model: whatever arrives in whatever order, a sum is what the buckets of its window are worth.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::{Decimal, Timestamp};

use super::excluded::Excluded;
use super::{
    Calendar, CalendarUnit, Counts, Method, Over, SliceObjective, Slices, Tally, View, Zone,
};
use crate::series::Part as _;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// Saturday before clocks go back in Berlin, 24 October 2026, 20:00 there.
const T0: i64 = 1_792_864_800;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(T0 + secs)
}

fn week() -> Over {
    let zone = Zone::named("Europe/Berlin").unwrap();
    Over::Period(Calendar { unit: CalendarUnit::Week, zone })
}

fn overs() -> Vec<Over> {
    let last = |secs| Over::Last(Duration::from_secs(secs));
    vec![last(600), last(6 * 3600), last(2 * 86_400), week()]
}

fn slices(secs: u64) -> Method {
    let objective = SliceObjective::from_percent(Decimal::from_int(50)).unwrap();
    Method::Timeslices(Slices { length: Duration::from_secs(secs), objective })
}

fn tally(method: Method, excluded: &Excluded) -> Tally {
    let view = View { of: "s".to_owned(), overs: overs(), excluded: excluded.clone() };
    Tally::new(method, vec![view])
}

/// What arrived, as it would be stored.
type Stored = Vec<(i64, Counts)>;

/// The sum of a window by a look at everything that ever arrived.
fn model(
    stored: &Stored,
    method: Method,
    excluded: &Excluded,
    over: &Over,
    width: i64,
    now: i64,
) -> Counts {
    let mut buckets: BTreeMap<i64, Counts> = BTreeMap::new();
    for (secs, counts) in stored {
        buckets.entry((T0 + secs).div_euclid(width)).or_default().add(counts);
    }
    let mut sum = Counts::default();
    for (index, counts) in buckets {
        let start = index * width;
        let is_in = match over {
            Over::Last(length) => {
                let n = (i64::try_from(length.as_secs()).unwrap() / width).max(1);
                index > (T0 + now).div_euclid(width) - n
            }
            Over::Period(calendar) => {
                let (from, to) = calendar.period(at(now));
                (from.secs()..to.secs()).contains(&start)
            }
        };
        if is_in && !excluded.covers(Timestamp::from_secs(start)) {
            sum.add(&method.worth(&counts));
        }
    }
    sum
}

#[derive(Clone, Debug)]
enum Step {
    /// Some arrive, so many seconds late.
    Arrive { late: i64, good: u64, bad: u64, unjudged: u64 },
    /// Time passes.
    Wait(i64),
    /// Something is left out, or nothing any more.
    Exclude(Option<(i64, i64)>),
    /// It stops and starts again from what is stored.
    Restart,
    /// It goes over to settings of the same windows.
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let late = prop_oneof![Just(0), -90_i64..300, 0..(3 * 86_400_i64)];
    let arrive = (late, 0_u64..5, 0_u64..3, 0_u64..2)
        .prop_map(|(late, good, bad, unjudged)| Step::Arrive { late, good, bad, unjudged });
    let wait = prop_oneof![0_i64..10, 0..(10 * MINUTE), 0..(9 * HOUR)].prop_map(Step::Wait);
    let exclude =
        prop::option::of((-(3 * 86_400_i64)..86_400, 0_i64..86_400)).prop_map(Step::Exclude);
    let one = prop_oneof![6 => arrive, 4 => wait, 1 => exclude, 1 => Just(Step::Restart), 1 => Just(Step::Reload)];
    prop::collection::vec(one, 1..60)
}

struct Run {
    method: Method,
    tally: Tally,
    stored: Stored,
    excluded: Excluded,
    now: i64,
}

impl Run {
    fn step(&mut self, step: &Step) {
        let bucket = self.method.bucket();
        match step {
            Step::Arrive { late, good, bad, unjudged } => {
                let counts =
                    Counts { good: *good, total: good + bad, unjudged: *unjudged, estimated: 0 };
                self.stored.push((self.now - late, counts));
                self.tally.add(at(self.now - late), &counts, at(self.now));
            }
            Step::Wait(secs) => self.now += secs,
            Step::Exclude(stretch) => {
                let stretch =
                    stretch.map(|(from, len)| (at(self.now + from), at(self.now + from + len)));
                self.excluded = Excluded::of(stretch, bucket);
                self.tally.exclude("s", &self.excluded, at(self.now));
            }
            Step::Restart => {
                self.tally = tally(self.method, &self.excluded);
                let mut restored = self.tally.clone();
                let mut coarse: BTreeMap<Timestamp, Counts> = BTreeMap::new();
                for (secs, counts) in &self.stored {
                    coarse.entry(at(*secs).floor(bucket)).or_default().add(counts);
                    restored.restore(at(*secs), counts, true, at(self.now));
                }
                for (start, counts) in coarse {
                    restored.restore(start, &counts, false, at(self.now));
                }
                self.tally.fill(&restored, at(self.now));
            }
            Step::Reload => {
                let fresh = tally(self.method, &self.excluded);
                self.tally = fresh.taking_over(&self.tally, at(self.now));
            }
        }
        self.tally.advance(at(self.now));
    }

    fn widths(&self, over: &Over) -> i64 {
        i64::try_from(self.tally.width(0, over).as_secs()).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_sum_is_what_the_buckets_of_its_window_are_worth(
        steps in steps(),
        method in prop_oneof![Just(Method::Occurrences), Just(slices(60)), Just(slices(300)), Just(slices(3600))],
    ) {
        let excluded = Excluded::default();
        let mut run = Run { method, tally: tally(method, &excluded), stored: Vec::new(), excluded, now: 0 };
        for (n, step) in steps.iter().enumerate() {
            run.step(step);
            for over in overs() {
                let expected =
                    model(&run.stored, method, &run.excluded, &over, run.widths(&over), run.now);
                prop_assert_eq!(run.tally.sum(0, &over), expected, "{:?} after {} {:?}", over, n, step);
                let later = run.now + 3 * HOUR;
                let expected =
                    model(&run.stored, method, &run.excluded, &over, run.widths(&over), later);
                prop_assert_eq!(run.tally.sum_at(0, &over, at(later)), expected, "{:?} later", over);
            }
        }
    }
}

#[test]
fn counts_of_a_period_leave_at_its_end_and_not_before() {
    let mut tally = tally(Method::Occurrences, &Excluded::default());
    let good = |good| Counts { good, total: good, ..Counts::default() };
    // Clocks go back in that night: Monday begins 29 hours after Saturday, 20:00.
    let monday = 29 * HOUR;
    tally.add(at(0), &good(1), at(0));
    tally.add(at(monday - 1), &good(10), at(monday - 1));
    assert_eq!(tally.sum(0, &week()).total, 11);
    // The clock of an agent is a little ahead: that is next week's.
    tally.add(at(monday), &good(100), at(monday - 1));
    assert_eq!(tally.sum(0, &week()).total, 11);
    assert_eq!(tally.sum_at(0, &week(), at(monday)).total, 100);
    tally.advance(at(monday));
    assert_eq!(tally.sum(0, &week()).total, 100);
    assert_eq!(
        tally.sum(0, &Over::Last(Duration::from_secs(6 * 3600))).total,
        110,
        "burn windows reach over it"
    );
    // What comes late for last week counts there, where nobody looks any more.
    tally.add(at(monday - 2), &good(1000), at(monday + 1));
    assert_eq!(tally.sum(0, &week()).total, 100);
}

#[test]
fn a_verdict_on_a_slice_changes_while_its_parts_arrive() {
    let mut tally = tally(slices(60), &Excluded::default());
    let day = Over::Last(Duration::from_secs(2 * 86_400));
    for (good, bad, verdict, sentence) in [
        (0, 1, (0, 1), "all of it is bad"),
        (1, 0, (1, 1), "half of it is good: enough"),
        (0, 1, (0, 1), "now it is not"),
        (5, 0, (1, 1), "good again"),
    ] {
        let counts = Counts { good, total: good + bad, ..Counts::default() };
        tally.add(at(60), &counts, at(100));
        let sum = tally.sum(0, &day);
        assert_eq!((sum.good, sum.total), verdict, "{sentence}");
    }
}

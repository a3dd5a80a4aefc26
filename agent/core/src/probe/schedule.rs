//! When a probe asks.
//!
//! Owns its slots: every so often, at a place in the period that is made of its name, so that many probes are spread and one
//! has the same place after every start. Slots that were missed are not made up for. Times count from the start of the
//! probe. Never sleeps.

use std::time::Duration;

/// The first look is this early at most, however long the period is: nobody wants to wait an hour for the first word.
const EARLY: Duration = Duration::from_secs(2);

/// The slots of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    every: Duration,
    place: Duration,
    next: Duration,
}

impl Schedule {
    /// The slots of the probe of this name. `salt` sets apart agents that have probes of the same name.
    pub fn new(name: &str, salt: &str, every: Duration) -> Self {
        let every = every.max(Duration::from_millis(1));
        let share = share_of(&[name, salt]);
        Self { every, place: part(every, share), next: part(every.min(EARLY), share) }
    }

    /// When the next slot is.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// The slot was used, and this is how late it is now: the next one lies ahead, and at least half a period after the slot.
    pub fn used(&mut self, now: Duration) {
        let earliest = (self.next + self.every / 2).max(now);
        let (every, place) = (self.every.as_nanos(), self.place.as_nanos());
        let n = earliest.as_nanos().saturating_sub(place).div_ceil(every);
        let nanos = place + n * every;
        self.next = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    }
}

/// So much of it; `share` is in 2^-64.
fn part(of: Duration, share: u64) -> Duration {
    let nanos = of.as_nanos().saturating_mul(u128::from(share)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A number made of texts that is spread evenly: FNV-1a, mixed as SplitMix64 does.
fn share_of(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in texts.iter().flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_same_name_has_the_same_slots_and_another_agent_others() {
        let slots = |name: &str, salt: &str| Schedule::new(name, salt, 10 * S);
        assert_eq!(slots("home", "a"), slots("home", "a"));
        assert_ne!(slots("home", "a"), slots("home", "b"));
        assert_ne!(slots("home", "a"), slots("homea", ""));
    }

    #[test]
    fn the_first_look_is_soon_and_the_others_are_a_period_apart() {
        let mut schedule = Schedule::new("home", "", 3600 * S);
        assert!(schedule.next() < 2 * S);
        schedule.used(schedule.next() + S);
        let second = schedule.next();
        assert!((1800 * S..3700 * S + 1800 * S).contains(&second), "{second:?}");
        schedule.used(second + S);
        assert_eq!(schedule.next(), second + 3600 * S);
    }

    #[test]
    fn slots_that_were_missed_are_left_out() {
        let mut schedule = Schedule::new("home", "", S);
        for _ in 0..3 {
            schedule.used(schedule.next());
        }
        let slot = schedule.next();
        schedule.used(slot + 7 * S + S / 3);
        assert_eq!(schedule.next(), slot + 8 * S);
    }

    #[test]
    fn many_are_spread_over_the_period() {
        let mut in_tenth = [0_u32; 10];
        for n in 0..1_000 {
            let mut schedule = Schedule::new(&format!("probe-{n}"), "web-1", 10 * S);
            schedule.used(schedule.next());
            schedule.used(schedule.next());
            in_tenth[(schedule.next().as_secs() % 10) as usize] += 1;
        }
        assert!(in_tenth.iter().all(|n| (60..140).contains(n)), "{in_tenth:?}");
    }

    proptest! {
        #[test]
        fn the_next_slot_always_lies_ahead(
            name in ".{0,8}",
            every_ms in 1..100_000_u64,
            late_ms in proptest::collection::vec(0..300_000_u64, 1..20),
        ) {
            let every = Duration::from_millis(every_ms);
            let mut schedule = Schedule::new(&name, "", every);
            for late in late_ms {
                let slot = schedule.next();
                let now = slot + Duration::from_millis(late);
                schedule.used(now);
                prop_assert!(schedule.next() >= now && schedule.next() >= slot + every / 2);
                prop_assert!(schedule.next() <= now + every + every / 2);
            }
        }
    }
}

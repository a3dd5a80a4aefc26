//! When to seal, and what pressure changes about it.
//!
//! Owns the stages: resolution goes before data, event bodies before counts. A disk that is full is the last stage of
//! the same: seals fail, nothing is lost, files are no longer read, and the first seal that succeeds ends it.

use std::time::Duration;

use watchkeeper_model::{Severity, Timestamp};

/// Seal early when this much waits in memory, whatever the stage: what has no room in memory has to go to disk.
const MAX_HELD_BYTES: usize = 16 << 20;

/// How long somebody waits who wants to know that something is durable, whatever the stage.
const AWAITED: Duration = Duration::from_millis(250);

/// How much event bodies may wait in memory while seals fail.
const MAX_WAITING_EVENT_BYTES: usize = 8 << 20;

/// How long to wait after a failed seal, at least and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How much pressure there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The spool is at most half full: every `flush`, in windows of 1 s.
    #[default]
    Normal,
    /// Over half full: every 10 s, in windows of 10 s.
    Tight,
    /// Over three quarters full: every minute, in windows of a minute.
    Tighter,
    /// Over nine tenths full: as before, and files are no longer read, event bodies go by severity.
    Full,
    /// The last seal failed.
    Failing,
}

impl Stage {
    /// As it stands in metrics and health.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Tight => "tight",
            Self::Tighter => "tighter",
            Self::Full => "full",
            Self::Failing => "failing",
        }
    }
}

/// What a seal shall take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealOrder {
    /// No window narrower than this.
    pub width_secs: u32,
    /// Events below this severity are dropped and counted.
    pub least_severity: Option<Severity>,
    /// Events beyond this many bytes are dropped and counted, least severe first.
    pub max_event_bytes: usize,
}

impl Default for SealOrder {
    fn default() -> Self {
        Self { width_secs: 1, least_severity: None, max_event_bytes: usize::MAX }
    }
}

/// Decides when to seal and how.
#[derive(Clone, Debug)]
pub struct SealPolicy {
    flush: Duration,
    filled: f64,
    last: Option<Timestamp>,
    failing: Option<Failing>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Timestamp,
    attempt_at: Timestamp,
    wait: Duration,
}

impl SealPolicy {
    /// A policy that seals every `flush` while there is something.
    pub fn new(flush: Duration) -> Self {
        Self { flush, filled: 0.0, last: None, failing: None }
    }

    /// Seals every `flush` from now on.
    pub fn set_flush(&mut self, flush: Duration) {
        self.flush = flush;
    }

    /// The spool is filled to this share of its `max_bytes`.
    pub fn spool_filled(&mut self, share: f64) {
        self.filled = share;
    }

    /// A seal was stored.
    pub fn sealed(&mut self, now: Timestamp) {
        self.last = Some(now);
        self.failing = None;
    }

    /// A seal could not be stored; the accumulator has it again.
    pub fn seal_failed(&mut self, now: Timestamp) {
        self.failing = Some(match self.failing {
            None => Failing { since: now, attempt_at: now, wait: RETRY.0 },
            Some(f) => Failing { attempt_at: now, wait: (f.wait * 2).min(RETRY.1), ..f },
        });
    }

    /// How much pressure there is.
    pub fn stage(&self) -> Stage {
        match self.filled {
            _ if self.failing.is_some() => Stage::Failing,
            full if full > 0.9 => Stage::Full,
            full if full > 0.75 => Stage::Tighter,
            full if full > 0.5 => Stage::Tight,
            _ => Stage::Normal,
        }
    }

    /// Whether files may be read; they are their own buffer while they may not.
    pub fn may_read(&self) -> bool {
        self.stage() < Stage::Full
    }

    /// When to seal next; a time that is not after `now` means at once, `None` that there is nothing to seal.
    pub fn next_deadline(
        &self,
        now: Timestamp,
        held_bytes: usize,
        something: bool,
    ) -> Option<Timestamp> {
        if !something {
            return None;
        }
        let is_full = self.failing.is_none() && held_bytes >= MAX_HELD_BYTES;
        Some(if is_full { now } else { self.after(self.interval(), now) })
    }

    /// When to seal for somebody who waits for it: soon, whatever the stage. A disk that fails is given its time.
    pub fn awaited_deadline(&self, now: Timestamp) -> Timestamp {
        self.after(self.flush.min(AWAITED), now)
    }

    /// So long after the last seal, or when one that failed is tried again.
    fn after(&self, interval: Duration, now: Timestamp) -> Timestamp {
        let (last, wait) = match (self.failing, self.last) {
            (Some(failing), _) => (failing.attempt_at, failing.wait),
            (None, Some(last)) => (last, interval),
            (None, None) => return now,
        };
        // A clock that was set back must not put off sealing until it has caught up.
        if last > now { now } else { last + wait }
    }

    fn interval(&self) -> Duration {
        match self.stage() {
            Stage::Normal => self.flush,
            Stage::Tight => self.flush.max(Duration::from_secs(10)),
            Stage::Tighter | Stage::Full | Stage::Failing => {
                self.flush.max(Duration::from_secs(60))
            }
        }
    }

    /// What the next seal shall take.
    pub fn order(&self) -> SealOrder {
        let coarse = SealOrder { width_secs: 60, ..SealOrder::default() };
        match (self.stage(), self.failing) {
            (Stage::Normal, _) => SealOrder::default(),
            (Stage::Tight, _) => SealOrder { width_secs: 10, ..coarse },
            (Stage::Full, _) => SealOrder { least_severity: Some(self.least_severity()), ..coarse },
            (_, Some(failing)) => {
                // What waits in memory for the disk gets coarser the longer it waits, so that it stays bounded.
                let waited = failing.attempt_at.since(failing.since).as_secs();
                let width_secs = match waited {
                    0..3_600 => 60,
                    3_600..86_400 => 600,
                    _ => 3_600,
                };
                SealOrder { width_secs, max_event_bytes: MAX_WAITING_EVENT_BYTES, ..coarse }
            }
            (_, None) => coarse,
        }
    }

    fn least_severity(&self) -> Severity {
        match self.filled {
            full if full > 0.98 => Severity::Critical,
            full if full > 0.95 => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp(millis * 1_000_000)
    }

    fn policy(filled: f64) -> SealPolicy {
        let mut policy = SealPolicy::new(Duration::from_millis(250));
        policy.sealed(at(1_000));
        policy.spool_filled(filled);
        policy
    }

    #[test]
    fn pressure_coarsens_before_it_stops_reading() {
        for (filled, stage, seals_after_ms, width_secs, may_read, least) in [
            (0.0, Stage::Normal, 250, 1, true, None),
            (0.5, Stage::Normal, 250, 1, true, None),
            (0.51, Stage::Tight, 10_000, 10, true, None),
            (0.76, Stage::Tighter, 60_000, 60, true, None),
            (0.91, Stage::Full, 60_000, 60, false, Some(Severity::Warning)),
            (0.96, Stage::Full, 60_000, 60, false, Some(Severity::Error)),
            (1.0, Stage::Full, 60_000, 60, false, Some(Severity::Critical)),
        ] {
            let policy = policy(filled);
            assert_eq!(policy.stage(), stage, "{filled}");
            assert_eq!(policy.next_deadline(at(1_001), 0, true), Some(at(1_000 + seals_after_ms)));
            let order = policy.order();
            assert_eq!((order.width_secs, order.least_severity), (width_secs, least), "{filled}");
            assert_eq!(policy.may_read(), may_read);
        }
    }

    #[test]
    fn who_waits_for_a_seal_waits_for_a_moment_and_for_a_disk_that_fails() {
        for (flush_ms, filled, awaited_ms) in
            [(60_000, 0.0, 1_250), (100, 0.0, 1_100), (100, 0.8, 1_100), (60_000, 0.99, 1_250)]
        {
            let mut policy = policy(filled);
            policy.set_flush(Duration::from_millis(flush_ms));
            assert_eq!(policy.awaited_deadline(at(1_001)), at(awaited_ms), "{flush_ms} {filled}");
            assert_eq!(policy.awaited_deadline(at(500)), at(500), "the clock was set back");
            policy.seal_failed(at(2_000));
            assert_eq!(policy.awaited_deadline(at(2_001)), at(3_000));
        }
        assert_eq!(SealPolicy::new(Duration::from_secs(60)).awaited_deadline(at(5)), at(5));
    }

    #[test]
    fn nothing_is_sealed_when_idle_and_the_first_thing_at_once() {
        let policy = policy(0.0);
        assert_eq!(policy.next_deadline(at(9_000), 0, false), None);
        assert!(policy.next_deadline(at(9_000), 0, true).unwrap() <= at(9_000));
        let fresh = SealPolicy::new(Duration::from_secs(1));
        assert_eq!(fresh.next_deadline(at(5), 0, true), Some(at(5)));
    }

    #[test]
    fn full_memory_seals_early_and_a_clock_set_back_at_once() {
        assert_eq!(policy(0.8).next_deadline(at(1_001), MAX_HELD_BYTES, true), Some(at(1_001)));
        assert_eq!(policy(0.8).next_deadline(at(500), 0, true), Some(at(500)));
    }

    #[test]
    fn a_failed_seal_stops_reading_until_one_succeeds() {
        let mut policy = policy(0.0);
        policy.seal_failed(at(2_000));
        assert_eq!((policy.stage(), policy.may_read()), (Stage::Failing, false));
        assert_eq!(policy.next_deadline(at(2_001), usize::MAX, true), Some(at(3_000)));
        policy.seal_failed(at(3_000));
        assert_eq!(policy.next_deadline(at(3_001), 0, true), Some(at(5_000)));
        for _ in 0..20 {
            policy.seal_failed(at(4_000_000));
        }
        assert_eq!(policy.next_deadline(at(4_000_001), 0, true), Some(at(4_030_000)));
        assert_eq!(policy.order().width_secs, 600, "what waits longer gets coarser");
        assert_eq!(policy.order().max_event_bytes, MAX_WAITING_EVENT_BYTES);
        policy.sealed(at(4_031_000));
        assert_eq!((policy.stage(), policy.may_read()), (Stage::Normal, true));
    }
}

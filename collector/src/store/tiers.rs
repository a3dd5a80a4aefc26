//! Resolutions: the journal's one second, and the rollups of ten seconds, a minute and an hour.
//!
//! Owns which tier is kept from when on, which one answers for which stretch of time, and how tiers are cut into blocks.
//! Each rollup holds everything folded since its `kept_from`, so any one of them answers alone; counts lie where the
//! start of their window lies, also those of a window wider than the tier. `kept_from` is stored, only goes forward and
//! is a multiple of every coarser width: whatever the clock does, a stretch of time has one tier that is complete for it.

use std::time::Duration;

use rusqlite::{Connection, params};
use watchkeeper_model::Timestamp;

use super::error::{InFile, StoreError};

const FILE: &str = "intake";

/// A rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Tier {
    /// 10 s.
    Fine,
    /// 1 min.
    Minute,
    /// 1 h.
    Hour,
}

impl Tier {
    pub(super) const ALL: [Self; 3] = [Self::Fine, Self::Minute, Self::Hour];

    /// Width of its buckets.
    pub(super) const fn width_secs(self) -> i64 {
        match self {
            Self::Fine => 10,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// Length of a block: what retention drops at once.
    pub(super) const fn block_secs(self) -> i64 {
        match self {
            Self::Fine => 3_600,
            Self::Minute => 6 * 3_600,
            Self::Hour => 10 * 24 * 3_600,
        }
    }

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Fine => "rollup_10",
            Self::Minute => "rollup_60",
            Self::Hour => "rollup_3600",
        }
    }

    pub(super) const fn bucket(self, start_secs: i64) -> i64 {
        start_secs.div_euclid(self.width_secs()) * self.width_secs()
    }

    pub(super) const fn block(self, start_secs: i64) -> i64 {
        start_secs.div_euclid(self.block_secs())
    }
}

/// How long each kind of data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Rollups of 10 s.
    pub fine: Duration,
    /// Rollups of 1 min.
    pub minute: Duration,
    /// Rollups of 1 h, and all that belongs to counts: streams, SLO counts, frontiers.
    pub hour: Duration,
    /// Events.
    pub events: Duration,
    /// The ledger.
    pub ledger: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        Self {
            fine: days(2),
            minute: days(14),
            hour: days(400),
            events: days(14),
            ledger: days(400),
        }
    }
}

impl Retention {
    pub(super) const fn of(&self, tier: Tier) -> Duration {
        match tier {
            Tier::Fine => self.fine,
            Tier::Minute => self.minute,
            Tier::Hour => self.hour,
        }
    }
}

/// From which second on each tier is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptFrom([i64; 3]);

impl KeptFrom {
    pub(super) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let mut kept = [i64::MIN; 3];
        for (tier, from) in Tier::ALL.into_iter().zip(&mut kept) {
            *from = conn
                .prepare_cached("SELECT kept_from FROM tiers WHERE width = ?1")
                .and_then(|mut s| s.query_row([tier.width_secs()], |row| row.get(0)))
                .in_file(FILE)?;
        }
        Ok(Self(kept))
    }

    pub(super) const fn of(&self, tier: Tier) -> i64 {
        self.0[tier as usize]
    }

    /// Which tier answers for which part of `[from, to)`: finest first where it is kept. The parts touch.
    pub(super) fn cover(&self, from: i64, to: i64) -> Vec<(Tier, i64, i64)> {
        let mut parts = Vec::new();
        let mut end = to;
        for tier in Tier::ALL {
            let start = self.of(tier).max(from).min(end);
            if start < end {
                parts.push((tier, start, end));
            }
            end = start;
        }
        parts.reverse();
        parts
    }

    /// Moves `tier` on to `secs`, rounded down to a block; never back. Whether it moved.
    pub(super) fn advance(
        &mut self,
        conn: &Connection,
        tier: Tier,
        secs: i64,
    ) -> Result<bool, StoreError> {
        let from = tier.block(secs) * tier.block_secs();
        if from <= self.of(tier) {
            return Ok(false);
        }
        self.0[tier as usize] = from;
        conn.prepare_cached("UPDATE tiers SET kept_from = ?2 WHERE width = ?1")
            .and_then(|mut s| s.execute(params![tier.width_secs(), from]))
            .in_file(FILE)?;
        Ok(true)
    }

    /// Moves all tiers on by age.
    pub(super) fn age(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        retention: &Retention,
    ) -> Result<(), StoreError> {
        for tier in Tier::ALL {
            self.advance(conn, tier, (now - retention.of(tier)).secs())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_where_coarser_buckets_end() {
        for pair in Tier::ALL.windows(2) {
            assert_eq!(pair[0].block_secs() % pair[1].width_secs(), 0);
        }
    }

    #[test]
    fn each_second_has_one_tier() {
        let kept = KeptFrom([7_200, 3_600, 0]);
        assert_eq!(
            kept.cover(-100, 9_000),
            [(Tier::Hour, 0, 3_600), (Tier::Minute, 3_600, 7_200), (Tier::Fine, 7_200, 9_000)]
        );
        assert_eq!(kept.cover(3_700, 3_800), [(Tier::Minute, 3_700, 3_800)]);
        assert_eq!(kept.cover(-10, 0), []);
    }

    #[test]
    fn a_tier_kept_shorter_than_a_coarser_one_is_never_asked_before_it() {
        let odd = KeptFrom([0, 3_600, 7_200]);
        assert_eq!(odd.cover(0, 9_000), [(Tier::Fine, 0, 9_000)]);
    }
}

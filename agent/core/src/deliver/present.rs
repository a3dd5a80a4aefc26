//! Where in the spool the present begins.
//!
//! Owns the border between what was sealed just now and what was sealed before. Rows have no time of their own: it notes
//! how far the spool reached. Never decides what goes first: the lanes do.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::sender::RowId;

/// What was sealed within this time is the present, and so is what was sealed within twice of it at most.
pub(super) const PRESENT: Duration = Duration::from_secs(1);

/// How far the spool reached, now and a moment ago.
#[derive(Debug)]
pub(super) struct Present {
    newest: RowId,
    /// How far it reached at `since`.
    before: RowId,
    since: Timestamp,
}

impl Present {
    /// Nothing of what lies in the spool when the agent starts.
    pub(super) fn new(newest: RowId, now: Timestamp) -> Self {
        Self { newest, before: newest, since: now }
    }

    /// The spool reaches to `newest` now; 0 if that is not known.
    pub(super) fn sealed(&mut self, newest: RowId, now: Timestamp) {
        self.pass(now);
        self.newest = newest.max(self.newest);
    }

    /// The last row that is not of the present.
    pub(super) fn border(&mut self, now: Timestamp) -> RowId {
        self.pass(now);
        self.before
    }

    fn pass(&mut self, now: Timestamp) {
        // A clock that was set back.
        self.since = self.since.min(now);
        if self.since + PRESENT <= now {
            (self.before, self.since) = (self.newest, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_is_what_was_sealed_within_one_second_to_two() {
        let at = |ms: u64| Timestamp::from_secs(1_000) + Duration::from_millis(ms);
        let mut present = Present::new(7, at(0));
        for (ms, newest, border) in [
            (0, 7, 7),
            (100, 8, 7),
            (900, 12, 7),
            // Sealed while the second ends: still new.
            (1_000, 15, 12),
            (1_900, 20, 12),
            (2_000, 0, 20),
            (9_000, 30, 20),
            (9_999, 31, 20),
            (10_000, 31, 31),
        ] {
            present.sealed(newest, at(ms));
            assert_eq!(present.border(at(ms)), border, "after {ms} ms");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let mut present = Present::new(7, Timestamp::from_secs(1_000));
        present.sealed(8, Timestamp::from_secs(10));
        assert_eq!(present.border(Timestamp::from_secs(11)), 8);
    }
}

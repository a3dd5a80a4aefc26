//! How often something was started again.
//!
//! Owns that a restart counts once, whoever noticed it: we, who see processes, or the supervisor, who also knows of those that
//! lived too short to be seen. The two notice the same restart at different times.

/// Restarts that were noticed, and those of them that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    seen: u64,
    said: u64,
    counted: u64,
}

impl Restarts {
    /// So many were seen, and so many said, since the last time; how many of them are to be counted.
    pub fn notice(&mut self, seen: u64, said: u64) -> u64 {
        self.seen = self.seen.saturating_add(seen);
        self.said = self.said.saturating_add(said);
        let n = self.seen.max(self.said).saturating_sub(self.counted);
        self.counted = self.counted.saturating_add(n);
        n
    }

    /// Both have had time to notice everything: what is noticed from now on is something else.
    pub fn settle(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_counts_once_whoever_noticed_it_first() {
        for (sentence, noticed, counted) in [
            ("seen, and then said", vec![(1, 0), (0, 1)], 1),
            ("said, and then seen", vec![(0, 1), (1, 0)], 1),
            ("only seen, as one by hand is", vec![(1, 0)], 1),
            ("too fast to be seen", vec![(0, 5), (1, 0)], 5),
            ("several, each noticed by both", vec![(1, 0), (1, 1), (0, 1)], 2),
        ] {
            let mut restarts = Restarts::default();
            let n: u64 = noticed.into_iter().map(|(seen, said)| restarts.notice(seen, said)).sum();
            assert_eq!(n, counted, "{sentence}");
        }
        let mut restarts = Restarts::default();
        assert_eq!(restarts.notice(1, 0), 1);
        restarts.settle();
        assert_eq!(restarts.notice(0, 1), 1, "another one");
    }
}

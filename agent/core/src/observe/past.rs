//! Lines that are read long after they were written.
//!
//! Owns what time it was when such a line was written: as late as the lines around it say. One line that is far ahead of
//! the others moves nothing, three in a row do: then nothing was written in between. Never reads a clock.

use std::ops::Range;

use watchkeeper_model::Timestamp;

use super::settings::{MAX_AHEAD, RETENTION};

/// So many lines in a row that are far ahead are no slip of one of them.
const AGREE: usize = 3;

/// What lines are older than by more than this, at a beginning, has been a slip.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What time it was for lines read later.
#[derive(Clone, Debug)]
pub struct Past {
    /// Only lines of this time are counted.
    span: Range<Timestamp>,
    latest: Option<Timestamp>,
    ahead: [Timestamp; AGREE],
    n_ahead: usize,
    /// What was not counted although nothing is wrong with it, since this was asked last.
    outside: Outside,
}

/// Lines that are not of the time asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Older.
    pub n_before: u64,
    /// Younger.
    pub n_after: u64,
    /// Further ahead than even now, before any line has said what time it was.
    pub n_in_future: u64,
}

impl Outside {
    /// Adds all of `more`.
    pub const fn add(&mut self, more: Self) {
        self.n_before += more.n_before;
        self.n_after += more.n_after;
        self.n_in_future += more.n_in_future;
    }
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It counts at this time.
    At(Timestamp),
    /// It says a time that has not come yet, and counts at the time of the lines around it.
    Clamped(Timestamp),
    /// It is too old for any collector to have kept it.
    TooLate,
    /// It is not of the time asked for.
    Outside,
}

impl Past {
    /// A past of which only this span counts; its end is not in it.
    pub fn new(span: Range<Timestamp>) -> Self {
        let (ahead, outside) = ([Timestamp::EPOCH; AGREE], Outside::default());
        Self { span, latest: None, ahead, n_ahead: 0, outside }
    }

    /// What time it was when the lines read last were written; `None` before enough of them have said so.
    pub const fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// The same, or what the only lines there were have said.
    pub fn known(&self) -> Option<Timestamp> {
        self.latest.or_else(|| self.ahead[..self.n_ahead].iter().min().copied())
    }

    /// Takes what was left out since this was asked last.
    pub const fn take_outside(&mut self) -> Outside {
        std::mem::replace(&mut self.outside, Outside { n_before: 0, n_after: 0, n_in_future: 0 })
    }

    /// Places a line that says it was written `at`. `now` is when it is read.
    pub(super) fn place(&mut self, at: Timestamp, now: Timestamp) -> Placed {
        if at > now + MAX_AHEAD {
            let Some(latest) = self.latest else {
                self.outside.n_in_future += 1;
                return Placed::Outside;
            };
            return Placed::Clamped(latest);
        }
        if self.latest.is_some_and(|latest| at < latest - RETENTION) {
            return Placed::TooLate;
        }
        self.turn(at);
        if at < self.span.start {
            self.outside.n_before += 1;
            return Placed::Outside;
        }
        if at >= self.span.end {
            self.outside.n_after += 1;
            return Placed::Outside;
        }
        Placed::At(at)
    }

    fn turn(&mut self, at: Timestamp) {
        match self.latest {
            Some(latest) if at <= latest + MAX_AHEAD => {
                self.n_ahead = 0;
                self.latest = Some(latest.max(at));
            }
            latest => {
                self.ahead[self.n_ahead] = at;
                self.n_ahead += 1;
                if self.n_ahead == AGREE {
                    self.n_ahead = 0;
                    self.latest = Some(self.agreed(latest.is_none()));
                }
            }
        }
    }

    /// The earliest of those that agree. Nothing is known at a beginning: what is a day behind most of them is a slip.
    fn agreed(&mut self, is_beginning: bool) -> Timestamp {
        self.ahead.sort_unstable();
        let least = if is_beginning { self.ahead[AGREE / 2] - DAY } else { self.ahead[0] };
        self.ahead.into_iter().find(|at| *at >= least).unwrap_or(self.ahead[AGREE / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn past() -> Past {
        Past::new(Timestamp(i64::MIN)..Timestamp::MAX)
    }

    /// What the clock is after each line.
    fn clock(past: &mut Past, lines: &[i64]) -> Vec<Option<i64>> {
        let place = |&line: &i64| {
            past.place(at(line), at(NOW));
            past.latest().map(Timestamp::secs)
        };
        lines.iter().map(place).collect()
    }

    #[test]
    fn three_lines_say_what_time_it_was() {
        for (sentence, lines, after) in [
            ("one is not enough", vec![1000], None),
            ("the first of three counts", vec![1000, 1600, 2200], Some(1000)),
            ("a slip at the beginning does not", vec![900_000_000, 1000, 1001], Some(1000)),
            ("neither does one to long ago", vec![0, 900_000, 900_001], Some(900_000)),
            ("the clock follows lines", vec![1000, 1000, 1001, 1030], Some(1030)),
            ("and never goes back", vec![1000, 1000, 1001, 1030, 400], Some(1030)),
            ("one line far ahead is a slip", vec![1000, 1000, 1000, 9000, 1005], Some(1005)),
            ("three are a gap", vec![1000, 1000, 1000, 9002, 9001, 9003, 9003], Some(9003)),
            (
                "slips between good lines never add up",
                vec![1000, 1000, 1000, 9000, 1001, 9000, 1002, 9000, 1003],
                Some(1003),
            ),
        ] {
            let last = clock(&mut past(), &lines).pop().flatten();
            assert_eq!(last, after, "{sentence}");
        }
    }

    #[test]
    fn what_has_not_come_yet_counts_where_it_stands() {
        let mut past = past();
        assert_eq!(past.place(at(NOW + 61), at(NOW)), Placed::Outside);
        assert_eq!(past.take_outside().n_in_future, 1);
        clock(&mut past, &[1000, 1001, 1002]);
        assert_eq!(past.place(at(NOW + 61), at(NOW)), Placed::Clamped(at(1000)));
        assert_eq!(past.place(at(NOW + 60), at(NOW)), Placed::At(at(NOW + 60)));
    }

    #[test]
    fn only_the_span_counts_and_the_clock_goes_on_outside() {
        let mut past = Past::new(at(2000)..at(3000));
        let placed: Vec<_> = [1000, 1999, 2000, 2999, 3000]
            .into_iter()
            .map(|line| past.place(at(line), at(NOW)) == Placed::At(at(line)))
            .collect();
        assert_eq!(placed, [false, false, true, true, false]);
        let outside = past.take_outside();
        assert_eq!((outside.n_before, outside.n_after), (2, 1));
        assert_eq!(past.take_outside(), Outside::default());
    }

    #[test]
    fn what_no_collector_would_have_kept_is_too_late() {
        let mut past = past();
        clock(&mut past, &[NOW, NOW, NOW]);
        assert_eq!(past.place(at(NOW) - RETENTION, at(NOW)), Placed::At(at(NOW) - RETENTION));
        assert_eq!(past.place(at(NOW - 1) - RETENTION, at(NOW)), Placed::TooLate);
    }
}

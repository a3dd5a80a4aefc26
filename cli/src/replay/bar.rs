//! How far a replay is, on one line of a terminal.
//!
//! Owns the line, which is drawn in place on standard error and wiped at the end. What is no terminal gets nothing.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use watchkeeper_agent::history::Progress;

use crate::terminal::{bar, say};

const EVERY: Duration = Duration::from_millis(200);
const CELLS: usize = 20;

/// The line.
pub(super) struct Bar {
    is_shown: bool,
    started: Instant,
    next: Instant,
    is_drawn: bool,
}

impl Bar {
    /// A line on standard error, if that is a terminal.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_shown = stderr().is_terminal() && !is_dumb;
        Self { is_shown, started: now, next: now + EVERY, is_drawn: false }
    }

    /// Whether it is time to draw it again.
    pub(super) fn is_due(&self) -> bool {
        self.is_shown && Instant::now() >= self.next
    }

    /// Draws it again.
    pub(super) fn draw(&mut self, progress: &Progress) {
        let text = line(progress, self.started.elapsed());
        // Nobody needs it if it can't be drawn.
        let _ = write!(stderr(), "\r{text}\u{1b}[K").and_then(|()| stderr().flush());
        self.is_drawn = true;
        self.next = Instant::now() + EVERY;
    }

    /// Wipes it; how long it has taken.
    pub(super) fn finish(&self) -> Duration {
        if self.is_drawn {
            let _ = write!(stderr(), "\r\u{1b}[K");
        }
        self.started.elapsed()
    }
}

/// `████░░ 42.0%  1,234,567 lines  180 MB/s`.
fn line(progress: &Progress, spent: Duration) -> String {
    let Progress { done_bytes, total_bytes, read_bytes, n_lines } = *progress;
    let share = done_bytes as f64 / total_bytes.max(1) as f64;
    let how_far = match total_bytes {
        0 => String::new(),
        _ => format!("{} {}  ", bar(share, CELLS), say::percent(share, 1)),
    };
    format!("{how_far}{} lines  {}", say::count(n_lines), speed(read_bytes, spent))
}

/// `180 MB/s`.
pub(super) fn speed(bytes: u64, spent: Duration) -> String {
    format!("{:.0} MB/s", bytes as f64 / 1e6 / spent.as_secs_f64().max(1e-3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_how_much_and_how_fast() {
        let progress = Progress {
            done_bytes: 50,
            total_bytes: 100,
            read_bytes: 360_000_000,
            n_lines: 1_234_567,
        };
        let text = line(&progress, Duration::from_secs(2));
        assert!(text.ends_with(" 50.0%  1,234,567 lines  180 MB/s"), "{text}");
        let stream = Progress { total_bytes: 0, ..progress };
        assert_eq!(line(&stream, Duration::from_secs(2)), "1,234,567 lines  180 MB/s");
    }
}

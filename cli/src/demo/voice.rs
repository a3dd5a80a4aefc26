//! The story as it is told: one line after the other, with the time since the beginning.
//!
//! Owns their look. Silent if programs read the output: they get the ending alone.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::terminal::{Screen, Tone, wrap};

/// Columns before the text: `  12.3s  collector `.
const LEAD: usize = 19;

/// Columns of a quote's bar, and some to spare for symbols that are wider than others.
const QUOTE: usize = 4;

/// Who tells the story.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    started: Instant,
    screen: Screen,
    is_silent: bool,
}

impl Voice {
    /// A voice that begins now.
    pub(super) fn new(screen: Screen, is_silent: bool) -> Self {
        Self { started: Instant::now(), screen, is_silent }
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A line by somebody.
    pub(super) fn say(&self, who: &str, text: &str) {
        self.say_in(Tone::Plain, who, text);
    }

    /// A line by somebody in a tone.
    pub(super) fn say_in(&self, tone: Tone, who: &str, text: &str) {
        let at = format!("{:6.1}s", self.elapsed().as_secs_f64());
        let mut shown = String::new();
        for (i, line) in wrap(text, self.screen.columns() - LEAD).iter().enumerate() {
            let lead = if i == 0 {
                format!("{}  {who:<10}", self.screen.paint(Tone::Faint, &at))
            } else {
                " ".repeat(LEAD)
            };
            shown += &format!("{lead}{}\n", self.screen.paint(tone, line));
        }
        self.write(&shown);
    }

    /// What somebody was told, word for word.
    pub(super) fn quote(&self, tone: Tone, text: &str) {
        let bar = self.screen.paint(tone, "│");
        let mut shown = String::new();
        for line in text.lines() {
            for line in wrap(line, self.screen.columns() - LEAD - QUOTE) {
                shown += &format!("{}{bar} {line}\n", " ".repeat(LEAD));
            }
        }
        self.write(&shown);
    }

    /// A line of its own.
    pub(super) fn title(&self, text: &str) {
        let lines = wrap(text, self.screen.columns());
        let lines = lines.iter().map(|line| self.screen.paint(Tone::Strong, line) + "\n");
        self.write(&lines.collect::<String>());
    }

    fn write(&self, text: &str) {
        if !self.is_silent {
            // That nobody listens any more is no reason to stop: the exit code is still asked for.
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

//! The terminal on which a table grows.
//!
//! Owns what is drawn in place: each frame is one write, goes back to where the last one began, and never has more lines
//! than the screen. Standard output that is no terminal gets no frames.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use super::layout::Look;

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(200);

/// Widths are at least this: what is narrower shows less than nothing.
const MIN_COLUMNS: usize = 40;

/// A frame that grows on standard output, if that is a terminal.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    has_colours: bool,
    drawn: Drawn,
    next: Option<Instant>,
}

/// What stands on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Drawn {
    n_lines: usize,
    size: (usize, usize),
}

impl Screen {
    /// Standard output.
    pub(super) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self {
            is_terminal: is_terminal && !is_dumb,
            has_colours: is_terminal && !is_dumb && set("NO_COLOR").is_none(),
            drawn: Drawn::default(),
            next: None,
        }
    }

    /// Whether it is time for another frame.
    pub(super) fn is_due(&self) -> bool {
        self.is_terminal && self.next.is_none_or(|next| Instant::now() >= next)
    }

    /// How long until the next frame; `None` if there are none.
    pub(super) fn wait(&self) -> Option<Duration> {
        let next = self.next.filter(|_| self.is_terminal)?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// How lines look here. The last column stays free: what clears the rest of a line would clear it too.
    pub(super) fn look(&self) -> Look {
        let width = self.is_terminal.then(|| size().0.max(MIN_COLUMNS) - 1);
        Look { width, has_colours: self.has_colours }
    }

    /// Draws a frame over the last one. `lines` is asked for at most so many.
    pub(super) fn draw(&mut self, lines: impl FnOnce(Look, usize) -> Vec<String>) {
        let size = size();
        let lines = lines(self.look(), size.1.saturating_sub(1).max(1));
        // What can't be drawn is drawn with the next frame, or not at all.
        let _ = write(&self.drawn.frame(&lines, size));
        self.drawn = Drawn { n_lines: lines.len(), size };
        self.next = Some(Instant::now() + FRAME);
    }

    /// Writes lines that stay in place of the last frame.
    pub(super) fn finish(self, lines: &[String]) -> io::Result<()> {
        write(&self.drawn.last(lines))
    }
}

impl Drawn {
    /// Back to the first line of the frame.
    fn back(self) -> String {
        let up = if self.n_lines > 0 { format!("\u{1b}[{}A", self.n_lines) } else { String::new() };
        // A line that a signal's `^C` stands on is written anew as well.
        format!("\r{up}")
    }

    /// What leaves these lines in place of this frame. Line by line: a screen that is cleared at once may go to the
    /// terminal's history.
    fn last(self, lines: &[String]) -> String {
        if self.n_lines == 0 {
            return lines.iter().map(|line| format!("{line}\n")).collect();
        }
        let lines: String = lines.iter().map(|line| format!("{line}\u{1b}[K\n")).collect();
        format!("{}{lines}\u{1b}[J", self.back())
    }

    /// What draws these lines over this frame. Lines are clipped and never wrapped meanwhile, and what was longer or
    /// lower is cleared.
    fn frame(self, lines: &[String], size: (usize, usize)) -> String {
        let is_resized = self.n_lines > 0 && self.size != size;
        // A terminal that was resized has moved the lines who knows where.
        let begin = if is_resized { "\u{1b}[2J\u{1b}[H".to_owned() } else { self.back() };
        let mut frame = begin + "\u{1b}[?7l";
        for line in lines {
            frame += line;
            frame += "\u{1b}[K\n";
        }
        frame + "\u{1b}[?7h\u{1b}[J"
    }
}

/// Writes to standard output. If nobody reads any more, there is nobody to tell.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let asked = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let set = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let of = |asked: Option<u16>, name, usual| {
        asked.filter(|n| *n > 0).map(usize::from).or_else(|| set(name)).unwrap_or(usual)
    };
    let columns = of(asked.map(|size| size.ws_col), "COLUMNS", 80);
    (columns, of(asked.map(|size| size.ws_row), "LINES", 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_over_the_last_one() {
        let lines = ["one".to_owned(), "two".to_owned()];
        let first = Drawn::default().frame(&lines, (80, 24));
        assert_eq!(first, "\r\u{1b}[?7lone\u{1b}[K\ntwo\u{1b}[K\n\u{1b}[?7h\u{1b}[J");
        let drawn = Drawn { n_lines: 2, size: (80, 24) };
        assert!(drawn.frame(&lines, (80, 24)).starts_with("\r\u{1b}[2A\u{1b}[?7lone"));
        assert_eq!(drawn.last(&lines), "\r\u{1b}[2Aone\u{1b}[K\ntwo\u{1b}[K\n\u{1b}[J");
        assert_eq!(Drawn::default().last(&lines), "one\ntwo\n");
        let resized = drawn.frame(&lines, (60, 24));
        assert!(resized.starts_with("\u{1b}[2J\u{1b}[H\u{1b}[?7lone"), "{resized:?}");
    }
}

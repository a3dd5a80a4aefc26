//! What standard output can show: how wide it is, whether it takes colours, which time it is there.
//!
//! Owns the one look at the terminal, the environment and the clock: everything drawn gets a [`Screen`] as an argument.

use std::env;
use std::io::{IsTerminal as _, stdout};

use jiff::tz::TimeZone;
use watchkeeper_model::Timestamp;

/// Where things are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    /// Columns; `None` if lines may be as long as they like, because no person reads them here.
    pub(crate) width: Option<u16>,
    /// Whether to use colours.
    pub(crate) colour: bool,
    /// The zone in which times are shown.
    pub(crate) zone: TimeZone,
    /// When this is drawn.
    pub(crate) now: Timestamp,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Bad,
    /// Less important than what stands beside it.
    Faint,
    /// More important than what stands beside it.
    Strong,
}

impl Tone {
    /// The tone of a severity's word.
    pub(crate) fn of_severity(word: &str) -> Self {
        match word {
            "page" | "critical" | "error" => Self::Bad,
            "ticket" | "warning" => Self::Warning,
            _ => Self::Plain,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

impl Screen {
    /// Standard output, now.
    pub(crate) fn of_stdout() -> Self {
        let is_terminal = stdout().is_terminal();
        let allowed = env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            width: comfy_table::Table::new().width().filter(|_| is_terminal),
            colour: is_terminal && allowed,
            zone: TimeZone::system(),
            now: Self::clock(),
        }
    }

    /// What time it is.
    pub(crate) fn clock() -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }

    /// A text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if self.colour && tone != Tone::Plain && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// Columns there are, or enough of them.
    pub(crate) fn columns(&self) -> usize {
        self.width.map_or(120, usize::from).max(40)
    }

    /// A screen for tests: no colours, UTC.
    #[cfg(test)]
    pub(crate) fn plain(width: Option<u16>, now: Timestamp) -> Self {
        Self { width, colour: false, zone: TimeZone::UTC, now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_screen_with_colours_gets_them() {
        let mut screen = Screen::plain(Some(80), Timestamp::EPOCH);
        assert_eq!(screen.paint(Tone::Bad, "x"), "x");
        screen.colour = true;
        assert_eq!(screen.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(screen.paint(Tone::Plain, "x"), "x");
    }
}

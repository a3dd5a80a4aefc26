//! Durations of OpenSLO: a whole number and one letter, where `m` are minutes and `M` are months.
//!
//! Owns that difference. Never guesses which was meant: `window` warns where it looks like the other one.

use watchkeeper_config::{Node, Reader, read};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// A number of spans; above 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shorthand {
    pub(super) n: u32,
    pub(super) span: Span,
}

impl Shorthand {
    fn parse(text: &str) -> Option<Self> {
        let span = match text.chars().last()? {
            'm' => Span::Minute,
            'h' => Span::Hour,
            'd' => Span::Day,
            'w' => Span::Week,
            'M' => Span::Month,
            'Q' => Span::Quarter,
            'Y' => Span::Year,
            _ => return None,
        };
        let number = &text[..text.len() - 1];
        let is_number = number.bytes().all(|b| b.is_ascii_digit());
        let n = number.parse().ok().filter(|n| is_number && *n > 0)?;
        Some(Self { n, span })
    }

    /// As our own durations are written; `None` for months and longer, whose length differs.
    pub(super) fn fixed(&self) -> Option<String> {
        let unit = match self.span {
            Span::Minute => 'm',
            Span::Hour => 'h',
            Span::Day => 'd',
            Span::Week => 'w',
            Span::Month | Span::Quarter | Span::Year => return None,
        };
        Some(format!("{}{unit}", self.n))
    }
}

/// Reads one.
pub(super) fn read_shorthand(node: &Node, reader: &mut Reader<'_>) -> Option<Shorthand> {
    let text = read::string(node, reader)?;
    let duration = Shorthand::parse(&text);
    if duration.is_none() {
        reader.error(node.place(), format!("{text:?} is no duration of OpenSLO")).help(
            "a whole number above 0 and one of m h d w M Q Y, such as 30d; m are minutes, M months",
        );
    }
    duration
}

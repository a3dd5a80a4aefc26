//! Lines of a certain width: aligned columns, wrapped sentences, colours.
//!
//! Owns widths and escapes. A character counts as one cell: a line with wider ones is clipped by the terminal. Never
//! knows what a line says.

/// Where lines are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Cells in a line; `None` if lines may be as long as they like.
    pub(super) width: Option<usize>,
    /// Whether to use colours.
    pub(super) has_colours: bool,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Less important than what stands beside it.
    Faint,
    /// More important than what stands beside it.
    Strong,
    /// Worth a look.
    Warning,
    /// Something is wrong.
    Bad,
}

/// A text in a tone.
pub(super) type Cell = (Tone, String);

/// A text in no tone.
pub(super) fn plain(text: impl Into<String>) -> Cell {
    (Tone::Plain, text.into())
}

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Cells between columns.
const GAP: usize = 2;

/// A page as it is written, line by line.
#[derive(Clone, Debug)]
pub(super) struct Page {
    look: Look,
    lines: Vec<String>,
}

impl Page {
    pub(super) fn new(look: Look) -> Self {
        Self { look, lines: Vec::new() }
    }

    /// The lines, none wider than there is room.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// An empty line, except at the top and after another one.
    pub(super) fn gap(&mut self) {
        if self.lines.last().is_some_and(|last| !last.is_empty()) {
            self.lines.push(String::new());
        }
    }

    /// One line of cells side by side, cut where there is no more room.
    pub(super) fn line(&mut self, indent: usize, cells: &[Cell]) {
        let n_said = cells.iter().rposition(|(_, text)| !text.trim().is_empty());
        let cells = &cells[..n_said.map_or(0, |last| last + 1)];
        let n_chars: usize = cells.iter().map(|(_, text)| text.chars().count()).sum();
        let room = self.look.width.map_or(usize::MAX, |w| w.saturating_sub(indent));
        let (is_cut, mut room) = (n_chars > room, room);
        room = room.saturating_sub(usize::from(is_cut));
        let mut line = " ".repeat(indent);
        for (tone, text) in cells {
            let kept: String = text.chars().take(room).collect();
            room -= kept.chars().count();
            line += &self.paint(*tone, &kept);
        }
        line += if is_cut { "…" } else { "" };
        self.lines.push(line.trim_end().to_owned());
    }

    /// A text that begins behind `lead` and goes on below itself, broken between words.
    pub(super) fn say(&mut self, indent: usize, lead: &str, (tone, text): &Cell) {
        let n_lead = indent + lead.chars().count();
        let room = self.look.width.map_or(usize::MAX, |w| w.saturating_sub(n_lead).max(20));
        for (i, part) in wrap(text, room).iter().enumerate() {
            let lead = if i == 0 { lead } else { "" };
            let lead = format!("{}{lead}", " ".repeat(indent));
            let blank = " ".repeat(n_lead - lead.chars().count());
            self.lines.push(format!("{lead}{blank}{}", self.paint(*tone, part)));
        }
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Faint => "2",
            Tone::Strong => "1",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        if self.look.has_colours && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Rows in columns that are as wide as what stands in them.
pub(super) fn aligned(sides: &[Side], rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    let n_chars = |text: &str| text.chars().count();
    let width_of = |i: usize| {
        rows.iter().filter_map(|row| row.get(i)).map(|(_, text)| n_chars(text)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width_of).collect();
    let align = |row: Vec<Cell>| {
        let mut cells = Vec::new();
        for (i, (tone, text)) in row.into_iter().enumerate() {
            // A column in which nothing stands takes no room.
            if widths[i] == 0 {
                continue;
            }
            let blank = " ".repeat(widths[i] - n_chars(&text));
            let gap = if cells.is_empty() { String::new() } else { " ".repeat(GAP) };
            match sides[i] {
                Side::Left => cells.extend([plain(gap), (tone, text), plain(blank)]),
                Side::Right => cells.extend([plain(gap + &blank), (tone, text)]),
            }
        }
        cells
    };
    rows.into_iter().map(align).collect()
}

/// The text in lines of at most `n_chars`, broken between words, and inside one only if it is longer than a line.
fn wrap(text: &str, n_chars: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut n_used: usize = 0;
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        let mut n_word = word.chars().count();
        if n_used > 0 && n_used + 1 + n_word > n_chars {
            lines.push(String::new());
            n_used = 0;
        }
        while n_used == 0 && n_word > n_chars {
            let rest: String = word.chars().skip(n_chars).collect();
            let head: String = word.chars().take(n_chars).collect();
            lines.last_mut().into_iter().for_each(|line| line.push_str(&head));
            lines.push(String::new());
            n_word -= n_chars;
            word = rest;
        }
        if let Some(line) = lines.last_mut() {
            if n_used > 0 {
                line.push(' ');
                n_used += 1;
            }
            line.push_str(&word);
            n_used += n_word;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize) -> Page {
        Page::new(Look { width: Some(width), has_colours: false })
    }

    #[test]
    fn columns_are_aligned_and_lines_fit() {
        let row = |a: &str, n: &str, rest: &str| vec![plain(a), plain(n), plain(""), plain(rest)];
        let rows = vec![row("error", "12", "short"), row("e", "1,234", "longer than that")];
        let rows = aligned(&[Side::Left, Side::Right, Side::Left, Side::Left], rows);
        for (width, lines) in [
            (40, [" error     12  short", " e      1,234  longer than that"]),
            (21, [" error     12  short", " e      1,234  longe…"]),
            (11, [" error    …", " e      1,…"]),
        ] {
            let mut page = page(width);
            rows.iter().for_each(|cells| page.line(1, cells));
            assert_eq!(page.into_lines(), lines, "{width}");
        }
    }

    #[test]
    fn sentences_are_broken_between_words() {
        for (text, width, lines) in [
            ("one two three", 24, vec!["  do: one two three"]),
            ("one two three four five six", 26, vec!["  do: one two three four", "      five six"]),
            ("", 24, vec!["  do: "]),
        ] {
            let mut page = page(width);
            page.say(2, "do: ", &plain(text));
            assert_eq!(page.into_lines(), lines, "{text}");
        }
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("a b", usize::MAX), ["a b"]);
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let mut page = Page::new(Look { width: Some(6), has_colours: true });
        page.line(1, &[(Tone::Bad, "abc".into()), (Tone::Plain, "defg".into())]);
        page.gap();
        page.gap();
        assert_eq!(page.into_lines(), [" \u{1b}[31mabc\u{1b}[0md…", ""]);
    }
}

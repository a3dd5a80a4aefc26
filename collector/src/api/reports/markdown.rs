//! A report in Markdown: headings, lists and tables as GitHub knows them, to be read as plain text too.
//!
//! Owns escaping. Tables are padded so that columns stand below each other; nothing foreign becomes markup, and nothing
//! moves a terminal's cursor.

use std::fmt::Write as _;

use watchkeeper_collector_core::report::{Block, Cell, Document, Table, Tone};

/// The text.
pub(super) fn text(document: &Document) -> String {
    let mut out = format!("# {}\n", escape(&document.title));
    for block in &document.blocks {
        out.push('\n');
        write_block(block, &mut out);
    }
    out
}

fn write_block(block: &Block, out: &mut String) {
    match block {
        Block::Heading(level, text) => {
            let _ = writeln!(out, "{} {}", "#".repeat(usize::from(*level)), escape(text));
        }
        Block::Text(text) => {
            let _ = writeln!(out, "{}", escape(text));
        }
        Block::Note(text) => {
            let _ = writeln!(out, "> **Note:** {}", escape(text));
        }
        Block::Facts(facts) => {
            for (name, cell) in facts {
                let _ = writeln!(out, "- {}: {}", escape(name), of_cell(cell));
            }
        }
        Block::Table(table) => write_table(table, out),
    }
}

fn of_cell(cell: &Cell) -> String {
    let text = escape(&cell.text);
    match cell.tone {
        Tone::Bad | Tone::Strong if !text.is_empty() => format!("**{text}**"),
        _ => text,
    }
}

fn write_table(table: &Table, out: &mut String) {
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(of_cell).collect()).collect();
    let chars = |text: &str| text.chars().count();
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| chars(cell));
            cells.chain([chars(column.name), 3]).max().unwrap_or(3)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded =
            cells.iter().zip(&widths).zip(&table.columns).map(|((cell, width), column)| {
                let blank = " ".repeat(width.saturating_sub(chars(cell)));
                if column.is_number { format!("{blank}{cell}") } else { format!("{cell}{blank}") }
            });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let names: Vec<String> = table.columns.iter().map(|column| column.name.to_owned()).collect();
    let rules: Vec<String> = table
        .columns
        .iter()
        .zip(&widths)
        .map(|(column, width)| match column.is_number {
            true => format!("{}:", "-".repeat(width - 1)),
            false => "-".repeat(*width),
        })
        .collect();
    out.push_str(&line(&names));
    out.push_str(&line(&rules));
    rows.iter().for_each(|row| out.push_str(&line(row)));
}

/// Text that can be no markup. What is none where it stands, as a `_` within a word, stays as it is.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let is_markup = match c {
            '\\' | '`' | '*' | '|' | '~' => true,
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            '<' => next.is_alphabetic() || matches!(next, '/' | '!' | '?'),
            ']' => next == '(',
            '&' => next.is_alphanumeric() || next == '#',
            _ => false,
        };
        if is_markup {
            out.push('\\');
        }
        // Line ends, escape sequences, and marks that turn the direction of what follows.
        let is_steering =
            c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        out.push(if is_steering { ' ' } else { c });
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_collector_core::report::Column;

    #[test]
    fn what_comes_from_outside_cannot_become_markup() {
        for (text, escaped) in [
            ("shop_latency-p95", "shop_latency-p95"),
            ("a|b", "a\\|b"),
            ("_x_ **y** `z`", "\\_x\\_ \\*\\*y\\*\\* \\`z\\`"),
            ("[a](javascript:b) <script>", "[a\\](javascript:b) \\<script>"),
            ("![x](y) </a><!--", "![x\\](y) \\</a>\\<!--"),
            ("a\nb\u{1b}[31mc\u{202e}d", "a b [31mc d"),
            ("&lt; < 0.1 %, slack[0]", "\\&lt; < 0.1 %, slack[0]"),
        ] {
            assert_eq!(escape(text), escaped, "{text:?}");
        }
    }

    #[test]
    fn columns_stand_below_each_other_whatever_is_in_them() {
        let table = Table {
            caption: String::new(),
            columns: vec![Column::text("SLO"), Column::number("Bad")],
            rows: vec![
                vec!["a|b".into(), "1,234".into()],
                vec![Cell::new(Tone::Bad, "ä"), "–".into()],
            ],
        };
        let mut out = String::new();
        write_table(&table, &mut out);
        assert_eq!(
            out,
            "| SLO   |   Bad |\n| ----- | ----: |\n| a\\|b  | 1,234 |\n| **ä** |     – |\n"
        );
    }
}

//! `format:`, how lines are written, and the `pattern:` of one.
//!
//! Owns the words for formats. How a format is read is decided in the agent's core.

use watchkeeper_agent_core::observe::{Format, Pattern};
use watchkeeper_config::{Fields, Node, Reader, read};

/// Reads `format` and what belongs to it.
pub(super) fn read_format(f: &mut Fields<'_, '_, '_>) -> Option<Format> {
    let words = ["json", "logfmt", "regex", "text"].map(|word| (word, word));
    let word = match f.has("format") {
        true => f.optional("format", read::choice(&words)),
        false => Some("json"),
    };
    let pattern = f.optional("pattern", read_pattern);
    match word? {
        "regex" if !f.has("pattern") => {
            let place = f.node("format").map_or(f.place(), Node::place).clone();
            f.reader()
                .error(&place, "`pattern` is missing")
                .help("beside format: regex stands pattern: '^(?P<status>[0-9]+) …'");
            None
        }
        "regex" => pattern.map(Format::Regex),
        other => {
            only_regex_has_a_pattern(f)?;
            Some(match other {
                "logfmt" => Format::Logfmt,
                "text" => Format::Text,
                _ => Format::Json,
            })
        }
    }
}

fn only_regex_has_a_pattern(f: &mut Fields<'_, '_, '_>) -> Option<()> {
    if !f.has("pattern") {
        return Some(());
    }
    let place = f.node("pattern").map_or(f.place(), Node::place).clone();
    let help = match f.has("format") {
        true => "leave it out, or write format: regex",
        false => "write format: regex beside it",
    };
    f.reader().error(&place, "only `format: regex` has a `pattern`").help(help);
    None
}

/// A pattern. Line ends behind it are not meant: a block of YAML ends in one.
fn read_pattern(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
    let text = read::string(node, reader)?;
    let text = text.trim_end_matches('\n');
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(flaw) => {
            let place = node.place_within(text, flaw.span);
            reader.error(&place, flaw.message).help(flaw.help);
            None
        }
    }
}

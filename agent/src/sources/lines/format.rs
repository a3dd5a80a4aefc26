//! `format:`, how lines are written.
//!
//! Owns the words for formats. How a format is read is decided in the agent's core.

use watchkeeper_agent_core::observe::Format;
use watchkeeper_config::{Fields, Node, read};

/// Reads `format` and what belongs to it.
pub(super) fn read_format(f: &mut Fields<'_, '_, '_>) -> Option<Format> {
    let formats = ["json", "logfmt", "regex", "text"].map(|w| (w, w));
    match f.or("format", "json", read::choice(&formats)) {
        "json" => Some(Format::Json),
        later => {
            let place = f.node("format").map_or(f.place(), Node::place).clone();
            f.reader()
                .error(&place, format!("format `{later}` is not part of this version"))
                .help("this version reads one JSON object per line");
            None
        }
    }
}

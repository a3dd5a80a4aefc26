//! `time:`, where a line says when it was.
//!
//! Owns its keys. How a time is read is decided in the agent's core.

use watchkeeper_agent_core::observe::{TimeField, TimeFormat};
use watchkeeper_config::{Node, Reader, read};

/// Reads the section.
pub(super) fn read_time(node: &Node, reader: &mut Reader<'_>) -> Option<TimeField> {
    node.fields(reader, &["field", "format", "zone"], |f| {
        let field = f.required("field", read::string);
        let format = f.or("format", Some(TimeFormat::Rfc3339), |node, reader| {
            Some(read_time_format(node, reader))
        });
        let zone = f.optional("zone", read::located(read::string));
        if let Some(zone) = zone.filter(|z| z.value != "UTC") {
            f.reader()
                .error(&zone.place, format!("zone {:?} is not part of this version", zone.value))
                .help("these formats say their offset themselves, or count from 1970 in UTC");
            return None;
        }
        Some(TimeField { field: field?, format: format? })
    })
}

fn read_time_format(node: &Node, reader: &mut Reader<'_>) -> Option<TimeFormat> {
    let word = read::string(node, reader)?;
    let format = TimeFormat::parse(&word);
    if format.is_none() {
        let known: Vec<&str> = TimeFormat::ALL.iter().map(|f| f.as_str()).collect();
        let message = if word.contains('%') || word == "strftime" {
            "strftime formats are not part of this version".to_owned()
        } else {
            format!("{word:?} is no time format")
        };
        reader
            .error(node.place(), message)
            .help(format!("this version reads {}", known.join(", ")));
    }
    format
}

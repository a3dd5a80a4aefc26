//! `time:`, where a line says when it was.
//!
//! Owns its keys. How a time is read is decided in the agent's core.

use watchkeeper_agent_core::observe::{Strftime, TimeField, TimeFormat, Zone};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::spelling::closest;

use super::known::Known;

const WORDS: [&str; 6] = ["rfc3339", "unix", "unix_ms", "unix_us", "unix_ns", "strftime"];

/// Reads the section.
pub(super) fn read_time(node: &Node, reader: &mut Reader<'_>, known: &Known) -> Option<TimeField> {
    node.fields(reader, &["field", "format", "pattern", "zone"], |f| {
        let field = f.required("field", |node, reader| known.field(node, reader));
        let zone = match f.has("zone") {
            true => f.optional("zone", read::located(read_zone)).map(Some),
            false => Some(None),
        };
        let format = read_time_format(f, zone.clone().flatten());
        zone?;
        Some(TimeField { field: field?, format: format? })
    })
}

/// A time zone by its name in the IANA database.
pub(in crate::sources) fn read_zone(node: &Node, reader: &mut Reader<'_>) -> Option<Zone> {
    let name = read::string(node, reader)?;
    let zone = Zone::named(&name);
    if zone.is_none() {
        let help = match closest(&name, Zone::names().iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => {
                "write it as in the IANA database: UTC, Europe/Berlin, America/New_York".to_owned()
            }
        };
        reader.error(node.place(), format!("there is no time zone {name:?}")).help(help);
    }
    zone
}

fn read_time_format(f: &mut Fields<'_, '_, '_>, zone: Option<Located<Zone>>) -> Option<TimeFormat> {
    let written = match f.has("format") {
        true => f.optional("format", read::string)?,
        false => "rfc3339".to_owned(),
    };
    if written.contains('%') {
        refuse_pattern(f, "`format` is the pattern already")?;
        return read_strftime(f, "format", zone);
    }
    if written == "strftime" {
        if !f.has("pattern") {
            let place = f.node("format").map_or(f.place(), Node::place).clone();
            f.reader()
                .error(&place, "`pattern` is missing")
                .help("beside format: strftime stands pattern: '%Y-%m-%d %H:%M:%S'");
            return None;
        }
        return read_strftime(f, "pattern", zone);
    }
    let format = match written.as_str() {
        "rfc3339" => TimeFormat::Rfc3339(zone.as_deref().cloned().unwrap_or_default()),
        "unix" => TimeFormat::Unix,
        "unix_ms" => TimeFormat::UnixMs,
        "unix_us" => TimeFormat::UnixUs,
        "unix_ns" => TimeFormat::UnixNs,
        other => return unknown_format(f, other),
    };
    refuse_pattern(f, "only `format: strftime` has a `pattern`")?;
    if let Some(zone) = zone.filter(|zone| written != "rfc3339" && zone.value != Zone::UTC) {
        f.reader()
            .error(&zone.place, format!("{written} counts from 1970 in UTC, so it is of no zone"))
            .help("leave `zone` out");
        return None;
    }
    Some(format)
}

fn unknown_format(f: &mut Fields<'_, '_, '_>, word: &str) -> Option<TimeFormat> {
    let place = f.node("format").map_or(f.place(), Node::place).clone();
    let meant =
        closest(word, WORDS).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    f.reader().error(&place, format!("{word:?} is no time format")).help(format!(
        "{meant}valid are {}, or directives such as '%Y-%m-%d %H:%M:%S'",
        WORDS.join(", ")
    ));
    None
}

fn refuse_pattern(f: &mut Fields<'_, '_, '_>, message: &str) -> Option<()> {
    let Some(node) = f.node("pattern").filter(|node| !node.is_null()) else { return Some(()) };
    f.reader().error(node.place(), message).help("leave it out");
    None
}

/// A format of directives, from the key that holds it.
fn read_strftime(
    f: &mut Fields<'_, '_, '_>,
    key: &'static str,
    zone: Option<Located<Zone>>,
) -> Option<TimeFormat> {
    let format = f.optional(key, |node, reader| {
        let text = read::string(node, reader)?;
        let zone = zone.as_deref().cloned().unwrap_or_default();
        match Strftime::new(&text, zone) {
            Ok(format) => {
                if !format.has_hour() {
                    reader
                        .warning(
                            node.place(),
                            "the format says no hour: every line is at the beginning of its day",
                        )
                        .help("write %H:%M:%S, if lines say so");
                }
                Some(format)
            }
            Err(flaw) => {
                let place = node.place_within(&text, flaw.span);
                reader.error(&place, flaw.message).help(flaw.help);
                None
            }
        }
    })?;
    if let Some(zone) = zone.filter(|zone| format.has_offset() && zone.value != Zone::UTC) {
        f.reader()
            .warning(&zone.place, "the format says the offset itself, so no zone matters")
            .help("leave `zone` out");
    }
    Some(TimeFormat::Strftime(format))
}

//! The `journal:` section of an agent's file.
//!
//! Owns its keys, their defaults and what a unit and a match may be. Never looks into a journal.

use std::path::PathBuf;

use watchkeeper_agent_core::observe::{Accumulator, Format, LineSettings, TimeField, TimeFormat};
use watchkeeper_agent_core::tail::StartAt;
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_model::Service;

use super::source::JournalSource;
use crate::sources::{Beside, Kind, Source, Stored, lines};

/// What a `journal` source needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSourceSettings {
    /// What becomes of an entry, which is a line of JSON.
    pub lines: LineSettings,
    /// Where to begin at the first start.
    pub start_at: StartAt,
    /// Only entries of these units, or about them; empty: of all.
    pub units: Vec<String>,
    /// Only entries with these fields, each as `FIELD=value`. Those of one field are alternatives, fields must all fit.
    pub matches: Vec<String>,
    /// Where the journal lies, if it is not this machine's own.
    pub directory: Option<PathBuf>,
    /// `journalctl`, by name or path.
    pub command: PathBuf,
    /// Longer entries are skipped and counted.
    pub max_line_bytes: usize,
}

const KEYS: [&str; 8] =
    ["name", "service", "units", "matches", "directory", "start_at", "command", "max_line"];

/// Keys of lines that a journal has no use for.
const NOT_FOR_JOURNALS: [&str; 2] = ["format", "pattern"];

/// When journald took an entry, by this machine's clock (systemd.journal-fields(7)).
const TIME: (&str, TimeFormat) = ("__REALTIME_TIMESTAMP", TimeFormat::UnixUs);

impl Kind for JournalSourceSettings {
    const TAG: &'static str = "journal";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        let keys = [&KEYS[..], &lines::KEYS[..]].concat();
        node.fields(reader, &keys, |f| {
            let given_name = f.optional("name", read::located(read::string));
            let source = given_name.as_ref().map_or(String::new(), |name| name.value.clone());
            let service = f.required("service", read::service);
            let units = f.or("units", Vec::new(), read::non_empty(unit));
            let matches = f.or("matches", Vec::new(), read::non_empty(field_match));
            let directory = f.optional("directory", read::path);
            let start_at = f.or(
                "start_at",
                StartAt::End,
                read::choice(&[("end", StartAt::End), ("beginning", StartAt::Beginning)]),
            );
            let command = f.or("command", PathBuf::from("journalctl"), command);
            let max_line_bytes = f.or("max_line", 1 << 20, read::size_in(4 << 10..=16 << 20));
            let is_json = refuse_formats(f);
            let lines = lines::read(f, &source, service, Vec::new());
            is_json?;
            let lines = as_entries(lines?);
            let max_line_bytes = max_line_bytes as usize;
            let settings =
                Self { lines, start_at, units, matches, directory, command, max_line_bytes };
            Some((given_name, settings))
        })
    }

    fn reads(&self) -> String {
        let mut parts: Vec<String> = self.units.iter().map(|unit| format!("unit {unit}")).collect();
        parts.extend(self.matches.iter().map(|field| format!("match {field}")));
        parts.extend(self.directory.iter().map(|path| format!("directory {}", path.display())));
        parts.sort();
        parts.insert(0, "journal".to_owned());
        parts.join("\n")
    }

    fn name(&self) -> &str {
        &self.lines.source
    }

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.lines.source);
    }

    fn service(&self) -> &Service {
        &self.lines.service
    }

    fn build(self, stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(JournalSource::new(self, stored, into, beside.waker()))
    }
}

/// Entries are JSON and carry their time.
fn as_entries(lines: LineSettings) -> LineSettings {
    let own = || TimeField { field: TIME.0.to_owned(), format: TIME.1 };
    LineSettings { format: Format::Json, time: lines.time.or_else(|| Some(own())), ..lines }
}

/// How entries are written is not for the user to say.
fn refuse_formats(f: &mut Fields<'_, '_, '_>) -> Option<()> {
    let mut is_json = true;
    for key in lines::KEYS.into_iter().filter(|key| NOT_FOR_JOURNALS.contains(key)) {
        let Some(node) = f.node(key) else { continue };
        let place = node.place().clone();
        f.reader()
            .error(&place, format!("`{key}` is not for journals: an entry is a JSON object of its fields"))
            .help("leave it out; fields are named as journald names them, and those of JSON in a message as MESSAGE.level");
        is_json = false;
    }
    is_json.then_some(())
}

/// A program: a name to be found, or a path.
fn command(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let text = read::string(node, reader)?;
    if text.contains('/') || text.is_empty() { read::path(node, reader) } else { Some(text.into()) }
}

/// The name of a unit. Patterns are refused: `journalctl` compares them once, when it starts, with the units it knows
/// then, and would never find one that comes later.
fn unit(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    // The characters of systemd.unit(5).
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if (1..=255).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-') {
        return Some(name);
    }
    let help = if name.contains(['*', '?', '[']) {
        "patterns are not read; name every unit, or use a match such as _SYSTEMD_SLICE=system-getty.slice"
    } else {
        "such as nginx.service or getty@tty1.service"
    };
    reader.error(node.place(), format!("{name:?} is no name of a unit")).help(help);
    None
}

/// A field and its value. Names are those that journald takes (systemd.journal-fields(7)); those with two underscores
/// are made up for each reader and can't be matched.
fn field_match(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let text = read::string(node, reader)?;
    let (field, value) = text.split_once('=').unwrap_or((&text, "\0"));
    let is_name = (1..=64).contains(&field.len())
        && field.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !field.starts_with(|c: char| c.is_ascii_digit());
    let help = match () {
        () if !is_name || value.contains('\0') => {
            "write FIELD=value, such as _TRANSPORT=kernel or PRIORITY=3; values of one field are alternatives, and all fields must fit"
        }
        () if field.starts_with("__") => {
            "fields with two underscores are not matched by journalctl; use a condition in `where`"
        }
        () => return Some(text),
    };
    reader.error(node.place(), format!("{text:?} is no match of a field")).help(help);
    None
}

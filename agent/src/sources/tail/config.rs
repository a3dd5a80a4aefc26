//! The `tail:` section of an agent's file.
//!
//! Owns its keys, their defaults and what this version does not read yet. Never opens a file.

use std::path::Path;

use glob::Pattern;
use watchkeeper_agent_core::observe::LineSettings;
use watchkeeper_agent_core::tail::{Compressed, StartAt, TailSettings};
use watchkeeper_config::{Fields, Located, Node, Reader, read};

use crate::sources::lines;

/// What a `tail` source needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailSourceSettings {
    /// What becomes of a line.
    pub lines: LineSettings,
    /// How files are followed.
    pub tail: TailSettings,
    /// Absolute patterns of the files' paths.
    pub paths: Vec<Pattern>,
    /// Patterns of paths that are left out.
    pub exclude: Vec<Pattern>,
}

const KEYS: [&str; 9] = [
    "name",
    "service",
    "paths",
    "exclude",
    "start_at",
    "compressed",
    "wrap",
    "multiline",
    "max_line",
];

impl TailSourceSettings {
    /// Reads the section; the name the user gave it, if any, with its place.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        let keys = [&KEYS[..], &lines::KEYS[..]].concat();
        node.fields(reader, &keys, |f| {
            let given_name = f.optional("name", read::located(read::string));
            let source = given_name.as_ref().map_or(String::new(), |name| name.value.clone());
            let service = f.required("service", read::service);
            let paths = f.required("paths", read::non_empty(pattern));
            let exclude = f.or("exclude", Vec::new(), read::list_of(pattern));
            let start_at = f.or(
                "start_at",
                StartAt::End,
                read::choice(&[("end", StartAt::End), ("beginning", StartAt::Beginning)]),
            );
            let compressed = f.or(
                "compressed",
                Compressed::Skip,
                read::choice(&[("skip", Compressed::Skip), ("read", Compressed::Read)]),
            );
            let default = TailSettings::new(&source);
            let max_line_bytes =
                f.or("max_line", default.max_line_bytes as u64, read::size_in(1..=16 << 20));
            let is_supported = refuse_what_comes_later(f);
            let lines = lines::read(f, &source, service, Vec::new());
            let (paths, lines) = (paths?, lines?);
            is_supported?;
            let max_line_bytes = max_line_bytes as usize;
            let tail = TailSettings { start_at, compressed, max_line_bytes, ..default };
            Some((given_name, Self { lines, tail, paths, exclude }))
        })
    }

    /// Names the source.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.lines.source);
        name.clone_into(&mut self.tail.source);
    }
}

/// What the file format has and this version has not: refused by name, so that nobody waits for lines that never come.
fn refuse_what_comes_later(f: &mut Fields<'_, '_, '_>) -> Option<()> {
    let wrap = f.or("wrap", "none", read::choice(&["none", "cri", "docker"].map(|w| (w, w))));
    let mut later = Vec::new();
    if wrap != "none" {
        later.push(("wrap", format!("wrap `{wrap}` is not part of this version")));
    }
    if f.has("multiline") {
        later.push(("multiline", "`multiline` is not part of this version".to_owned()));
    }
    for (key, message) in &later {
        let place = f.node(key).map_or(f.place(), Node::place).clone();
        f.reader()
            .error(&place, message.clone())
            .help("this version reads one JSON object per line");
    }
    later.is_empty().then_some(())
}

/// A pattern of paths, absolute: relative ones are meant from the working directory.
fn pattern(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
    let text = read::string(node, reader)?;
    let absolute = if Path::new(&text).is_absolute() {
        text.clone()
    } else {
        let here = std::env::current_dir().unwrap_or_default();
        let relative = text.strip_prefix("./").unwrap_or(&text);
        format!("{}/{relative}", Pattern::escape(&here.to_string_lossy()))
    };
    match Pattern::new(&absolute) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader
                .error(node.place(), format!("{text:?} is no pattern of paths: {}", error.msg))
                .help("write /var/log/shop/*.log, or /var/log/**/*.log for any depth");
            None
        }
    }
}

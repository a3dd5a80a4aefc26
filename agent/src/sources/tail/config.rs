//! The `tail:` section of an agent's file.
//!
//! Owns its keys and their defaults. Never opens a file.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use glob::Pattern;
use watchkeeper_agent_core::observe::{Accumulator, LineSettings};
use watchkeeper_agent_core::tail::join::{JoinSettings, Multiline, Wrap};
use watchkeeper_agent_core::tail::{Compressed, StartAt, TailSettings};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_model::Service;

use super::given::{Given, PathFields};
use super::source::TailSource;
use crate::sources::{Beside, Kind, Source, Stored, lines};

/// How long a record of several lines may wait for more.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(600);

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
    /// The fields that do not come from the line, in the order in which `lines` names them.
    pub given: Given,
}

const KEYS: [&str; 10] = [
    "name",
    "service",
    "paths",
    "exclude",
    "start_at",
    "compressed",
    "wrap",
    "multiline",
    "max_line",
    "path_fields",
];

impl Kind for TailSourceSettings {
    const TAG: &'static str = "tail";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
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
            let join = read_join(f);
            let path_fields = f.or("path_fields", PathFields::default(), read_path_fields);
            let given = Given::new(join.as_ref().is_some_and(is_wrapped), path_fields);
            let lines = lines::read(f, &source, service, given.names());
            let (paths, lines) = (paths?, lines?);
            let max_line_bytes = max_line_bytes as usize;
            let tail =
                TailSettings { start_at, compressed, max_line_bytes, join: join?, ..default };
            Some((given_name, Self { lines, tail, paths, exclude, given }))
        })
    }

    /// The kind and what is left out, then one line for each pattern.
    fn reads(&self) -> String {
        let lines = |patterns: &[Pattern]| -> BTreeSet<String> {
            patterns.iter().map(|p| p.as_str().escape_default().to_string()).collect()
        };
        let mut text = "tail".to_owned();
        lines(&self.exclude).iter().for_each(|pattern| text += &format!(" without {pattern}"));
        lines(&self.paths).iter().for_each(|pattern| text += &format!("\n{pattern}"));
        text
    }

    fn name(&self) -> &str {
        &self.lines.source
    }

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.lines.source);
        name.clone_into(&mut self.tail.source);
    }

    fn service(&self) -> &Service {
        &self.lines.service
    }

    fn build(self, stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(TailSource::new(self, stored, into, beside.waker()))
    }
}

fn is_wrapped(join: &JoinSettings) -> bool {
    join.wrap != Wrap::None
}

/// `wrap` and `multiline`.
fn read_join(f: &mut Fields<'_, '_, '_>) -> Option<JoinSettings> {
    let wraps = [("none", Wrap::None), ("cri", Wrap::Cri), ("docker", Wrap::Docker)];
    let wrap = f.or("wrap", Wrap::None, read::choice(&wraps));
    let multiline = f.optional("multiline", read_multiline);
    if f.has("multiline") && multiline.is_none() {
        return None;
    }
    Some(JoinSettings { wrap, multiline })
}

fn read_multiline(node: &Node, reader: &mut Reader<'_>) -> Option<Multiline> {
    node.fields(reader, &["start", "max_lines", "timeout"], |f| {
        let start = f.required("start", read::located(read::string));
        let max_lines = f.or("max_lines", 500, read::integer(1..=100_000)) as usize;
        let timeout = f.or("timeout", Duration::from_secs(2), read::duration_in(TIMEOUTS));
        let start = start?;
        match Multiline::new(&start, max_lines, timeout) {
            Ok(multiline) => Some(multiline),
            Err(error) => {
                f.reader().error(&start.place, no_regex(&start, &error)).help(
                    r"the first line of each record has to match it, such as '^\S' or '^\d{4}-'",
                );
                None
            }
        }
    })
}

fn read_path_fields(node: &Node, reader: &mut Reader<'_>) -> Option<PathFields> {
    let pattern = read::string(node, reader)?;
    let problem = match PathFields::parse(&pattern) {
        Ok(fields) => return Some(fields),
        Err(problem) => problem,
    };
    reader.error(node.place(), problem).help(
        r"write kubernetes, or a regular expression with named groups, such as '/(?<app>[^/]+)/[^/]+\.log$'",
    );
    None
}

/// A regular expression that is none, in one line.
pub(super) fn no_regex(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    format!("{pattern:?} is no regular expression: {reason}")
}

/// A pattern of paths, absolute: relative ones are meant from the working directory.
pub(in crate::sources) fn pattern(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
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

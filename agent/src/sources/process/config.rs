//! The `process:` section of an agent's file.
//!
//! Owns its keys, their defaults, and that exactly one of them says which process is meant. Never looks for it.

use std::path::PathBuf;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_model::Service;

use super::source::ProcessSource;
use crate::sources::head::Head;
use crate::sources::{Beside, Kind, Source, Stored};

/// How often is looked if nothing else is said. That a process dies is heard of at once all the same.
const EVERY: Duration = Duration::from_secs(10);

/// What an expression may take when it is compiled.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The keys of which one says which process is meant.
const TARGETS: [&str; 4] = ["systemd", "launchd", "pidfile", "match"];

/// What a `process` source needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSourceSettings {
    /// Its name, its service and how often it looks.
    pub head: Head,
    /// Which process is meant.
    pub target: Target,
}

/// Which process is meant.
#[derive(Clone, Debug)]
pub enum Target {
    /// The main process of this unit of systemd.
    Systemd(String),
    /// The process of this job of launchd, by its label.
    Launchd(String),
    /// The one whose number stands in this file.
    PidFile(PathBuf),
    /// All whose command line matches.
    Match(Regex),
}

impl Target {
    /// In one line, the same for the same.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Systemd(unit) => format!("systemd {unit}"),
            Self::Launchd(label) => format!("launchd {label}"),
            Self::PidFile(path) => format!("pidfile {}", path.display()),
            Self::Match(regex) => format!("match {}", regex.as_str().escape_default()),
        }
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Target {}

impl Kind for ProcessSourceSettings {
    const TAG: &'static str = "process";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        let keys = [&Head::KEYS[..], &TARGETS[..]].concat();
        node.fields(reader, &keys, |f| {
            let (given_name, head) = Head::read(f, EVERY);
            let target = read_target(f);
            Some((given_name, Self { head: head?, target: target? }))
        })
    }

    fn name(&self) -> &str {
        &self.head.name
    }

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.head.name);
    }

    fn service(&self) -> &Service {
        &self.head.service
    }

    fn reads(&self) -> String {
        format!("{}\n{}", Self::TAG, self.target.text())
    }

    fn build(self, stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(ProcessSource::new(self, &stored, into, beside.clone()))
    }
}

/// What is observed is found from where the agent runs, as logs are.
fn pidfile(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = read::string(node, reader)?;
    if path.is_empty() {
        reader.error(node.place(), "a path is needed, and this is empty");
        return None;
    }
    Some(path.into())
}

fn read_target(f: &mut Fields<'_, '_, '_>) -> Option<Target> {
    let given: Vec<&str> = TARGETS.into_iter().filter(|key| f.has(key)).collect();
    let systemd = f.optional("systemd", unit).map(Target::Systemd);
    let launchd = f.optional("launchd", label).map(Target::Launchd);
    let pidfile = f.optional("pidfile", pidfile).map(Target::PidFile);
    let matches = f.optional("match", expression).map(Target::Match);
    let place = f.place().clone();
    match given.len() {
        1 => systemd.or(launchd).or(pidfile).or(matches),
        0 => {
            let help =
                "add one of `systemd: UNIT`, `launchd: LABEL`, `pidfile: PATH`, `match: REGEX`";
            f.reader().error(&place, "which process is meant is not said").help(help);
            None
        }
        _ => {
            let said = format!("`{}` each say which process is meant", given.join("` and `"));
            f.reader()
                .error(&place, said)
                .help("keep one of them, and make another source of each other");
            None
        }
    }
}

fn unit(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    // The characters of systemd.unit(5).
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if (1..=255).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-') {
        return Some(name);
    }
    reader
        .error(node.place(), format!("{name:?} is no name of a unit"))
        .help("such as nginx.service; patterns are not taken: one source watches one unit");
    None
}

fn label(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    let fits = |c: char| c.is_ascii_graphic() && c != '/';
    if (1..=255).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-') {
        return Some(name);
    }
    reader
        .error(node.place(), format!("{name:?} is no label of a job"))
        .help("such as com.example.shop, without system/ or gui/501/ before it");
    None
}

fn expression(node: &Node, reader: &mut Reader<'_>) -> Option<Regex> {
    let text = read::string(node, reader)?;
    let problem = match RegexBuilder::new(&text).size_limit(MAX_REGEX_BYTES).build() {
        Ok(regex) if !regex.is_match("") => return Some(regex),
        Ok(_) => format!("{text:?} matches every process"),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{text:?} is no regular expression: {reason}")
        }
    };
    reader.error(node.place(), problem).help(
        r"it is looked for in the whole command line, such as '^/usr/bin/python3 \S*/watcher\.py'",
    );
    None
}

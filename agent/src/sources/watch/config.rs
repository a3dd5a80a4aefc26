//! The `watch:` section of an agent's file.
//!
//! Owns its keys and defaults. Never looks at a file.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use glob::Pattern;
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::watch::{Expectation, VARIABLES, WatchSettings};
use watchkeeper_config::{Located, Node, Reader, read};
use watchkeeper_expr::Scope;
use watchkeeper_model::Service;

use super::patterns::Steps;
use super::source::WatchSource;
use crate::sources::head::Head;
use crate::sources::tail::pattern;
use crate::sources::{Beside, Kind, Source, Stored};

/// How often is looked if nothing else is said.
const EVERY: Duration = Duration::from_secs(10);

/// What is not written for so long is finished, if nothing else is said.
const SETTLE: Duration = Duration::from_secs(2);

/// How long a file may have to be quiet.
const SETTLES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// What a `watch` source needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSourceSettings {
    /// Its name, its service and how often it looks.
    pub head: Head,
    /// Absolute patterns of the files' paths.
    pub paths: Vec<Pattern>,
    /// Patterns of paths that are left out; of a folder, with everything below it.
    pub exclude: Vec<Pattern>,
    /// What is not written for so long is finished.
    pub settle: Duration,
    /// Whether content is compared too.
    pub hash: bool,
    /// What has to hold.
    pub expect: Vec<Expectation>,
}

const KEYS: [&str; 5] = ["paths", "exclude", "settle", "hash", "expect"];

impl Kind for WatchSourceSettings {
    const TAG: &'static str = "watch";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        let keys = [&Head::KEYS[..], &KEYS[..]].concat();
        node.fields(reader, &keys, |f| {
            let (given_name, head) = Head::read(f, EVERY);
            let paths = f.required("paths", read::non_empty(steps));
            let exclude = f.or("exclude", Vec::new(), read::list_of(pattern));
            let settle = f.or("settle", SETTLE, read::duration_in(SETTLES));
            let hash = f.or("hash", false, read::bool);
            let expected = read::condition(Scope::Known(&VARIABLES));
            let expect = f.or("expect", Vec::new(), read::list_of(expected));
            let expect = expect.into_iter().map(Expectation::new).collect();
            let (head, paths) = (head?, paths?);
            Some((given_name, Self { head, paths, exclude, settle, hash, expect }))
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

    /// The kind and what is left out, then one line for each pattern.
    fn reads(&self) -> String {
        let lines = |patterns: &[Pattern]| -> BTreeSet<String> {
            patterns.iter().map(|p| p.as_str().escape_default().to_string()).collect()
        };
        let mut text = Self::TAG.to_owned();
        lines(&self.exclude).iter().for_each(|pattern| text += &format!(" without {pattern}"));
        lines(&self.paths).iter().for_each(|pattern| text += &format!("\n{pattern}"));
        text
    }

    fn build(self, stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(WatchSource::new(self, &stored.rows, into, beside.clone()))
    }
}

impl WatchSourceSettings {
    /// What of it the observer needs.
    pub(super) fn watch(&self) -> WatchSettings {
        WatchSettings {
            name: self.head.name.clone(),
            service: self.head.service.clone(),
            settle: self.settle,
            expect: self.expect.clone(),
        }
    }

    /// Whether it looks at the same in the same way.
    pub(super) fn looks_alike(&self, other: &Self) -> bool {
        (&self.paths, &self.exclude, self.hash) == (&other.paths, &other.exclude, other.hash)
    }
}

/// A pattern of files that can be looked for name by name.
fn steps(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
    let pattern = pattern(node, reader)?;
    match Steps::of(&pattern) {
        Ok(_) => Some(pattern),
        Err(problem) => {
            let shown = pattern.as_str().escape_debug();
            reader
                .error(node.place(), format!("\"{shown}\" {problem}"))
                .help("write /srv/inbox/*.vtt, or /srv/**/*.vtt for any depth");
            None
        }
    }
}

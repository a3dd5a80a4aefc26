//! The `probe:` section of an agent's file.
//!
//! Owns the keys that all kinds of probes have, and their defaults. What stands below a kind's own key is its business.

use std::time::Duration;

use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::probe::{Confirm, Expectations};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::{Condition, Scope, Type};
use watchkeeper_model::Service;

use super::kinds::{self, Target};
use super::source::ProbeSource;
use crate::sources::head::Head;
use crate::sources::{Beside, Kind, Source, Stored};

/// How often is asked if nothing else is said.
const EVERY: Duration = Duration::from_secs(10);

/// How long an answer may take if nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The shortest time an answer may be given.
const SHORTEST: Duration = Duration::from_millis(10);

/// The most attempts in a row that may be asked for.
const MAX_CONFIRM: i64 = 100;

/// What a `probe` source needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSourceSettings {
    /// Its name, its service and how often it asks.
    pub head: Head,
    /// Whom it asks, and how.
    pub target: Target,
    /// How many attempts make a turn.
    pub confirm: Confirm,
    /// What is expected.
    pub expectations: Expectations,
}

impl Kind for ProbeSourceSettings {
    const TAG: &'static str = "probe";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        let own = ["timeout", "confirm", "expect", "degraded"];
        let keys = [&Head::KEYS[..], &own[..], &kinds::tags()].concat();
        node.fields(reader, &keys, |f| {
            let (given_name, head) = Head::read(f, EVERY);
            let target = read_target(f);
            let every = head.as_ref().map_or(EVERY, |head| head.every);
            let within = read_timeout(f, every);
            let confirm = f.or("confirm", Confirm::default(), read_confirm);
            let names = target.as_ref().map(names);
            let names = names.as_deref();
            let expect = f.list("expect", |node, reader| condition(names, node, reader));
            let degraded = f.list("degraded", |node, reader| condition(names, node, reader));
            let target = target?;
            let expectations = Expectations { expect, degraded, within };
            let expectations = target.expecting(expectations);
            let settings = Self { head: head?, target, confirm, expectations };
            Some((given_name, settings))
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
        format!("{}\n{} {}", Self::TAG, self.target.tag(), self.target)
    }

    fn build(self, _stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(ProbeSource::new(self, into, beside.clone()))
    }
}

/// The one kind that is written.
fn read_target(f: &mut Fields<'_, '_, '_>) -> Option<Target> {
    let tags = kinds::tags();
    let given: Vec<&'static str> = tags.iter().copied().filter(|tag| f.has(tag)).collect();
    let place = f.place().clone();
    match given[..] {
        [tag] => f.required(tag, |node, reader| kinds::read(tag, node, reader)),
        [] => {
            f.reader()
                .error(&place, "it is not said how to probe")
                .help(format!("add one of {}", tags.join(", ")));
            None
        }
        [first, second, ..] => {
            f.reader()
                .error(&place, format!("`{first}` and `{second}` are two probes"))
                .help("write one source for each");
            None
        }
    }
}

fn read_timeout(f: &mut Fields<'_, '_, '_>, every: Duration) -> Duration {
    let timeout = f.optional("timeout", read::located(read::duration_in(SHORTEST..=every)));
    timeout.map_or(TIMEOUT.min(every), |timeout| timeout.value)
}

/// `{down: 2, up: 2}`.
fn read_confirm(node: &Node, reader: &mut Reader<'_>) -> Option<Confirm> {
    let usual = Confirm::default();
    node.fields(reader, &["down", "up"], |f| {
        let mut row = |key, usual: u32| {
            let n = f.or(key, i64::from(usual), read::integer(1..=MAX_CONFIRM));
            u32::try_from(n).unwrap_or(usual)
        };
        Some(Confirm { down: row("down", usual.down), up: row("up", usual.up) })
    })
}

/// The names that conditions of this kind of probe know.
fn names(target: &Target) -> Vec<(&'static str, Type)> {
    [&[("latency", Type::Duration)][..], target.names()].concat()
}

fn condition(
    names: Option<&[(&'static str, Type)]>,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<Condition> {
    match names {
        Some(names) => read::condition(Scope::Known(names))(node, reader),
        // Nothing is known of the kind, because that is wrong, which has been told.
        None => read::string(node, reader).map(|_| Condition::always()),
    }
}

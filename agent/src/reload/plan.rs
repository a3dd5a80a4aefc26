//! What a reload changes, and how it is told.
//!
//! Owns the comparison of two settings, as a value. Never changes anything.

use std::collections::BTreeSet;
use std::time::Duration;

use watchkeeper_agent_core::observe::RedactSettings;

use super::pairing::{Pairing, readings};
use super::restart::needs_restart;
use crate::config::AgentSettings;
use crate::spool::{Move, Reading};

/// The most names told in one list.
const MAX_NAMES: usize = 20;

/// What becomes of a source there shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on untouched; its place among the sources there are.
    Unchanged(usize),
    /// It goes on with other settings.
    Edited(usize),
    /// It goes on under another name, perhaps with other settings.
    Renamed(usize),
    /// It begins.
    Added,
}

/// What a reload changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For each source there shall be, in order.
    pub fates: Vec<Fate>,
    /// Names of sources that end.
    pub removed: Vec<String>,
    /// Sources there shall be, and what they read.
    pub sources: Vec<Reading>,
    /// Those that get another name.
    pub renamed: Vec<Move>,
    /// Those that begin where one stood that is gone and read the same.
    pub taken_over: Vec<Move>,
    /// The time between two seals, if it changes.
    pub flush: Option<Duration>,
    /// What must not leave the host, if it changes.
    pub redact: Option<RedactSettings>,
    /// Keys whose change needs a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Plan {
    /// From the settings that an agent runs with to those it is given; `gone` are sources it had before.
    pub fn new(running: &AgentSettings, gone: &[Reading], wanted: &AgentSettings) -> Self {
        let (mut was, now) = (readings(&running.sources), readings(&wanted.sources));
        let n_running = was.len();
        was.extend_from_slice(gone);
        let pairing = Pairing::of(&was, &now, |w, n| {
            let mut renamed = running.sources.get(w).cloned();
            renamed.iter_mut().for_each(|settings| settings.set_name(&now[n].name));
            renamed.as_ref() == Some(&wanted.sources[n])
        });
        let fate = |(n, w): (usize, &Option<usize>)| match *w {
            None => Fate::Added,
            Some(w) if w >= n_running => Fate::Added,
            Some(w) if was[w].name != now[n].name => Fate::Renamed(w),
            Some(w) if running.sources[w] == wanted.sources[n] => Fate::Unchanged(w),
            Some(w) => Fate::Edited(w),
        };
        let is_gone = |name: &str| gone.iter().any(|g| g.name == name);
        let moves = pairing.moves(&was, &now);
        let (taken_over, renamed) = moves.into_iter().partition(|m| is_gone(&m.from));
        Self {
            fates: pairing.0.iter().enumerate().map(fate).collect(),
            removed: pairing.gone(n_running).map(|w| was[w].name.clone()).collect(),
            renamed,
            taken_over,
            sources: now,
            flush: (running.flush != wanted.flush).then_some(wanted.flush),
            redact: (running.redact != wanted.redact).then(|| wanted.redact.clone()),
            needs_restart: needs_restart(running, wanted),
        }
    }

    /// All moves of places.
    pub fn moves(&self) -> Vec<Move> {
        [self.renamed.as_slice(), &self.taken_over].concat()
    }

    /// Names of sources that may need what is stored of them.
    pub fn asked(&self) -> BTreeSet<String> {
        let changed = |fate: &Fate| !matches!(fate, Fate::Unchanged(_));
        self.named(changed).map(str::to_owned).collect()
    }

    fn named(&self, of: impl Fn(&Fate) -> bool) -> impl Iterator<Item = &str> {
        let fates = self.fates.iter().zip(&self.sources);
        fates.filter(move |(fate, _)| of(fate)).map(|(_, source)| source.name.as_str())
    }

    /// In one line, without the keys that need a restart.
    pub fn summary(&self) -> String {
        let n_unchanged = self.named(|f| matches!(f, Fate::Unchanged(_))).count();
        let lists = [
            ("edited", self.named(|f| matches!(f, Fate::Edited(_))).collect()),
            ("added", self.named(|f| *f == Fate::Added).collect()),
            ("removed", self.removed.iter().map(String::as_str).collect::<Vec<_>>()),
        ];
        let mut parts = vec![format!("{n_unchanged} unchanged")];
        for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            parts.push(format!("{} {what} ({})", names.len(), listed(names)));
        }
        let moves: Vec<String> =
            self.renamed.iter().map(|m| format!("{} -> {}", m.from, m.to)).collect();
        if !moves.is_empty() {
            parts.push(format!("renamed {}", listed(&moves)));
        }
        if let Some(flush) = self.flush {
            parts.push(format!(
                "agent.flush is {} now",
                watchkeeper_config::format::duration(flush)
            ));
        }
        if self.redact.is_some() {
            parts.push("agent.redact is another".to_owned());
        }
        parts.join(", ")
    }
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let mut told: Vec<&str> = names.iter().take(MAX_NAMES).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    let rest = format!("and {more} more");
    if more > 0 {
        told.push(&rest);
    }
    told.join(", ")
}

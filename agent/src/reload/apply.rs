//! The worker going over to new settings.
//!
//! Owns the order: seal, let the spool move places, change the sources. What can fail comes first and changes nothing;
//! it is tried again with the seals that follow, so a full disk delays a reload and spoils nothing. An agent that has
//! still to hear how far its files were read hears it under the names it has asked for, and goes over then.

use std::collections::{BTreeMap, BTreeSet};

use watchkeeper_agent_core::observe::{InUse, Redactor};
use watchkeeper_daemon::crash;
use watchkeeper_model::Timestamp;

use super::plan::{Fate, Plan};
use crate::config::AgentSettings;
use crate::facts;
use crate::sources::{self, Source, SourceSettings, Stored};
use crate::spool::{Move, SpoolError, StoredSource};
use crate::status::Reload;
use crate::worker::{Worker, poll_source};

/// What is stored of sources, by name.
type Rows = BTreeMap<String, StoredSource>;

/// Settings that wait to be gone over to.
#[derive(Debug)]
pub struct Pending {
    settings: Box<AgentSettings>,
    asked_at: Timestamp,
    /// It was told that this waits.
    told: bool,
}

impl Worker {
    /// Goes over to these settings, or keeps them until it can; those that wait already are outdated by them.
    pub(crate) fn reload(
        &mut self,
        settings: Box<AgentSettings>,
        asked_at: Timestamp,
        now: Timestamp,
    ) {
        self.pending = Some(Pending { settings, asked_at, told: false });
        // Ends in going over, if what was counted can be sealed.
        self.seal(now);
        self.tell_waiting("what was counted can't be sealed");
    }

    /// Whether there is something to go over to with the next seal.
    pub(crate) fn wants_to_go_over(&self) -> bool {
        self.pending.is_some() && !self.waits_for_welcome()
    }

    /// What waits, after a seal: nothing was polled since, so nothing is counted that is not durable.
    pub(crate) fn go_over(&mut self, now: Timestamp) {
        if self.waits_for_welcome() {
            return self.tell_waiting("the collector has to say first how far files were read");
        }
        let Some(pending) = self.pending.take() else { return };
        crash::point("agent.before_configured");
        match self.plan(&pending.settings, now) {
            Ok((plan, stored)) => {
                crash::point("agent.after_configured");
                self.apply(plan, *pending.settings, stored, now);
                let told = Reload::Succeeded { at: now };
                self.status.update(|s| s.reload.replace(told, pending.asked_at));
            }
            Err(error) => {
                self.pending = Some(pending);
                self.tell_waiting(&error.to_string());
            }
        }
    }

    /// What is to change; the spool has changed already.
    fn plan(&self, wanted: &AgentSettings, now: Timestamp) -> Result<(Plan, Rows), SpoolError> {
        let plan = Plan::new(&self.settings, &self.spool.known()?.gone, wanted);
        let stored = self.spool.configure(&plan.sources, &plan.moves(), &plan.asked(), now)?;
        Ok((plan, stored))
    }

    fn tell_waiting(&mut self, why: &str) {
        let Some(pending) = self.pending.as_mut().filter(|p| !p.told) else { return };
        pending.told = true;
        facts::reload_waits(why);
        let waiting = Reload::Waiting { at: pending.asked_at, why: why.to_owned() };
        self.status.update(|s| s.reload.replace(waiting, pending.asked_at));
    }

    fn apply(&mut self, plan: Plan, wanted: AgentSettings, mut stored: Rows, now: Timestamp) {
        let before: BTreeSet<String> = self.names();
        let running = std::mem::take(&mut self.sources);
        let mut running: Vec<Option<Box<dyn Source>>> = running.into_iter().map(Some).collect();
        // Those that end do so before others begin: they may hold what the others want.
        let kept = |fate: &Fate, at| match fate {
            Fate::Unchanged(i) | Fate::Edited(i) | Fate::Renamed(i) => *i == at,
            Fate::Added => false,
        };
        for (at, source) in running.iter_mut().enumerate() {
            if !plan.fates.iter().any(|fate| kept(fate, at)) {
                *source = None;
            }
        }
        for (settings, fate) in wanted.sources.iter().zip(&plan.fates) {
            let source = match *fate {
                Fate::Unchanged(i) => running[i].take(),
                Fate::Edited(i) | Fate::Renamed(i) => {
                    let mut changed =
                        |s: &mut Box<dyn Source>| s.reconfigure(settings, &mut self.counted);
                    running[i].take().and_then(|mut s| changed(&mut s).then_some(s))
                }
                Fate::Added => None,
            };
            let stored = stored.remove(settings.name()).unwrap_or_default();
            let source = source.unwrap_or_else(|| self.begin(settings, stored, now));
            self.sources.push(source);
        }
        if let Some(flush) = plan.flush {
            self.policy.set_flush(flush);
        }
        if let Some(redact) = &plan.redact {
            self.counted.set_redactor(Redactor::new(redact));
        }
        self.settings.flush = wanted.flush;
        self.settings.redact = wanted.redact;
        self.settings.sources = wanted.sources;
        self.forget_what_is_gone(&before);
        for Move { from, to } in &plan.taken_over {
            facts::places_taken_over(from, to);
        }
        facts::reloaded(&plan.summary(), &plan.needs_restart);
    }

    /// A source that begins, or begins again where it is sealed.
    fn begin(
        &mut self,
        settings: &SourceSettings,
        stored: StoredSource,
        now: Timestamp,
    ) -> Box<dyn Source> {
        let stored = Stored { rows: stored.positions, looked_at: stored.looked_at, wait: true };
        let mut source = sources::build(settings.clone(), stored, &mut self.counted, &self.beside);
        // As after a start: it looks what there is, and then hears what the collector knows of it.
        poll_source(source.as_mut(), now, false, &mut self.counted);
        source.adopt(now, self.heard.as_deref().unwrap_or_default());
        source
    }

    /// Whether this agent has still to be told how far its files were read.
    fn waits_for_welcome(&self) -> bool {
        let is_waiting = *self.spool_is_new.borrow() || self.patience_until.is_some();
        self.heard.is_none() && is_waiting
    }

    fn names(&self) -> BTreeSet<String> {
        self.settings.sources.iter().map(|s| s.name().to_owned()).collect()
    }

    fn forget_what_is_gone(&mut self, before: &BTreeSet<String>) {
        let names = self.names();
        let mut used = Some(InUse::default());
        for source in &self.sources {
            used = used.zip(source.in_use()).map(|(mut used, more)| {
                used.extend(more);
                used
            });
        }
        used.iter().for_each(|used| self.counted.forget_unused(used));
        // What the collector knew of a source is outdated once that source has read on.
        self.heard.iter_mut().for_each(|heard| {
            heard.retain(|f| !names.contains(&f.source) && !before.contains(&f.source))
        });
        self.status.update(|s| s.forget_totals(&names));
    }
}

//! The worker's side of one `probe` source.
//!
//! Owns what was found until it is counted. Never asks, and never waits: that is done beside the worker, by the probe's own
//! schedule.

use tokio::sync::mpsc;
use watchkeeper_agent_core::observe::{Accumulator, InUse};
use watchkeeper_agent_core::polling::{Rhythm, Turn};
use watchkeeper_agent_core::probe::{Class, Finding, ProbeObserver, ProbeResult, Schedule, Taken};
use watchkeeper_model::{Service, Timestamp};

use super::config::ProbeSourceSettings;
use super::facts;
use super::run::{Asker, Found, MAX_FINDINGS};
use crate::sources::{Beside, Errand, Health, Kind as _, Progress, Source, SourceSettings};

/// Probes one target.
#[derive(Debug)]
pub struct ProbeSource {
    settings: ProbeSourceSettings,
    observer: ProbeObserver,
    beside: Beside,
    asker: Errand<()>,
    findings: mpsc::Receiver<Found>,
    /// Tells gaps between findings.
    rhythm: Rhythm,
    /// Why nothing is known, if that is so.
    problem: Option<String>,
    /// Sets apart agents that probe the same.
    salt: String,
}

impl ProbeSource {
    /// A source of these settings; it begins to ask at once.
    pub fn new(settings: ProbeSourceSettings, into: &mut Accumulator, beside: Beside) -> Self {
        let salt = into.agent().as_str().to_owned();
        let (asker, findings) = begin(&settings, &salt, &beside);
        Self {
            observer: observer(&settings, into),
            rhythm: Rhythm::new(settings.head.every),
            settings,
            beside,
            asker,
            findings,
            problem: None,
            salt,
        }
    }

    fn take(&mut self, Found { finding, ended }: Found, into: &mut Accumulator) {
        let name = &self.settings.head.name;
        self.rhythm.hurry();
        if let Turn::Look { gap: Some(gap), .. } = self.rhythm.turn(ended.at, ended.running) {
            facts::gap(name, &gap);
            self.observer.gap(&gap, ended.at, into);
        }
        let taken = self.observer.take(&finding, into);
        self.tell(&finding, taken);
    }

    fn tell(&mut self, finding: &Finding, taken: Taken) {
        let judged = &finding.judged;
        if let Some((_, after)) = taken.turned {
            let (name, reason) = (&self.settings.head.name, judged.reason.as_str());
            facts::turned(name, after.as_str(), reason, &judged.why);
        }
        self.problem = (judged.class == Class::Unknown).then(|| judged.why.clone());
    }
}

/// Begins to ask.
fn begin(
    settings: &ProbeSourceSettings,
    salt: &str,
    beside: &Beside,
) -> (Errand<()>, mpsc::Receiver<Found>) {
    let (sender, findings) = mpsc::channel(MAX_FINDINGS);
    let head = &settings.head;
    let asker = Asker {
        name: head.name.clone(),
        schedule: Schedule::new(&head.name, salt, head.every),
        target: settings.target.clone(),
        expectations: settings.expectations.clone(),
        masks: settings.target.secrets(),
        findings: sender,
        soon: beside.soon(),
    };
    (beside.wait_for(asker.run()), findings)
}

fn observer(settings: &ProbeSourceSettings, into: &mut Accumulator) -> ProbeObserver {
    let (head, target) = (&settings.head, settings.target.to_string());
    ProbeObserver::new(&head.name, &head.service, &target, settings.confirm, into)
}

impl Source for ProbeSource {
    fn name(&self) -> &str {
        &self.settings.head.name
    }

    fn kind(&self) -> &'static str {
        ProbeSourceSettings::TAG
    }

    fn service(&self) -> &Service {
        &self.settings.head.service
    }

    fn poll(&mut self, now: Timestamp, _may_read: bool, into: &mut Accumulator) -> Progress {
        // No more than there is room for: one who asks fast can't hold the worker.
        for _ in 0..MAX_FINDINGS {
            let Ok(found) = self.findings.try_recv() else { break };
            self.take(found, into);
        }
        if self.asker.take().is_some() {
            facts::lost(&self.settings.head.name);
            (self.asker, self.findings) = begin(&self.settings, &self.salt, &self.beside);
        }
        Progress { next: now + self.settings.head.every, dirty: false }
    }

    fn reconfigure(&mut self, settings: &SourceSettings, into: &mut Accumulator) -> bool {
        let Some(settings) = settings.as_kind::<ProbeSourceSettings>() else { return false };
        let asks_the_same = settings.reads() == self.settings.reads();
        let mut observer = observer(settings, into);
        if asks_the_same {
            observer.go_on_from(&self.observer);
        }
        self.observer = observer;
        // From one period to another nothing was missed.
        self.rhythm = Rhythm::new(settings.head.every);
        self.settings = settings.clone();
        (self.asker, self.findings) = begin(&self.settings, &self.salt, &self.beside);
        true
    }

    fn in_use(&self) -> Option<InUse> {
        Some(self.observer.in_use())
    }

    fn health(&self) -> Health {
        match (&self.problem, self.observer.now()) {
            (Some(problem), _) => Health::Failing(problem.clone()),
            (None, None | Some(ProbeResult::Unknown)) => Health::Waiting("no answer yet".into()),
            (None, Some(_)) => Health::Ok,
        }
    }
}

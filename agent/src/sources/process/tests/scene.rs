//! A source with its own clock hands, and what it has counted.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Body, Event, Labels};

use crate::sources::process::ProcessSourceSettings;
use crate::sources::process::source::ProcessSource;
use crate::sources::process::table::Table;
use crate::sources::process::whom::Knower;
use crate::sources::{Beside, Source as _, Stored, Wakes, read};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Scene {
    pub(super) source: ProcessSource,
    pub(super) acc: Accumulator,
    pub(super) beside: Beside,
    wakes: Wakes,
    /// The last value of each signal, outside units.
    pub(super) last: BTreeMap<String, f64>,
    /// Sums of all values.
    pub(super) sums: BTreeMap<String, f64>,
    pub(super) events: Vec<Event>,
}

pub(super) fn settings(yaml: &str) -> Result<ProcessSourceSettings, String> {
    let mut reader = Reader::new(&|_: &str| None);
    let yaml = format!("process: {{name: it, service: shop, {yaml}}}");
    let config = load_str("it", &yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (config, _) = reader.finish(config).map_err(|problems| problems.render())?;
    Ok(config.settings.as_kind::<ProcessSourceSettings>().unwrap().clone())
}

/// A process of a test, which does not outlive it.
pub(super) struct Started(Child);

impl Started {
    pub(super) fn new(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that does nothing until it is killed.
pub(super) fn sleeper() -> Started {
    Started::new(Command::new("sleep").arg("1000"))
}

impl Scene {
    pub(super) fn new(yaml: &str) -> Self {
        Self::after(yaml, Stored::default())
    }

    /// One that goes on from what was stored.
    pub(super) fn after(yaml: &str, stored: Stored) -> Self {
        let settings = settings(yaml).unwrap();
        Self::with(|acc, beside| ProcessSource::new(settings, &stored, acc, beside))
    }

    /// One whose processes are known by others.
    pub(super) fn by(yaml: &str, table: Table, knower: Box<dyn Knower>) -> Self {
        let settings = settings(yaml).unwrap();
        Self::with(|acc, beside| {
            ProcessSource::on(settings, &Stored::default(), (table, knower), acc, beside)
        })
    }

    fn with(make: impl FnOnce(&mut Accumulator, Beside) -> ProcessSource) -> Self {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let wakes = Wakes::new();
        let beside = Beside::new(wakes.waker());
        let source = make(&mut acc, beside.clone());
        let (last, sums) = (BTreeMap::new(), BTreeMap::new());
        Self { source, acc, beside, wakes, last, sums, events: Vec::new() }
    }

    /// Polls as the worker does, until this holds.
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        loop {
            let now = clock::now();
            let next = self.source.poll_at(now, clock::running(), &mut self.acc);
            self.seal();
            if holds(self) {
                return;
            }
            assert!(
                started.elapsed() < LIMIT,
                "{what}; {:?}, {:?}, {:?}",
                self.last,
                self.events,
                self.source.health()
            );
            self.wakes.wait(next.since(clock::now()).min(LIMIT));
        }
    }

    /// What is stored of it now.
    pub(super) fn stored(&mut self) -> Stored {
        let rows = self.source.checkpoint().store.into_iter().map(|(_, row)| row).collect();
        self.source.committed(clock::now());
        Stored { rows, ..Stored::default() }
    }

    /// Names of events, in order.
    pub(super) fn told(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.name.as_str()).collect()
    }

    pub(super) fn is_up(&self) -> Option<bool> {
        self.last.get("process_up").map(|up| *up == 1.0)
    }

    pub(super) fn health(&self) -> String {
        self.source.health().to_string()
    }

    fn seal(&mut self) {
        let sealed = self.acc.seal(clock::now(), &SealOrder::default(), Vec::new());
        for body in sealed.services.into_iter().flat_map(|service| service.bodies) {
            match body {
                Body::Events { events, .. } => self.events.extend(events),
                Body::Windows { series, .. } => {
                    for one in series {
                        assert_eq!(one.labels.get("process"), "it");
                        let outside = |base: f64| one.unit.dimension().to_outside(base);
                        for window in &one.windows {
                            let values = window.distribution.values.as_ref().unwrap();
                            let last = outside(values.last.value as f64);
                            self.last.insert(one.signal.clone(), last);
                            *self.sums.entry(one.signal.clone()).or_default() +=
                                outside(values.sum as f64);
                        }
                    }
                }
            }
        }
    }
}

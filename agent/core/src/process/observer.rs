//! From processes to observations and events.
//!
//! Owns the signals of a process, sums over several, rates, and how events are worded. Never looks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use watchkeeper_model::{Service, Severity, Timestamp, Unit, readable};

use super::exit::Exit;
use super::track::{Change, Identity, Process};
use crate::observe::{Accumulator, Happening, InUse, Measure, Measures};
use crate::polling::Gap;

/// So many processes of one source are looked at. How many more there are is told.
pub const MAX_PROCESSES: usize = 512;

const fn of(name: &'static str, unit: Unit) -> Measure {
    Measure { name, unit, labels: &["process"] }
}

const UP: Measure = of("process_up", Unit::None);
const COUNT: Measure = of("process_count", Unit::None);
const CPU: Measure = of("process_cpu", Unit::Ratio);
const MEMORY: Measure = of("process_memory", Unit::B);
const FDS: Measure = of("process_fds", Unit::None);
const THREADS: Measure = of("process_threads", Unit::None);
const RESTARTS: Measure = of("process_restarts", Unit::None);
const ALL: [Measure; 7] = [UP, COUNT, CPU, MEMORY, FDS, THREADS, RESTARTS];

/// What one process takes at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which.
    pub process: Process,
    /// Time on processors since it began.
    pub cpu: Duration,
    /// Memory it holds, in bytes.
    pub memory: u64,
    /// How many threads it has; `None` if that is not known.
    pub threads: Option<u64>,
    /// How many files it has open; `None` if that is not known.
    pub fds: Option<u64>,
}

/// What all processes of a source take at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Whether it runs.
    pub is_up: bool,
    /// How many there are, those among them that are not looked at.
    pub n: u64,
}

/// Counts what the processes of one source take, and tells what becomes of them.
#[derive(Debug)]
pub struct ProcessObserver {
    measures: Measures,
    /// The source's name.
    name: String,
    /// Time on processors at the last look.
    cpu: BTreeMap<Identity, Duration>,
    last: Option<Timestamp>,
}

impl ProcessObserver {
    /// An observer of this name, its signals made known to the accumulator.
    pub fn new(source: &str, service: &Service, into: &mut Accumulator) -> Self {
        let measures = Measures::new(source, service, &ALL, into);
        Self { measures, name: source.to_owned(), cpu: BTreeMap::new(), last: None }
    }

    /// Counts under another name or for another service from now on.
    pub fn rename(&mut self, source: &str, service: &Service, into: &mut Accumulator) {
        self.measures = Measures::new(source, service, &ALL, into);
        source.clone_into(&mut self.name);
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        self.measures.in_use()
    }

    /// Counts a look, `since_last` after the one before; that no process was started again is counted too, so that the
    /// signal never ends.
    pub fn look(
        &mut self,
        total: Total,
        samples: &[Sample],
        since_last: Option<Duration>,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        self.measures.looked(into);
        self.up(total, now, into);
        self.restarts(0, now, into);
        let cpu = self.cpu(samples, since_last);
        self.last = Some(now);
        if samples.is_empty() {
            return;
        }
        let sum = |of: &dyn Fn(&Sample) -> Option<u64>| {
            // A sum of some of them would be taken for that of all.
            samples.iter().map(of).try_fold(0, |sum: u64, n| Some(sum.saturating_add(n?)))
        };
        let memory = sum(&|s| Some(s.memory)).map(|n| MEMORY.whole(n));
        let fds = sum(&|s| s.fds).map(|n| FDS.whole(n));
        let threads = sum(&|s| s.threads).map(|n| THREADS.whole(n));
        for (measure, value) in [(&CPU, cpu), (&MEMORY, memory), (&FDS, fds), (&THREADS, threads)] {
            if let Some(value) = value {
                self.put(measure, value, now, into);
            }
        }
    }

    /// Counts at once whether it runs.
    pub fn up(&mut self, total: Total, now: Timestamp, into: &mut Accumulator) {
        self.put(&UP, UP.whole(u64::from(total.is_up)), now, into);
        self.put(&COUNT, COUNT.whole(total.n), now, into);
    }

    /// Counts that it was started again so many times.
    pub fn restarts(&mut self, n: u64, now: Timestamp, into: &mut Accumulator) {
        self.put(&RESTARTS, RESTARTS.whole(n), now, into);
    }

    /// Keeps what has happened.
    pub fn tell(&mut self, change: &Change, now: Timestamp, into: &mut Accumulator) {
        self.measures.event(happening(&self.name, change, now), now, into);
    }

    /// Keeps that nobody looked for a while.
    pub fn gap(&mut self, gap: &Gap, now: Timestamp, into: &mut Accumulator) {
        self.measures.event(gap.happening(), now, into);
    }

    fn put(&mut self, measure: &Measure, value: i64, now: Timestamp, into: &mut Accumulator) {
        self.measures.observe(measure, &[&self.name], value, now, into);
    }

    /// Seconds on processors per second: of those that were there before what has been added, of those that began since
    /// then all. What one took that has ended since is not known.
    fn cpu(&mut self, samples: &[Sample], since_last: Option<Duration>) -> Option<i64> {
        let before = std::mem::take(&mut self.cpu);
        self.cpu = samples.iter().map(|s| (s.process.id, s.cpu)).collect();
        let (since_last, last) = (since_last?, self.last?);
        let added = |sample: &Sample| match before.get(&sample.process.id) {
            Some(before) => sample.cpu.saturating_sub(*before),
            None if sample.process.began >= last => sample.cpu,
            None => Duration::ZERO,
        };
        let added: Duration = samples.iter().map(added).sum();
        let is_known =
            samples.iter().any(|s| before.contains_key(&s.process.id) || s.process.began >= last);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        if is_known { CPU.share(nanos(added), nanos(since_last)) } else { None }
    }
}

fn happening(name: &str, change: &Change, now: Timestamp) -> Happening {
    let age = |process: &Process| now.since(process.began);
    let shown = |process: &Process| json!({"pid": process.id.pid, "seconds_up": age(process).as_secs_f64()});
    match change {
        Change::Died { process, exit, n_left } => {
            let up = readable::span(age(process));
            let left = if *n_left == 0 { String::new() } else { format!(", {n_left} left") };
            Happening {
                name: "died",
                severity: match (n_left, exit) {
                    (0, Exit::Code(0)) => Severity::Warning,
                    (0, _) => Severity::Error,
                    _ => Severity::Info,
                },
                message: format!("{name}: process {} {exit} after {up}{left}", process.id.pid),
                fields: json!({
                    "process": name, "pid": process.id.pid, "exit_code": exit.code(), "signal": exit.signal(),
                    "seconds_up": age(process).as_secs_f64(), "left": n_left,
                    "before": shown(process), "after": null,
                }),
            }
        }
        Change::Started { process, n_now } => Happening {
            name: "started",
            severity: Severity::Info,
            message: format!("{name}: process {} started, {n_now} now", process.id.pid),
            fields: json!({
                "process": name, "pid": process.id.pid, "count": n_now, "before": null, "after": shown(process),
            }),
        },
        Change::Restarted { before, after, down } => Happening {
            name: "restarted",
            severity: Severity::Warning,
            message: format!(
                "{name}: started again as process {}, it was {}",
                after.id.pid, before.id.pid
            ),
            fields: json!({
                "process": name, "pid": after.id.pid, "seconds_down": down.as_secs_f64(),
                "before": {"pid": before.id.pid}, "after": shown(after),
            }),
        },
    }
}

//! From verdicts to observations and events.
//!
//! Owns the signals of a job, and how events are worded. Never decides what became of a run.

use std::time::Duration;

use serde_json::json;
use watchkeeper_model::time::nanos_of;
use watchkeeper_model::{Service, Severity, Timestamp, Unit, readable};

use super::book::{Absence, Change, JobResult, Plan};
use crate::observe::{Accumulator, Happening, InUse, Measure, Measures};
use crate::process::Exit;

const HEARTBEAT: Measure = Measure { name: "heartbeat", unit: Unit::S, labels: &["job", "result"] };
const UP: Measure = Measure { name: "heartbeat_up", unit: Unit::None, labels: &["job"] };
const ALL: [Measure; 2] = [HEARTBEAT, UP];

/// Of the last line of an output, so many characters stand in a message.
const MAX_LINE_CHARS: usize = 200;

/// Counts what becomes of one job, and tells it.
#[derive(Debug)]
pub struct HeartbeatObserver {
    measures: Measures,
    /// The source's name.
    name: String,
}

impl HeartbeatObserver {
    /// An observer of this name, its signals made known to the accumulator.
    pub fn new(source: &str, service: &Service, into: &mut Accumulator) -> Self {
        Self { measures: Measures::new(source, service, &ALL, into), name: source.to_owned() }
    }

    /// Counts under another name or for another service from now on.
    pub fn rename(&mut self, source: &str, service: &Service, into: &mut Accumulator) {
        *self = Self::new(source, service, into);
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        self.measures.in_use()
    }

    /// Counts whether all is well.
    pub fn up(&mut self, is_good: bool, now: Timestamp, into: &mut Accumulator) {
        self.measures.looked(into);
        let value = UP.whole(u64::from(is_good));
        self.measures.observe(&UP, &[&self.name], value, now, into);
    }

    /// Counts a verdict, and tells it unless all is well.
    pub fn tell(&mut self, change: &Change, plan: &Plan, now: Timestamp, into: &mut Accumulator) {
        let labels: [&str; 2] = [&self.name, change.result.as_str()];
        // How old another run is says nothing of this one.
        let duration = change.duration.filter(|_| change.result != JobResult::Overlap);
        match duration {
            Some(duration) => {
                self.measures.observe(&HEARTBEAT, &labels, nanos_of(duration), now, into);
            }
            None => self.measures.count(&HEARTBEAT, &labels, now, into),
        }
        if change.result != JobResult::Ok {
            self.measures.event(happening(&self.name, change, plan, now), now, into);
        }
    }

    /// Tells that nobody listened while runs were due.
    pub fn absence(&mut self, absence: &Absence, now: Timestamp, into: &mut Accumulator) {
        let Absence { length, n_due } = *absence;
        let runs = if n_due == 1 { "a run was" } else { &format!("{n_due} runs were") };
        let message = format!(
            "{}: {runs} due while the machine slept or was off, or the agent was not running, for {}",
            self.name,
            readable::span(length)
        );
        let fields = json!({"job": self.name, "seconds": length.as_secs_f64(), "due": n_due});
        let happening = Happening { name: "gap", severity: Severity::Info, message, fields };
        self.measures.event(happening, now, into);
    }
}

fn happening(name: &str, change: &Change, plan: &Plan, now: Timestamp) -> Happening {
    let lasted = |before: &str| {
        let span = |duration: Duration| format!("{before}{}", readable::span(duration));
        change.duration.map_or(String::new(), span)
    };
    let due = change.due.map(|due| plan.schedule.shown(due)).unwrap_or_default();
    let (severity, said) = match change.result {
        JobResult::Ok => (Severity::Info, "ended well".to_owned()),
        JobResult::Failed => {
            let how = match change.exit {
                Exit::Unknown => "failed".to_owned(),
                exit => exit.to_string(),
            };
            (Severity::Error, format!("{how}{}", lasted(" after ")))
        }
        JobResult::Late if change.due.is_some() => {
            (Severity::Warning, format!("ended well, and was due at {due}"))
        }
        JobResult::Late => (Severity::Warning, format!("ended well{}", lasted(", after "))),
        JobResult::Missed => {
            let ago = change.due.map(|due| readable::span(now.since(due))).unwrap_or_default();
            (
                Severity::Error,
                format!("nothing was heard of the run that was due at {due}, {ago} ago"),
            )
        }
        JobResult::Overlap => {
            let on = lasted(", ");
            (Severity::Warning, format!("a run began while another one{on} old, was on"))
        }
        JobResult::Overdue => {
            (Severity::Error, format!("a run has not ended{}", lasted(" after ")))
        }
    };
    let note = change.note.map(|note| format!(": {note}")).unwrap_or_default();
    let line = change.output.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let cut = |line: &str| line.chars().take(MAX_LINE_CHARS).collect::<String>();
    let line = line.map(|line| format!(": {}", cut(line))).unwrap_or_default();
    Happening {
        name: change.result.as_str(),
        severity,
        message: format!("{name}: {said}{note}{line}"),
        fields: json!({
            "job": name, "result": change.result.as_str(), "run": change.run,
            "exit_code": change.exit.code(), "signal": change.exit.signal(),
            "seconds": change.duration.map(|d| d.as_secs_f64()),
            "due": change.due.map(Timestamp::rfc3339), "output": change.output,
        }),
    }
}

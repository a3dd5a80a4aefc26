//! What became of each run.
//!
//! Owns who is expected by when, which runs are on, and the verdicts. A run is expected once for each time at which it is due;
//! `grace` later it is missed. A run that comes after that is late, and so is one that took longer than it may. Bounded:
//! [`MAX_RUNS`] runs at a time, and as many that ended are remembered, so that what is said twice counts once.

use std::collections::VecDeque;
use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::beat::{Beat, Word};
use super::schedule::Schedule;
use crate::process::Exit;

/// So many runs are on at a time; of more the oldest is forgotten.
pub(super) const MAX_RUNS: usize = 16;

/// An absence has so many times at which a run was due; of more it is said that there were as many.
const MAX_SKIPPED: u32 = 1_000;

/// What is expected of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When it is due.
    pub schedule: Schedule,
    /// How much later it may begin.
    pub grace: Duration,
    /// How long it may take.
    pub max_duration: Option<Duration>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// It ended well, and in time.
    Ok,
    /// It ended, and not well.
    Failed,
    /// It ended well, after it was missed, or took longer than it may.
    Late,
    /// It did not come.
    Missed,
    /// It began while another one was on.
    Overlap,
    /// It has not ended in the time it may take.
    Overdue,
}

impl JobResult {
    /// As the label has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Missed => "missed",
            Self::Overlap => "overlap",
            Self::Overdue => "overdue",
        }
    }
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What became of it.
    pub result: JobResult,
    /// Which run; empty if it has no name.
    pub run: String,
    /// For how long it ran, or has been running.
    pub duration: Option<Duration>,
    /// How it ended; `Unknown` of one that has not failed.
    pub exit: Exit,
    /// When the run was due that is missed, or late.
    pub due: Option<Timestamp>,
    /// What else is to be said.
    pub note: Option<&'static str>,
    /// The end of its output.
    pub output: String,
}

/// A time in which nobody listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// How long it was.
    pub length: Duration,
    /// At how many times in it a run was due.
    pub n_due: u32,
}

/// A run that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) began: Timestamp,
    /// Of the time since, the machine slept so long.
    pub(super) slept: Duration,
    /// It was due then, and came too late.
    pub(super) late_since: Option<Timestamp>,
    /// It was told that it takes too long.
    pub(super) is_overdue: bool,
    /// It was told that another one began meanwhile.
    pub(super) is_overlapped: bool,
}

/// All there is to know about one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    pub(super) plan: Plan,
    /// When the next run is due; `None` if it never is.
    pub(super) due: Option<Timestamp>,
    /// When the run was due that was missed last, until one comes.
    pub(super) missed: Option<Timestamp>,
    /// Since when somebody listens without a break: `grace` begins no sooner.
    pub(super) listening: Timestamp,
    /// Those that are on, oldest first.
    pub(super) runs: Vec<Run>,
    /// Names of runs that ended, oldest first.
    pub(super) ended: VecDeque<String>,
    /// Whether the last that became of it is good; `None` before there is anything.
    pub(super) is_good: Option<bool>,
    pub(super) is_dirty: bool,
}

impl Book {
    /// A job of which nothing has been heard.
    pub fn new(plan: Plan, now: Timestamp) -> Self {
        Self {
            due: plan.schedule.next_after(now),
            plan,
            missed: None,
            listening: now,
            runs: Vec::new(),
            ended: VecDeque::new(),
            is_good: None,
            is_dirty: true,
        }
    }

    /// Whether the last that became of it is good: its last run ended well, and none was missed or is overdue since. `None`
    /// before anything has become of it.
    pub fn is_good(&self) -> Option<bool> {
        self.is_good
    }

    /// When the next run is due.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether a run of it goes on.
    pub fn is_running(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Whether there is something that is not stored.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// What it is now is stored.
    pub fn stored(&mut self) {
        self.is_dirty = false;
    }

    /// Something else is expected from now on. What was missed stays missed until a run comes.
    pub fn set_plan(&mut self, plan: Plan, now: Timestamp) {
        if self.plan.schedule != plan.schedule {
            self.due = plan.schedule.next_after(now);
        }
        self.plan = plan;
        self.is_dirty = true;
    }

    /// When to ask [`Self::pass`] again.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let overdue = self.runs.iter().filter(|run| !run.is_overdue);
        let overdue =
            overdue.filter_map(|run| Some(run.began + run.slept + self.plan.max_duration?));
        overdue.chain(self.due.map(|due| self.deadline(due))).min()
    }

    /// What has become of it because time has passed.
    pub fn pass(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for run in self.runs.iter_mut().filter(|run| !run.is_overdue) {
            let lasted = now.since(run.began + run.slept);
            if self.plan.max_duration.is_some_and(|max| lasted >= max) {
                run.is_overdue = true;
                self.is_good = Some(false);
                let duration = Some(lasted);
                changes.push(Change { duration, ..Change::of(JobResult::Overdue, &run.id) });
            }
        }
        while let Some(due) = self.due.filter(|due| self.deadline(*due) <= now) {
            let note = if due < self.listening {
                Some("the machine slept or was off then, or the agent was not running")
            } else if self.runs.is_empty() {
                None
            } else {
                Some("a run before it has not ended")
            };
            changes.push(Change { due: Some(due), note, ..Change::of(JobResult::Missed, "") });
            (self.missed, self.is_good) = (Some(due), Some(false));
            self.due = self.plan.schedule.next_after(due);
        }
        self.is_dirty |= !changes.is_empty();
        changes
    }

    /// Nobody listened from then until now: the machine slept or was off, or the agent was. What was due then is expected
    /// within `grace` from now; of several times only the last. For so long jobs could not run either.
    pub fn was_away(
        &mut self,
        from: Timestamp,
        now: Timestamp,
        slept: Duration,
    ) -> Option<Absence> {
        let length = now.since(from);
        self.listening = now;
        self.is_dirty = true;
        self.runs.iter_mut().for_each(|run| run.slept = run.slept.saturating_add(slept));
        let mut n_due = u32::from(self.due.is_some_and(|due| from < due && due <= now));
        while let Some(next) = self.due.and_then(|due| self.plan.schedule.next_after(due)) {
            if next > now {
                break;
            }
            if n_due >= MAX_SKIPPED {
                self.due = self.plan.schedule.next_after(now);
                break;
            }
            n_due += u32::from(from < next);
            self.due = Some(next);
        }
        (n_due > 0).then_some(Absence { length, n_due })
    }

    /// The clock was set back: what is yet to come by a clock that was wrong is not. What was due before now still is.
    pub fn was_set_back(&mut self, now: Timestamp) {
        self.forget_after(now);
        self.listening = now;
        self.is_dirty = true;
    }

    /// Nothing has happened later than now, and the next run is due no later than one that is due after now.
    pub(super) fn forget_after(&mut self, now: Timestamp) {
        let next = self.plan.schedule.next_after(now);
        self.due = self.due.filter(|due| Some(*due) <= next).or(next);
        self.missed = self.missed.map(|due| due.min(now));
        self.listening = self.listening.min(now);
        self.runs.iter_mut().for_each(|run| run.began = run.began.min(now));
    }

    /// The machine was started anew: what was on is not any more.
    pub fn was_rebooted(&mut self) -> Vec<Change> {
        let gone = std::mem::take(&mut self.runs);
        self.is_dirty |= !gone.is_empty();
        let note = Some("the machine was started anew before it ended");
        let failed = |run: Run| Change { note, ..Change::of(JobResult::Failed, &run.id) };
        let changes: Vec<Change> = gone.into_iter().map(failed).collect();
        if !changes.is_empty() {
            self.is_good = Some(false);
        }
        changes
    }

    /// Whether this has been said before, and changes nothing.
    pub fn knows(&self, beat: &Beat) -> bool {
        let is_on = || self.runs.iter().any(|run| run.id == beat.run);
        let has_ended = self.ended.contains(&beat.run);
        !beat.run.is_empty() && (has_ended || (beat.word == Word::Start && is_on()))
    }

    /// What becomes of it by what it says.
    pub fn hear(&mut self, beat: &Beat, now: Timestamp) -> Vec<Change> {
        if self.knows(beat) {
            return Vec::new();
        }
        self.is_dirty = true;
        match beat.word {
            Word::Start => self.start(&beat.run, now),
            Word::Success { duration } => self.end(beat, None, duration, now),
            Word::Failure { exit, duration } => self.end(beat, Some(exit), duration, now),
        }
    }

    fn start(&mut self, id: &str, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let on = self.runs.iter_mut().filter(|run| !run.is_overlapped && !run.is_overdue);
        let mut oldest = None;
        for run in on {
            run.is_overlapped = true;
            oldest.get_or_insert(now.since(run.began));
        }
        if oldest.is_some() {
            changes.push(Change { duration: oldest, ..Change::of(JobResult::Overlap, id) });
        }
        if id.is_empty() {
            // Of two without a name it could never be told which one ends.
            self.runs.retain(|run| !run.id.is_empty());
        }
        let run = self.begin(id, now);
        if self.runs.len() >= MAX_RUNS {
            self.runs.remove(0);
        }
        self.runs.push(run);
        changes
    }

    /// A run that began then: whoever is expected has come.
    fn begin(&mut self, id: &str, at: Timestamp) -> Run {
        let is_due = self.due.is_some_and(|due| due <= at);
        let next = self.plan.schedule.next_after(at);
        if is_due || matches!(self.plan.schedule, Schedule::Every(_)) {
            self.due = self.due.max(next);
        }
        let grace = self.plan.grace;
        // One after which the missed one is due is not that one.
        let missed = self.missed.take_if(|due| next.is_none_or(|next| *due < next));
        let late_since = missed.filter(|due| !is_due && *due + grace < at);
        Run {
            id: id.to_owned(),
            began: at,
            slept: Duration::ZERO,
            late_since,
            is_overdue: false,
            is_overlapped: false,
        }
    }

    fn end(
        &mut self,
        beat: &Beat,
        failure: Option<Exit>,
        said: Option<Duration>,
        now: Timestamp,
    ) -> Vec<Change> {
        let on = self.runs.iter().rposition(|run| run.id == beat.run);
        let (run, lasted) = match on {
            Some(at) => {
                let run = self.runs.remove(at);
                let lasted = now.since(run.began + run.slept);
                (run, Some(said.unwrap_or(lasted)))
            }
            // Its beginning was not heard.
            None => (self.begin(&beat.run, now - said.unwrap_or_default()), said),
        };
        if !beat.run.is_empty() {
            if self.ended.len() >= MAX_RUNS {
                self.ended.pop_front();
            }
            self.ended.push_back(beat.run.clone());
        }
        let took_long = self.plan.max_duration.is_some_and(|max| lasted > Some(max));
        let (result, note) = match failure {
            Some(_) => (JobResult::Failed, None),
            None if run.late_since.is_some() => (JobResult::Late, None),
            None if run.is_overdue || took_long => {
                (JobResult::Late, Some("it took longer than it may"))
            }
            None => (JobResult::Ok, None),
        };
        // One that was missed meanwhile is still to come.
        self.is_good = Some(failure.is_none() && self.missed.is_none());
        vec![Change {
            duration: lasted,
            exit: failure.unwrap_or_default(),
            due: run.late_since,
            note,
            output: beat.output.clone(),
            ..Change::of(result, &beat.run)
        }]
    }

    /// Until when a run may begin that is due then.
    fn deadline(&self, due: Timestamp) -> Timestamp {
        due.max(self.listening) + self.plan.grace
    }
}

impl Change {
    fn of(result: JobResult, run: &str) -> Self {
        Self {
            result,
            run: run.to_owned(),
            duration: None,
            exit: Exit::Unknown,
            due: None,
            note: None,
            output: String::new(),
        }
    }
}

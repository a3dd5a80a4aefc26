//! What must survive a restart of the agent.
//!
//! Owns the stored form. Fields may be added with a default; none is ever given another meaning.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{Timestamp, time::nanos_of};

use super::book::{Book, Change, MAX_RUNS, Plan, Run};

/// The row of a job. Times are nanoseconds since the Unix epoch.
#[derive(Serialize, Deserialize)]
struct Row {
    v: u32,
    /// Which start of the machine it was.
    boot: String,
    /// When runs were due.
    schedule: String,
    due: Option<i64>,
    missed: Option<i64>,
    listening: i64,
    runs: Vec<RunRow>,
    ended: Vec<String>,
    is_good: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct RunRow {
    id: String,
    began: i64,
    slept: i64,
    late_since: Option<i64>,
    is_overdue: bool,
    is_overlapped: bool,
}

impl Book {
    /// As it is stored.
    pub fn encode(&self, boot: &str) -> String {
        let run = |run: &Run| RunRow {
            id: run.id.clone(),
            began: run.began.nanos(),
            slept: nanos_of(run.slept),
            late_since: run.late_since.map(Timestamp::nanos),
            is_overdue: run.is_overdue,
            is_overlapped: run.is_overlapped,
        };
        let row = Row {
            v: 1,
            boot: boot.to_owned(),
            schedule: self.plan.schedule.text(),
            due: self.due.map(Timestamp::nanos),
            missed: self.missed.map(Timestamp::nanos),
            listening: self.listening.nanos(),
            runs: self.runs.iter().map(run).collect(),
            ended: self.ended.iter().cloned().collect(),
            is_good: self.is_good,
        };
        serde_json::to_string(&row).expect("a struct of numbers and text is JSON")
    }

    /// Goes on from what was stored, if that can be read, and says what became of what was on. The machine may have been
    /// started anew since: nothing that was on then is now.
    pub fn restore(stored: &str, boot: &str, plan: Plan, now: Timestamp) -> (Self, Vec<Change>) {
        let row = serde_json::from_str::<Row>(stored).ok();
        let Some(row) = row.filter(|row| row.v == 1) else {
            return (Self::new(plan, now), Vec::new());
        };
        let is_same = row.schedule == plan.schedule.text();
        let run = |row: RunRow| Run {
            id: row.id,
            began: Timestamp(row.began),
            slept: Duration::from_nanos(u64::try_from(row.slept).unwrap_or(0)),
            late_since: row.late_since.map(Timestamp),
            is_overdue: row.is_overdue,
            is_overlapped: row.is_overlapped,
        };
        let mut book = Self {
            // Another schedule has another time.
            due: row.due.filter(|_| is_same).map(Timestamp),
            plan,
            missed: row.missed.map(Timestamp),
            listening: Timestamp(row.listening),
            runs: row.runs.into_iter().take(MAX_RUNS).map(run).collect(),
            ended: row.ended.into_iter().take(MAX_RUNS).collect(),
            is_good: row.is_good,
            is_dirty: !is_same,
        };
        // The clock may have been wrong then.
        book.forget_after(now);
        let changes = if row.boot == boot { Vec::new() } else { book.was_rebooted() };
        (book, changes)
    }
}

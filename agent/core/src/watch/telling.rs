//! What is told of changes.
//!
//! Owns the events `file_created`, `file_deleted`, `file_renamed` and `file_changed`, and their bound: [`SINGLY`] are told one
//! by one. What is beyond is summed up in an event `files_changed`, with the first [`EXAMPLES`] names, at most every
//! [`BETWEEN`]. All of them are counted; what is told stays below what a source's events are limited to.

use std::time::Duration;

use serde_json::{Value as Json, json};
use watchkeeper_model::{Severity, Timestamp, readable};

use super::files::Change;
use crate::observe::{Bucket, EventLimit, Happening};

/// So many changes are told one by one.
const SINGLY: EventLimit = EventLimit { events: 30, per: Duration::from_secs(60) };

/// The least time between two summaries.
const BETWEEN: Duration = Duration::from_secs(10);

/// Names in a summary.
const EXAMPLES: usize = 20;

/// The kinds of changes, in the order of [`Change::kind`].
pub(super) const KINDS: [&str; 4] = ["created", "deleted", "renamed", "changed"];

/// How many changes there are of each of [`KINDS`].
pub(super) fn by_kind(changes: &[Change]) -> [u64; 4] {
    let mut n = [0; 4];
    changes.iter().for_each(|change| n[change.kind()] += 1);
    n
}

/// Bounds what is told of one source.
#[derive(Debug)]
pub(super) struct Telling {
    room: Bucket,
    owed: Owed,
    summed_up: Option<Timestamp>,
}

/// Changes that were not told one by one.
#[derive(Debug, Default)]
struct Owed {
    n: [u64; 4],
    examples: Vec<String>,
}

impl Change {
    /// Which of [`KINDS`] it is.
    pub(super) const fn kind(&self) -> usize {
        match self {
            Self::Created { .. } => 0,
            Self::Deleted { .. } => 1,
            Self::Renamed { .. } => 2,
            Self::Changed { .. } => 3,
        }
    }

    /// In one line.
    fn line(&self) -> String {
        match self {
            Self::Created { name, after } => {
                format!("{name} was created, {}", readable::bytes(after.size))
            }
            Self::Deleted { name, .. } => format!("{name} was deleted"),
            Self::Renamed { from, to, .. } => format!("{from} was renamed to {to}"),
            Self::Changed { name, before, after } => {
                let what = before.differences(after).join(", ");
                format!("{name} was changed: {what}")
            }
        }
    }

    fn fields(&self) -> Json {
        match self {
            Self::Created { name, after } => {
                json!({ "path": name.to_string(), "before": null, "after": after.to_json() })
            }
            Self::Deleted { name, before } => {
                json!({ "path": name.to_string(), "before": before.to_json(), "after": null })
            }
            Self::Renamed { from, to, before } => json!({
                "path": to.to_string(),
                "before": { "path": from.to_string() },
                "after": { "path": to.to_string() },
                "file": before.to_json(),
            }),
            Self::Changed { name, before, after } => json!({
                "path": name.to_string(),
                "what": before.differences(after),
                "before": before.to_json(),
                "after": after.to_json(),
            }),
        }
    }

    fn happening(&self, while_away: bool) -> Happening {
        let names = ["file_created", "file_deleted", "file_renamed", "file_changed"];
        let (mut message, mut fields) = (self.line(), self.fields());
        if while_away {
            message.push_str(" while nobody looked");
            fields["while_away"] = Json::Bool(true);
        }
        Happening { name: names[self.kind()], severity: Severity::Info, message, fields }
    }
}

impl Telling {
    pub(super) fn new() -> Self {
        Self { room: Bucket::full(SINGLY), owed: Owed::default(), summed_up: None }
    }

    /// What is told of these changes, and of earlier ones that were not told yet.
    pub(super) fn tell(
        &mut self,
        changes: &[Change],
        while_away: bool,
        now: Timestamp,
    ) -> Vec<Happening> {
        let mut told = Vec::new();
        for change in changes {
            if self.room.take(now) {
                told.push(change.happening(while_away));
            } else {
                self.owed.add(change);
            }
        }
        let may_sum_up = self.summed_up.is_none_or(|at| now < at || now.since(at) >= BETWEEN);
        if may_sum_up && self.owed.n != [0; 4] {
            self.summed_up = Some(now);
            told.push(std::mem::take(&mut self.owed).happening());
        }
        told
    }
}

impl Owed {
    fn add(&mut self, change: &Change) {
        self.n[change.kind()] += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(change.line());
        }
    }

    fn happening(self) -> Happening {
        let total = self.n.iter().sum();
        let parts = KINDS.iter().zip(self.n).filter(|(_, n)| *n > 0);
        let parts: Vec<String> =
            parts.map(|(kind, n)| format!("{} {kind}", readable::count(n))).collect();
        let things = readable::things(total, "more change");
        let message = format!("{things}: {}", parts.join(", "));
        let [created, deleted, renamed, changed] = self.n;
        Happening {
            name: "files_changed",
            severity: Severity::Info,
            message,
            fields: json!({
                "created": created,
                "deleted": deleted,
                "renamed": renamed,
                "changed": changed,
                "first": self.examples,
            }),
        }
    }
}

//! How an alert moves: `PENDING => FIRING => RESOLVED`.
//!
//! Owns `for`, `keep_firing_for`, the holding of what comes and goes (`flap` says how long), and the rule that silence
//! resolves nothing. Never evaluates a condition.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{Labels, Timestamp};

use super::flap;
use super::row::{AlertRow, AlertState};

/// How bad an alert is, in the order of the design: `page` = `critical` > `error` > `ticket` = `warning` > `info`;
/// below all of them `none`, which is the Watchdog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong.
    None,
    /// Worth knowing.
    Info,
    /// For the working day.
    Warning,
    /// Something failed.
    Error,
    /// Somebody must get up.
    Critical,
}

/// What the `severity` label stands for; without one an alert ranks as `error`, like an unknown word.
pub fn severity_of(labels: &Labels) -> Severity {
    match labels.get("severity") {
        "none" => Severity::None,
        text => match watchkeeper_model::Severity::rank_of(text) {
            watchkeeper_model::Severity::Info => Severity::Info,
            watchkeeper_model::Severity::Warning => Severity::Warning,
            watchkeeper_model::Severity::Error => Severity::Error,
            watchkeeper_model::Severity::Critical => Severity::Critical,
        },
    }
}

/// What a condition says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It holds.
    Met,
    /// It does not, and data say so.
    Unmet,
    /// There are no data to say.
    Unknown,
}

/// How long a condition must hold, and how long the alert stays on after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// `for`
    pub wait: Duration,
    /// `keep_firing_for`
    pub keep: Duration,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing worth storing.
    None,
    /// It began to wait for `for`.
    Pended,
    /// It went on.
    Fired,
    /// It ended before it went on: nobody was told, and it can be forgotten.
    Withdrawn,
    /// It is over.
    Resolved,
    /// A timer or the mark of staleness changed.
    Touched,
}

/// Moves an alert. A resolved one that is met again starts anew.
pub fn step(row: &mut AlertRow, condition: Condition, hold: Hold, now: Timestamp) -> Step {
    match (row.state, condition) {
        (AlertState::Pending, Condition::Met) => wait(row, hold, now),
        (AlertState::Pending, Condition::Unmet | Condition::Unknown) => Step::Withdrawn,
        (AlertState::Firing, Condition::Met) => confirm(row),
        (AlertState::Firing, Condition::Unmet) => release(row, hold, now),
        (AlertState::Firing, Condition::Unknown) => hold_stale(row),
        (AlertState::Resolved, Condition::Met) => begin(row, hold, now),
        (AlertState::Resolved, Condition::Unmet | Condition::Unknown) => Step::None,
    }
}

fn begin(row: &mut AlertRow, hold: Hold, now: Timestamp) -> Step {
    flap::begun(row, now);
    row.state = AlertState::Pending;
    row.stale = false;
    row.acknowledged_by = None;
    row.pending_since = now;
    row.starts_at = now;
    row.ends_at = None;
    row.unmet_since = None;
    row.held_until = None;
    match wait(row, hold, now) {
        Step::Fired => Step::Fired,
        _ => Step::Pended,
    }
}

fn wait(row: &mut AlertRow, hold: Hold, now: Timestamp) -> Step {
    if now.since(row.pending_since) < hold.wait {
        return Step::None;
    }
    row.state = AlertState::Firing;
    row.starts_at = now;
    Step::Fired
}

fn confirm(row: &mut AlertRow) -> Step {
    let changed = row.stale || row.unmet_since.is_some();
    row.stale = false;
    row.unmet_since = None;
    row.held_until = None;
    if changed { Step::Touched } else { Step::None }
}

fn release(row: &mut AlertRow, hold: Hold, now: Timestamp) -> Step {
    let was_stale = std::mem::take(&mut row.stale);
    let since = *row.unmet_since.get_or_insert(now);
    let calm = flap::calm_for(row);
    let keep = hold.keep.max(calm);
    row.held_until = (!calm.is_zero()).then(|| since + keep);
    if now.since(since) >= keep {
        row.state = AlertState::Resolved;
        row.ends_at = Some(now);
        row.unmet_since = None;
        row.held_until = None;
        row.acknowledged_by = None;
        row.expires_at = None;
        row.burning.clear();
        Step::Resolved
    } else if was_stale || since == now {
        Step::Touched
    } else {
        Step::None
    }
}

fn hold_stale(row: &mut AlertRow) -> Step {
    // What is unknown does not count towards `keep_firing_for` either.
    let changed = !row.stale || row.unmet_since.is_some();
    row.stale = true;
    row.unmet_since = None;
    row.held_until = None;
    if changed { Step::Touched } else { Step::None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertKey;

    fn row() -> AlertRow {
        let key = AlertKey::rule("r", Labels::default());
        AlertRow {
            fingerprint: key.fingerprint(),
            key,
            labels: Labels::default(),
            annotations: Labels::default(),
            state: AlertState::Resolved,
            stale: false,
            acknowledged_by: None,
            pending_since: Timestamp(0),
            starts_at: Timestamp(0),
            ends_at: None,
            unmet_since: None,
            n_returns: 0,
            held_until: None,
            expires_at: None,
            value: None,
            reason: String::new(),
            burning: Vec::new(),
        }
    }

    #[test]
    fn alerts_move_as_the_table_says() {
        use Condition::{Met, Unknown, Unmet};
        use Step::{Fired, None as Nothing, Pended, Resolved, Touched, Withdrawn};
        let hold =
            |wait, keep| Hold { wait: Duration::from_secs(wait), keep: Duration::from_secs(keep) };
        type Script = Vec<(i64, Condition, Step)>;
        let table: Vec<(&str, Hold, Script)> = vec![
            (
                "without `for` it fires at once and resolves at once",
                hold(0, 0),
                vec![(0, Met, Fired), (1, Met, Nothing), (2, Unmet, Resolved), (3, Unmet, Nothing)],
            ),
            (
                "it fires when `for` has passed and not before",
                hold(60, 0),
                vec![(0, Met, Pended), (59, Met, Nothing), (60, Met, Fired)],
            ),
            (
                "a break before `for` starts it anew",
                hold(60, 0),
                vec![(0, Met, Pended), (30, Unmet, Withdrawn)],
            ),
            (
                "what is unknown never becomes a page",
                hold(60, 0),
                vec![(0, Met, Pended), (30, Unknown, Withdrawn)],
            ),
            (
                "it stays on until keep_firing_for elapses",
                hold(0, 30),
                vec![
                    (0, Met, Fired),
                    (10, Unmet, Touched),
                    (39, Unmet, Nothing),
                    (40, Unmet, Resolved),
                ],
            ),
            (
                "being met again ends keep_firing_for",
                hold(0, 30),
                vec![
                    (0, Met, Fired),
                    (10, Unmet, Touched),
                    (20, Met, Touched),
                    (45, Unmet, Touched),
                    (75, Unmet, Resolved),
                ],
            ),
            (
                "silence holds it, marks it stale and never resolves it",
                hold(0, 0),
                vec![
                    (0, Met, Fired),
                    (10, Unknown, Touched),
                    (999_999, Unknown, Nothing),
                    (1_000_000, Met, Touched),
                ],
            ),
            (
                "data that say so resolve a stale one",
                hold(0, 0),
                vec![(0, Met, Fired), (10, Unknown, Touched), (20, Unmet, Resolved)],
            ),
            (
                "a resolved one that is met again starts anew",
                hold(0, 0),
                vec![(0, Met, Fired), (10, Unmet, Resolved), (20, Met, Fired)],
            ),
            (
                "a clock that goes back neither fires nor resolves",
                hold(60, 60),
                vec![
                    (100, Met, Pended),
                    (0, Met, Nothing),
                    (160, Met, Fired),
                    (170, Unmet, Touched),
                    (10, Unmet, Nothing),
                ],
            ),
        ];
        for (sentence, hold, script) in table {
            let mut row = row();
            for (at, condition, expected) in script {
                let now = Timestamp::from_secs(at);
                assert_eq!(step(&mut row, condition, hold, now), expected, "{sentence}: at {at}");
                assert_eq!(
                    row.ends_at.is_some(),
                    expected == Resolved
                        || row.state == AlertState::Resolved && row.ends_at.is_some()
                );
            }
        }
    }

    #[test]
    fn none_ranks_below_everything_and_unknown_words_as_error() {
        let of = |s: &str| severity_of(&Labels::new([("severity", s)]));
        assert!(of("none") < of("info"));
        assert_eq!(of("sev1"), of("error"));
        assert_eq!(severity_of(&Labels::default()), of("error"));
        assert_eq!(of("page"), of("critical"));
    }
}

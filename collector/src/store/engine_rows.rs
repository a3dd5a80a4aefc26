//! The engine's rows as the ledger stores them, there and back.
//!
//! Owns this mapping and nothing else: which effects leave a row, under which key, and when a row becomes history.

use serde::Serialize;
use serde::de::DeserializeOwned;
use watchkeeper_collector_core::alert::AlertRow;
use watchkeeper_collector_core::engine::{AgentRow, Effect};
use watchkeeper_collector_core::notify::{
    DeliveryOutcome, DeliveryRow, GroupId, GroupRow, IncidentRow, IncidentState,
};

use watchkeeper_collector_core::slo::CorrectionRow;

use super::error::StoreError;
use super::ledger::{LedgerWrite, Sequence, StateKind, StoredDelivery};

/// Everything the engine needs from the ledger at start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerContents {
    /// Alerts.
    pub alerts: Vec<AlertRow>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// Incidents that are not over.
    pub incidents: Vec<IncidentRow>,
    /// Deliveries whose outcome is not final.
    pub deliveries: Vec<DeliveryRow>,
    /// Agents.
    pub agents: Vec<AgentRow>,
    /// Corrections, ended ones among them.
    pub corrections: Vec<CorrectionRow>,
    /// The greatest incident number ever used; 0 if none.
    pub last_incident: u64,
    /// The greatest delivery id ever used; 0 if none.
    pub last_delivery: u64,
}

/// The rows that these effects leave: to be persisted together, before anything is delivered.
pub fn writes_of(effects: &[Effect]) -> Vec<LedgerWrite> {
    effects.iter().flat_map(writes_of_one).collect()
}

fn writes_of_one(effect: &Effect) -> Vec<LedgerWrite> {
    match effect {
        Effect::SaveAlert(row) => {
            vec![save(StateKind::Alert, row.fingerprint.to_string(), row, true)]
        }
        Effect::ForgetAlert(fingerprint) => {
            vec![LedgerWrite::Forget { kind: StateKind::Alert, key: fingerprint.to_string() }]
        }
        Effect::SaveGroup(row) => vec![save(StateKind::Group, group_key(&row.id), row, true)],
        Effect::ForgetGroup(id) => {
            vec![LedgerWrite::Forget { kind: StateKind::Group, key: group_key(id) }]
        }
        Effect::SaveIncident(row) => {
            let live = !matches!(row.state, IncidentState::Closed | IncidentState::Abandoned);
            vec![
                save(StateKind::Incident, row.number.to_string(), row, live),
                LedgerWrite::Number { sequence: Sequence::Incident, number: row.number },
            ]
        }
        Effect::SaveDelivery(row) => vec![LedgerWrite::Delivery(Box::new(delivery(row)))],
        Effect::SaveAgent(row) => vec![save(StateKind::Agent, row.id.to_string(), row, true)],
        Effect::SaveCorrection(row) => {
            vec![save(StateKind::Correction, row.id.to_string(), row, true)]
        }
        Effect::ForgetCorrection(id) => {
            vec![LedgerWrite::Forget { kind: StateKind::Correction, key: id.to_string() }]
        }
        Effect::Deliver(_) | Effect::Fact(_) => Vec::new(),
    }
}

fn save<T: Serialize>(kind: StateKind, key: String, row: &T, live: bool) -> LedgerWrite {
    LedgerWrite::Save { kind, key, body: json(row), live }
}

fn json<T: Serialize>(row: &T) -> String {
    serde_json::to_string(row).expect("rows of the engine have string keys only")
}

/// Receivers may have any name, so the two parts are told apart by JSON.
fn group_key(id: &GroupId) -> String {
    json(&(&id.group_key, &id.receiver))
}

fn delivery(row: &DeliveryRow) -> StoredDelivery {
    let is_final = !matches!(row.outcome, DeliveryOutcome::Pending | DeliveryOutcome::Retry);
    let of_notification = row.notification.iter().flat_map(|n| &n.alerts);
    let mut fingerprints: Vec<String> = of_notification
        .map(|alert| alert.fingerprint.clone())
        .chain(row.firing.keys().map(ToString::to_string))
        .collect();
    fingerprints.sort();
    fingerprints.dedup();
    StoredDelivery {
        id: row.id,
        incident: row.incident,
        receiver: row.receiver.clone(),
        integration: row.integration.clone(),
        kind: row.kind.clone(),
        action: action(row).to_owned(),
        reason: row.reason.clone(),
        at: row.at,
        attempt: row.attempt,
        outcome: row.outcome.as_str().to_owned(),
        status: row.status,
        error: row.error.clone(),
        next_at: row.next_at,
        alerts: row.alerts.clone(),
        fingerprints,
        body: (!is_final).then(|| json(row)),
    }
}

fn action(row: &DeliveryRow) -> &'static str {
    use watchkeeper_collector_core::notify::Action;
    match row.action {
        Action::Open => "open",
        Action::Update => "update",
        Action::Close => "close",
    }
}

/// A stored row as the engine knows it.
pub(super) fn read<T: DeserializeOwned>(
    what: &str,
    rows: Vec<(String, String)>,
) -> Result<Vec<T>, StoreError> {
    rows.into_iter()
        .map(|(key, body)| {
            serde_json::from_str(&body).map_err(|error| StoreError::Sqlite {
                file: "ledger",
                detail: format!("{what} {key:?} is not readable: {error}"),
            })
        })
        .collect()
}

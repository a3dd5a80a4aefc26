//! Whether to tell one integration about one group, and why, or why not.
//!
//! Owns the decision. Pure: it sees the situation and changes nothing, and its reason is logged, stored and shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use watchkeeper_model::Timestamp;

use super::ledger::{IncidentRow, IncidentState};
use super::message::Action;
use crate::alert::{Fingerprint, Severity};
use crate::route::Timing;

/// Firing alerts and how bad each is.
pub type Told = BTreeMap<Fingerprint, Severity>;

/// Why something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SendReason {
    /// Nobody was told yet.
    First,
    /// Opening it failed before.
    OpenAgain,
    /// There are alerts in the group that were not told.
    NewAlerts,
    /// Some of those told have ended.
    ResolvedSome,
    /// Something got worse.
    SeverityUp,
    /// Nothing got worse and something better.
    SeverityDown,
    /// It is time for a reminder.
    Repeat,
    /// It fires again and its close had not got through.
    FiredAgain,
    /// All of it has ended.
    AllResolved,
    /// It goes on, but is told elsewhere now.
    Rerouted,
    /// What it was about was deleted, or the integration was.
    Deleted,
    /// Closing it failed before.
    CloseAgain,
}

/// A stored reason for whoever is told; one that is not known stays as it is.
pub fn reason_in_words(reason: &str) -> &str {
    match reason {
        "first" => "first word about it",
        "open_again" => "opening it had failed before",
        "new_alerts" => "new alert in the group",
        "resolved_some" => "part of it has ended",
        "severity_up" => "it got worse",
        "severity_down" => "it got better",
        "repeat" => "reminder",
        "fired_again" => "it fires again",
        "all_resolved" => "all of it has ended",
        "rerouted" => "it goes on and is told elsewhere",
        "deleted" => "what it was about was deleted",
        "close_again" => "closing it had failed before",
        "test" => "a test of this receiver",
        other => other,
    }
}

/// Why nothing is sent, for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "wait")]
pub enum WaitReason {
    /// All of it was told, and it is not yet time for a reminder.
    NothingChanged,
    /// The group is new, or was quiet, and waits for more of its alerts.
    GroupWait {
        /// Until when.
        until: Timestamp,
    },
    /// The last notification was less than `group_interval` ago.
    GroupInterval {
        /// Until when.
        until: Timestamp,
    },
    /// The last word is still under way.
    InFlight,
    /// The last word could not be delivered.
    Failed {
        /// Until when.
        until: Timestamp,
    },
    /// It ended before anybody was told.
    NoOpenIncident,
}

/// Why an incident ends without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The receiver refused to open it.
    NeverOpened,
    /// The integration does not want to hear of ends.
    SendResolvedOff,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Tell it.
    Send(Action, SendReason),
    /// Not now.
    Wait(WaitReason),
    /// The incident is over, in the ledger only.
    End(EndReason),
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The incident that is not closed, if there is one.
    pub incident: Option<&'a IncidentRow>,
    /// The group's firing alerts.
    pub firing: &'a Told,
    /// The alerts that left the group while they were firing did so by another route, and were not deleted.
    pub rerouted: bool,
    /// What was told was deleted, or the integration was.
    pub deleted: bool,
    /// Whether ends are told.
    pub send_resolved: bool,
    /// The group's timing.
    pub timing: Timing,
}

/// Decides.
pub fn decide(situation: &Situation<'_>, now: Timestamp) -> Decision {
    let Some(incident) = situation.incident else {
        return match situation.firing.is_empty() {
            true => Decision::Wait(WaitReason::NoOpenIncident),
            false => Decision::Send(Action::Open, SendReason::First),
        };
    };
    if incident.in_flight.is_some() {
        return Decision::Wait(WaitReason::InFlight);
    }
    match (incident.state, situation.firing.is_empty()) {
        (IncidentState::Closing, true) => {
            retry(incident, now).unwrap_or(Decision::Send(Action::Close, SendReason::CloseAgain))
        }
        (IncidentState::Closing, false) => Decision::Send(Action::Update, SendReason::FiredAgain),
        (_, true) => end(situation, incident),
        (IncidentState::Opening, false) => {
            retry(incident, now).unwrap_or(Decision::Send(Action::Open, SendReason::OpenAgain))
        }
        (_, false) => update(situation, incident, now),
    }
}

fn end(situation: &Situation<'_>, incident: &IncidentRow) -> Decision {
    if incident.state == IncidentState::Opening && !incident.maybe_open {
        return Decision::End(EndReason::NeverOpened);
    }
    if !situation.send_resolved {
        return Decision::End(EndReason::SendResolvedOff);
    }
    let reason = match (situation.deleted, situation.rerouted) {
        (true, _) => SendReason::Deleted,
        (false, true) => SendReason::Rerouted,
        (false, false) => SendReason::AllResolved,
    };
    Decision::Send(Action::Close, reason)
}

fn update(situation: &Situation<'_>, incident: &IncidentRow, now: Timestamp) -> Decision {
    let (told, firing) = (&incident.told, situation.firing);
    let worse = |(print, severity): (&Fingerprint, &Severity)| {
        told.get(print).is_some_and(|before| severity > before)
    };
    let send = |reason| Decision::Send(Action::Update, reason);
    if firing.iter().any(worse) || firing.values().max() > told.values().max() {
        return send(SendReason::SeverityUp);
    }
    if let Some(wait) = retry(incident, now) {
        return wait;
    }
    if firing.keys().any(|print| !told.contains_key(print)) {
        return send(SendReason::NewAlerts);
    }
    if situation.send_resolved && told.keys().any(|print| !firing.contains_key(print)) {
        return send(SendReason::ResolvedSome);
    }
    if firing.iter().any(|(print, severity)| told.get(print) != Some(severity)) {
        return send(SendReason::SeverityDown);
    }
    match incident.told_at {
        Some(at) if now.since(at) < situation.timing.repeat_interval => {
            Decision::Wait(WaitReason::NothingChanged)
        }
        _ => send(SendReason::Repeat),
    }
}

/// Whether to wait because the last word failed.
fn retry(incident: &IncidentRow, now: Timestamp) -> Option<Decision> {
    let until = incident.retry_at.filter(|until| *until > now)?;
    Some(Decision::Wait(WaitReason::Failed { until }))
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(action, reason) => write!(f, "{action:?}: {reason}"),
            Self::Wait(reason) => write!(f, "not sent: {reason}"),
            Self::End(reason) => write!(f, "ended without a word: {reason}"),
        }
    }
}

impl fmt::Display for SendReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::OpenAgain => "open_again",
            Self::NewAlerts => "new_alerts",
            Self::ResolvedSome => "resolved_some",
            Self::SeverityUp => "severity_up",
            Self::SeverityDown => "severity_down",
            Self::Repeat => "repeat",
            Self::FiredAgain => "fired_again",
            Self::AllResolved => "all_resolved",
            Self::Rerouted => "rerouted",
            Self::Deleted => "deleted",
            Self::CloseAgain => "close_again",
        })
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingChanged => f.write_str("nothing_changed"),
            Self::GroupWait { until } => write!(f, "group_wait until {until}"),
            Self::GroupInterval { until } => write!(f, "group_interval until {until}"),
            Self::InFlight => f.write_str("in_flight"),
            Self::Failed { until } => write!(f, "failed, again at {until}"),
            Self::NoOpenIncident => f.write_str("no_open_incident"),
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverOpened => "never_opened",
            Self::SendResolvedOff => "send_resolved_off",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(state: IncidentState, told: &[(u64, Severity)]) -> IncidentRow {
        IncidentRow {
            number: 1,
            group_key: "{}:{}".to_owned(),
            receiver: "r".to_owned(),
            integration: "webhook[0]".to_owned(),
            kind: "webhook".to_owned(),
            send_resolved: true,
            dedup_key: String::new(),
            state,
            opened_at: Timestamp(0),
            closed_at: None,
            in_flight: None,
            told_at: Some(Timestamp(0)),
            told: told.iter().map(|(f, s)| (Fingerprint(*f), *s)).collect(),
            maybe_open: true,
            closing_since: None,
            n_close_failures: 0,
            retry_at: None,
            memory: None,
            acknowledged: BTreeMap::new(),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn decisions_have_their_reasons() {
        use Action::{Close, Open, Update};
        use IncidentState::{Closing, Open as IsOpen, Opening};
        use Severity::{Critical, Warning};
        type Change = fn(&mut IncidentRow);
        let same: Change = |_| {};
        let send = Decision::Send;
        let wait = Decision::Wait;
        type Row = (
            &'static str,
            Option<(IncidentState, Vec<(u64, Severity)>, Change)>,
            Vec<(u64, Severity)>,
            i64,
            Decision,
        );
        let w = vec![(1, Warning)];
        let table: Vec<Row> = vec![
            ("nobody was told yet", None, w.clone(), 0, send(Open, SendReason::First)),
            ("it ended before anybody was told", None, vec![], 0, wait(WaitReason::NoOpenIncident)),
            (
                "all was told",
                Some((IsOpen, w.clone(), same)),
                w.clone(),
                10,
                wait(WaitReason::NothingChanged),
            ),
            (
                "a second alert",
                Some((IsOpen, w.clone(), same)),
                vec![(1, Warning), (2, Warning)],
                10,
                send(Update, SendReason::NewAlerts),
            ),
            (
                "a worse second alert",
                Some((IsOpen, w.clone(), same)),
                vec![(1, Warning), (2, Critical)],
                10,
                send(Update, SendReason::SeverityUp),
            ),
            (
                "it got worse",
                Some((IsOpen, w.clone(), same)),
                vec![(1, Critical)],
                10,
                send(Update, SendReason::SeverityUp),
            ),
            (
                "it got better",
                Some((IsOpen, vec![(1, Critical)], same)),
                w.clone(),
                10,
                send(Update, SendReason::SeverityDown),
            ),
            (
                "one of two ended",
                Some((IsOpen, vec![(1, Warning), (2, Warning)], same)),
                w.clone(),
                10,
                send(Update, SendReason::ResolvedSome),
            ),
            (
                "time for a reminder",
                Some((IsOpen, w.clone(), same)),
                w.clone(),
                14_400,
                send(Update, SendReason::Repeat),
            ),
            (
                "all ended",
                Some((IsOpen, w.clone(), same)),
                vec![],
                10,
                send(Close, SendReason::AllResolved),
            ),
            (
                "the last word is under way",
                Some((IsOpen, w.clone(), |i| i.in_flight = Some(1))),
                vec![],
                10,
                wait(WaitReason::InFlight),
            ),
            (
                "an open that failed waits",
                Some((Opening, vec![], |i| i.retry_at = Some(Timestamp::from_secs(20)))),
                w.clone(),
                10,
                wait(WaitReason::Failed { until: Timestamp::from_secs(20) }),
            ),
            (
                "and is sent again",
                Some((Opening, vec![], |i| i.retry_at = Some(Timestamp::from_secs(20)))),
                w.clone(),
                20,
                send(Open, SendReason::OpenAgain),
            ),
            (
                "what was refused need not be closed",
                Some((Opening, vec![], |i| i.maybe_open = false)),
                vec![],
                10,
                Decision::End(EndReason::NeverOpened),
            ),
            (
                "what may be open must be closed",
                Some((Opening, vec![], same)),
                vec![],
                10,
                send(Close, SendReason::AllResolved),
            ),
            (
                "a close that failed is sent again",
                Some((Closing, w.clone(), same)),
                vec![],
                10,
                send(Close, SendReason::CloseAgain),
            ),
            (
                "it fires again before the close got through",
                Some((Closing, w.clone(), same)),
                w.clone(),
                10,
                send(Update, SendReason::FiredAgain),
            ),
        ];
        for (sentence, row, firing, secs, expected) in table {
            let incident = row.map(|(state, told, change)| {
                let mut incident = incident(state, &told);
                change(&mut incident);
                incident
            });
            let firing: Told = firing.into_iter().map(|(f, s)| (Fingerprint(f), s)).collect();
            let situation = Situation {
                incident: incident.as_ref(),
                firing: &firing,
                rerouted: false,
                deleted: false,
                send_resolved: true,
                timing: Timing::default(),
            };
            assert_eq!(decide(&situation, Timestamp::from_secs(secs)), expected, "{sentence}");
        }
    }

    #[test]
    fn where_ends_are_not_wanted_the_incident_just_ends() {
        let firing = Told::new();
        let open = incident(IncidentState::Open, &[(1, Severity::Error)]);
        let situation = Situation {
            incident: Some(&open),
            firing: &firing,
            rerouted: false,
            deleted: false,
            send_resolved: false,
            timing: Timing::default(),
        };
        assert_eq!(decide(&situation, Timestamp(0)), Decision::End(EndReason::SendResolvedOff));
    }
}

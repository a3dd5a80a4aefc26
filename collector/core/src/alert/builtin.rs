//! What Watchkeeper watches about itself and what it depends on.
//!
//! Owns names, default severities and which are on. Never evaluates.

use std::collections::BTreeMap;
use std::time::Duration;

/// A built-in condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// No beat of an agent for three beats, and it has not said bye. By `agent`.
    AgentSilent,
    /// No window of an SLO for `no_data`, and its agents have not all said bye. By `slo`.
    NoData,
    /// Over 1 % of an SLO's observations could not be judged, because its conditions end in errors. By `slo`.
    Unjudged,
    /// Data that arrived late show that an SLO burned, and nobody was told. By `slo`. Never a page: it is past.
    LateBreach,
    /// An agent's spool is over 80 % full. By `agent`.
    SpoolNearlyFull,
    /// Batches, or bytes of files, are proven lost. By `agent`.
    DataLost,
    /// One agent id, two lives: a copied spool, or two agents of one name. By `agent`.
    Forked,
    /// Label values became `__overflow__`. By `agent`.
    LabelOverflow,
    /// An agent's clock is off by more than 2 s. By `agent`.
    ClockSkew,
    /// Deliveries to a receiver fail for over a minute, or for good. By `receiver` and `integration`.
    ReceiverFailing,
    /// Batches that can't be read are waiting for somebody to look.
    DeadLetters,
    /// Over 80 % of `storage.max_bytes` are used.
    StorageNearlyFull,
    /// Always on: shows that alerts flow. It is seen in answers, and notified only where a route on the way asks for
    /// its `alertname`.
    Watchdog,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::AgentSilent,
        Self::NoData,
        Self::Unjudged,
        Self::LateBreach,
        Self::SpoolNearlyFull,
        Self::DataLost,
        Self::Forked,
        Self::LabelOverflow,
        Self::ClockSkew,
        Self::ReceiverFailing,
        Self::DeadLetters,
        Self::StorageNearlyFull,
        Self::Watchdog,
    ];

    /// Its name, which is its `alertname`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentSilent => "AgentSilent",
            Self::NoData => "NoData",
            Self::Unjudged => "Unjudged",
            Self::LateBreach => "LateBreach",
            Self::SpoolNearlyFull => "SpoolNearlyFull",
            Self::DataLost => "DataLost",
            Self::Forked => "Forked",
            Self::LabelOverflow => "LabelOverflow",
            Self::ClockSkew => "ClockSkew",
            Self::ReceiverFailing => "ReceiverFailing",
            Self::DeadLetters => "DeadLetters",
            Self::StorageNearlyFull => "StorageNearlyFull",
            Self::Watchdog => "Watchdog",
        }
    }

    /// The one of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.as_str() == text)
    }

    /// Its `severity` label where nobody says otherwise.
    pub const fn default_severity(self) -> &'static str {
        match self {
            Self::ReceiverFailing => "critical",
            Self::AgentSilent | Self::NoData | Self::DataLost | Self::Forked => "error",
            Self::LateBreach => "ticket",
            Self::Unjudged
            | Self::SpoolNearlyFull
            | Self::LabelOverflow
            | Self::ClockSkew
            | Self::DeadLetters
            | Self::StorageNearlyFull => "warning",
            Self::Watchdog => "none",
        }
    }

    /// How long it stays on after it last happened, where it is a moment and not a state.
    pub const fn lasts(self) -> Option<Duration> {
        match self {
            Self::DataLost | Self::Forked | Self::LabelOverflow => Some(Duration::from_secs(3600)),
            // It waits for somebody at work.
            Self::LateBreach => Some(Duration::from_secs(86_400)),
            _ => None,
        }
    }

    /// How long it must hold before it is told.
    pub const fn waits(self) -> Duration {
        match self {
            // What is caught up may lead up to now, and then the SLO itself tells it.
            Self::LateBreach => Duration::from_secs(60),
            _ => Duration::ZERO,
        }
    }
}

/// Which are on, and how bad they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltinSettings {
    /// What differs from the defaults: a severity, or `None` for off.
    pub changed: BTreeMap<Builtin, Option<String>>,
}

impl BuiltinSettings {
    /// Its severity, or `None` if it is off.
    pub fn severity(&self, builtin: Builtin) -> Option<&str> {
        match self.changed.get(&builtin) {
            Some(severity) => severity.as_deref(),
            None => Some(builtin.default_severity()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_can_be_turned_off_or_given_a_severity() {
        let settings = BuiltinSettings {
            changed: [(Builtin::NoData, None), (Builtin::ClockSkew, Some("info".to_owned()))]
                .into(),
        };
        assert_eq!(settings.severity(Builtin::NoData), None);
        assert_eq!(settings.severity(Builtin::ClockSkew), Some("info"));
        assert_eq!(settings.severity(Builtin::Forked), Some("error"));
        for builtin in Builtin::ALL {
            assert_eq!(Builtin::parse(builtin.as_str()), Some(builtin));
        }
    }
}

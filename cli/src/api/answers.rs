//! The shapes of the collector's answers.
//!
//! Owns leniency: what a newer collector adds is ignored, what an older one leaves out has a default, and words are
//! texts, so that a state we have never heard of is still shown. Never used to print JSON, but
//! for a test that was made here and not by a collector.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use watchkeeper_collector::dispatch::{Tried, TriedStep};
use watchkeeper_model::Timestamp;

/// `GET slos`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Slos {
    /// All of them.
    pub(crate) slos: Vec<Slo>,
}

/// One SLO.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Slo {
    pub(crate) name: String,
    pub(crate) service: String,
    /// Percent.
    pub(crate) objective: f64,
    pub(crate) window: String,
    pub(crate) good: u64,
    pub(crate) total: u64,
    pub(crate) unjudged: u64,
    pub(crate) sli: Option<f64>,
    /// A share; below 0 if overspent.
    pub(crate) budget_remaining: Option<f64>,
    /// By window, as durations are written.
    pub(crate) burn: BTreeMap<String, Option<f64>>,
    pub(crate) exhausts_at: Option<When>,
    /// `ok`, `ticket`, `page` or `no_data`.
    pub(crate) state: String,
    /// The share of what was judged that is estimated.
    pub(crate) approximate: Option<f64>,
    /// How much of the window corrections leave out.
    pub(crate) corrected_seconds: f64,
    /// Why what happens now is left out.
    pub(crate) correction: Option<String>,
    /// Of a composite: its parts.
    pub(crate) composite: Vec<SloPart>,
}

/// A part of a composite.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SloPart {
    pub(crate) slo: String,
    pub(crate) weight: f64,
    pub(crate) sli: Option<f64>,
}

impl Slo {
    /// Burn rates, the shortest window first.
    pub(crate) fn burns(&self) -> Vec<(&str, Option<f64>)> {
        let mut burns: Vec<_> = self.burn.iter().map(|(w, rate)| (w.as_str(), *rate)).collect();
        burns.sort_by_key(|(window, _)| {
            watchkeeper_expr::duration::parse(window).unwrap_or(i64::MAX)
        });
        burns
    }
}

/// `GET alerts`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Alerts {
    /// A page of them.
    pub(crate) alerts: Vec<Alert>,
    #[serde(default)]
    pub(crate) next: Next,
}

/// One alert.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Alert {
    pub(crate) labels: BTreeMap<String, String>,
    /// `pending`, `firing` or `resolved`.
    pub(crate) state: String,
    pub(crate) stale: bool,
    pub(crate) acknowledged_by: Option<String>,
    pub(crate) starts_at: Option<When>,
    pub(crate) ends_at: Option<When>,
    pub(crate) value: Option<f64>,
    pub(crate) reason: String,
    pub(crate) suppressed_by: Vec<String>,
}

impl Alert {
    /// A label; "" if it is absent.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether it is firing.
    pub(crate) fn is_firing(&self) -> bool {
        self.state == "firing"
    }
}

/// `GET agents`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Agents {
    /// A page of them.
    pub(crate) agents: Vec<Agent>,
    #[serde(default)]
    pub(crate) next: Next,
}

/// One agent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Agent {
    pub(crate) id: String,
    /// `live`, `silent` or `stopped`.
    pub(crate) state: String,
    pub(crate) last_beat: Option<When>,
    pub(crate) skew_seconds: f64,
    pub(crate) spool_bytes: u64,
    pub(crate) lag_bytes: u64,
    /// `grpc`, `amqp`; "" before the first beat.
    pub(crate) road: String,
    pub(crate) version: String,
    pub(crate) sources: Vec<Source>,
}

/// One of its sources.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) read: u64,
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) bytes_abandoned: u64,
    pub(crate) bytes_unknown: u64,
    pub(crate) redacted: u64,
    pub(crate) events_held_back: u64,
}

/// `GET events`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Events {
    /// A page of them.
    pub(crate) events: Vec<Event>,
    #[serde(default)]
    pub(crate) next: Next,
}

/// One event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    pub(crate) time: Option<When>,
    pub(crate) service: String,
    pub(crate) agent: String,
    pub(crate) name: String,
    pub(crate) severity: String,
    pub(crate) message: String,
    pub(crate) correlation: Option<String>,
    pub(crate) trace: Option<String>,
}

/// `GET deliveries`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Deliveries {
    /// A page of them.
    pub(crate) deliveries: Vec<Delivery>,
    #[serde(default)]
    pub(crate) next: Next,
}

/// One attempt to tell a receiver something.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Delivery {
    pub(crate) incident: serde_json::Value,
    pub(crate) receiver: String,
    /// `slack[0]`; empty from older collectors.
    pub(crate) integration: String,
    pub(crate) kind: String,
    /// `open`, `update` or `close`.
    pub(crate) action: String,
    pub(crate) reason: String,
    pub(crate) at: Option<When>,
    pub(crate) attempt: u64,
    /// `ok`, `retry`, `failed` or `unrecorded`; empty or `pending` while it is under way.
    pub(crate) outcome: Option<String>,
    pub(crate) status: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) next_at: Option<When>,
    pub(crate) alerts: Vec<String>,
}

impl Delivery {
    /// How it ended, or `pending`.
    pub(crate) fn outcome(&self) -> &str {
        self.outcome.as_deref().filter(|outcome| !outcome.is_empty()).unwrap_or("pending")
    }
}

/// `GET receivers`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Receivers {
    pub(crate) receivers: Vec<Receiver>,
}

/// Somebody to tell.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    pub(crate) integrations: Vec<Integration>,
}

/// One way of telling them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Integration {
    pub(crate) integration: String,
    pub(crate) waiting: u64,
    /// `paced`, `backoff` and the like, while something waits.
    pub(crate) held: Option<String>,
    /// `open` while it is left alone.
    pub(crate) breaker: String,
    pub(crate) last_error: Option<String>,
}

/// `POST receivers/NAME/test`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Tested {
    pub(crate) receiver: String,
    /// Whether every integration took it.
    pub(crate) ok: bool,
    pub(crate) integrations: Vec<TestedIntegration>,
}

/// One way of telling it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TestedIntegration {
    pub(crate) integration: String,
    pub(crate) kind: String,
    pub(crate) ok: bool,
    pub(crate) steps: Vec<TestedStep>,
}

/// One attempt.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TestedStep {
    /// `open` or `close`.
    pub(crate) action: String,
    pub(crate) ok: bool,
    pub(crate) status: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) seconds: f64,
}

impl Tested {
    /// As the collector would answer.
    pub(crate) fn of(receiver: &str, tried: &[Tried]) -> Self {
        let step = |step: &TriedStep| TestedStep {
            action: step.action_name().to_owned(),
            ok: step.error.is_none(),
            status: step.status.map(u64::from),
            error: step.error.clone(),
            seconds: step.took.as_secs_f64(),
        };
        let integration = |tried: &Tried| TestedIntegration {
            integration: tried.key.integration.to_string(),
            kind: tried.kind.to_owned(),
            ok: tried.is_ok(),
            steps: tried.steps.iter().map(step).collect(),
        };
        Self {
            receiver: receiver.to_owned(),
            ok: tried.iter().all(Tried::is_ok),
            integrations: tried.iter().map(integration).collect(),
        }
    }
}

/// `GET corrections`, and the answer to adding or ending one.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Corrections {
    /// All of them.
    pub(crate) corrections: Vec<Correction>,
}

/// What budgets leave out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Correction {
    /// A number, or `file-1`.
    pub(crate) id: String,
    pub(crate) slos: Vec<String>,
    pub(crate) service: Option<String>,
    pub(crate) from: Option<When>,
    pub(crate) to: Option<When>,
    /// In words.
    pub(crate) weekly: Option<String>,
    pub(crate) reason: String,
    /// `planned`, `in_force`, `past` or `ended`.
    pub(crate) state: String,
    pub(crate) covers: Vec<Covers>,
    pub(crate) by: Option<String>,
    pub(crate) ended_by: Option<String>,
}

/// What is left out of one SLO.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Covers {
    pub(crate) slo: String,
    pub(crate) from: Option<When>,
    pub(crate) to: Option<When>,
}

/// `POST backup`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BackupTaken {
    /// Where it lies, on the collector's host.
    pub(crate) directory: String,
    pub(crate) made_at: Option<When>,
    pub(crate) files: Vec<BackedUp>,
}

/// A file of a backup.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BackedUp {
    pub(crate) bytes: u64,
}

/// `GET dead-letters`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct DeadLetters {
    /// A page of them.
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// Places that could not be asked, and why.
    #[serde(default)]
    pub(crate) unreachable: Vec<String>,
    /// Places that have more than was looked at.
    #[serde(default)]
    pub(crate) left_out: Vec<String>,
    #[serde(default)]
    pub(crate) next: Next,
}

/// A batch that can't be counted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeadLetter {
    pub(crate) id: String,
    /// `collector`, `agent` or `broker`.
    pub(crate) place: String,
    pub(crate) agent: String,
    pub(crate) epoch: String,
    pub(crate) service: String,
    pub(crate) kind: String,
    pub(crate) seq: u64,
    pub(crate) digest: String,
    pub(crate) reason: String,
    pub(crate) at: Option<When>,
    pub(crate) bytes: u64,
    /// How often it is there.
    pub(crate) copies: u64,
    pub(crate) retryable: bool,
    /// Of an agent's: offered again, and not answered yet.
    pub(crate) asked: bool,
}

/// `POST dead-letters/ID/retry`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct RetriedLetter {
    pub(crate) id: String,
    /// `counted`, or why it stays: `refused`, `forked`, `damaged`, `not_yet`.
    pub(crate) outcome: String,
    pub(crate) reason: String,
}

/// `GET query`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Points {
    #[serde(default)]
    pub(crate) resolution_seconds: f64,
    pub(crate) series: Vec<Series>,
}

/// One group of a query.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    /// Unix seconds and value.
    pub(crate) points: Vec<(f64, f64)>,
}

/// What names the next page, text or number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Next(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for Next {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(from)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            other => Some(other.to_string()),
        }))
    }
}

/// A time: RFC 3339, or unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct When(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(f64),
            Text(String),
        }
        match Written::deserialize(from)? {
            Written::Seconds(secs) => Ok(Self(Timestamp((secs * 1e9) as i64))),
            Written::Text(text) => text
                .parse::<jiff::Timestamp>()
                .map(|at| Self(Timestamp::from_jiff(at)))
                .map_err(|_| serde::de::Error::custom(format!("{text:?} is no time"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_older_and_newer_collectors_are_understood() {
        let slos: Slos = serde_json::from_str(r#"{"slos":[{"name":"a","news":1}]}"#).unwrap();
        assert_eq!((slos.slos[0].name.as_str(), slos.slos[0].sli), ("a", None));
        let alerts: Alerts = serde_json::from_str(r#"{"alerts":[{"state":"dozing"}]}"#).unwrap();
        assert!(!alerts.alerts[0].is_firing() && alerts.next == Next(None));
    }

    #[test]
    fn times_are_texts_or_seconds() {
        for (json, nanos) in [
            ("\"2026-11-22T18:07:09.5Z\"", 1_795_370_829_500_000_000),
            ("\"2026-11-22T19:07:09+01:00\"", 1_795_370_829_000_000_000),
            ("1793491200.5", 1_793_491_200_500_000_000),
        ] {
            assert_eq!(serde_json::from_str::<When>(json).unwrap().0.nanos(), nanos, "{json}");
        }
        assert!(serde_json::from_str::<When>("\"soon\"").is_err());
    }

    #[test]
    fn burn_rates_are_sorted_by_window() {
        let slo: Slo =
            serde_json::from_str(r#"{"burn":{"1d":1,"1h":2,"30m":3,"5m":null}}"#).unwrap();
        let windows: Vec<&str> = slo.burns().iter().map(|(window, _)| *window).collect();
        assert_eq!(windows, ["5m", "30m", "1h", "1d"]);
    }
}

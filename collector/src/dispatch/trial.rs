//! Trying receivers out: a test notification through the very channels that pages take, opened and closed again.
//!
//! Owns what a test says, its identity and its deadlines. Never goes through a queue: whoever tests wants to know what happens
//! now, and a breaker or a pace must not answer in the receiver's place. Never touches an incident of the engine's.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use watchkeeper_collector_core::alert::Fingerprint;
use watchkeeper_collector_core::notify::{
    Action, DeliveryOutcome, DeliveryRow, Notification, NotifiedAlert, dedup_key,
};
use watchkeeper_model::{Labels, Timestamp};

use crate::channels::{Cause, Channel, Delivered, DeliveryError, Integration, IntegrationKey};

/// How long opening may take at most, and with the closing after it.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// How long a whole trial takes at most.
pub const TRIAL_LIMIT: Duration = Duration::from_secs(32);

/// The `alertname` of tests.
const NAME: &str = "WatchkeeperTest";

/// What ledger and messages give as the reason.
const REASON: &str = "test";

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The severity of its alert: `page` or `ticket`.
    pub severity: String,
    /// Where this collector is reached by people.
    pub external_url: String,
}

/// What became of one integration's test.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Which.
    pub key: IntegrationKey,
    /// Its kind of channel.
    pub kind: &'static str,
    /// Opening, then closing if there may be something to close.
    pub steps: Vec<TriedStep>,
}

/// One attempt of a test.
#[derive(Clone, Debug)]
pub struct TriedStep {
    /// What it did.
    pub action: Action,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The receiver's status, if it gave one.
    pub status: Option<u16>,
    /// Why it failed, without secrets.
    pub error: Option<String>,
    fingerprint: String,
}

impl TriedStep {
    /// What it did: `open` or `close`.
    pub const fn action_name(&self) -> &'static str {
        match self.action {
            Action::Open => "open",
            Action::Update => "update",
            Action::Close => "close",
        }
    }
}

impl Tried {
    /// Whether all of it was taken.
    pub fn is_ok(&self) -> bool {
        self.steps.iter().all(|step| step.error.is_none())
    }

    /// As the ledger keeps it: deliveries of no incident, done with. Their ids are given by the engine.
    pub fn rows(&self) -> Vec<DeliveryRow> {
        let row = |step: &TriedStep| DeliveryRow {
            id: 0,
            incident: 0,
            receiver: self.key.receiver.to_string(),
            integration: self.key.integration.to_string(),
            kind: self.kind.to_owned(),
            action: step.action,
            reason: REASON.to_owned(),
            at: step.at,
            attempt: 1,
            outcome: match step.error {
                None => DeliveryOutcome::Ok,
                Some(_) => DeliveryOutcome::Failed,
            },
            status: step.status,
            error: step.error.clone(),
            next_at: None,
            alerts: vec![NAME.to_owned()],
            fingerprints: step.fingerprint.parse::<Fingerprint>().into_iter().collect(),
            firing: std::collections::BTreeMap::new(),
            notification: None,
        };
        self.steps.iter().map(row).collect()
    }
}

/// Tests integrations, all at once. Ends within [`TRIAL_LIMIT`] whatever they do. `now` gives its wall-clock time.
pub async fn try_out(
    integrations: Vec<Integration>,
    trial: &Trial,
    now: impl Fn() -> Timestamp,
) -> Vec<Tried> {
    let each = integrations.into_iter().map(|integration| one(integration, trial, &now));
    join_all(each).await
}

async fn one(integration: Integration, trial: &Trial, now: impl Fn() -> Timestamp) -> Tried {
    let Integration { key, channel } = integration;
    let started = Instant::now();
    let mut told = notification(&key, trial, now());
    let (open, memory, may_be_open) = step(&*channel, &told, started + OPEN_WITHIN, now()).await;
    let mut steps = vec![open];
    // What may have been opened is closed, so that nothing stays behind at whoever keeps incidents.
    if may_be_open {
        end(&mut told, memory, now());
        let (close, ..) = step(&*channel, &told, started + CLOSE_WITHIN, now()).await;
        steps.push(close);
    }
    Tried { key, kind: channel.kind(), steps }
}

/// One attempt; with it what the channel wants remembered, and whether something may be open now.
async fn step(
    channel: &dyn Channel,
    told: &Notification,
    limit: Instant,
    at: Timestamp,
) -> (TriedStep, Option<String>, bool) {
    let started = Instant::now();
    let deadline = limit.min(started + channel.timeout());
    let attempt = AssertUnwindSafe(channel.deliver(told, deadline)).catch_unwind();
    let fault = |cause, what: &str| {
        Err(DeliveryError::new(cause, format!("{}: bug: {what}", channel.kind())))
    };
    let result = match timeout_at(deadline + Duration::from_secs(1), attempt).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => fault(Cause::Bug, "the channel panicked"),
        Err(_) => fault(Cause::TimedOut, "the channel ignored its deadline"),
    };
    let took = started.elapsed();
    let fingerprint = told.alerts.first().map_or_else(String::new, |a| a.fingerprint.clone());
    let step = |status, error| {
        let action = told.action;
        TriedStep { action, at, took, status, error, fingerprint: fingerprint.clone() }
    };
    match result {
        // Whoever tests wants to know of everybody who was not told.
        Ok(Delivered { status, memory, note }) => (step(status, note), memory, true),
        Err(error) => {
            // Refused for good, nothing was taken; otherwise the answer may have been lost.
            let may_be_open = error.is_retryable() && error.cause != Cause::RateLimited;
            (step(error.status, Some(error.message)), None, may_be_open)
        }
    }
}

fn notification(key: &IntegrationKey, trial: &Trial, now: Timestamp) -> Notification {
    let IntegrationKey { receiver, integration } = key;
    let labels = Labels::new([
        ("alertname", NAME),
        ("service", "watchkeeper"),
        ("severity", &trial.severity),
        ("receiver", receiver),
    ]);
    let group_labels = Labels::new([("alertname", NAME), ("receiver", receiver)]);
    let group_key = format!("{{}}:{group_labels}");
    let number = now.nanos().unsigned_abs();
    let dedup_key = dedup_key(&group_key, &format!("{receiver}/{integration}"), number);
    let summary = format!("[TEST] This is a test of the receiver {receiver}. Nothing is wrong.");
    let alert = NotifiedAlert {
        fingerprint: format!("{number:016x}"),
        labels,
        annotations: Labels::new([
            ("summary", summary.as_str()),
            ("description", "Sent by `watchkeeper send-test`. Its end follows at once."),
        ]),
        firing: true,
        stale: false,
        starts_at: now,
        ends_at: None,
        reason: "somebody wants to know whether this arrives".to_owned(),
        value: None,
        generator_url: trial.external_url.clone(),
        slo: None,
        events: Vec::new(),
        agents: Vec::new(),
    };
    Notification {
        receiver: receiver.to_string(),
        group_key,
        dedup_key,
        incident: 0,
        action: Action::Open,
        reason: REASON.to_owned(),
        at: now,
        group_labels,
        alerts: vec![alert],
        n_truncated: 0,
        external_url: trial.external_url.clone(),
        memory: None,
    }
}

fn end(told: &mut Notification, memory: Option<String>, now: Timestamp) {
    (told.action, told.memory, told.at) = (Action::Close, memory, now);
    for alert in &mut told.alerts {
        (alert.firing, alert.ends_at) = (false, Some(now));
    }
}

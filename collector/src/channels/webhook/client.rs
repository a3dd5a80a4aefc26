//! One POST per attempt.
//!
//! Owns the headers. Never decides what to send or when to try again.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification};
use watchkeeper_daemon::clock;

use super::config::WebhookSettings;
use super::facts::AlertsLeftOut;
use super::payload;
use super::signature::{self, SigningKey};
use crate::channels::http::Poster;
use crate::channels::{Cause, Channel, Delivered, DeliveryError, Pace};

/// The same for every attempt of one delivery, after a restart too: a receiver may drop what it has seen.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The same from an incident's opening to its closing.
const INCIDENT_KEY: HeaderName = HeaderName::from_static("x-watchkeeper-incident-key");

/// `open`, `update` or `close`.
const ACTION: HeaderName = HeaderName::from_static("x-watchkeeper-action");

/// The headers of Standard Webhooks.
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A webhook, ready to send.
#[derive(Debug)]
pub struct Webhook {
    poster: Poster,
    signing_keys: Vec<SigningKey>,
    send_resolved: bool,
    max_alerts: usize,
    timeout: Duration,
}

impl Webhook {
    /// Builds it from its settings.
    pub fn build(settings: &WebhookSettings) -> Result<Self, String> {
        Ok(Self {
            poster: Poster::build("webhook", settings.endpoint.clone(), &settings.http)?,
            signing_keys: settings.signing_keys.clone(),
            send_resolved: settings.send_resolved,
            max_alerts: settings.max_alerts,
            timeout: settings.timeout,
        })
    }

    async fn post(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        let encoded = payload::encode(told, self.max_alerts)
            .map_err(|error| self.poster.failure(Cause::Bug, &format!("bug: body: {error}")))?;
        if encoded.n_left_out > 0 {
            let (n_left_out, max_alerts) = (encoded.n_left_out, self.max_alerts);
            AlertsLeftOut { receiver: &told.receiver, n_left_out, max_alerts }.emit();
        }
        let key = idempotency_key(told);
        let mut headers = headers(told, &key);
        if !self.signing_keys.is_empty() {
            let now = clock::now();
            headers.extend(signed(&self.signing_keys, &key, now.secs(), &encoded.body));
        }
        let answer = self.poster.post(encoded.body, headers, at).await?;
        self.poster.judge(&answer)
    }
}

impl Channel for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        self.max_alerts
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn pace(&self) -> Pace {
        Pace { interval: Duration::from_millis(20), burst: 100 }
    }

    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.post(notification, deadline).boxed()
    }
}

const fn action(told: &Notification) -> &'static str {
    match told.action {
        Action::Open => "open",
        Action::Update => "update",
        Action::Close => "close",
    }
}

fn idempotency_key(told: &Notification) -> String {
    format!("{}-{}-{}", told.dedup_key, action(told), told.at.nanos())
}

fn headers(told: &Notification, key: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACTION, HeaderValue::from_static(action(told)));
    for (name, text) in [(IDEMPOTENCY_KEY, key), (INCIDENT_KEY, &told.dedup_key)] {
        // Keys are hex and digits; one that is not is no reason to hold a page back.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The headers of Standard Webhooks: the id is the same for every attempt of one delivery, time and signature are this
/// attempt's.
fn signed(keys: &[SigningKey], id: &str, at_secs: i64, body: &[u8]) -> HeaderMap {
    let signature = signature::signature(keys, id, at_secs, body);
    let texts = [(ID, id.to_owned()), (TIMESTAMP, at_secs.to_string()), (SIGNATURE, signature)];
    let values = texts.into_iter().filter_map(|(name, text)| Some((name, text.parse().ok()?)));
    values.collect()
}

//! One POST per attempt.
//!
//! Owns the headers. Never decides what to send or when to try again.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification};

use super::config::WebhookSettings;
use super::facts::AlertsLeftOut;
use super::payload;
use crate::channels::http::Poster;
use crate::channels::{Cause, Channel, Delivered, DeliveryError, Pace};

/// The same for every attempt of one delivery, after a restart too: a receiver may drop what it has seen.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The same from an incident's opening to its closing.
const INCIDENT_KEY: HeaderName = HeaderName::from_static("x-watchkeeper-incident-key");

/// `open`, `update` or `close`.
const ACTION: HeaderName = HeaderName::from_static("x-watchkeeper-action");

/// A webhook, ready to send.
#[derive(Debug)]
pub struct Webhook {
    poster: Poster,
    send_resolved: bool,
    max_alerts: usize,
    timeout: Duration,
}

impl Webhook {
    /// Builds it from its settings.
    pub fn build(settings: &WebhookSettings) -> Result<Self, String> {
        let (endpoint, authorization) =
            (settings.endpoint.clone(), settings.authorization.as_ref());
        Ok(Self {
            poster: Poster::build("webhook", endpoint, authorization)?,
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
        let answer = self.poster.post(encoded.body, headers(told), at).await?;
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

fn headers(told: &Notification) -> HeaderMap {
    let action = match told.action {
        Action::Open => "open",
        Action::Update => "update",
        Action::Close => "close",
    };
    let key = format!("{}-{action}-{}", told.dedup_key, told.at.nanos());
    let mut headers = HeaderMap::new();
    headers.insert(ACTION, HeaderValue::from_static(action));
    for (name, text) in [(IDEMPOTENCY_KEY, key.as_str()), (INCIDENT_KEY, &told.dedup_key)] {
        // Keys are hex and digits; one that is not is no reason to hold a page back.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    headers
}

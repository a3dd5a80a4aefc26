//! One POST per attempt, and what PagerDuty's answer means.
//!
//! Owns the table of answers, and which routing key opened an incident. Never decides when to try again.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification};
use watchkeeper_config::Secret;

use super::config::PagerDutySettings;
use super::facts::{DetailsLeftOut, RoutingKeyChanged};
use super::payload::{self, Wording};
use crate::channels::http::{Answer, Ending, Poster};
use crate::channels::{Cause, Channel, Delivered, DeliveryError, Pace};

/// How many routing keys of one incident are remembered; nobody changes them that often.
const MAX_KEYS: usize = 8;

/// A PagerDuty integration, ready to send.
#[derive(Debug)]
pub struct PagerDuty {
    poster: Poster,
    routing_key: Secret,
    /// Tells routing keys apart without being one.
    key_mark: String,
    wording: Wording,
    send_resolved: bool,
    max_alerts: usize,
    timeout: Duration,
}

/// What is remembered of an incident: PagerDuty resolves it only with the key that opened it, and drops a resolve with
/// another one without a word.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    opened_with: Vec<String>,
}

impl Memory {
    /// What was remembered; nothing if another kind of channel wrote it.
    fn of(told: &Notification) -> Self {
        let text = told.memory.as_deref().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    /// With this key besides.
    fn and(mut self, mark: &str) -> Option<String> {
        if !self.opened_with.iter().any(|known| known == mark) {
            self.opened_with.push(mark.to_owned());
        }
        let n_over = self.opened_with.len().saturating_sub(MAX_KEYS);
        self.opened_with.drain(..n_over);
        serde_json::to_string(&self).ok()
    }
}

impl PagerDuty {
    /// Builds it from its settings.
    pub fn build(settings: &PagerDutySettings) -> Result<Self, String> {
        let mut endpoint = settings.endpoint.clone();
        endpoint.hide(&settings.routing_key);
        Ok(Self {
            poster: Poster::build("pagerduty", endpoint, &settings.http)?,
            routing_key: settings.routing_key.clone(),
            key_mark: mark(&settings.routing_key),
            wording: settings.wording.clone(),
            send_resolved: settings.send_resolved,
            max_alerts: settings.max_alerts,
            timeout: settings.timeout,
        })
    }

    async fn post(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        let memory = Memory::of(told);
        self.check_key(told, &memory)?;
        let key = self.routing_key.expose();
        let encoded = payload::encode(told, key, &self.wording, self.max_alerts)
            .map_err(|error| self.poster.failure(Cause::Bug, &format!("bug: body: {error}")))?;
        if let Some(n_bytes) = encoded.too_large {
            DetailsLeftOut { receiver: &told.receiver, n_bytes }.emit();
        }
        let answer = self.poster.post(encoded.body, HeaderMap::new(), at).await?;
        match verdict(&answer) {
            None => {
                let memory = memory.and(&self.key_mark);
                Ok(Delivered { memory, ..Delivered::with_status(answer.status) })
            }
            Some(cause) => Err(self.poster.refusal_saying(&answer, cause, &words(&answer))),
        }
    }

    /// An incident is closed with the key that opened it, or not at all: that is said aloud rather than dropped over there.
    fn check_key(&self, told: &Notification, memory: &Memory) -> Result<(), DeliveryError> {
        let opened_with = &memory.opened_with;
        if opened_with.iter().all(|mark| *mark == self.key_mark) {
            return Ok(());
        }
        RoutingKeyChanged { receiver: &told.receiver, incident: told.incident }.emit();
        if told.action == Action::Close && !opened_with.contains(&self.key_mark) {
            let what = "the incident was opened with another routing key: resolve it in PagerDuty by hand, or \
                        give that key back until it is closed";
            return Err(self.poster.failure(Cause::Refused, what));
        }
        Ok(())
    }
}

/// Twelve hex digits of a hash: enough to tell keys apart, useless to anybody else.
fn mark(key: &Secret) -> String {
    let hash = Sha256::digest(key.expose());
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl Channel for PagerDuty {
    fn kind(&self) -> &'static str {
        "pagerduty"
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

    /// PagerDuty throttles each integration as it sees fit, at some hundred events a minute.
    fn pace(&self) -> Pace {
        Pace { interval: Duration::from_millis(500), burst: 20 }
    }

    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.post(notification, deadline).boxed()
    }
}

/// What went wrong, if anything did: 202 is PagerDuty's word for taken, whatever became of the body.
fn verdict(answer: &Answer) -> Option<Cause> {
    match answer.status {
        202 => None,
        200..=299 if answer.ending == Ending::BrokenOff => Some(Cause::Unreachable),
        200..=299 => {
            let json: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
            (json["status"] != "success").then_some(Cause::BadAnswer)
        }
        status => Some(Cause::of_status(status)),
    }
}

/// `Event object is invalid: Length of 'routing_key' is incorrect`, or the body as it is.
fn words(answer: &Answer) -> String {
    let text = answer.text();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    // Errors stand at the top, or one level down under `error`, as in PagerDuty's other interfaces.
    let json = if json["error"].is_object() { &json["error"] } else { &json };
    let Some(message) = json["message"].as_str() else { return text };
    let errors = json["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let errors: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    match errors.as_slice() {
        [] => message.to_owned(),
        errors => format!("{message}: {}", errors.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_pagerduty_documents() {
        use Cause::{BadAnswer, RateLimited, Refused, ServerError};
        let success = r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#;
        for (status, body, want) in [
            (202, success, None),
            (202, "", None),
            (200, success, None),
            (200, "<html>log in</html>", Some(BadAnswer)),
            (200, "", Some(BadAnswer)),
            (204, "", Some(BadAnswer)),
            (400, r#"{"status":"invalid event"}"#, Some(Refused)),
            (401, "", Some(Refused)),
            (403, "", Some(Refused)),
            (404, "", Some(Refused)),
            (413, "", Some(Refused)),
            (429, r#"{"status":"throttle exceeded"}"#, Some(RateLimited)),
            (500, "", Some(ServerError)),
            (503, "", Some(ServerError)),
        ] {
            let answer = Answer::for_test(status, body, Ending::Whole);
            assert_eq!(verdict(&answer), want, "{status} {body}");
        }
        let broken = Answer::for_test(200, "{", Ending::BrokenOff);
        assert_eq!(verdict(&broken), Some(Cause::Unreachable));
    }

    #[test]
    fn what_pagerduty_complains_about_is_told_in_its_words() {
        for (body, want) in [
            (
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["a is missing","b is too long"]}"#,
                "Event object is invalid: a is missing; b is too long",
            ),
            (
                r#"{"status":"throttle exceeded","message":"Requests come too fast"}"#,
                "Requests come too fast",
            ),
            (r#"{"error":{"message":"Not Found","code":2100}}"#, "Not Found"),
            (r#"{"errors":["lonely"]}"#, r#"{"errors":["lonely"]}"#),
            ("bad gateway", "bad gateway"),
        ] {
            let answer = Answer::for_test(400, body, Ending::Whole);
            assert_eq!(words(&answer), want);
        }
    }

    #[test]
    fn the_mark_of_a_key_does_not_tell_it() {
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        assert_eq!(mark(&key).len(), 12);
        assert!(!key.expose().contains(&mark(&key)));
        assert_ne!(mark(&key), mark(&Secret::new("1123456789abcdef0123456789abcdef")));
    }
}

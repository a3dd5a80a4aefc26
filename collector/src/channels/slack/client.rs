//! A Slack integration, by webhook or as an app, and what a webhook's answer means.
//!
//! Owns the table of a webhook's statuses and words. Never decides when to try again.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;

use super::app::App;
use super::config::{SlackSettings, Way};
use super::facts::StrangeAnswerSeen;
use super::markup::Message;
use super::payload::{self, Look};
use crate::channels::http::{Answer, Ending, Poster};
use crate::channels::{Cause, Channel, Delivered, DeliveryError, Pace};

/// Slack, ready to send.
#[derive(Debug)]
pub struct Slack {
    road: Road,
    send_resolved: bool,
    timeout: Duration,
}

/// How it gets there.
#[derive(Debug)]
enum Road {
    Webhook(Box<Webhook>),
    App(Box<App>),
}

impl Slack {
    /// Builds it from its settings.
    pub fn build(settings: &SlackSettings) -> Result<Self, String> {
        let (endpoint, look) = (settings.endpoint.clone(), settings.look.clone());
        let road = match settings.way {
            Way::Webhook => {
                let poster = Poster::build("slack", endpoint, &settings.http)?;
                Road::Webhook(Box::new(Webhook { poster, look }))
            }
            Way::App => Road::App(Box::new(App::build(endpoint, &settings.http, look)?)),
        };
        Ok(Self { road, send_resolved: settings.send_resolved, timeout: settings.timeout })
    }

    async fn tell(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        match &self.road {
            Road::Webhook(webhook) => webhook.tell(told, at).await,
            Road::App(app) => app.tell(told, at).await,
        }
    }
}

/// An incoming webhook: every word is a message of its own.
#[derive(Debug)]
struct Webhook {
    poster: Poster,
    look: Look,
}

impl Webhook {
    async fn tell(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        let body = encode(&self.poster, &payload::message(told, &self.look))?;
        let answer = self.poster.post(body, HeaderMap::new(), at).await?;
        match verdict(&answer) {
            Verdict::Taken => Ok(Delivered::with_status(answer.status)),
            Verdict::Failed(cause) => {
                if cause == Cause::BadAnswer {
                    StrangeAnswerSeen { receiver: &told.receiver, status: answer.status }.emit();
                }
                Err(self.poster.refusal(&answer, cause))
            }
        }
    }
}

/// The body of a request.
pub(super) fn encode(poster: &Poster, message: &Message) -> Result<Vec<u8>, DeliveryError> {
    serde_json::to_vec(message)
        .map_err(|error| poster.failure(Cause::Bug, &format!("bug: body: {error}")))
}

impl Channel for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        0
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Slack takes about one message a second and channel, short bursts besides, and turns off who insists.
    fn pace(&self) -> Pace {
        Pace { interval: Duration::from_secs(1), burst: 5 }
    }

    /// A message that is kept up to date has to be changed in its place.
    fn may_digest(&self, told: &Notification) -> bool {
        told.memory.is_none()
    }

    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.tell(notification, deadline).boxed()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    Failed(Cause),
}

/// By status and by word: Slack says `200 ok`, or a status with a word such as `invalid_payload`; what speaks its
/// language elsewhere says so in JSON.
fn verdict(answer: &Answer) -> Verdict {
    let body = answer.text();
    let word = body.trim();
    match answer.status {
        200..=299 if word == "ok" => Verdict::Taken,
        200..=299 => json_verdict(word, answer.ending),
        status => match word {
            "rate_limited" | "ratelimited" | "message_limit_exceeded" => {
                Verdict::Failed(Cause::RateLimited)
            }
            "rollup_error" | "internal_error" | "fatal_error" => {
                Verdict::Failed(Cause::ServerError)
            }
            _ => Verdict::Failed(Cause::of_status(status)),
        },
    }
}

/// A success status without the word `ok`.
fn json_verdict(text: &str, ending: Ending) -> Verdict {
    if ending == Ending::BrokenOff {
        return Verdict::Failed(Cause::Unreachable);
    }
    let Ok(json) = serde_json::from_str::<Value>(text) else {
        return Verdict::Failed(Cause::BadAnswer);
    };
    if json["ok"] == true || json["success"] == true {
        return Verdict::Taken;
    }
    Verdict::Failed(match json["error"].as_str() {
        Some("ratelimited" | "rate_limited" | "message_limit_exceeded") => Cause::RateLimited,
        Some("internal_error" | "fatal_error") => Cause::ServerError,
        Some(_) => Cause::Refused,
        None => Cause::BadAnswer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::http::Ending;

    #[test]
    fn answers_mean_what_slack_documents() {
        use Cause::{BadAnswer, RateLimited, Refused, ServerError};
        for (status, body, want) in [
            (200, "ok", None),
            (200, "ok\n", None),
            (200, r#"{"ok":true}"#, None),
            (200, r#"{"success":true}"#, None),
            (200, "", Some(BadAnswer)),
            (200, "<html>log in</html>", Some(BadAnswer)),
            (200, "okay", Some(BadAnswer)),
            (200, r#"{"ok":false,"error":"rate_limited"}"#, Some(RateLimited)),
            (200, r#"{"ok":false,"error":"internal_error"}"#, Some(ServerError)),
            (200, r#"{"ok":false,"error":"channel_not_found"}"#, Some(Refused)),
            (400, "invalid_payload", Some(Refused)),
            (400, "user_not_found", Some(Refused)),
            (403, "action_prohibited", Some(Refused)),
            (403, "invalid_token", Some(Refused)),
            (404, "channel_not_found", Some(Refused)),
            (404, "no_service", Some(Refused)),
            (410, "channel_is_archived", Some(Refused)),
            (500, "rollup_error", Some(ServerError)),
            (429, r#"{"retry_after":1,"ok":false,"error":"rate_limited"}"#, Some(RateLimited)),
            (400, "rate_limited", Some(RateLimited)),
        ] {
            let want = want.map_or(Verdict::Taken, Verdict::Failed);
            let answer = Answer::for_test(status, body, Ending::Whole);
            assert_eq!(verdict(&answer), want, "{status} {body}");
        }
    }

    #[test]
    fn an_ok_that_broke_off_is_tried_again() {
        let answer = Answer::for_test(200, "o", Ending::BrokenOff);
        assert_eq!(verdict(&answer), Verdict::Failed(Cause::Unreachable));
    }
}

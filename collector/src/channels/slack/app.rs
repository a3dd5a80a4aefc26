//! Slack's Web API with an app's token: one message for each incident, changed in place, and a thread.
//!
//! Owns the order of calls. Never remembers anything itself: where the message is comes with each notification.

use reqwest::header::HeaderMap;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;

use super::answer::{Place, Said, advice, is_gone};
use super::change::Change;
use super::client::encode;
use super::facts::{MessageGone, StrangeAnswerSeen};
use super::markup::Message;
use super::memory::Memory;
use super::payload::{self, Look};
use crate::channels::http::{Answer, Endpoint, HttpSettings, Poster};
use crate::channels::{Cause, Delivered, DeliveryError};

/// Changes a message of the same API.
const UPDATE: &str = "chat.update";

/// Slack repeats the whole message in its answer.
const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// An app in a workspace.
#[derive(Debug)]
pub(super) struct App {
    post: Poster,
    update: Poster,
    look: Look,
}

/// A call that did not work.
struct Failure {
    error: DeliveryError,
    /// Slack's word for it; "" if there is none.
    word: String,
}

impl Failure {
    /// Whether it is the message that is at fault, and another one may be posted.
    fn is_gone(&self) -> bool {
        self.error.cause == Cause::Refused && is_gone(&self.word)
    }
}

impl App {
    /// An app that posts at that address, which ends in `chat.postMessage`.
    pub(super) fn build(
        endpoint: Endpoint,
        http: &HttpSettings,
        look: Look,
    ) -> Result<Self, String> {
        let update = endpoint.with_method(UPDATE);
        let poster = |endpoint| Poster::build("slack", endpoint, http);
        Ok(Self {
            post: poster(endpoint)?.reading(MAX_ANSWER_BYTES),
            update: poster(update)?.reading(MAX_ANSWER_BYTES),
            look,
        })
    }

    /// Posts the message of an incident, or changes it and says in its thread what is different.
    pub(super) async fn tell(
        &self,
        told: &Notification,
        at: Instant,
    ) -> Result<Delivered, DeliveryError> {
        let memory = Memory::of(told).filter(|_| self.look.is_kept);
        let Some(memory) = memory else { return self.first(told, at).await };
        match self.go_on(told, &memory, at).await {
            Ok(delivered) => Ok(delivered),
            Err(failure) if failure.is_gone() => {
                let (receiver, incident) = (&*told.receiver, told.incident);
                MessageGone { receiver, incident, error: &failure.word }.emit();
                self.first(told, at).await
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// A new message: the first, or one in the place of another that is gone.
    async fn first(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        let message = payload::message(told, &self.look);
        let (status, place) =
            call(&self.post, &message, told, at).await.map_err(|failure| failure.error)?;
        if self.look.is_kept && place == Place::default() {
            StrangeAnswerSeen { receiver: &told.receiver, status }.emit();
        }
        let memory = Memory::after(told, &place.channel, &place.ts).filter(|_| self.look.is_kept);
        let memory = memory.and_then(|memory| memory.to_text());
        Ok(Delivered { memory, ..Delivered::with_status(status) })
    }

    /// First the message, which can be changed any number of times, then the line, which can't be taken back.
    async fn go_on(
        &self,
        told: &Notification,
        before: &Memory,
        at: Instant,
    ) -> Result<Delivered, Failure> {
        let Memory { channel, ts, .. } = before;
        let message = payload::changed(told, &self.look, channel, ts);
        call(&self.update, &message, told, at).await?;
        let line = Change::since(before, told).message(channel, ts, &self.look);
        let (status, _) = call(&self.post, &line, told, at).await?;
        let memory = Memory::after(told, channel, ts).and_then(|memory| memory.to_text());
        Ok(Delivered { memory, ..Delivered::with_status(status) })
    }
}

/// One call; answers its status and where the message stands.
async fn call(
    poster: &Poster,
    message: &Message,
    told: &Notification,
    at: Instant,
) -> Result<(u16, Place), Failure> {
    let unanswered = |error| Failure { error, word: String::new() };
    let body = encode(poster, message).map_err(unanswered)?;
    let answer = poster.post(body, HeaderMap::new(), at).await.map_err(unanswered)?;
    match Said::of(&answer) {
        Said::Taken(place) => Ok((answer.status, place)),
        Said::Failed { cause, word } => {
            if cause == Cause::BadAnswer {
                StrangeAnswerSeen { receiver: &told.receiver, status: answer.status }.emit();
            }
            Err(Failure { error: refusal(poster, &answer, cause, &word), word })
        }
    }
}

/// `status 200: not_in_channel (invite the app to the channel: /invite @app)`
fn refusal(poster: &Poster, answer: &Answer, cause: Cause, word: &str) -> DeliveryError {
    let says = match advice(word) {
        _ if word.is_empty() => answer.text(),
        "" => word.to_owned(),
        advice => format!("{word} ({advice})"),
    };
    poster.refusal_saying(answer, cause, &says)
}

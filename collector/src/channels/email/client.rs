//! One mail per attempt, and what the server's answers mean.
//!
//! Owns the table of answers, and that a recipient who is refused keeps no other from being told. Never decides when to
//! try again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lettre::Address;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification};
use watchkeeper_model::Masks;

use super::config::EmailSettings;
use super::facts::RecipientsRefused;
use super::message::{self, Look};
use super::recipients::{PATIENCE, Progress};
use super::smtp::{Failure, Reply, Server, Session, Stage, Trouble};
use crate::channels::{Cause, Channel, Delivered, DeliveryError, Pace, text};

/// How much of a server's answer is shown.
const MAX_EXCERPT_CHARS: usize = 400;

/// Mail through one server to some people.
#[derive(Debug)]
pub struct Email {
    server: Server,
    look: Look,
    masks: Masks,
    progress: Mutex<Progress>,
    send_resolved: bool,
    timeout: Duration,
}

/// Recipients by what the server said to them, each with its answer.
#[derive(Default)]
struct Sorted<'a> {
    taken: Vec<&'a Address>,
    refused: Vec<(&'a Address, Reply)>,
    put_off: Vec<(&'a Address, Reply)>,
}

impl Email {
    /// Builds it from its settings.
    pub fn build(settings: &EmailSettings) -> Self {
        let mut masks = Masks::default();
        for telltale in settings.server.credentials.iter().flat_map(|c| c.telltales()) {
            masks.add(&telltale, 3);
        }
        Self {
            server: settings.server.clone(),
            look: settings.look.clone(),
            masks,
            progress: Mutex::default(),
            send_resolved: settings.send_resolved,
            timeout: settings.timeout,
        }
    }

    async fn send(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        let delivery = delivery_key(told, &self.look);
        let to = self.progress().open(&delivery, &self.look.to);
        let mut session = self.session(Session::open(&self.server, at).await)?;
        let result = self.transact(&mut session, told, &to).await;
        let (sorted, reply) = match result {
            Ok(done) => done,
            Err(error) => {
                session.quit().await;
                return Err(error);
            }
        };
        session.quit().await;
        self.conclude(told, &delivery, &sorted, &reply)
    }

    /// Envelope and content. Fails if nobody was taken.
    async fn transact<'a>(
        &self,
        session: &mut Session,
        told: &Notification,
        to: &[&'a Address],
    ) -> Result<(Sorted<'a>, Reply), DeliveryError> {
        let replies = self.session(session.envelope(&self.look.from.email, to).await)?;
        let sorted = sort(to, replies);
        let has_been_told = to.len() < self.look.to.len();
        if sorted.taken.is_empty() && !has_been_told {
            return Err(self.nobody(&sorted));
        }
        if sorted.taken.is_empty() {
            return Ok((sorted, Reply { code: 250, lines: Vec::new() }));
        }
        let refused: Vec<String> =
            sorted.refused.iter().map(|(address, _)| address.to_string()).collect();
        let mail = message::mail(told, &self.look, &refused);
        let mail = mail.map_err(|why| self.error(Cause::Bug, &format!("bug: mail: {why}")))?;
        let reply = self.session(session.content(&mail).await)?;
        Ok((sorted, reply))
    }

    /// What it means that some were told. Those put off are tried again as long as there is patience.
    fn conclude(
        &self,
        told: &Notification,
        delivery: &str,
        sorted: &Sorted<'_>,
        reply: &Reply,
    ) -> Result<Delivered, DeliveryError> {
        let Sorted { taken, refused, put_off } = sorted;
        let done: Vec<&Address> =
            taken.iter().copied().chain(refused.iter().map(|(address, _)| *address)).collect();
        let mut lost = self.tell_lost(told, refused);
        if let Some((address, reply)) = put_off.first() {
            let waited = self.progress().note(delivery, &done, &lost, Instant::now());
            if waited < PATIENCE {
                let n_others = self.look.to.len() - put_off.len();
                let what = format!(
                    "{address} was put off: {reply} ({n_others} of {} are done)",
                    self.look.to.len()
                );
                let error = self.error(Cause::PutOff, &what);
                return Err(DeliveryError { status: Some(reply.code), ..error });
            }
            lost = self.tell_lost(told, put_off);
        }
        // Those of earlier attempts are remembered, and these were noted just now, if at all.
        let mut all = self.progress().end(delivery);
        all.extend(lost.into_iter().filter(|one| !all.contains(one)).collect::<Vec<_>>());
        // The incident's first mail, which the others answer to.
        let memory = told.memory.is_none().then(|| message::message_id(told, &self.look));
        let note = (!all.is_empty()).then(|| self.note(&all));
        Ok(Delivered { status: Some(reply.code), memory, note })
    }

    /// `email h:25: 1 of 3 recipients were not told: bob@x: 550 no such user`
    fn note(&self, lost: &[String]) -> String {
        let (n_lost, n) = (lost.len(), self.look.to.len());
        let what = format!("{n_lost} of {n} recipients were not told: {}", lost.join("; "));
        self.error(Cause::Refused, &what).message
    }

    /// Says who won't be told; answers the same.
    fn tell_lost(&self, told: &Notification, lost: &[(&Address, Reply)]) -> Vec<String> {
        if lost.is_empty() {
            return Vec::new();
        }
        let lines: Vec<String> =
            lost.iter().map(|(address, reply)| format!("{address}: {reply}")).collect();
        let refused = text::line(&self.masks.apply(&lines.join("; ")), 1_000);
        let (receiver, incident) = (told.receiver.as_str(), told.incident);
        let (n_lost, n_recipients) = (lost.len(), self.look.to.len());
        RecipientsRefused { receiver, incident, n_lost, n_recipients, refused: &refused }.emit();
        lines
    }

    /// Not one recipient was taken: worth a retry if one of them may be later.
    fn nobody(&self, sorted: &Sorted<'_>) -> DeliveryError {
        let (cause, said) = match sorted.put_off.first() {
            Some(said) => (Cause::PutOff, said),
            None => match sorted.refused.first() {
                Some(said) => (Cause::Refused, said),
                None => return self.error(Cause::Bug, "bug: a mail to nobody"),
            },
        };
        let (address, reply) = said;
        let n_more = sorted.put_off.len() + sorted.refused.len() - 1;
        let more = if n_more > 0 { format!(" (and {n_more} more)") } else { String::new() };
        let error = self.error(cause, &format!("recipient {address}: {reply}{more}"));
        DeliveryError { status: Some(reply.code), ..error }
    }

    fn session<T>(&self, result: Result<T, Failure>) -> Result<T, DeliveryError> {
        result.map_err(|failure| self.failed(&failure))
    }

    /// The table of answers.
    fn failed(&self, failure: &Failure) -> DeliveryError {
        let Failure { stage, trouble } = failure;
        match trouble {
            Trouble::Late(waited) => {
                let what = format!("{stage}: no answer within {}", text::span(*waited));
                self.error(Cause::TimedOut, &what)
            }
            Trouble::Broken(why) => self.error(Cause::Unreachable, &format!("{stage}: {why}")),
            Trouble::Garbage(why) => {
                self.error(Cause::BadAnswer, &format!("{stage}: {why}{}", advice(*stage, None)))
            }
            Trouble::Untrusted(why) | Trouble::Unmet(why) => {
                self.error(Cause::Refused, &format!("{stage}: {why}{}", advice(*stage, None)))
            }
            Trouble::Refused(reply) => {
                let (cause, more) = if reply.is_permanent() {
                    (Cause::Refused, advice(*stage, Some(reply)))
                } else {
                    (Cause::ServerError, "")
                };
                let error = self.error(cause, &format!("{stage}: {reply}{more}"));
                DeliveryError { status: Some(reply.code), ..error }
            }
        }
    }

    /// A failure, told with the server as its subject.
    fn error(&self, cause: Cause, what: &str) -> DeliveryError {
        let Server { host, port, .. } = &self.server;
        let what = text::line(&self.masks.apply(what), MAX_EXCERPT_CHARS);
        DeliveryError::new(cause, format!("email {host}:{port}: {what}"))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel for Email {
    fn kind(&self) -> &'static str {
        "email"
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

    /// Mail servers count connections, and each mail is one.
    fn pace(&self) -> Pace {
        Pace { interval: Duration::from_millis(500), burst: 20 }
    }

    fn may_digest(&self, _: &Notification) -> bool {
        true
    }

    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.send(notification, deadline).boxed()
    }
}

/// What an incident's opening and closing are known by, decided anew or not; an update is one of many.
fn delivery_key(told: &Notification, look: &Look) -> String {
    match told.action {
        Action::Open => format!("open {}", told.dedup_key),
        Action::Close => format!("close {}", told.dedup_key),
        Action::Update => message::message_id(told, look),
    }
}

fn sort<'a>(to: &[&'a Address], replies: Vec<Reply>) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    for (address, reply) in to.iter().copied().zip(replies) {
        if reply.is_success() {
            sorted.taken.push(address);
        } else if reply.is_permanent() {
            sorted.refused.push((address, reply));
        } else {
            sorted.put_off.push((address, reply));
        }
    }
    sorted
}

/// What to do about a failure that no retry mends.
const fn advice(stage: Stage, reply: Option<&Reply>) -> &'static str {
    match (stage, reply) {
        (Stage::Auth, Some(_)) => " (check `auth_username` and `auth_password`)",
        (Stage::Auth, None) => {
            " (set `auth_password` for PLAIN and LOGIN or `auth_secret` for CRAM-MD5, and keep TLS on)"
        }
        (Stage::StartTls, _) => {
            " (use port 465 or `force_implicit_tls: true`, or `require_tls: false` on a network you trust)"
        }
        (Stage::Tls, _) => {
            " (see `ca_file` and `server_name` of `tls_config`, and which port speaks TLS)"
        }
        (Stage::Greeting, None) => {
            " (a port with TLS from the first byte needs `force_implicit_tls: true`)"
        }
        (Stage::Sender, Some(_)) => {
            " (check `from`, and whether this server wants `auth_username`)"
        }
        _ => "",
    }
}

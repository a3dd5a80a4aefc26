//! Who is there: agents by the queue that their answers go to.
//!
//! Owns the memory of it. RabbitMQ does not say when an agent goes: one that is not heard for three beats is gone, and so
//! is one whose queue is. Bounded: whoever comes beyond that is served and not remembered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::intake::session::Session;

/// Agents beat every 10 s.
const GONE_AFTER: Duration = Duration::from_secs(35);
const MAX_SESSIONS: usize = 10_000;

struct Entry {
    session: Session,
    heard_at: Instant,
    /// It has said hello to this process.
    is_greeted: bool,
}

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Entry>>);

/// Whose message it is.
pub(super) enum Known {
    /// Of an agent that has said hello to this process.
    Greeted(Session),
    /// Of one that has said it to another process, and has been asked to say it again.
    Asked(Session),
    /// Nothing is known of it.
    No,
}

impl Sessions {
    /// Remembers an agent that was welcomed.
    pub(super) fn greeted(&self, reply_to: &str, session: Session, now: Instant) {
        self.put(reply_to, Entry { session, heard_at: now, is_greeted: true });
    }

    /// Remembers an agent that is asked to say hello again.
    pub(super) fn asked(&self, reply_to: &str, session: Session, now: Instant) {
        self.put(reply_to, Entry { session, heard_at: now, is_greeted: false });
    }

    fn put(&self, reply_to: &str, entry: Entry) {
        let mut all = self.lock();
        if all.len() < MAX_SESSIONS || all.contains_key(reply_to) {
            all.insert(reply_to.to_owned(), entry);
        }
    }

    /// Whose messages come with this queue for answers.
    pub(super) fn heard(&self, reply_to: &str, now: Instant) -> Known {
        match self.lock().get_mut(reply_to) {
            None => Known::No,
            Some(entry) => {
                entry.heard_at = now;
                let session = entry.session.clone();
                if entry.is_greeted { Known::Greeted(session) } else { Known::Asked(session) }
            }
        }
    }

    /// Forgets one; it comes back if it had said hello here.
    pub(super) fn remove(&self, reply_to: &str) -> Option<Session> {
        self.lock().remove(reply_to).filter(|e| e.is_greeted).map(|e| e.session)
    }

    /// Forgets those that have not been heard for too long; those come back that had said hello here.
    pub(super) fn expire(&self, now: Instant) -> Vec<Session> {
        let mut gone = Vec::new();
        self.lock().retain(|_, entry| {
            let is_here = now.duration_since(entry.heard_at) < GONE_AFTER;
            if !is_here && entry.is_greeted {
                gone.push(entry.session.clone());
            }
            is_here
        });
        gone
    }

    /// Where answers go to, of all.
    pub(super) fn reply_queues(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

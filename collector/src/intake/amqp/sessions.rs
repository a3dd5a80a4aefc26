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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchkeeper_collector_core::engine::Road;

    use super::*;
    use crate::intake::Intake;
    use crate::intake::restoring::settings;
    use crate::store::tests::parts::open;

    struct World {
        _directory: tempfile::TempDir,
        intake: Arc<Intake>,
        sessions: Sessions,
        start: Instant,
    }

    fn world() -> World {
        let directory = tempfile::tempdir().unwrap();
        let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
        let hub = crate::hub::channel().0;
        let intake = Arc::new(Intake::new(open(directory.path()), hub, settings));
        let (sessions, start) = (Sessions::default(), Instant::now());
        World { _directory: directory, intake, sessions, start }
    }

    impl World {
        fn session(&self) -> Session {
            Session::resumed(&self.intake, "web-1", Road::Amqp).unwrap()
        }

        fn at(&self, secs: u64) -> Instant {
            self.start + Duration::from_secs(secs)
        }

        fn knows(&self, queue: &str, secs: u64) -> &'static str {
            match self.sessions.heard(queue, self.at(secs)) {
                Known::Greeted(_) => "greeted",
                Known::Asked(_) => "asked",
                Known::No => "no",
            }
        }
    }

    #[tokio::test]
    async fn who_is_not_heard_for_three_beats_is_gone_and_told_of_only_after_a_hello() {
        let world = world();
        world.sessions.greeted("a", world.session(), world.at(0));
        world.sessions.greeted("b", world.session(), world.at(0));
        world.sessions.asked("c", world.session(), world.at(0));
        assert_eq!(world.knows("a", 20), "greeted");
        assert_eq!(world.sessions.expire(world.at(34)).len(), 0);
        assert_eq!(world.sessions.len(), 3);
        assert_eq!(world.sessions.expire(world.at(35)).len(), 1, "b; c never said hello here");
        assert_eq!((world.sessions.len(), world.knows("a", 54)), (1, "greeted"));
        assert_eq!((world.knows("b", 54), world.knows("c", 54)), ("no", "no"));
        assert_eq!(world.sessions.expire(world.at(88)).len(), 0, "heard at 54");
        assert_eq!(world.sessions.expire(world.at(89)).len(), 1);
        assert_eq!(world.sessions.expire(world.at(1_000)).len(), 0, "once");
    }

    #[tokio::test]
    async fn who_is_asked_to_say_hello_is_asked_once_and_then_greeted() {
        let world = world();
        assert_eq!(world.knows("a", 0), "no");
        world.sessions.asked("a", world.session(), world.at(0));
        assert_eq!(world.knows("a", 1), "asked");
        assert!(world.sessions.remove("a").is_none(), "nobody was told that it is there");
        world.sessions.asked("a", world.session(), world.at(0));
        world.sessions.greeted("a", world.session(), world.at(2));
        assert_eq!((world.knows("a", 3), world.sessions.len()), ("greeted", 1));
        assert_eq!(world.sessions.reply_queues(), ["a"]);
        assert!(world.sessions.remove("a").is_some());
        assert!(world.sessions.remove("a").is_none(), "once");
    }

    #[tokio::test]
    async fn beyond_the_bound_newcomers_are_not_remembered_and_those_known_are_changed() {
        let world = world();
        for n in 0..=MAX_SESSIONS {
            world.sessions.asked(&n.to_string(), world.session(), world.at(0));
        }
        assert_eq!(world.sessions.len(), MAX_SESSIONS);
        assert_eq!(world.knows(&MAX_SESSIONS.to_string(), 1), "no");
        world.sessions.greeted("7", world.session(), world.at(1));
        assert_eq!((world.knows("7", 1), world.sessions.len()), ("greeted", MAX_SESSIONS));
        world.sessions.remove("7");
        world.sessions.greeted("new", world.session(), world.at(1));
        assert_eq!(world.knows("new", 1), "greeted");
    }
}

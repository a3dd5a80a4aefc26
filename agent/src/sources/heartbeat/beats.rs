//! Where the admin endpoint leaves what jobs say, and the worker's sources take it.
//!
//! Owns the names that are listened for and a queue for each, of at most [`MAX_WAITING`] beats; when it is full, or nobody
//! listens under that name, whoever brings a beat is told so at once. Never decides what a beat means.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use watchkeeper_agent_core::heartbeat::Beat;

use crate::sources::wake::Waker;

/// The most beats of one job that wait for the worker.
const MAX_WAITING: usize = 64;

/// What has become of a beat, once that is durable: a result, or `started`, or `known` if it was said before.
pub type Heard = &'static str;

/// Nobody takes a beat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// There is no such heartbeat.
    #[error("there is no heartbeat {name:?}: {}", listed(known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// Too many wait.
    #[error("{MAX_WAITING} beats of {0:?} wait already")]
    TooMany(String),
}

fn listed(known: &[String]) -> String {
    if known.is_empty() {
        return "this agent has none under `sources:`".to_owned();
    }
    format!("this agent has {}", known.join(", "))
}

/// The place. It is one for all, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Beats {
    waker: Waker,
    queues: Arc<Mutex<Queues>>,
}

type Queues = BTreeMap<String, VecDeque<Waiting>>;

/// A beat that waits, and the way back to whoever brought it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) beat: Beat,
    pub(super) answer: oneshot::Sender<Heard>,
}

/// One who listens. When it goes, whoever waits for an answer is told that there is none.
#[derive(Debug)]
pub(super) struct Ear {
    name: String,
    beats: Beats,
}

impl Beats {
    /// A place where nobody listens yet; whoever does is woken by this bell.
    pub fn new(waker: Waker) -> Self {
        Self { waker, queues: Arc::default() }
    }

    /// Leaves a beat of this job. What is given back says what became of it, or that the job is not listened for any more.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn leave(&self, name: &str, beat: Beat) -> Result<oneshot::Receiver<Heard>, Unheard> {
        let (answer, heard) = oneshot::channel();
        {
            let mut queues = self.queues();
            let Some(queue) = queues.get_mut(name) else {
                let known = queues.keys().cloned().collect();
                return Err(Unheard::Unknown { name: name.to_owned(), known });
            };
            if queue.len() >= MAX_WAITING {
                return Err(Unheard::TooMany(name.to_owned()));
            }
            queue.push_back(Waiting { beat, answer });
        }
        self.waker.wake();
        Ok(heard)
    }

    /// Listens for this job; nobody else does.
    pub(super) fn listen(&self, name: &str) -> Ear {
        self.queues().insert(name.to_owned(), VecDeque::new());
        Ear { name: name.to_owned(), beats: self.clone() }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // A queue can't be left half changed by a thread that panicked.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// What has been left since, oldest first.
    pub(super) fn take(&self) -> VecDeque<Waiting> {
        self.beats.queues().get_mut(&self.name).map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.beats.queues().remove(&self.name);
    }
}

//! Beside the worker: where a source does what may take long.
//!
//! Owns the threads for it and the way back. The worker asks, goes on, and is woken when there is an answer. Whoever asks
//! gets one answer, and asks again only after it, so what waits is bounded by the number of those who ask. Work that blocks
//! runs on at most [`MAX_THREADS`] threads; while all of them hang, further work waits, and its source says so. Nothing is
//! started before something is asked. Never decides what an answer means.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use watchkeeper_daemon::clock;

use super::heartbeat::Beats;
use super::soon::Soon;
use super::wake::Waker;

/// Blocking work at the same time. A file system that hangs takes one of them until it answers.
const MAX_THREADS: usize = 32;

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(15);

/// What the agent lends its sources: hands beside the worker, the bell to wake it, and the place where jobs are heard.
#[derive(Clone, Debug)]
pub struct Beside(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waker: Waker,
    soon: Soon,
    beats: Beats,
    runtime: OnceLock<Option<Runtime>>,
}

/// Something asked for beside the worker. Dropped, it is called off, unless it is blocking work that has begun.
#[derive(Debug)]
pub struct Errand<A> {
    answer: oneshot::Receiver<A>,
    task: Option<AbortHandle>,
    since: Duration,
}

/// There will be no answer: the work panicked, or no thread could be started for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl Beside {
    /// Hands that ring this bell.
    pub fn new(waker: Waker) -> Self {
        let (soon, beats) = (Soon::new(waker.clone()), Beats::new(waker.clone()));
        Self(Arc::new(Inner { waker, soon, beats, runtime: OnceLock::new() }))
    }

    /// Where jobs say how they are.
    pub fn beats(&self) -> Beats {
        self.0.beats.clone()
    }

    /// The bell.
    pub fn waker(&self) -> Waker {
        self.0.waker.clone()
    }

    /// The bell that is rung once for many, a moment later.
    pub fn soon(&self) -> Soon {
        self.0.soon.clone()
    }

    /// Has blocking work done.
    pub fn work<A: Send + 'static>(&self, work: impl FnOnce() -> A + Send + 'static) -> Errand<A> {
        self.start(|runtime, answer| {
            let work = runtime.spawn_blocking(move || answer.give(work()));
            work.abort_handle()
        })
    }

    /// Waits for something without a thread of its own. `wait` must not block.
    pub fn wait_for<A, F>(&self, wait: F) -> Errand<A>
    where
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        self.start(|runtime, answer| {
            let waiting = runtime.spawn(async move { answer.give(wait.await) });
            waiting.abort_handle()
        })
    }

    fn start<A>(&self, begin: impl FnOnce(&Runtime, Answer<A>) -> AbortHandle) -> Errand<A> {
        let (sender, receiver) = oneshot::channel();
        let answer = Answer { sender: Some(sender), waker: self.waker() };
        let runtime = self.0.runtime.get_or_init(|| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).max_blocking_threads(MAX_THREADS).thread_keep_alive(IDLE);
            builder.thread_name("beside").enable_all().build().ok()
        });
        let task = runtime.as_ref().map(|runtime| begin(runtime, answer));
        Errand { answer: receiver, task, since: clock::running() }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Some(runtime)) = self.runtime.take() {
            // What hangs must not keep the agent alive.
            runtime.shutdown_background();
        }
    }
}

impl<A> Errand<A> {
    /// The answer, once.
    pub fn take(&mut self) -> Option<Result<A, Lost>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(Lost)),
            Err(oneshot::error::TryRecvError::Empty) => None,
        }
    }

    /// For how long it has been waited for, by [`clock::running`].
    pub fn age(&self) -> Duration {
        clock::running().saturating_sub(self.since)
    }
}

impl<A> Drop for Errand<A> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The way back: rings even if there is no answer, so that nobody waits for one that will never come.
struct Answer<A> {
    sender: Option<oneshot::Sender<A>>,
    waker: Waker,
}

impl<A> Answer<A> {
    fn give(mut self, answer: A) {
        if let Some(sender) = self.sender.take() {
            // Nobody wants it any more if this fails.
            let _ = sender.send(answer);
        }
    }
}

impl<A> Drop for Answer<A> {
    fn drop(&mut self) {
        // First the end of the channel, then the bell.
        self.sender = None;
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::wake::Wakes;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn answered<A>(wakes: &Wakes, errand: &mut Errand<A>) -> Result<A, Lost> {
        loop {
            if let Some(answer) = errand.take() {
                return answer;
            }
            assert!(wakes.wait(LIMIT), "nobody rang");
        }
    }

    #[test]
    fn an_answer_wakes_the_worker_and_is_given_once() {
        let wakes = Wakes::new();
        let beside = Beside::new(wakes.waker());
        let mut work = beside.work(|| 7);
        assert_eq!(answered(&wakes, &mut work), Ok(7));
        assert_eq!(work.take(), Some(Err(Lost)));
        let mut wait = beside.wait_for(async { "later" });
        assert_eq!(answered(&wakes, &mut wait), Ok("later"));
    }

    #[test]
    fn work_that_panics_is_lost_and_nobody_waits_for_it() {
        let wakes = Wakes::new();
        let beside = Beside::new(wakes.waker());
        let mut work = beside.work(|| -> u8 { panic!("on purpose") });
        assert_eq!(answered(&wakes, &mut work), Err(Lost));
        assert_eq!(answered(&wakes, &mut beside.work(|| 1)), Ok(1));
    }

    #[test]
    fn work_that_hangs_delays_nobody_and_no_end() {
        let wakes = Wakes::new();
        let beside = Beside::new(wakes.waker());
        let (let_go, hangs) = mpsc::channel::<()>();
        let mut hanging = beside.work(move || hangs.recv().is_ok());
        assert_eq!(answered(&wakes, &mut beside.work(|| 1)), Ok(1));
        assert_eq!(hanging.take(), None);
        drop(beside);
        drop(let_go);
    }
}

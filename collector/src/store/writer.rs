//! One thread writes one file: whatever arrives while a commit is on its way to disk goes with the next one.
//!
//! Owns the queue, the grouping and who is told what. The queue is bounded: when it is full, whoever adds to it waits, and
//! with that the agents wait; its length is a metric, `watchkeeper_store_…_queue_jobs` for each file. Every answer is given after the commit. If a
//! group fails, its jobs are tried one by one, so that one bad job can't fail its neighbours. Never knows SQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::error::StoreError;

/// Jobs that may wait.
pub(super) const QUEUE_JOBS: usize = 1_024;
/// Jobs of one commit.
const GROUP_JOBS: usize = 256;

/// Something that makes many jobs durable at once.
pub(super) trait Committer: Send + 'static {
    /// What is asked.
    type Job: Send + 'static;
    /// What became of it.
    type Done: Send + 'static;
    /// The file's name, for errors.
    fn file(&self) -> &'static str;
    /// Makes all of them durable, or none.
    fn commit_all(&mut self, jobs: &[Self::Job]) -> Result<Vec<Self::Done>, StoreError>;
}

type Answer<D> = Box<dyn FnOnce(Result<D, StoreError>) + Send>;
type Task<C> = Box<dyn FnOnce(&mut C) + Send>;

enum Work<C: Committer> {
    Commit(C::Job, Answer<C::Done>),
    /// Upkeep between two commits.
    Task(Task<C>),
}

/// The way to a file's writing thread. It ends after what was queued, when it is told to or when the last of these is
/// gone.
pub(super) struct Writer<C: Committer> {
    queue: mpsc::Sender<Work<C>>,
    file: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    n_queued: AtomicUsize,
    is_closing: AtomicBool,
}

impl<C: Committer> Clone for Writer<C> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), file: self.file, shared: self.shared.clone() }
    }
}

impl<C: Committer> Writer<C> {
    /// Starts the thread.
    pub(super) fn spawn(committer: C) -> Result<(Self, JoinHandle<()>), StoreError> {
        let file = committer.file();
        let (queue, jobs) = mpsc::channel(QUEUE_JOBS);
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("store-{file}"))
            .spawn(move || run(committer, jobs, &seen))
            .map_err(|e| StoreError::Io { path: file.into(), detail: e.to_string() })?;
        Ok((Self { queue, file, shared }, thread))
    }

    /// Lets the thread end after what is queued. Whoever asks later is told that the store is closed.
    pub(super) fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Release);
        // Only to wake it: if there is no room for this, it is awake.
        let wake = Work::Task(Box::new(|_: &mut C| {}));
        self.shared.n_queued.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(wake).is_err() {
            self.shared.n_queued.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Makes `job` durable; waits for room in the queue and for the disk.
    pub(super) async fn commit(&self, job: C::Job) -> Result<C::Done, StoreError> {
        let (tell, told) = oneshot::channel();
        // The one who asked may have gone; the commit stands all the same.
        let answer: Answer<C::Done> = Box::new(move |done| drop(tell.send(done)));
        self.submit(job, answer).await?;
        told.await.unwrap_or(Err(StoreError::Closed { file: self.file }))
    }

    /// Queues `job`; `answer` is called on the writing thread after its commit.
    pub(super) async fn submit(
        &self,
        job: C::Job,
        answer: Answer<C::Done>,
    ) -> Result<(), StoreError> {
        self.send(Work::Commit(job, answer)).await
    }

    /// Runs upkeep on the writing thread, between two commits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let task: Task<C> = Box::new(move |committer| drop(tell.send(task(committer))));
        self.send(Work::Task(task)).await?;
        told.await.map_err(|_| StoreError::Closed { file: self.file })
    }

    /// Jobs that wait.
    pub(super) fn n_queued(&self) -> usize {
        self.shared.n_queued.load(Ordering::Relaxed)
    }

    async fn send(&self, work: Work<C>) -> Result<(), StoreError> {
        self.shared.n_queued.fetch_add(1, Ordering::Relaxed);
        self.queue.send(work).await.map_err(|_| {
            self.shared.n_queued.fetch_sub(1, Ordering::Relaxed);
            StoreError::Closed { file: self.file }
        })
    }
}

fn run<C: Committer>(mut committer: C, mut queue: mpsc::Receiver<Work<C>>, shared: &Shared) {
    while let Some(first) = queue.blocking_recv() {
        let (mut jobs, mut answers, mut task) = (Vec::new(), Vec::new(), None);
        let mut next = Some(first);
        while let Some(work) = next {
            shared.n_queued.fetch_sub(1, Ordering::Relaxed);
            match work {
                Work::Commit(job, answer) => {
                    jobs.push(job);
                    answers.push(answer);
                }
                Work::Task(upkeep) => {
                    task = Some(upkeep);
                    break;
                }
            }
            next = if jobs.len() < GROUP_JOBS { queue.try_recv().ok() } else { None };
        }
        if !jobs.is_empty() {
            let done = commit_group(&mut committer, jobs);
            answers.into_iter().zip(done).for_each(|(answer, done)| answer(done));
        }
        if let Some(task) = task {
            task(&mut committer);
        }
        if shared.is_closing.load(Ordering::Acquire) {
            queue.close();
        }
    }
}

fn commit_group<C: Committer>(
    committer: &mut C,
    jobs: Vec<C::Job>,
) -> Vec<Result<C::Done, StoreError>> {
    match committer.commit_all(&jobs) {
        Ok(done) => done.into_iter().map(Ok).collect(),
        Err(error) if jobs.len() == 1 => vec![Err(error)],
        Err(_) => one_by_one(committer, &jobs),
    }
}

fn one_by_one<C: Committer>(
    committer: &mut C,
    jobs: &[C::Job],
) -> Vec<Result<C::Done, StoreError>> {
    let mut no_room = None;
    jobs.iter()
        .map(|job| {
            if let Some(error) = &no_room {
                return Err(StoreError::clone(error));
            }
            let done = committer.commit_all(std::slice::from_ref(job)).and_then(|mut done| {
                done.pop().ok_or_else(|| StoreError::bug(committer.file(), "no answer to a job"))
            });
            // A full disk is the same for all; trying each would only keep it busy.
            no_room = done.as_ref().err().filter(|e| matches!(e, StoreError::Full { .. })).cloned();
            done
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses any group that has a negative number in it.
    #[derive(Default)]
    struct Picky {
        groups: Vec<Vec<i32>>,
    }

    impl Committer for Picky {
        type Job = i32;
        type Done = i32;

        fn file(&self) -> &'static str {
            "picky"
        }

        fn commit_all(&mut self, jobs: &[i32]) -> Result<Vec<i32>, StoreError> {
            if jobs.contains(&0) {
                return Err(StoreError::Full { file: "picky", detail: String::new() });
            }
            if jobs.iter().any(|j| *j < 0) {
                return Err(StoreError::bug("picky", "negative"));
            }
            self.groups.push(jobs.to_vec());
            Ok(jobs.iter().map(|j| j * 2).collect())
        }
    }

    #[test]
    fn one_bad_job_fails_alone() {
        let done = commit_group(&mut Picky::default(), vec![1, -1, 2]);
        assert_eq!(done[0], Ok(2));
        assert!(done[1].is_err());
        assert_eq!(done[2], Ok(4));
    }

    #[test]
    fn a_full_disk_fails_the_rest_without_trying() {
        let mut picky = Picky::default();
        let done = commit_group(&mut picky, vec![1, 0, 2]);
        assert!(done[0].is_ok() && done[1].is_err() && done[2].is_err());
        assert_eq!(picky.groups, [[1]]);
    }

    #[tokio::test]
    async fn what_waits_during_upkeep_goes_in_one_commit() {
        let (writer, thread) = Writer::spawn(Picky::default()).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (start, started) = oneshot::channel();
        let upkeep = {
            let writer = writer.clone();
            let hold = move |_: &mut Picky| start.send(()).is_ok() && wait.recv().is_ok();
            tokio::spawn(async move { writer.run(hold).await })
        };
        started.await.unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        for job in 1..=3 {
            let tell = tell.clone();
            writer.submit(job, Box::new(move |done| tell.send(done).unwrap())).await.unwrap();
        }
        go.send(()).unwrap();
        assert!(upkeep.await.unwrap().unwrap());
        let groups = writer.run(|picky| picky.groups.clone()).await.unwrap();
        assert_eq!(groups, [[1, 2, 3]]);
        assert_eq!(told.iter().take(3).map(Result::unwrap).collect::<Vec<_>>(), [2, 4, 6]);
        writer.close();
        thread.join().unwrap();
        assert_eq!(writer.commit(4).await, Err(StoreError::Closed { file: "picky" }));
    }
}

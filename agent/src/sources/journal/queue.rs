//! What waits between the output of `journalctl` and the worker.
//!
//! Owns the bound: once [`MAX_WAITING_BYTES`] wait, the thread that reads waits too, then the pipe fills, and then
//! `journalctl` stops writing. The journal is the buffer. The worker never waits here.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use watchkeeper_agent_core::journal::Entry;

/// So many bytes may wait before the reading thread waits. What it holds by then is added still: one piece of output
/// and the entry that ends in it.
pub(super) const MAX_WAITING_BYTES: u64 = 4 << 20;

/// Why there will be no more entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The output is closed.
    Closed,
    /// It can't be used any further.
    Broken(String),
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: u64,
    end: Option<End>,
    /// Nobody takes anything any more.
    closed: bool,
}

/// Entries in the order of the journal.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    room: Condvar,
}

impl Queue {
    /// Adds entries, waiting for room first. Says whether the queue was empty; `None` if it is closed.
    pub(super) fn add(&self, entries: &mut Vec<Entry>) -> Option<bool> {
        let mut waiting = self.lock();
        while waiting.bytes >= MAX_WAITING_BYTES && !waiting.closed {
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.closed {
            return None;
        }
        let was_empty = waiting.entries.is_empty();
        waiting.bytes += entries.iter().map(held_bytes).sum::<u64>();
        waiting.entries.extend(entries.drain(..));
        Some(was_empty)
    }

    /// There will be no more.
    pub(super) fn end(&self, end: End) {
        self.lock().end = Some(end);
    }

    /// Nobody takes anything any more: whoever waits for room goes home.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
    }

    /// Everything that waits.
    pub(super) fn take(&self) -> VecDeque<Entry> {
        let mut waiting = self.lock();
        waiting.bytes = 0;
        self.room.notify_all();
        std::mem::take(&mut waiting.entries)
    }

    /// Why there will be no more, when everything was taken.
    pub(super) fn ended(&self) -> Option<End> {
        let waiting = self.lock();
        waiting.end.clone().filter(|_| waiting.entries.is_empty())
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an entry takes up here.
pub(super) fn held_bytes(entry: &Entry) -> u64 {
    (entry.cursor.len() + entry.json.as_ref().map_or(0, Vec::len)) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn entries(n: usize, bytes: usize) -> Vec<Entry> {
        let entry = Entry { cursor: String::new(), n_bytes: 1, json: Some(vec![b'x'; bytes]) };
        vec![entry; n]
    }

    #[test]
    fn whoever_adds_waits_for_room_and_goes_home_when_it_is_closed() {
        let queue = Arc::new(Queue::default());
        assert_eq!(queue.add(&mut entries(4, 1 << 20)), Some(true));
        let adder = queue.clone();
        let second = std::thread::spawn(move || adder.add(&mut entries(5, 1 << 20)));
        assert_eq!(queue.take().len(), 4);
        assert_eq!(second.join().unwrap(), Some(true), "there is room now");
        assert_eq!(queue.bytes(), 5 << 20);
        let adder = queue.clone();
        let third = std::thread::spawn(move || adder.add(&mut entries(1, 1)));
        queue.close();
        assert_eq!(third.join().unwrap(), None);
    }

    #[test]
    fn the_end_comes_after_everything_else() {
        let queue = Queue::default();
        queue.add(&mut entries(2, 10));
        queue.end(End::Closed);
        assert_eq!(queue.ended(), None);
        queue.take();
        assert_eq!(queue.ended(), Some(End::Closed));
    }
}

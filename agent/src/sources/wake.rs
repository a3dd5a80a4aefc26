//! Waking the worker before its time.
//!
//! Owns one flag and its condition. A wake that comes while nobody waits is not lost; many are one.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

/// The worker's end: waits.
#[derive(Clone, Debug, Default)]
pub struct Wakes(Arc<Bell>);

/// The other end: wakes, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Bell>);

impl Wakes {
    /// A bell that has not rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more end to ring it.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.0))
    }

    /// Waits until it rings, or rang since the last time, or the time is over. Says whether it rang.
    pub fn wait(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        // A flag can't be left half changed by a thread that panicked.
        let mut rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.rings.wait_timeout(rung, left);
            rung = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *rung)
    }
}

impl Waker {
    /// Wakes the worker.
    pub fn wake(&self) {
        *self.0.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.rings.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost_and_wakes_once() {
        let wakes = Wakes::new();
        assert!(!wakes.wait(Duration::ZERO));
        wakes.waker().wake();
        wakes.waker().wake();
        assert!(wakes.wait(Duration::from_secs(60)));
        assert!(!wakes.wait(Duration::ZERO));
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        let wakes = Wakes::new();
        let waker = wakes.waker();
        let other = std::thread::spawn(move || waker.wake());
        assert!(wakes.wait(Duration::from_secs(60)));
        other.join().unwrap();
    }
}

//! Waking the worker a moment from now, once for all who want it meanwhile.
//!
//! Owns one delay. Hundreds of sources that have something small to say would otherwise wake the worker hundreds of times a
//! second, and each time it looks at all of them. Nobody waits longer than [`DELAY`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::wake::Waker;

/// How long after the first wish the worker is woken.
const DELAY: Duration = Duration::from_millis(50);

/// One more end to ring the bell with, later.
#[derive(Clone, Debug)]
pub struct Soon {
    waker: Waker,
    is_set: Arc<AtomicBool>,
}

impl Soon {
    pub(super) fn new(waker: Waker) -> Self {
        Self { waker, is_set: Arc::default() }
    }

    /// Wakes the worker soon. Only within what is done beside it.
    pub fn wake(&self) {
        if self.is_set.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            // Before it rings: what is said from here on wakes again.
            this.is_set.store(false, Ordering::Release);
            this.waker.wake();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::wake::Wakes;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_wishes_are_one_wake_and_a_later_one_another() {
        let wakes = Wakes::new();
        let soon = Soon::new(wakes.waker());
        for _ in 0..2 {
            soon.wake();
            soon.clone().wake();
            assert!(!wakes.wait(Duration::ZERO));
            tokio::time::sleep(DELAY * 2).await;
            assert!(wakes.wait(Duration::ZERO));
            assert!(!wakes.wait(Duration::ZERO));
        }
    }
}

//! Named crash points: places where a test lets the process die as `kill -9` would.
//!
//! Owns one static that stays empty unless the hidden option `--crash-at NAME[:N]` of the commands fills it; without
//! it a point is one load. Never reads the environment.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static TARGET: OnceLock<(String, u64)> = OnceLock::new();
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Makes the process abort at the point `name`, or with `name:n` when it passes there for the n-th time.
pub fn arm(target: &str) {
    let (name, n) = target.split_once(':').unwrap_or((target, "1"));
    // Armed once, at start; a second call changes nothing.
    let _ = TARGET.set((name.to_owned(), n.parse().unwrap_or(1)));
}

/// Dies here if this is the point armed.
pub fn point(name: &str) {
    if let Some((wanted, n)) = TARGET.get()
        && wanted == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *n
    {
        std::process::abort();
    }
}

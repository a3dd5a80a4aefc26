//! Who a pidfile names.
//!
//! Owns what may stand in one, and when the process of that number can't be the one that was meant.

use std::time::Duration;

use watchkeeper_model::Timestamp;

/// A file is written when its process has begun. So much later a process began that has the number by chance.
const AFTER_WRITING: Duration = Duration::from_secs(60);

/// What is known of a pidfile besides what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// When it was written.
    pub written: Timestamp,
    /// It lies in memory: it is no older than the machine's start, whatever a clock that was wrong then says.
    pub is_volatile: bool,
}

/// What stands there is no process id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPid {
    /// Nothing stands there.
    #[error("is empty")]
    Empty,
    /// Something else does.
    #[error("holds {0:?}, which is no process id")]
    Garbage(String),
}

/// The process id in a pidfile: a number in its first line; further lines are the business of whoever wrote it, as those
/// of PostgreSQL.
pub fn pid_in(content: &[u8]) -> Result<u32, NoPid> {
    let text = String::from_utf8_lossy(content);
    let first = text.lines().next().unwrap_or_default().trim();
    if first.is_empty() {
        return Err(NoPid::Empty);
    }
    // 2^22 is the most that Linux gives out (PID_MAX_LIMIT), macOS stays below.
    let pid = first.parse().ok().filter(|pid| (1..=1 << 22).contains(pid));
    pid.ok_or_else(|| NoPid::Garbage(first.chars().take(40).collect()))
}

impl PidFile {
    /// Whether a process that began `age` ago may be the one that is named, on a machine that runs for `uptime`.
    pub fn may_name(&self, age: Duration, uptime: Duration, now: Timestamp) -> bool {
        let (began, booted) = (now - age, now - uptime);
        let clock_was_wrong = self.is_volatile && self.written < booted;
        began <= self.written + AFTER_WRITING || clock_was_wrong
    }
}

//! Hearing at once that a process has ended.
//!
//! Owns one wait for each process: on Linux for its pidfd, which is readable when the process ends and never means another
//! one; where there is none (an older kernel, no descriptor left, macOS), a look twice a second. Never says what follows.

use std::time::Duration;

use watchkeeper_agent_core::process::{Exit, Identity};

use super::table::Table;
use crate::sources::{Beside, Errand};

/// So often is looked where nothing tells.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits for the end of this process, and says how it ended if that can be known.
pub(super) fn wait(beside: &Beside, table: &Table, id: Identity) -> Errand<Exit> {
    let table = table.clone();
    beside.wait_for(async move {
        if !told(&table, id).await {
            while table.is_there(id) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        table.exit(id)
    })
}

/// Waits until its descriptor tells; `false` if it has none.
#[cfg(target_os = "linux")]
async fn told(table: &Table, id: Identity) -> bool {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    let pid = i32::try_from(id.pid).ok().and_then(Pid::from_raw);
    let Some(Ok(descriptor)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK)) else {
        return false;
    };
    // The number may have passed to another process before it was opened, and never after.
    if !table.is_there(id) {
        return true;
    }
    #[expect(
        deprecated,
        reason = "what took its place is unsafe; an OwnedFd is one descriptor until it is dropped"
    )]
    let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE);
    match descriptor {
        Ok(descriptor) => descriptor.readable().await.is_ok(),
        Err(_) => false,
    }
}

#[cfg(not(target_os = "linux"))]
async fn told(_table: &Table, _id: Identity) -> bool {
    false
}

//! What every end-to-end test needs: processes, a site of one collector and its agents, writers of logs and journals, a proxy.
//!
//! Owns no assertion. Waiting is for a condition and bounded; nothing sleeps to win a race.

mod disk;
mod http;
mod journal;
mod process;
mod proxy;
mod rabbit;
mod site;
mod writer;

pub use disk::SmallDisk;
pub use http::{get_json, get_text};
pub use journal::JournalWriter;
pub use process::{Process, as_user, binary, find_program, free_port, without_privileges};
pub use proxy::{Direction, Fault, Proxy};
pub use rabbit::{Rabbit, uri};
pub use site::{AgentOptions, Road, Site, Totals};
pub use writer::LogWriter;

use std::future::Future;
use std::time::Duration;

/// Asks until `check` gives an answer; panics with `what` when `limit` is over.
pub async fn eventually<T, F>(what: &str, limit: Duration, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if let Some(answer) = check().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "after {limit:?} still not: {what}");
        // The pace of asking, not a wait for something to happen by itself.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

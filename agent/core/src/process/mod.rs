//! Whether processes run, what they take, and how they end.
//!
//! In reading order: `stat` reads what Linux tells of one, `exit` how one ended; `pidfile` and `supervisor` read who it is
//! from those who know; `track` decides what died, started and was started again,
//! `restarts` how often; `observer` counts and tells. Nothing here
//! asks the system.

mod exit;
mod observer;
mod pidfile;
mod restarts;
mod stat;
mod supervisor;
#[cfg(test)]
mod tests;
mod track;

pub use exit::Exit;
pub use observer::{MAX_PROCESSES, ProcessObserver, Sample, Total};
pub use pidfile::{NoPid, PidFile, pid_in};
pub use restarts::Restarts;
pub use stat::Stat;
pub use supervisor::{SYSTEMD_PROPERTIES, Unit, UnitState, launchd, systemd};
pub use track::{Change, Identity, Process, Rest, Track};

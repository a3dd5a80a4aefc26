//! What systems other than Linux tell of their processes.
//!
//! Owns the use of the crate `sysinfo`. When a process began is known to the second. How one ended is not told: only its
//! parent hears that.

use std::io;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};
use watchkeeper_agent_core::process::{Exit, Identity, Process, Sample};
use watchkeeper_model::Timestamp;

pub(super) use super::seen::{Called, Listed, Moment, Seen};

/// The most that is looked at of a command line.
const MAX_COMMAND_BYTES: usize = 4096;

/// Nothing stays open here.
#[derive(Debug, Default)]
pub(super) struct Kept(());

impl Kept {
    /// Closes what is open of others than these.
    pub(super) fn only(&mut self, _pids: &[u32]) {}
}

/// The processes of this machine.
#[derive(Clone, Debug)]
pub(super) struct Table(());

impl Table {
    pub(super) fn new() -> Self {
        Self(())
    }

    /// This moment.
    pub(super) fn moment(&self, now: Timestamp) -> Moment {
        // If it is not told, no pidfile is taken for one that was left over.
        let seconds = System::uptime().unwrap_or(u64::MAX);
        let started = u64::try_from(now.nanos() / 1_000_000_000).unwrap_or_default();
        Moment { now, uptime: Duration::from_secs(seconds), started }
    }

    /// How a process is; `None` if there is none of this number.
    ///
    /// # Errors
    /// If processes can't be looked at.
    pub(super) fn look(
        &self,
        pid: u32,
        _moment: Moment,
        _kept: &mut Kept,
    ) -> io::Result<Option<Seen>> {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        with(pid, what, |process| Seen {
            sample: Sample {
                process: Process {
                    id: Identity { started: process.start_time(), pid },
                    began: began(process),
                },
                cpu: Duration::from_millis(process.accumulated_cpu_time()),
                memory: process.memory(),
                threads: None,
                fds: process.open_files().map(|n| n as u64),
            },
            closed: None,
        })
    }

    /// Whether this very process is there.
    pub(super) fn is_there(&self, id: Identity) -> bool {
        let started = with(id.pid, ProcessRefreshKind::nothing(), sysinfo::Process::start_time);
        // What can't be looked at may be there.
        started.map_or(true, |started| started == Some(id.started))
    }

    /// How it has ended: that is not told.
    pub(super) fn exit(&self, _id: Identity) -> Exit {
        Exit::Unknown
    }

    /// All processes.
    pub(super) fn list(&self) -> io::Result<Vec<Listed>> {
        let mut system = System::new().map_err(io::Error::other)?;
        let what = ProcessRefreshKind::nothing();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let listed = system.processes().iter();
        Ok(listed.map(|(pid, p)| Listed { pid: pid.as_u32(), entry: p.start_time() }).collect())
    }

    /// How a process was called; `None` if there is no such process. May wait.
    pub(super) fn called(&self, pid: u32) -> io::Result<Option<Called>> {
        let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
        with(pid, what, |process| {
            let words: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
            let mut command = words.join(" ");
            command.truncate(command.floor_char_boundary(MAX_COMMAND_BYTES));
            Called {
                started: process.start_time(),
                age: Duration::from_secs(process.run_time()),
                parent: process.parent().map_or(0, Pid::as_u32),
                command,
            }
        })
    }
}

fn began(process: &sysinfo::Process) -> Timestamp {
    Timestamp::from_secs(i64::try_from(process.start_time()).unwrap_or(i64::MAX))
}

/// Asks about one process, if it is there and has not ended.
fn with<T>(
    pid: u32,
    what: ProcessRefreshKind,
    say: impl FnOnce(&sysinfo::Process) -> T,
) -> io::Result<Option<T>> {
    let mut system = System::new().map_err(io::Error::other)?;
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    let lives = |process: &&sysinfo::Process| {
        !matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead)
    };
    Ok(system.process(pid).filter(lives).map(say))
}

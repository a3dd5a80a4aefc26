//! What Linux tells of its processes.
//!
//! Owns the paths below `/proc`. What is asked for on the worker's thread never waits; command lines may, for a process that
//! hangs while its memory is changed, and are only read beside it.

use std::collections::HashMap;
use std::fs::{DirEntry, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirEntryExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities};
use rustix::time::{ClockId, clock_gettime};
use watchkeeper_agent_core::process::{Exit, Identity, Process, Sample, Stat};
use watchkeeper_model::Timestamp;

pub(super) use super::seen::{Called, Listed, Moment, Seen};
use crate::descriptors;

/// More open files than this are not counted one by one.
const MAX_COUNTED: usize = 100_000;

/// The most that is read of a command line.
const MAX_COMMAND_BYTES: u64 = 4096;

/// `PROC_SUPER_MAGIC` of statfs(2).
const PROC: rustix::fs::FsWord = 0x9fa0;

/// What is looked at again and again stays open: that takes a third of the time of opening it anew. What is open tells of one
/// process, and of none that has its number later.
#[derive(Debug, Default)]
pub(super) struct Kept(HashMap<u32, Open>);

#[derive(Debug)]
struct Open {
    stat: File,
    /// The directory of its descriptors.
    fds: Option<OwnedFd>,
}

impl Kept {
    /// Closes what is open of others than these.
    pub(super) fn only(&mut self, pids: &[u32]) {
        if self.0.len() > pids.len() {
            self.0.retain(|pid, _| pids.contains(pid));
        }
    }

    /// Keeps it if the end of the process will be seen by it, and enough descriptors are left for others.
    fn keep(&mut self, pid: u32, stat: File, fds: &Path) {
        let is_early =
            u64::try_from(stat.as_raw_fd()).is_ok_and(|fd| fd < descriptors::limit() / 2);
        if is_early && rustix::fs::fstatfs(&stat).is_ok_and(|on| on.f_type == PROC) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fds = rustix::fs::open(fds, flags, Mode::empty()).ok();
            self.0.insert(pid, Open { stat, fds });
        }
    }

    /// How large the directory of its descriptors is.
    fn size_of_fds(&self, pid: u32) -> Option<io::Result<u64>> {
        let fds = self.0.get(&pid)?.fds.as_ref()?;
        let size = |told: rustix::fs::Stat| u64::try_from(told.st_size).unwrap_or_default();
        Some(rustix::fs::fstat(fds).map(size).map_err(io::Error::from))
    }
}

/// The processes of this machine.
#[derive(Clone, Debug)]
pub(super) struct Table {
    proc: PathBuf,
    uptime: fn() -> Duration,
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Table {
    pub(super) fn new() -> Self {
        Self::at("/proc".into(), uptime)
    }

    /// Those that are told of elsewhere, on a machine that runs for so long.
    pub(super) fn at(proc: PathBuf, uptime: fn() -> Duration) -> Self {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        let page_bytes = rustix::param::page_size() as u64;
        Self { proc, uptime, ticks_per_second, page_bytes }
    }

    /// This moment.
    pub(super) fn moment(&self, now: Timestamp) -> Moment {
        let uptime = (self.uptime)();
        let ticks = uptime.as_nanos() * u128::from(self.ticks_per_second) / 1_000_000_000;
        Moment { now, uptime, started: u64::try_from(ticks).unwrap_or(u64::MAX) }
    }

    /// How a process is; `None` if there is none of this number.
    ///
    /// # Errors
    /// If there is one that can't be looked at.
    pub(super) fn look(
        &self,
        pid: u32,
        moment: Moment,
        kept: &mut Kept,
    ) -> io::Result<Option<Seen>> {
        let stat = match self.stat_again(pid, kept) {
            Ok(stat) => stat,
            Err(error) if is_gone(&error) => return self.hidden(pid),
            Err(error) => return Err(error),
        };
        if stat.has_ended() {
            return Ok(None);
        }
        let since_boot = self.span(stat.started_ticks);
        let began = moment.now - moment.uptime.saturating_sub(since_boot);
        let fds = self.open_files(pid, kept);
        let sample = Sample {
            process: Process { id: Identity { started: stat.started_ticks, pid }, began },
            cpu: self.span(stat.cpu_ticks),
            memory: stat.resident_pages.saturating_mul(self.page_bytes),
            threads: Some(stat.threads),
            fds: fds.as_ref().ok().copied(),
        };
        match fds {
            Err(error) if is_gone(&error) => Ok(None),
            fds => Ok(Some(Seen { sample, closed: fds.err() })),
        }
    }

    /// Whether this very process is there.
    pub(super) fn is_there(&self, id: Identity) -> bool {
        let same = |stat: Stat| stat.started_ticks == id.started && !stat.has_ended();
        // What can't be read may be there.
        self.stat(id.pid).map_or_else(|error| !is_gone(&error), same)
    }

    /// How it has ended, as long as its parent has not asked and this user may know.
    pub(super) fn exit(&self, id: Identity) -> Exit {
        let Ok(stat) = self.stat(id.pid) else { return Exit::Unknown };
        // Who may not know is told 0.
        if stat.started_ticks == id.started && stat.has_ended() && self.may_know(id.pid) {
            Exit::of_wait_status(stat.wait_status)
        } else {
            Exit::Unknown
        }
    }

    /// All processes. With its directory a process gets an inode of its own, which stands in the list and costs no call.
    pub(super) fn list(&self) -> io::Result<Vec<Listed>> {
        let listed = |entry: DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some(Listed { pid, entry: entry.ino() })
        };
        Ok(std::fs::read_dir(&self.proc)?.flatten().filter_map(listed).collect())
    }

    /// How a process was called; `None` if there is no such process. May wait.
    pub(super) fn called(&self, pid: u32) -> io::Result<Option<Called>> {
        let called = self.stat(pid).and_then(|stat| {
            let mut bytes = Vec::new();
            let file = File::open(self.proc.join(format!("{pid}/cmdline")))?;
            file.take(MAX_COMMAND_BYTES).read_to_end(&mut bytes)?;
            let words = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
            let spaced: Vec<u8> = words.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
            Ok(Called {
                started: stat.started_ticks,
                age: (self.uptime)().saturating_sub(self.span(stat.started_ticks)),
                parent: stat.parent,
                command: String::from_utf8_lossy(&spaced).into_owned(),
            })
        });
        match called {
            Err(error) if is_gone(&error) => Ok(None),
            called => called.map(Some),
        }
    }

    /// Whether this user is told how a process ended: its own, or any with the right to trace it (ptrace(2)).
    fn may_know(&self, pid: u32) -> bool {
        let owner = std::fs::metadata(self.proc.join(pid.to_string())).map(|told| told.uid());
        let may_trace = |may: CapabilitySets| may.effective.contains(CapabilitySet::SYS_PTRACE);
        owner.is_ok_and(|owner| owner == geteuid().as_raw())
            || capabilities(None).is_ok_and(may_trace)
    }

    fn stat(&self, pid: u32) -> io::Result<Stat> {
        stat_in(&self.open_stat(pid)?)
    }

    fn stat_again(&self, pid: u32, kept: &mut Kept) -> io::Result<Stat> {
        if let Some(Open { stat, .. }) = kept.0.get(&pid) {
            match stat_in(stat) {
                // Another process may have the number by now.
                Err(error) if is_gone(&error) => kept.0.remove(&pid),
                read => return read,
            };
        }
        let file = self.open_stat(pid)?;
        let stat = stat_in(&file)?;
        kept.keep(pid, file, &self.fds_of(pid));
        Ok(stat)
    }

    fn open_stat(&self, pid: u32) -> io::Result<File> {
        File::open(self.proc.join(format!("{pid}/stat")))
    }

    /// `Ok` if there really is no such process.
    fn hidden(&self, pid: u32) -> io::Result<Option<Seen>> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        match raw.map(test_kill_process) {
            Some(Err(Errno::PERM)) if self.proc == Path::new("/proc") => Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "it is hidden from this user (mount option hidepid of /proc)",
            )),
            _ => Ok(None),
        }
    }

    fn span(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.ticks_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn fds_of(&self, pid: u32) -> PathBuf {
        self.proc.join(format!("{pid}/fd"))
    }

    fn open_files(&self, pid: u32, kept: &Kept) -> io::Result<u64> {
        // Since 6.2 its size says how many there are. Who may not look into it may still see that.
        let n = match kept.size_of_fds(pid) {
            Some(size) => size?,
            None => std::fs::metadata(self.fds_of(pid))?.len(),
        };
        if n > 0 {
            return Ok(n);
        }
        Ok(std::fs::read_dir(self.fds_of(pid))?.take(MAX_COUNTED).count() as u64)
    }
}

fn stat_in(file: &File) -> io::Result<Stat> {
    let mut buffer = [0; 1024];
    let n = file.read_at(&mut buffer, 0)?;
    let strange = || io::Error::new(ErrorKind::InvalidData, "its stat is not understood");
    Stat::read(&buffer[..n]).ok_or_else(strange)
}

/// For how long the machine runs, its sleep included; what `/proc/uptime` says.
fn uptime() -> Duration {
    let running = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(running.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(running.tv_nsec).unwrap_or_default())
}

fn is_gone(error: &io::Error) -> bool {
    let of_os = error.raw_os_error().map(Errno::from_raw_os_error);
    error.kind() == ErrorKind::NotFound || of_os == Some(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_kept_open_of_a_process_tells_the_same_and_ends_with_it() {
        let table = Table::new();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let (pid, mut kept) = (child.id(), Kept::default());
        let look = |kept: &mut Kept| {
            let seen = table.look(pid, table.moment(Timestamp::EPOCH), kept).unwrap();
            seen.map(|seen| (seen.sample.process.id, seen.sample.fds))
        };
        let first = look(&mut kept);
        assert!(first.is_some() && kept.0.len() == 1);
        assert_eq!(look(&mut kept), first);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((look(&mut kept), kept.0.len()), (None, 0));
    }
}

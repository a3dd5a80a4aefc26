//! The process whose number stands in a file.
//!
//! Owns reading the file, anew whenever it has changed, and that a number which another process has by now is not followed.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeeper_agent_core::process::{Identity, PidFile, Process, pid_in};
use watchkeeper_model::Timestamp;

use super::table::Moment;
use super::whom::{Knower, Whom};
use crate::sources::Beside;

/// The most that is read of a file.
const MAX_BYTES: u64 = 4096;

/// A pidfile and what it said.
#[derive(Debug)]
pub(super) struct ByPidFile {
    path: PathBuf,
    /// What it was like when it was read.
    version: Option<Version>,
    whom: Whom,
    file: PidFile,
    /// Who had the number when this version of the file was first followed.
    followed: Option<Identity>,
}

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl ByPidFile {
    pub(super) fn new(path: PathBuf) -> Self {
        let file = PidFile { written: Timestamp::EPOCH, is_volatile: false };
        Self { path, version: None, whom: Whom::NotYet, file, followed: None }
    }

    fn read(&mut self, told: &Metadata) -> Whom {
        let shown = self.path.display();
        if !told.is_file() {
            return Whom::Unclear(format!("{shown} is no file"));
        }
        match content(&self.path).map(|bytes| pid_in(&bytes)) {
            Ok(Ok(pid)) => {
                let written = Timestamp::from_secs(told.mtime()).shifted(told.mtime_nsec());
                self.file = PidFile { written, is_volatile: is_volatile(&self.path) };
                Whom::These { pids: vec![pid], n_more: 0 }
            }
            Ok(Err(no_pid)) => Whom::Unclear(format!("{shown} {no_pid}")),
            Err(error) => Whom::Unclear(format!("{shown} can't be read: {error}")),
        }
    }
}

impl Knower for ByPidFile {
    fn ask(&mut self, _beside: &Beside, _running: Duration) {}

    fn take(&mut self) -> bool {
        false
    }

    fn whom(&mut self) -> Whom {
        let told = match std::fs::metadata(&self.path) {
            Ok(told) => told,
            Err(error) => {
                self.version = None;
                let shown = self.path.display();
                return match error.kind() {
                    ErrorKind::NotFound => Whom::Nobody(format!("there is no {shown}")),
                    _ => Whom::Unclear(format!("{shown} can't be read: {error}")),
                };
            }
        };
        let version = Version::of(&told);
        if self.version != Some(version) {
            self.whom = self.read(&told);
            self.version = Some(version);
            self.followed = None;
        }
        self.whom.clone()
    }

    fn accepts(&mut self, process: &Process, moment: Moment) -> Result<(), String> {
        let age = moment.now.since(process.began);
        let is_meant = match self.followed {
            Some(known) => known == process.id,
            None => self.file.may_name(age, moment.uptime, moment.now),
        };
        if is_meant {
            self.followed = Some(process.id);
            return Ok(());
        }
        let (shown, pid) = (self.path.display(), process.id.pid);
        Err(format!("{shown} names process {pid}, and another one has that number by now"))
    }

    fn died(&mut self, _pid: u32) {}
}

impl Version {
    fn of(told: &Metadata) -> Self {
        Self {
            inode: told.ino(),
            bytes: told.len(),
            written: (told.mtime(), told.mtime_nsec()),
            changed: (told.ctime(), told.ctime_nsec()),
        }
    }
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    // It may have become a pipe since it was looked at: opening that would wait.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file: File = File::options().read(true).custom_flags(flags).open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether it lies in memory: `TMPFS_MAGIC` of statfs(2).
#[cfg(target_os = "linux")]
fn is_volatile(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|told| told.f_type == 0x0102_1994)
}

#[cfg(not(target_os = "linux"))]
fn is_volatile(_path: &Path) -> bool {
    false
}

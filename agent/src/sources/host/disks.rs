//! How full file systems are.
//!
//! Owns that a file system which does not answer delays nothing: those on disks of this machine are asked together, each
//! other one by itself, all beside the worker, and none a second time before it has answered. Never decides which are real.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_agent_core::host::{Mount, MountKind, Space};

use super::machine;
use crate::sources::{Beside, Errand, Lost};

/// The most file systems that others serve.
const MAX_REMOTE: usize = 16;

/// Whoever takes longer than this to answer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the file systems of this machine have said.
type Local = Result<(Vec<Space>, Vec<Mount>, Vec<String>), String>;

/// All file systems of a host.
#[derive(Debug, Default)]
pub(super) struct Disks {
    local: Option<Errand<Local>>,
    remote: BTreeMap<String, Errand<Result<Space, String>>>,
    problems: Vec<String>,
    /// By path.
    remote_problems: BTreeMap<String, String>,
}

impl Disks {
    /// Asks all that have answered.
    pub(super) fn ask(&mut self, beside: &Beside) {
        if self.local.is_none() {
            self.local = Some(beside.work(local));
        }
    }

    /// What has been answered since.
    pub(super) fn take(&mut self, beside: &Beside) -> Vec<Space> {
        let mut all = Vec::new();
        if let Some(answer) = self.local.as_mut().and_then(Errand::take) {
            self.local = None;
            let answer = answer.unwrap_or_else(|Lost| Err(lost()));
            match answer {
                Ok((spaces, remote, problems)) => {
                    all.extend(spaces);
                    self.problems = problems;
                    self.ask_remote(remote, beside);
                }
                Err(problem) => self.problems = vec![problem],
            }
        }
        let (problems, answered) = (&mut self.remote_problems, &mut all);
        self.remote.retain(|path, errand| {
            let Some(answer) = errand.take() else { return true };
            match answer.unwrap_or_else(|Lost| Err(lost())) {
                Ok(space) => {
                    problems.remove(path);
                    answered.push(space);
                }
                Err(problem) => _ = problems.insert(path.clone(), problem),
            }
            false
        });
        all
    }

    fn ask_remote(&mut self, mut mounts: Vec<Mount>, beside: &Beside) {
        let n_more = mounts.len().saturating_sub(MAX_REMOTE);
        if n_more > 0 {
            self.problems.push(format!(
                "{n_more} file systems that others serve are not observed: {MAX_REMOTE} are the limit"
            ));
        }
        mounts.truncate(MAX_REMOTE);
        self.remote_problems.retain(|path, _| mounts.iter().any(|mount| mount.path == *path));
        for Mount { path, .. } in mounts {
            let asked = path.clone();
            let ask = || beside.work(move || space(&asked));
            self.remote.entry(path).or_insert_with(ask);
        }
    }

    /// What can't be told at present.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let hangs = |path: &str| format!("the file system at {path} does not answer");
        let local = self.local.as_ref().filter(|errand| errand.age() > PATIENCE);
        let remote = self.remote.iter().filter(|(_, errand)| errand.age() > PATIENCE);
        let local = local.map(|_| "a file system of this machine does not answer".to_owned());
        let said = self.problems.iter().chain(self.remote_problems.values()).cloned();
        local.into_iter().chain(remote.map(move |(path, _)| hangs(path))).chain(said)
    }
}

fn lost() -> String {
    "file systems can't be asked: no thread can be started for it".to_owned()
}

/// Asks what file systems there are, and those of this machine how full they are.
fn local() -> Local {
    let (mounts, n_more) = machine::mounts()?;
    let (mut spaces, mut remote, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for mount in mounts {
        match mount.kind {
            MountKind::Remote => remote.push(mount),
            MountKind::Local => match space(&mount.path) {
                Ok(space) => spaces.push(space),
                Err(problem) => problems.push(problem),
            },
        }
    }
    if n_more > 0 {
        problems.push(format!("{n_more} file systems more are not observed"));
    }
    Ok((spaces, remote, problems))
}

/// Asks one file system; may take for ever.
fn space(path: &str) -> Result<Space, String> {
    let told = rustix::fs::statvfs(path)
        .map_err(|error| format!("the file system at {path} can't be asked: {error}"))?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Ok(Space {
        mount: path.to_owned(),
        bytes: bytes(told.f_blocks),
        bytes_free: bytes(told.f_bfree),
        bytes_available: bytes(told.f_bavail),
        inodes: told.f_files,
        inodes_free: told.f_ffree,
    })
}

//! A journal that is written while it is read.
//!
//! Owns the truth: how many entries were written, by priority. systemd-journal-remote makes the files, as it does where
//! journals are collected; no journald has to run. Archives as journald does, by renaming.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

/// The writer of one journal.
#[derive(Debug)]
pub struct JournalWriter {
    maker: PathBuf,
    directory: PathBuf,
    child: Option<Child>,
    n_archived: u32,
    next: u64,
    /// Entries written, by priority.
    pub written: BTreeMap<String, u64>,
}

impl JournalWriter {
    /// A writer into this directory; `None` if systemd-journal-remote is not on this machine.
    pub fn find(directory: &Path) -> Option<Self> {
        let known =
            ["/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote"];
        let maker = known.into_iter().map(PathBuf::from).find(|path| path.exists())?;
        Some(Self {
            maker,
            directory: directory.to_path_buf(),
            child: None,
            n_archived: 0,
            next: 0,
            written: BTreeMap::new(),
        })
    }

    /// Hands one entry over to be written at once.
    ///
    /// # Errors
    /// If systemd-journal-remote can't be started or does not take it.
    pub fn entry(&mut self, priority: u8) -> anyhow::Result<()> {
        self.next += 1;
        let n = self.next;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        let text = format!(
            "__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={n}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             _TRANSPORT=stdout\n_SYSTEMD_UNIT=shop.service\nPRIORITY={priority}\nMESSAGE=request {n} done\n\n"
        );
        let mut pipe = self.child()?.stdin.as_ref().context("it was started with a pipe")?;
        pipe.write_all(text.as_bytes())?;
        *self.written.entry(priority.to_string()).or_default() += 1;
        Ok(())
    }

    fn child(&mut self) -> anyhow::Result<&mut Child> {
        if self.child.is_none() {
            let journal = self.directory.join("system.journal");
            let mut command = Command::new(&self.maker);
            command.arg("-o").arg(journal).arg("-").stdin(Stdio::piped()).stderr(Stdio::null());
            self.child = Some(command.spawn()?);
        }
        self.child.as_mut().context("just started")
    }

    /// Waits until everything handed over is written.
    ///
    /// # Errors
    /// If it could not be.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        drop(child.stdin.take());
        anyhow::ensure!(child.wait()?.success(), "systemd-journal-remote could not write");
        Ok(())
    }

    /// Gives the file another name and goes on in a new one.
    ///
    /// # Errors
    /// If the file can't be finished or renamed.
    pub fn archive(&mut self) -> anyhow::Result<()> {
        self.finish()?;
        self.n_archived += 1;
        let archived = self.directory.join(format!("system@{}.journal", self.n_archived));
        Ok(std::fs::rename(self.directory.join("system.journal"), archived)?)
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        // A test that failed has other worries.
        let _ = self.finish();
    }
}

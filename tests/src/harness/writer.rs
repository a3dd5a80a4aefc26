//! A program that writes a JSON log and keeps count.
//!
//! Owns the truth: how many lines were written whole, by status. Rotates as logrotate does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The writer of one log file.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    n_rotations: u32,
    next: u64,
    /// Lines written, by status.
    pub written: BTreeMap<String, u64>,
}

impl LogWriter {
    /// Opens `path` for appending.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            n_rotations: 0,
            next: 0,
            written: BTreeMap::new(),
        })
    }

    /// Writes one line in one call, as loggers do.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn line(&mut self, status: u16, duration_ms: f64) -> std::io::Result<()> {
        self.next += 1;
        let level = if status >= 500 { "error" } else { "info" };
        let line = format!(
            "{{\"level\":\"{level}\",\"method\":\"GET\",\"path\":\"/cart\",\"status\":{status},\"duration_ms\":{duration_ms},\
             \"request_id\":\"{}-{}\",\"msg\":\"request done\"}}\n",
            self.path.file_name().unwrap_or_default().to_string_lossy(),
            self.next
        );
        self.file.write_all(line.as_bytes())?;
        *self.written.entry(status.to_string()).or_default() += 1;
        Ok(())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Renames the file to `NAME.N` and goes on in a new one.
    ///
    /// # Errors
    /// If a file cannot be renamed or made.
    pub fn rotate_by_rename(&mut self) -> std::io::Result<PathBuf> {
        self.n_rotations += 1;
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(format!(".{}", self.n_rotations));
        let rotated = PathBuf::from(rotated);
        std::fs::rename(&self.path, &rotated)?;
        self.file = File::options().create(true).append(true).open(&self.path)?;
        Ok(rotated)
    }

    /// Copies the file to `NAME.N` and empties it, as logrotate's copytruncate does.
    ///
    /// # Errors
    /// If a file cannot be copied or emptied.
    pub fn rotate_by_copytruncate(&mut self) -> std::io::Result<PathBuf> {
        self.n_rotations += 1;
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(format!(".{}", self.n_rotations));
        let rotated = PathBuf::from(rotated);
        std::fs::copy(&self.path, &rotated)?;
        self.file.set_len(0)?;
        Ok(rotated)
    }

    /// Puts a rotated file into gzip and deletes it, as logrotate's compress does.
    ///
    /// # Errors
    /// If gzip can't be started, or fails.
    pub fn compress(rotated: &Path) -> anyhow::Result<()> {
        let ended = Command::new("gzip").arg(rotated).status()?;
        anyhow::ensure!(ended.success(), "gzip {}: {ended}", rotated.display());
        Ok(())
    }

    /// How many lines were written.
    pub fn n_lines(&self) -> u64 {
        self.written.values().sum()
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

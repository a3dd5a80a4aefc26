//! A small file system of its own, which somebody else can fill.
//!
//! Owns the mount, and takes it away at the end. Needs root: without, there is none, and the caller says so.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of this size (`8m`) at a directory that is made if need be. `None` where it can't be mounted, which fails
    /// where `CI` is set and is said elsewhere.
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).ok()?;
        let size = format!("size={size}");
        let mut command = Command::new("mount");
        let status = command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_path_buf()));
        }
        assert!(std::env::var_os("CI").is_none(), "mounting a tmpfs needs root");
        println!("left out: mounting a tmpfs needs root");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it to its last byte.
    ///
    /// # Errors
    /// If nothing can be written at all.
    pub fn fill(&self) -> std::io::Result<()> {
        let mut file = File::options().create(true).append(true).open(self.ballast())?;
        while file.write(&[7; 4096]).is_ok_and(|n| n > 0) {}
        Ok(())
    }

    /// Takes away what filled it, if anything did.
    pub fn free(&self) {
        // It may not have been filled.
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("somebody-elses-file")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still hold a file.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

//! What is in files, in short.
//!
//! Owns which files are read, and that few are: one is read again only when something of it has changed, not while it is
//! being written, and not more than [`MAX_BYTES_PER_LOOK`] at one look, but for the last file begun. Never reads a file over
//! [`MAX_FILE_BYTES`], and nothing but regular files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use watchkeeper_agent_core::watch::{FileName, Hash, Stat};
use watchkeeper_model::Timestamp;

/// When so much was read at one look, the files that are left wait for the next.
const MAX_BYTES_PER_LOOK: u64 = 64 << 20;

/// A longer file has no hash.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;

const PIECE: usize = 128 << 10;

/// What was read of files.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    known: BTreeMap<FileName, Known>,
    look: u64,
    n_read: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    of: Mark,
    hash: Hash,
    look: u64,
}

/// What tells whether content may have changed.
type Mark = (u64, u64, Timestamp, Timestamp);

impl Hashes {
    /// A new look begins.
    pub(super) fn begin(&mut self) {
        self.look += 1;
        self.n_read = 0;
    }

    /// The hash of a file that looks like this.
    ///
    /// # Errors
    /// What the system says if it can't be read. That is tried again at each look: what forbids it need not be the file's.
    pub(super) fn of(&mut self, name: &FileName, stat: &Stat) -> io::Result<Hash> {
        let mark = (stat.inode, stat.size, stat.modified, stat.touched);
        let look = self.look;
        let fresh = Known { of: mark, hash: Hash::Pending, look };
        match self.known.get_mut(name) {
            Some(known) if known.of == mark => {
                known.look = look;
                if known.hash != Hash::Pending {
                    return Ok(known.hash);
                }
            }
            // It is being written: what it is now it may not be for long.
            Some(known) => {
                *known = fresh;
                return Ok(Hash::Pending);
            }
            None => _ = self.known.insert(name.clone(), fresh),
        }
        if self.n_read >= MAX_BYTES_PER_LOOK {
            return Ok(Hash::Pending);
        }
        let hash = self.read(name, stat)?;
        if let Some(known) = self.known.get_mut(name) {
            known.hash = hash;
        }
        Ok(hash)
    }

    /// The look ends: files that were not in it are forgotten.
    pub(super) fn end(&mut self) {
        let look = self.look;
        self.known.retain(|_, known| known.look == look);
    }

    fn read(&mut self, name: &FileName, stat: &Stat) -> io::Result<Hash> {
        if stat.size > MAX_FILE_BYTES {
            return Ok(Hash::None);
        }
        self.buffer.resize(PIECE, 0);
        match hash(name, &mut self.buffer, &mut self.n_read) {
            // Gone since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Hash::Pending),
            read => read,
        }
    }
}

fn hash(name: &FileName, buffer: &mut [u8], n_read: &mut u64) -> io::Result<Hash> {
    let path = Path::new(std::ffi::OsStr::from_bytes(name.bytes()));
    // It may be a pipe by now: never wait for its writer, and never become its terminal's owner.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Ok(Hash::Pending);
    }
    let (mut all, mut n) = (Sha256::new(), 0);
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                all.update(&buffer[..read]);
                n += read as u64;
                *n_read += read as u64;
                // It grows faster than it is read.
                if n > MAX_FILE_BYTES {
                    return Ok(Hash::None);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut head = [0; 16];
    head.copy_from_slice(&all.finalize()[..16]);
    Ok(Hash::Known(u128::from_be_bytes(head)))
}

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
    pub(super) fn of(&mut self, name: &FileName, stat: &Stat) -> Hash {
        let mark = (stat.inode, stat.size, stat.modified, stat.touched);
        let (look, before) = (self.look, self.known.get_mut(name));
        let (is_new, hash) = match before {
            Some(known) if known.of == mark => {
                known.look = look;
                (false, known.hash)
            }
            // It is being written: what it is now it may not be for long.
            Some(known) => {
                *known = Known { of: mark, hash: Hash::Pending, look };
                return Hash::Pending;
            }
            None => (true, Hash::Pending),
        };
        let has_room = self.n_read < MAX_BYTES_PER_LOOK;
        let hash = match hash {
            Hash::Pending if has_room => self.read(name, stat),
            hash => hash,
        };
        if is_new {
            self.known.insert(name.clone(), Known { of: mark, hash, look });
        } else if let Some(known) = self.known.get_mut(name) {
            known.hash = hash;
        }
        hash
    }

    /// The look ends: files that were not in it are forgotten.
    pub(super) fn end(&mut self) {
        let look = self.look;
        self.known.retain(|_, known| known.look == look);
    }

    fn read(&mut self, name: &FileName, stat: &Stat) -> Hash {
        if stat.size > MAX_FILE_BYTES {
            return Hash::None;
        }
        self.buffer.resize(PIECE, 0);
        match hash(name, &mut self.buffer, &mut self.n_read) {
            Ok(hash) => Hash::Known(hash),
            Err(_) => Hash::None,
        }
    }
}

fn hash(name: &FileName, buffer: &mut [u8], n_read: &mut u64) -> io::Result<u128> {
    let path = Path::new(std::ffi::OsStr::from_bytes(name.bytes()));
    // It may be a pipe by now: never wait for its writer, and never become its terminal's owner.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
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
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut head = [0; 16];
    head.copy_from_slice(&all.finalize()[..16]);
    Ok(u128::from_be_bytes(head))
}

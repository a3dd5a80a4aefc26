//! Which file systems a host has.
//!
//! Owns what is a real file system, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)): one that holds files on a disk or on
//! another machine. What only looks like one, is made of others, or is always full by its nature is passed over. A file
//! system that is mounted in several places counts once, where its path is shortest.

use std::collections::BTreeMap;

use super::glance::MAX_PARTS;

/// Types that lie on a disk, whatever their source is called.
const LOCAL: [&str; 18] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "bcachefs", "f2fs", "jfs", "nilfs2", "reiserfs",
    "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "hfsplus", "virtiofs",
];

/// Types that lie on another machine, or are served by a program, and may not answer.
const REMOTE: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "ocfs2", "gfs2", "lustre"];

/// Programs that serve no space of their own.
const NO_SPACE: [&str; 6] = [
    "fuse.portal",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.snapfuse",
    "fuse.rofiles-fuse",
    "fuse.squashfuse",
];

/// Images that can't be written: they are always full.
const IMAGES: [&str; 5] = ["squashfs", "iso9660", "erofs", "cramfs", "udf"];

/// Single files that container runtimes mount from the host.
const RUNTIME_FILES: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// A file system, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path.
    pub path: String,
    /// Whether asking it may take for ever.
    pub kind: MountKind,
}

/// Whether a file system answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// It lies on a disk of this machine.
    Local,
    /// It is served by another machine or by a program.
    Remote,
}

/// The real file systems of a mountinfo, by path, and how many more there are than are counted.
pub fn mounts(text: &str) -> (Vec<Mount>, usize) {
    let mut by_path: BTreeMap<String, (&str, MountKind)> = BTreeMap::new();
    for line in text.lines() {
        let Some(entry) = Entry::read(line) else { continue };
        // Whatever was mounted there before is covered by this one.
        by_path.remove(&entry.path);
        if let Some(kind) = entry.kind() {
            by_path.insert(entry.path, (entry.device, kind));
        }
    }
    let mut by_device: BTreeMap<&str, Mount> = BTreeMap::new();
    for (path, (device, kind)) in by_path {
        let mount = Mount { path, kind };
        match by_device.get_mut(device) {
            Some(known) if known.path.len() <= mount.path.len() => {}
            Some(known) => *known = mount,
            None => _ = by_device.insert(device, mount),
        }
    }
    let mut all: Vec<Mount> = by_device.into_values().collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let n_more = all.len().saturating_sub(MAX_PARTS);
    all.truncate(MAX_PARTS);
    (all, n_more)
}

struct Entry<'a> {
    /// `major:minor`.
    device: &'a str,
    path: String,
    kind: &'a str,
    source: &'a str,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        // Optional fields stand before the dash, their number varies.
        let (place, system) = line.split_once(" - ")?;
        let mut place = place.split(' ');
        let (device, path) = (place.nth(2)?, place.nth(1)?);
        let mut system = system.split(' ');
        let (kind, source) = (system.next()?, system.next()?);
        Some(Self { device, path: unescaped(path), kind, source })
    }

    fn kind(&self) -> Option<MountKind> {
        let is_program = self.kind.starts_with("fuse.");
        if NO_SPACE.contains(&self.kind)
            || IMAGES.contains(&self.kind)
            || RUNTIME_FILES.contains(&self.path.as_str())
        {
            None
        } else if REMOTE.contains(&self.kind) || is_program {
            Some(MountKind::Remote)
        } else if LOCAL.contains(&self.kind)
            || (self.source.starts_with("/dev/") && self.kind != "devtmpfs")
            // The root of a container, and of a system that runs from memory.
            || (self.path == "/" && ["overlay", "tmpfs"].contains(&self.kind))
        {
            Some(MountKind::Local)
        } else {
            None
        }
    }
}

/// `\040` and the like are bytes, written in octal.
fn unescaped(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

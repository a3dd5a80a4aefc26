//! A small file system in memory, for tests.
//!
//! Owns inodes, names and handles as Linux has them: an inode lives as long as it has a name or a handle, and is used
//! again after that. A compressed file is kept as what is in it; it is decoded in small steps, and forgets what it may
//! forget. Never fails unless told to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use watchkeeper_model::Timestamp;

use super::disk::{Behind, Disk, End, Ending, Entry, Kind, Listing, Reached, Stat, Version};
use super::names::{Named, classify};

#[derive(Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    created: Timestamp,
    modified: Timestamp,
    n_handles: usize,
    /// If it is compressed, how it ends.
    ending: Option<Ending>,
    /// The size it has compressed.
    n_compressed: u64,
    /// How often it was replaced in place.
    generation: u64,
}

/// How much one step decodes.
const DECODE_STEP: u64 = 300;

/// How much is kept before what was asked for.
const LOOK_BACK: u64 = 1024;

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) dev: u64,
    nodes: BTreeMap<u64, Node>,
    names: BTreeMap<PathBuf, u64>,
    pub(super) unreadable: BTreeSet<PathBuf>,
    pub(super) directories: BTreeSet<PathBuf>,
    /// Steps of decoding done so far, and files opened to be decoded.
    pub(super) n_steps: usize,
    pub(super) n_opened: usize,
}

/// Shared by the test, which changes it, and by each process under test, which looks.
#[derive(Clone, Debug)]
pub(super) struct MemoryDisk {
    pub(super) world: Rc<RefCell<World>>,
    /// Names that match begin so and end so.
    pub(super) pattern: (&'static str, &'static str),
    /// A link, and where it leads; then nothing else is looked for.
    pub(super) link: Option<(&'static str, &'static str)>,
}

#[derive(Debug)]
pub(super) struct Open {
    world: Rc<RefCell<World>>,
    inode: u64,
    /// What is decoded of a compressed file, and what of it is kept.
    decoded: Cell<(u64, u64)>,
    generation: Cell<u64>,
    is_decoded: bool,
}

impl Open {
    /// A file that was replaced in place is decoded anew.
    fn follow(&self, node: &Node) -> (u64, u64) {
        if self.generation.replace(node.generation) != node.generation {
            self.decoded.set((0, 0));
        }
        self.decoded.get()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut world = self.world.borrow_mut();
        if let Some(node) = world.nodes.get_mut(&self.inode) {
            node.n_handles -= 1;
        }
        world.free(self.inode);
    }
}

impl World {
    fn free(&mut self, inode: u64) {
        let named = self.names.values().any(|i| *i == inode);
        if !named && self.nodes.get(&inode).is_some_and(|n| n.n_handles == 0) {
            self.nodes.remove(&inode);
        }
    }

    fn stat_of(&self, inode: u64) -> Stat {
        let node = &self.nodes[&inode];
        Stat {
            dev: self.dev,
            inode,
            size: if node.ending.is_some() { node.n_compressed } else { node.bytes.len() as u64 },
            created: Some(node.created),
            modified: node.modified,
            n_links: self.names.values().filter(|i| **i == inode).count() as u64,
            kind: Kind::Regular,
        }
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.names.contains_key(Path::new(path))
    }

    /// Appends, making the file if there is none; inode numbers are used again, lowest first.
    pub(super) fn append(&mut self, path: &str, bytes: impl AsRef<[u8]>) {
        let inode = match self.names.get(Path::new(path)) {
            Some(inode) => *inode,
            None => {
                let inode = (1..).find(|i| !self.nodes.contains_key(i)).unwrap();
                let node = Node { created: self.now, ..Node::default() };
                self.nodes.insert(inode, node);
                self.names.insert(path.into(), inode);
                inode
            }
        };
        let node = self.nodes.get_mut(&inode).unwrap();
        node.bytes.extend_from_slice(bytes.as_ref());
        node.modified = self.now;
        node.n_compressed += 20 + bytes.as_ref().len() as u64 / 3;
    }

    /// Appends to a compressed file, making it if there is none, and says how it ends now.
    pub(super) fn append_compressed(
        &mut self,
        path: &str,
        bytes: impl AsRef<[u8]>,
        ending: Ending,
    ) {
        self.append(path, bytes);
        let inode = self.names[Path::new(path)];
        self.nodes.get_mut(&inode).unwrap().ending = Some(ending);
    }

    pub(super) fn n_handles(&self) -> usize {
        self.nodes.values().map(|n| n.n_handles).sum()
    }

    /// What `gzip` leaves behind.
    pub(super) fn gzip(&mut self, path: &str) {
        let bytes = self.content(path);
        self.append_compressed(&format!("{path}.gz"), bytes, Ending::Whole);
        self.remove(path);
    }

    /// Replaces the content in place.
    pub(super) fn replace_compressed(
        &mut self,
        path: &str,
        bytes: impl AsRef<[u8]>,
        ending: Ending,
    ) {
        self.truncate(path, 0);
        let inode = self.names[Path::new(path)];
        self.nodes.get_mut(&inode).unwrap().generation += 1;
        self.append_compressed(path, bytes, ending);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let inode = self.names.remove(Path::new(from)).unwrap();
        if let Some(replaced) = self.names.insert(to.into(), inode) {
            self.free(replaced);
        }
    }

    pub(super) fn remove(&mut self, path: &str) {
        let inode = self.names.remove(Path::new(path)).unwrap();
        self.free(inode);
    }

    pub(super) fn link(&mut self, from: &str, to: &str) {
        let inode = self.names[Path::new(from)];
        self.names.insert(to.into(), inode);
    }

    pub(super) fn content(&self, path: &str) -> Vec<u8> {
        self.nodes[&self.names[Path::new(path)]].bytes.clone()
    }

    pub(super) fn copy(&mut self, from: &str, to: &str) {
        if self.exists(to) {
            self.remove(to);
        }
        let bytes = self.content(from);
        self.append(to, bytes);
    }

    pub(super) fn truncate(&mut self, path: &str, len: usize) {
        let now = self.now;
        let node = self.nodes.get_mut(&self.names[Path::new(path)]).unwrap();
        node.bytes.truncate(len);
        node.modified = now;
    }
}

impl MemoryDisk {
    pub(super) fn new(pattern: (&'static str, &'static str)) -> Self {
        let world = World {
            now: Timestamp::from_secs(1_000),
            dev: 1,
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            directories: BTreeSet::new(),
            n_steps: 0,
            n_opened: 0,
        };
        Self { world: Rc::new(RefCell::new(world)), pattern, link: None }
    }

    /// What a path is, and as what it is listed.
    fn entry(&self, path: &Path) -> Option<(PathBuf, Named, Option<Behind>)> {
        let Some((link, target)) = self.link else {
            return Some((path.to_owned(), classify(path, |p| self.matches(p))?, None));
        };
        if !self.matches(Path::new(link)) {
            return None;
        }
        let mut named = classify(path, |p| p == Path::new(target))?;
        let path = if named.matched { link.into() } else { path.to_owned() };
        named.base = named.base.map(|_| link.into());
        Some((path, named, Some(Behind { link: link.into(), target: target.into() })))
    }

    fn follow<'a>(&self, path: &'a Path) -> &'a Path {
        match self.link {
            Some((link, target)) if path == Path::new(link) => Path::new(target),
            _ => path,
        }
    }

    pub(super) fn matches(&self, path: &Path) -> bool {
        let (start, end) = self.pattern;
        path.to_str().is_some_and(|p| p.starts_with(start) && p.ends_with(end))
    }
}

impl Disk for MemoryDisk {
    type Handle = Open;

    fn list(&mut self, _: &BTreeSet<Behind>) -> Listing {
        let world = self.world.borrow();
        let mut listing = Listing::default();
        for (path, inode) in &world.names {
            if let Some((path, named, behind)) = self.entry(path) {
                let stat = world.stat_of(*inode);
                listing.entries.push(Entry { path, named, behind, stat });
            }
        }
        for path in &world.directories {
            if let Some(named) = classify(path, |p| self.matches(p)) {
                let stat = Stat {
                    dev: 1,
                    inode: 999,
                    size: 0,
                    created: None,
                    modified: Timestamp(0),
                    n_links: 2,
                    kind: Kind::Directory,
                };
                listing.entries.push(Entry { path: path.clone(), named, behind: None, stat });
            }
        }
        listing
    }

    fn open(&mut self, path: &Path) -> Result<(Open, Stat), String> {
        let mut world = self.world.borrow_mut();
        if world.unreadable.contains(path) {
            return Err("permission denied".into());
        }
        let inode = *world.names.get(self.follow(path)).ok_or("no such file")?;
        world.nodes.get_mut(&inode).unwrap().n_handles += 1;
        let stat = world.stat_of(inode);
        assert!(world.nodes[&inode].ending.is_none(), "{path:?} is read as it is");
        let world = Rc::clone(&self.world);
        let (decoded, generation) = (Cell::default(), Cell::default());
        Ok((Open { world, inode, decoded, generation, is_decoded: false }, stat))
    }

    fn open_compressed(&mut self, path: &Path) -> Result<(Open, Stat), String> {
        let mut world = self.world.borrow_mut();
        if world.unreadable.contains(path) {
            return Err("permission denied".into());
        }
        world.n_opened += 1;
        let inode = *world.names.get(path).ok_or("no such file")?;
        let node = world.nodes.get_mut(&inode).unwrap();
        node.n_handles += 1;
        let (decoded, generation) = (Cell::default(), Cell::new(node.generation));
        let stat = Stat { size: 0, ..world.stat_of(inode) };
        let world = Rc::clone(&self.world);
        Ok((Open { world, inode, decoded, generation, is_decoded: true }, stat))
    }

    fn reach(&mut self, handle: &Open, span: Range<u64>) -> Result<Reached, String> {
        let mut world = self.world.borrow_mut();
        let node = &world.nodes[&handle.inode];
        let (mut kept, mut known) = handle.follow(node);
        let len = node.bytes.len() as u64;
        if span.start < kept && span.end.min(len) > LOOK_BACK {
            (kept, known) = (0, 0);
        }
        let before = known;
        if known < span.end {
            known = len.min(known + DECODE_STEP);
        }
        kept = kept.max(span.start.min(known).saturating_sub(LOOK_BACK));
        handle.decoded.set((kept, known));
        let version = Version { bytes: node.n_compressed, modified: node.modified };
        let ending = node.ending.unwrap_or(Ending::Damaged { lost_bytes: node.n_compressed });
        world.n_steps += usize::from(known > before);
        Ok(match known {
            known if known >= span.end => Reached::There,
            known if known < len => Reached::NotYet,
            _ => Reached::End(End { ending, version }),
        })
    }

    fn stat(&mut self, handle: &Open) -> Result<Stat, String> {
        let world = self.world.borrow();
        let mut stat = world.stat_of(handle.inode);
        if handle.is_decoded {
            stat.size = handle.follow(&world.nodes[&handle.inode]).1;
        }
        Ok(stat)
    }

    fn read_at(&mut self, handle: &Open, offset: u64, into: &mut [u8]) -> Result<usize, String> {
        let world = self.world.borrow();
        let mut bytes = &world.nodes[&handle.inode].bytes[..];
        if handle.is_decoded {
            let (kept, known) = handle.follow(&world.nodes[&handle.inode]);
            let is_first = offset + into.len() as u64 <= LOOK_BACK.min(known);
            assert!(offset >= kept || is_first, "read at {offset} behind {kept}");
            assert!(offset <= known, "read at {offset} beyond {known}");
            let end = (offset + into.len() as u64).min(known + DECODE_STEP).max(known);
            bytes = &bytes[..bytes.len().min(end as usize)];
            handle.decoded.set((kept, end.min(bytes.len() as u64)));
        }
        let rest = bytes.get(offset as usize..).unwrap_or(&[]);
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

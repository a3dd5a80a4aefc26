//! A stream, such as standard input, read as if it were a file.
//!
//! Owns the window: the first bytes, which tailing looks at again and again, and what was not read yet with some bytes
//! before. Bounded: who writes waits while it is full. So lines of a stream are cut, unwrapped and joined by the very code
//! that reads files. Never cuts lines itself; only a last line that has no end gets one when the stream ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use watchkeeper_agent_core::tail::{Behind, Disk, Entry, Kind, Listing, Named, Reached, Stat};
use watchkeeper_model::Timestamp;

use super::disk::{DirectoryId, Places};
use crate::sources::Waker;

/// What tailing hashes of a file to know it again.
const HEAD_BYTES: usize = 1024;

/// Room for what was not read yet, beside the longest line.
const ROOM_BYTES: usize = 8 << 20;

#[derive(Debug, Default)]
struct Window {
    head: Vec<u8>,
    /// How much of the stream is gone from `held`.
    start: u64,
    held: VecDeque<u8>,
    /// Where the last read began.
    read_from: u64,
    has_news: bool,
    is_ended: bool,
    /// Why nothing more came.
    problem: Option<String>,
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.held.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) {
        let n_head = bytes.len().min(HEAD_BYTES.saturating_sub(self.head.len()));
        self.head.extend_from_slice(&bytes[..n_head]);
        self.held.extend(bytes);
        self.has_news = true;
    }

    /// Copies what is there from `offset` on.
    fn copy(&self, offset: u64, into: &mut [u8]) -> usize {
        let Some(skip) = offset.checked_sub(self.start) else {
            // Only the first bytes are asked for again.
            let from = (offset as usize).min(self.head.len());
            let n = into.len().min(self.head.len() - from);
            into[..n].copy_from_slice(&self.head[from..from + n]);
            return n;
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.held.len());
        let n = into.len().min(self.held.len() - skip);
        let (first, second) = self.held.as_slices();
        let first = first.get(skip..).unwrap_or_default();
        let n_first = n.min(first.len());
        into[..n_first].copy_from_slice(&first[..n_first]);
        let skip = skip.saturating_sub(self.held.as_slices().0.len());
        into[n_first..n].copy_from_slice(&second[skip..skip + n - n_first]);
        n
    }
}

#[derive(Debug)]
struct Shared {
    window: Mutex<Window>,
    moved_on: Condvar,
    /// A line of this length has room, before and behind the place read last.
    max_line_bytes: usize,
}

impl Shared {
    fn window(&self) -> MutexGuard<'_, Window> {
        // Every change of it is whole before anything can panic.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the stream is written; dropping it ends the stream.
#[derive(Debug)]
pub(crate) struct Pipe {
    shared: Arc<Shared>,
    waker: Waker,
}

impl Pipe {
    /// What comes next. Waits while the window is full.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let most = (ROOM_BYTES + self.shared.max_line_bytes) as u64;
        let mut window = self.shared.window();
        while window.end() - window.read_from > most {
            let moved = self.shared.moved_on.wait(window);
            window = moved.unwrap_or_else(PoisonError::into_inner);
        }
        window.push(bytes);
        drop(window);
        self.waker.wake();
    }

    /// Nothing more comes, and why.
    pub(crate) fn fail(self, why: String) {
        self.shared.window().problem = Some(why);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut window = self.shared.window();
        if window.held.back().is_some_and(|last| *last != b'\n') {
            window.push(b"\n");
        }
        window.is_ended = true;
        window.has_news = true;
        drop(window);
        self.waker.wake();
    }
}

/// The one file of a stream.
#[derive(Debug)]
pub(crate) struct PipeDisk {
    shared: Arc<Shared>,
    name: PathBuf,
    directories: BTreeMap<PathBuf, DirectoryId>,
}

/// The two ends of a stream that is called `name` where a path would stand.
pub(super) fn pipe(name: &str, max_line_bytes: usize, waker: Waker) -> (Pipe, PipeDisk) {
    let (window, moved_on) = (Mutex::default(), Condvar::new());
    let shared = Arc::new(Shared { window, moved_on, max_line_bytes });
    let disk =
        PipeDisk { shared: Arc::clone(&shared), name: name.into(), directories: BTreeMap::new() };
    (Pipe { shared, waker }, disk)
}

impl PipeDisk {
    fn now(&self) -> Stat {
        Stat {
            dev: 0,
            inode: 1,
            size: self.shared.window().end(),
            created: None,
            modified: Timestamp::EPOCH,
            n_links: 1,
            kind: Kind::Regular,
        }
    }
}

impl Places for PipeDisk {
    fn directories(&self) -> &BTreeMap<PathBuf, DirectoryId> {
        &self.directories
    }

    fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.shared.window().has_news)
    }

    fn is_open(&self) -> bool {
        let window = self.shared.window();
        !window.is_ended || window.has_news
    }
}

impl Disk for PipeDisk {
    type Handle = ();

    fn list(&mut self, _: &BTreeSet<Behind>) -> Listing {
        let named = Named { matched: true, base: None, compressed: None };
        let entry = Entry { path: self.name.clone(), named, behind: None, stat: self.now() };
        let problem = self.shared.window().problem.clone();
        // Not under its own name: what came before is read all the same.
        let problem = problem.map(|why| (format!("reading {}", self.name.display()).into(), why));
        Listing { entries: vec![entry], problems: problem.into_iter().collect() }
    }

    fn open(&mut self, _path: &Path) -> Result<((), Stat), String> {
        Ok(((), self.now()))
    }

    fn open_compressed(&mut self, path: &Path) -> Result<((), Stat), String> {
        self.open(path)
    }

    fn reach(&mut self, (): &(), _span: Range<u64>) -> Result<Reached, String> {
        Ok(Reached::There)
    }

    fn stat(&mut self, (): &()) -> Result<Stat, String> {
        Ok(self.now())
    }

    fn read_at(&mut self, (): &(), offset: u64, into: &mut [u8]) -> Result<usize, String> {
        let mut window = self.shared.window();
        let n = window.copy(offset, into);
        if offset > window.read_from {
            window.read_from = offset;
            let keep_from = offset.saturating_sub(self.shared.max_line_bytes as u64);
            let n_gone = keep_from.saturating_sub(window.start) as usize;
            if n_gone > ROOM_BYTES / 8 {
                window.held.drain(..n_gone);
                window.start += n_gone as u64;
            }
            self.shared.moved_on.notify_one();
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use watchkeeper_agent_core::observe::Accumulator;
    use watchkeeper_config::{Reader, load_str};
    use watchkeeper_model::{AgentId, Labels, Service, SourceTally};

    use super::*;
    use crate::sources::tail::{TailSource, TailSourceSettings};
    use crate::sources::{self, Beside, Source, SourceSettings, Stored, Wakes};

    #[test]
    fn what_was_written_is_read_wherever_it_is_asked_for() {
        let (pipe, mut disk) = pipe("in", 10, Wakes::new().waker());
        pipe.write(b"0123456789");
        let mut bytes = [0; 6];
        for (offset, text) in [(0, "012345"), (7, "789"), (10, ""), (99, ""), (0, "012345")] {
            let n = disk.read_at(&(), offset, &mut bytes).unwrap();
            assert_eq!(&bytes[..n], text.as_bytes(), "{offset}");
        }
        assert!(disk.has_news() && !disk.has_news() && disk.is_open());
        drop(pipe);
        assert!(disk.is_open() && disk.has_news() && !disk.is_open());
        assert_eq!(disk.now().size, 11, "a last line without its end gets one");
    }

    #[test]
    fn who_writes_waits_for_who_reads_and_little_is_held() {
        let (pipe, mut disk) = pipe("in", 1 << 20, Wakes::new().waker());
        const TOTAL: usize = 40 << 20;
        let byte = |i: usize| (i ^ (i >> 9)) as u8 | 1;
        let writer = std::thread::spawn(move || {
            let mut written = 0_usize;
            while written < TOTAL {
                let chunk: Vec<u8> = (written..written + (64 << 10)).map(byte).collect();
                pipe.write(&chunk);
                written += chunk.len();
            }
        });
        let (mut at, mut bytes) = (0, vec![0; 256 << 10]);
        while at < TOTAL {
            let n = disk.read_at(&(), at as u64, &mut bytes).unwrap();
            // The end of the last line comes of itself.
            let n = n.min(TOTAL - at);
            assert!(bytes[..n].iter().enumerate().all(|(i, b)| *b == byte(at + i)));
            at += n;
            let held = disk.shared.window().held.len();
            assert!(held <= (ROOM_BYTES + (64 << 10)) + 2 * (1 << 20) + ROOM_BYTES / 8, "{held}");
            let n_head = disk.read_at(&(), 0, &mut [0; HEAD_BYTES]).unwrap();
            assert!(n_head >= HEAD_BYTES.min(at), "{n_head}");
        }
        writer.join().unwrap();
        assert!(disk.has_news() && !disk.is_open());
    }

    /// What a source of these lines has counted, read as `source` gives them.
    fn tally(
        source: &mut dyn Source,
        counted: &mut Accumulator,
        mut now: Timestamp,
    ) -> SourceTally {
        loop {
            source.poll(now, true, counted);
            now = now + Duration::from_millis(200);
            if !source.is_behind() {
                break;
            }
        }
        let id = counted.source("s", &Service::new("shop").unwrap());
        counted.tally(id).clone()
    }

    fn settings(path: &Path) -> TailSourceSettings {
        let mut reader = Reader::new(&|_: &str| None);
        let yaml = format!(
            "tail: {{name: s, service: shop, paths: [{path:?}], start_at: beginning, max_line: 300KiB, \
             signals: [{{name: all}}]}}"
        );
        let settings = load_str("agent.yaml", &yaml, &mut reader)
            .and_then(|document| sources::read(document.root(), &mut reader));
        reader.finish(settings).unwrap().0.settings.into_tail().unwrap()
    }

    fn fresh() -> Accumulator {
        Accumulator::new(AgentId::new("web-1"), Labels::default())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn a_stream_gives_the_lines_that_a_file_would(
            lines in proptest::collection::vec(
                prop_oneof![
                    8 => "\\{\"n\":[0-9]{1,3}\\}\r?",
                    2 => "[a-z\u{0}]{0,9}",
                    1 => (250_000..400_000_usize).prop_map(|n| "x".repeat(n)),
                ],
                1..60,
            ),
            n_chunk in 1..500_000_usize,
        ) {
            let text = lines.join("\n") + "\n";
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.log");
            std::fs::write(&path, &text).unwrap();
            let now = Timestamp::from_secs(1_795_370_829);
            let settings = settings(&path);

            let (mut counted, wakes) = (fresh(), Wakes::new());
            let tail = SourceSettings::new(settings.clone());
            let mut file = sources::build(tail, Stored::default(), &mut counted, &Beside::new(wakes.waker()));
            let of_file = tally(&mut *file, &mut counted, now);

            let mut counted = fresh();
            let (mut stream, pipe) = TailSource::of_stream(settings, "in", &mut counted, wakes.waker());
            let writer = std::thread::spawn(move || {
                text.as_bytes().chunks(n_chunk).for_each(|chunk| pipe.write(chunk));
            });
            let of_stream = tally(&mut stream, &mut counted, now);
            writer.join().unwrap();
            prop_assert_eq!(of_file, of_stream);
        }
    }
}

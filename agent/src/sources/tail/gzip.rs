//! A gzip file as the bytes that are in it (RFC 1952, several members too).
//!
//! Owns decoding in bounded pieces and what is kept of the outcome: the first bytes, and a window from the place asked
//! for last. Reading behind the window begins anew, which is right and slow. Notices when the file is
//! written to or replaced underneath; a checksum that is wrong is damage like any other. Never keeps more than was
//! asked for at once, and never gives out a byte that it did not decode.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use watchkeeper_agent_core::tail::{End, Ending, Reached, Version};

/// Compressed bytes read at once: a member's header has to fit.
const INPUT_BYTES: usize = 128 << 10;

/// The most that one call takes in and gives out while it looks for a place.
const STEP_BYTES: u64 = 1 << 20;

/// How much is decoded at once.
const PIECE_BYTES: usize = 64 << 10;

/// What is kept before the place asked for last, and of the beginning.
const KEPT_BYTES: usize = 1 << 10;

/// A window that held a long line gives back what it took for it.
const LARGE_BYTES: usize = 2 << 20;

/// Compressed bytes that have to stay as they are, at the beginning and before the place decoded last.
const MARK_BYTES: usize = 64;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;

/// Where in a member the decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before a member, or behind the last one.
    Member,
    Body,
    Checksum,
    /// Zeros that fill up the last block of a tape.
    Padding,
}

/// An open gzip file.
#[derive(Debug)]
pub(crate) struct Gzip {
    file: File,
    /// As it was when looked at last.
    version: Version,
    /// How much of it was decoded, in compressed bytes.
    taken: u64,
    /// Its first compressed bytes, and the last ones decoded.
    first_taken: Vec<u8>,
    last_taken: Vec<u8>,
    /// Compressed bytes read ahead: those from `input_at` on are still to be decoded.
    input: Vec<u8>,
    input_at: usize,
    stage: Stage,
    has_member: bool,
    inflate: Decompress,
    checksum: Crc,
    ending: Option<Ending>,
    /// The first bytes of the content.
    first: Vec<u8>,
    /// Content from `window_at` on, as far as it is known.
    window: Vec<u8>,
    window_at: u64,
}

/// Why decoding can't go on.
enum Stop {
    /// The compressed bytes end here, for now.
    EndOfFile,
    Damaged,
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Gzip {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let version = version_of(&file)?;
        Ok(Self {
            file,
            version,
            taken: 0,
            first_taken: Vec::new(),
            last_taken: Vec::new(),
            input: Vec::new(),
            input_at: 0,
            stage: Stage::Member,
            has_member: false,
            inflate: Decompress::new(false),
            checksum: Crc::new(),
            ending: None,
            first: Vec::new(),
            window: Vec::new(),
            window_at: 0,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How much of the content is known.
    pub(super) fn known(&self) -> u64 {
        self.window_at + self.window.len() as u64
    }

    /// Gets the content in `span` ready to be read, a bounded piece of work at a time.
    pub(super) fn reach(&mut self, span: Range<u64>) -> io::Result<Reached> {
        self.notice_changes()?;
        let is_behind = span.start < self.window_at && !self.is_first(span.end);
        if is_behind {
            self.begin_anew();
        }
        let mut budget = STEP_BYTES;
        while self.known() < span.end && self.ending.is_none() && budget > 0 {
            self.drop_before(span.start);
            let wanted = usize::try_from(span.end - self.known()).unwrap_or(PIECE_BYTES);
            let spent = self.decode(wanted)?;
            budget = budget.saturating_sub(spent);
        }
        self.drop_before(span.start);
        Ok(match self.ending {
            _ if self.known() >= span.end => Reached::There,
            None => Reached::NotYet,
            Some(ending) => Reached::End(End { ending, version: self.version }),
        })
    }

    /// Reads content that was reached, and on behind it as far as a bounded piece of work goes.
    pub(super) fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let end = offset + into.len() as u64;
        if self.is_first(end) {
            return Ok(copy(&self.first, offset, into));
        }
        if offset < self.window_at || offset > self.known() {
            return Err(io::Error::other("is being decoded from its beginning again"));
        }
        self.drop_before(offset);
        let mut budget = STEP_BYTES + into.len() as u64;
        while self.known() < end && self.ending.is_none() && budget > 0 {
            let spent = self.decode((end - self.known()) as usize)?;
            budget = budget.saturating_sub(spent);
        }
        Ok(copy(&self.window, offset - self.window_at, into))
    }

    /// Whether everything up to `end` is kept as the beginning.
    fn is_first(&self, end: u64) -> bool {
        end.min(self.ending.map_or(u64::MAX, |_| self.known())) <= self.first.len() as u64
    }

    /// Forgets what lies more than a little before a place.
    fn drop_before(&mut self, place: u64) {
        let keep = place.min(self.known()).saturating_sub(KEPT_BYTES as u64);
        let drop = keep.saturating_sub(self.window_at) as usize;
        // Moving what is left for a few bytes would cost more than they do.
        if drop >= KEPT_BYTES {
            self.window.drain(..drop);
            self.window_at += drop as u64;
        }
        if self.window.capacity() > LARGE_BYTES && self.window.len() < LARGE_BYTES / 4 {
            self.window.shrink_to(LARGE_BYTES / 2);
        }
    }

    fn begin_anew(&mut self) {
        self.taken = 0;
        self.first_taken.clear();
        self.last_taken.clear();
        self.input.clear();
        self.input_at = 0;
        (self.stage, self.has_member, self.ending) = (Stage::Member, false, None);
        self.first.clear();
        self.window.clear();
        self.window_at = 0;
    }

    /// A file that was written to since is decoded on, or anew if what was decoded does not stand there any more.
    fn notice_changes(&mut self) -> io::Result<()> {
        let version = version_of(&self.file)?;
        if version == self.version {
            return Ok(());
        }
        self.version = version;
        let stands = |at: u64, bytes: &[u8]| -> io::Result<bool> {
            let mut there = vec![0; bytes.len()];
            Ok(read_full(&self.file, at, &mut there)? == bytes.len() && there == bytes)
        };
        let is_same = stands(0, &self.first_taken)?
            && stands(self.taken - self.last_taken.len() as u64, &self.last_taken)?;
        if !is_same || matches!(self.ending, Some(Ending::Damaged { .. })) {
            self.begin_anew();
        }
        // What was read ahead may have changed.
        self.input.clear();
        self.input_at = 0;
        self.ending = None;
        Ok(())
    }

    /// Decodes at most `wanted` bytes, and at least takes in something; says how much work it was, in bytes.
    fn decode(&mut self, wanted: usize) -> io::Result<u64> {
        let before = self.taken + self.known();
        let stop = match self.stage {
            Stage::Member => self.begin_member(),
            Stage::Body => self.decode_body(wanted.clamp(1, PIECE_BYTES)),
            Stage::Checksum => self.check_member(),
            Stage::Padding => self.pass_padding(),
        };
        match stop {
            Ok(()) => {}
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Damaged) => {
                let lost_bytes = self.version.bytes.saturating_sub(self.taken);
                self.ending = Some(Ending::Damaged { lost_bytes });
            }
            Err(Stop::EndOfFile) => self.end_of_file(),
        }
        Ok((self.taken + self.known() - before).max(1))
    }

    /// The compressed bytes end here. If the file has grown since it was looked at, the next call goes on.
    fn end_of_file(&mut self) {
        let is_whole = match self.stage {
            // Nothing at all is no part of anything yet.
            Stage::Member => {
                self.input_at == self.input.len() && (self.has_member || self.taken == 0)
            }
            Stage::Padding => true,
            Stage::Body | Stage::Checksum => false,
        };
        self.ending = Some(if is_whole { Ending::Whole } else { Ending::Unfinished });
    }

    /// Reads more compressed bytes behind those that are left; fails at the file's end.
    fn fill(&mut self) -> Result<(), Stop> {
        self.input.drain(..self.input_at);
        self.input_at = 0;
        let held = self.input.len();
        if held == INPUT_BYTES {
            return Err(Stop::Damaged);
        }
        self.input.resize(INPUT_BYTES, 0);
        let read = read_full(&self.file, self.taken + held as u64, &mut self.input[held..]);
        self.input.truncate(held + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(Stop::EndOfFile),
            _ => Ok(()),
        }
    }

    fn take(&mut self, n: usize) {
        let taken = &self.input[self.input_at..self.input_at + n];
        let room = MARK_BYTES - self.first_taken.len();
        self.first_taken.extend_from_slice(&taken[..n.min(room)]);
        self.last_taken.extend_from_slice(&taken[n.saturating_sub(MARK_BYTES)..]);
        let over = self.last_taken.len().saturating_sub(MARK_BYTES);
        self.last_taken.drain(..over);
        self.input_at += n;
        self.taken += n as u64;
    }

    fn begin_member(&mut self) -> Result<(), Stop> {
        let input = &self.input[self.input_at..];
        match header_len(input) {
            Header::Is(len) => {
                self.take(len);
                self.inflate.reset(false);
                self.checksum.reset();
                (self.stage, self.has_member) = (Stage::Body, true);
                Ok(())
            }
            Header::NeedsMore => self.fill(),
            Header::IsNone if self.has_member && input[0] == 0 => {
                self.stage = Stage::Padding;
                Ok(())
            }
            Header::IsNone => Err(Stop::Damaged),
        }
    }

    fn decode_body(&mut self, wanted: usize) -> Result<(), Stop> {
        let (len, total_in) = (self.window.len(), self.inflate.total_in());
        let total_out = self.inflate.total_out();
        self.window.resize(len + wanted, 0);
        let input = &self.input[self.input_at..];
        let status = self.inflate.decompress(input, &mut self.window[len..], FlushDecompress::None);
        let n_in = (self.inflate.total_in() - total_in) as usize;
        let n_out = (self.inflate.total_out() - total_out) as usize;
        self.window.truncate(len + n_out);
        let made = &self.window[len..];
        self.checksum.update(made);
        let room = KEPT_BYTES - self.first.len();
        self.first.extend_from_slice(&made[..made.len().min(room)]);
        self.take(n_in);
        match status {
            Err(_) => Err(Stop::Damaged),
            Ok(Status::StreamEnd) => {
                self.stage = Stage::Checksum;
                Ok(())
            }
            // It still held some, or took some in.
            Ok(_) if n_out > 0 || n_in > 0 => Ok(()),
            Ok(_) => self.fill(),
        }
    }

    fn check_member(&mut self) -> Result<(), Stop> {
        let Some(trailer) = self.input[self.input_at..].first_chunk::<8>() else {
            return self.fill();
        };
        let [a, b, c, d, e, f, g, h] = *trailer;
        let is_right = u32::from_le_bytes([a, b, c, d]) == self.checksum.sum()
            && u32::from_le_bytes([e, f, g, h]) == self.checksum.amount();
        self.take(8);
        self.stage = Stage::Member;
        if is_right { Ok(()) } else { Err(Stop::Damaged) }
    }

    fn pass_padding(&mut self) -> Result<(), Stop> {
        let input = &self.input[self.input_at..];
        match input.iter().position(|&b| b != 0) {
            Some(_) => Err(Stop::Damaged),
            None => {
                self.take(self.input.len() - self.input_at);
                self.fill()
            }
        }
    }
}

/// What the bytes at the beginning of a member are.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// A header of so many bytes.
    Is(usize),
    /// A header so far.
    NeedsMore,
    /// No header.
    IsNone,
}

/// RFC 1952, section 2.3: ten bytes, and what four of the flags announce.
fn header_len(bytes: &[u8]) -> Header {
    let begins_so = bytes.iter().zip([MAGIC[0], MAGIC[1], DEFLATE]).all(|(a, b)| *a == b);
    match bytes {
        _ if !begins_so => Header::IsNone,
        [_, _, _, flags, ..] if flags & 0xe0 != 0 => Header::IsNone,
        [_, _, _, flags, _, _, _, _, _, _, rest @ ..] => {
            optional_len(*flags, rest).map_or(Header::NeedsMore, |len| Header::Is(10 + len))
        }
        _ => Header::NeedsMore,
    }
}

fn optional_len(flags: u8, bytes: &[u8]) -> Option<usize> {
    const EXTRA: u8 = 4;
    const TEXTS: [u8; 2] = [8, 16];
    const CHECKSUM: u8 = 2;
    let mut len = 0;
    if flags & EXTRA != 0 {
        len += 2 + usize::from(u16::from_le_bytes(*bytes.first_chunk()?));
    }
    for text in TEXTS {
        if flags & text != 0 {
            len += bytes.get(len..)?.iter().position(|&b| b == 0)? + 1;
        }
    }
    len += if flags & CHECKSUM != 0 { 2 } else { 0 };
    (len <= bytes.len()).then_some(len)
}

/// What of `from` lies at an offset, as far as it goes.
fn copy(from: &[u8], offset: u64, into: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| from.get(at..)).unwrap_or(&[]);
    let n = rest.len().min(into.len());
    into[..n].copy_from_slice(&rest[..n]);
    n
}

/// Reads at an offset until `into` is full or the file ends.
pub(super) fn read_full(file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < into.len() {
        match file.read_at(&mut into[n..], offset + n as u64) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}

fn version_of(file: &File) -> io::Result<Version> {
    let found = file.metadata()?;
    let modified = super::disk::nanos(found.modified()?);
    Ok(Version { bytes: found.len(), modified })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn numbers(n: std::ops::Range<u32>) -> Vec<u8> {
        n.flat_map(|i| format!("{i:x}\n").into_bytes()).collect()
    }

    fn write(file: &mut File, bytes: &[u8]) {
        file.write_all(bytes).unwrap();
        // So that it is another version however coarse the clock.
        file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5))
            .unwrap();
    }

    struct Opened {
        file: File,
        gzip: Gzip,
    }

    fn open(bytes: &[u8]) -> Opened {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let gzip = Gzip::new(file.try_clone().unwrap()).unwrap();
        Opened { file, gzip }
    }

    impl Opened {
        /// Everything from an offset on, in pieces, as tailing reads it; and how it ends.
        fn read_from(&mut self, mut at: u64, piece: usize) -> (Vec<u8>, Ending) {
            let mut all = Vec::new();
            loop {
                let reached = self.gzip.reach(at..at + KEPT_BYTES as u64 + 1).unwrap();
                match reached {
                    Reached::NotYet => continue,
                    Reached::End(end) if at == self.gzip.known() => return (all, end.ending),
                    Reached::End(_) | Reached::There => {}
                }
                let mut bytes = vec![0; piece];
                let n = self.gzip.read_at(at, &mut bytes).unwrap();
                assert!(n > 0);
                all.extend_from_slice(&bytes[..n]);
                at += n as u64;
            }
        }

        fn read(&mut self) -> (Vec<u8>, Ending) {
            self.read_from(0, 100_000)
        }
    }

    #[test]
    fn content_is_given_out_as_it_was_put_in() {
        let (a, b) = (numbers(0..200_000), numbers(7..9));
        let with_everything = flate2::GzBuilder::new()
            .filename("a log")
            .comment("with a comment")
            .extra(vec![1; 60_000])
            .write(Vec::new(), Compression::none());
        let named = {
            let mut encoder = with_everything;
            encoder.write_all(&b).unwrap();
            encoder.finish().unwrap()
        };
        let padded = [member(&b), vec![0; 300_000]].concat();
        let ab = [&a[..], &b].concat();
        for (what, bytes, content) in [
            ("nothing at all", vec![], vec![]),
            ("an empty member", member(b""), vec![]),
            ("one member", member(&a), a.clone()),
            ("two members", [member(&a), member(&b)].concat(), ab),
            ("empty ones between", [member(&b), member(b"").repeat(9)].concat(), b.clone()),
            ("a header with everything", named, b.clone()),
            ("zeros behind", padded, b),
        ] {
            for piece in [1_000, 100_000, 5_000_000] {
                let mut opened = open(&bytes);
                let (read, ending) = opened.read_from(0, piece);
                assert!(read == content, "{what}: {} of {} bytes", read.len(), content.len());
                assert_eq!(ending, Ending::Whole, "{what}");
                assert_eq!(opened.gzip.known(), content.len() as u64);
            }
        }
    }

    #[test]
    fn damage_is_noticed_where_it_is() {
        let content = numbers(0..100_000);
        let whole = member(&content);
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            bytes
        };
        let damaged = |lost: usize| Ending::Damaged { lost_bytes: lost as u64 };
        let is_start = |read: &[u8]| content.starts_with(read);
        let (read, ending) = open(&flipped(whole.len() - 6)).read();
        assert!(read == content && ending == damaged(0), "the checksum: {ending:?}");
        let (read, ending) = open(&flipped(whole.len() / 2)).read();
        let n = read.iter().zip(&content).take_while(|(a, b)| a == b).count();
        assert!(n > content.len() / 3, "{n} of {}", content.len());
        assert!(matches!(ending, Ending::Damaged { .. }), "{ending:?}");
        for (bytes, lost) in [
            (b"not compressed at all".to_vec(), 21),
            (vec![0; 100], 100),
            (flipped(0), whole.len()),
            (flipped(3), whole.len()),
            ([&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0][..], &[1; 300_000]].concat(), 300_010),
        ] {
            let (read, ending) = open(&bytes).read();
            assert!(read.is_empty() && ending == damaged(lost), "{ending:?}");
        }
        let (read, ending) = open(&[&whole[..], b"garbage"].concat()).read();
        assert!(read == content && ending == damaged(7), "{ending:?}");
        for cut in [1, 9, 15, whole.len() / 2, whole.len() - 9, whole.len() - 8, whole.len() - 1] {
            let (read, ending) = open(&whole[..cut]).read();
            assert!(is_start(&read) && ending == Ending::Unfinished, "{cut}: {ending:?}");
            assert!(cut < whole.len() - 9 || read == content, "{cut}: all of it was there");
        }
    }

    #[test]
    fn a_file_that_grows_is_decoded_on() {
        let content = numbers(0..50_000);
        let whole = [member(&content), member(&content)].concat();
        let mut opened = open(b"");
        let mut read = Vec::new();
        for part in whole.chunks(whole.len() / 23) {
            write(&mut opened.file, part);
            let (more, ending) = opened.read_from(read.len() as u64, 10_000);
            read.extend(more);
            assert!(matches!(ending, Ending::Unfinished | Ending::Whole));
        }
        assert!(read == [&content[..], &content].concat());
    }

    #[test]
    fn a_file_replaced_in_place_is_decoded_anew() {
        let (a, b) = (numbers(0..50_000), numbers(50_000..100_000));
        let mut opened = open(&member(&a));
        opened.gzip.reach(100_000..100_001).unwrap();
        let mut bytes = [0; 10];
        opened.gzip.read_at(100_000, &mut bytes).unwrap();
        std::io::Seek::rewind(&mut opened.file).unwrap();
        opened.file.set_len(0).unwrap();
        write(&mut opened.file, &member(&b));
        assert!(opened.read().0 == b);
        // Damage that somebody repairs.
        std::io::Seek::rewind(&mut opened.file).unwrap();
        opened.file.set_len(0).unwrap();
        write(&mut opened.file, &[&member(&b)[..], b"garbage"].concat());
        assert_eq!(opened.read().1, Ending::Damaged { lost_bytes: 7 });
        opened.file.set_len(member(&b).len() as u64).unwrap();
        assert!(opened.read() == (b, Ending::Whole));
    }

    #[test]
    fn reading_backwards_is_right_a_bounded_step_at_a_time() {
        let content = numbers(0..1_500_000);
        let mut opened = open(&member(&content));
        let reach = |gzip: &mut Gzip, at: u64| {
            for n_steps in 1.. {
                match gzip.reach(at..at + KEPT_BYTES as u64 + 1).unwrap() {
                    Reached::NotYet => assert!(gzip.window.capacity() < LARGE_BYTES),
                    reached => return (reached, n_steps),
                }
            }
            unreachable!()
        };
        for at in [5_000_000, 200_000, 9_000_000, 0, 1_024, 9_000_100, 8_999_500] {
            let (reached, n_steps) = reach(&mut opened.gzip, at);
            assert_eq!(reached, Reached::There);
            assert!(n_steps as u64 <= 2 * at / STEP_BYTES + 2, "{n_steps} steps to {at}");
            let mut bytes = [0; 3_000];
            let n = opened.gzip.read_at(at, &mut bytes).unwrap();
            assert!(content[at as usize..].starts_with(&bytes[..n]) && n == 3_000, "{at}");
            let n = opened.gzip.read_at(0, &mut bytes[..1_024]).unwrap();
            assert!(content.starts_with(&bytes[..n]) && n == 1_024, "the first bytes");
        }
        while opened.gzip.reach(1 << 40..(1 << 40) + 1).unwrap() == Reached::NotYet {}
        let mut bytes = [0; 1_024];
        let n = opened.gzip.read_at(content.len() as u64 - 1_024, &mut bytes).unwrap();
        assert!(content.ends_with(&bytes[..n]) && n == 1_024, "the last bytes");
        let error = opened.gzip.read_at(1_000_000, &mut [0; 10]).unwrap_err();
        assert_eq!(error.to_string(), "is being decoded from its beginning again");
    }

    #[test]
    fn a_bomb_and_a_heap_of_empty_members_take_bounded_steps_and_little_memory() {
        let bomb = member(&vec![0; 50 << 20]);
        let mut opened = open(&bomb);
        let mut n_steps = 0;
        while opened.gzip.reach(50 << 20..(50 << 20) + 1).unwrap() == Reached::NotYet {
            n_steps += 1;
            assert!(opened.gzip.window.capacity() <= LARGE_BYTES);
        }
        assert!((45..60).contains(&n_steps), "{n_steps}");
        let mut opened = open(&member(b"").repeat(200_000));
        let mut n_steps = 0;
        while opened.gzip.reach(0..1).unwrap() == Reached::NotYet {
            n_steps += 1;
        }
        assert!(n_steps >= 3, "{n_steps}");
        // A line of 16 MiB is held, and let go.
        let mut opened = open(&member(&vec![b'x'; 20 << 20]));
        opened.gzip.reach(0..1).unwrap();
        let n = opened.gzip.read_at(0, &mut vec![0; 16 << 20]).unwrap();
        assert_eq!(n, 16 << 20);
        while opened.gzip.reach(19 << 20..20 << 20).unwrap() == Reached::NotYet {}
        opened.gzip.reach((20 << 20) - 1..20 << 20).unwrap();
        assert!(opened.gzip.window.capacity() <= LARGE_BYTES);
    }

    proptest! {
        #[test]
        fn whatever_bytes_stand_there_nothing_is_made_up(
            content in proptest::collection::vec(any::<u8>(), 0..5_000),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut in any::<prop::sample::Index>(),
            piece in 1..4_000_usize,
        ) {
            let mut bytes = [member(&content[..content.len() / 2]), member(&content[content.len() / 2..])].concat();
            let is_whole = flips.iter().all(|(_, x)| *x == 0);
            for (at, x) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= x;
            }
            let cut = if is_whole { cut.index(bytes.len()) } else { bytes.len() };
            let (read, ending) = open(&bytes[..cut]).read_from(0, piece);
            if is_whole {
                prop_assert!(content.starts_with(&read));
                prop_assert_ne!(ending, Ending::Damaged { lost_bytes: 0 });
            }
        }
    }
}

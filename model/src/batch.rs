//! Batches: what the agent seals, sends and is given a receipt for, and the identity under which that happens.
//!
//! Owns identities (agent, epoch, stream, sequence number, digest) and what a batch says. Never knows how it is
//! encoded: the wire and both stores have types of their own.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::distribution::Distribution;
use crate::event::Event;
use crate::labels::Labels;
use crate::names::Service;
use crate::time::{Timestamp, Window};
use crate::units::Unit;

/// The name of an agent; by default its host's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentId(Arc<str>);

impl AgentId {
    /// The agent of that name.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The life of one spool: made with it, and bound to the machine and file it was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// When the spool was made.
    pub created_at: Timestamp,
    /// 64 random bits, so that two spools made at one time differ.
    pub random: u64,
}

impl Epoch {
    /// The epoch of a batch whose number was taken by another one: its own, and the same on every copy of its spool,
    /// so that two machines which both hold it still count it once.
    #[must_use]
    pub fn orphan_of(key: &BatchKey, digest: Digest) -> Self {
        let origin = key.stream.epoch;
        let mut content = digest.0.to_vec();
        content.extend_from_slice(&origin.random.to_be_bytes());
        content.extend_from_slice(&key.seq.to_be_bytes());
        Self { created_at: origin.created_at, random: Guard::of(&content).hash }
    }
}

/// `1793491200000000000-00000000deadbeef`.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.created_at.nanos(), self.random)
    }
}

impl std::str::FromStr for Epoch {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, random) = text.rsplit_once('-').ok_or(())?;
        Ok(Self {
            created_at: Timestamp(at.parse().map_err(drop)?),
            random: u64::from_str_radix(random, 16).map_err(drop)?,
        })
    }
}

/// What a stream carries. Windows come first everywhere: counts overtake bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Distributions, source tallies and frontiers.
    Windows,
    /// Event bodies.
    Events,
}

impl Kind {
    /// As written in tables and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Events => "events",
        }
    }

    /// The kind written so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Windows, Self::Events].into_iter().find(|k| k.as_str() == text)
    }
}

/// A sequence of batches numbered from 1 without gaps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// Whose.
    pub agent: AgentId,
    /// Of which spool.
    pub epoch: Epoch,
    /// Of which service.
    pub service: Service,
    /// Of what.
    pub kind: Kind,
}

/// One batch of a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey {
    /// Its stream.
    pub stream: StreamKey,
    /// Its number, from 1.
    pub seq: u64,
}

impl fmt::Display for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamKey { agent, epoch, service, kind } = &self.stream;
        write!(f, "{agent}/{epoch}/{service}/{}/{}", kind.as_str(), self.seq)
    }
}

/// 128 bits of a SHA-256 over a batch's sealed content: the same number with another digest is another batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest of sealed bytes.
    pub fn of(content: &[u8]) -> Self {
        let full = Sha256::digest(content);
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Self(half)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A sealed batch, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which one it is.
    pub key: BatchKey,
    /// Of its sealed content.
    pub digest: Digest,
    /// Batches of this stream below this number will not be offered again by the agent: they were receipted and are
    /// no longer kept. Said when sending, not sealed.
    pub settled_below: u64,
    /// When it was sealed, by the agent's clock.
    pub sealed_at: Timestamp,
    /// W3C `traceparent` of the seal; "" if tracing is off.
    pub traceparent: String,
    /// What it says.
    pub body: Body,
}

/// What a batch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Counts.
    Windows {
        /// Distributions by series.
        series: Vec<SeriesWindows>,
        /// What sources read, counted and skipped since the seal before.
        tallies: Vec<SourceTally>,
        /// How far files were read, as of this seal: on every body of it, if it was cut into several.
        frontiers: Vec<Frontier>,
        /// The latest events of this seal, shortened, at most three, for whoever is told about these counts.
        samples: Vec<Event>,
        /// Not the first body of its seal and service: its frontiers were covered by the first.
        continued: bool,
    },
    /// Bodies.
    Events {
        /// The events, in the order seen.
        events: Vec<Event>,
        /// How far files were read as of this seal: for the fence around a lost spool, not for coverage.
        frontiers: Vec<Frontier>,
    },
}

/// Whose clock a window's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeBasis {
    /// The time written in the line.
    #[default]
    Line,
    /// The agent's clock when it read the line; corrected by the agent's skew.
    Agent,
}

/// One series of a batch with its windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesWindows {
    /// The signal's name.
    pub signal: String,
    /// The unit its values were written in; they are sent in base units.
    pub unit: Unit,
    /// Labels of the observation and of the agent, without the reserved ones.
    pub labels: Labels,
    /// Whose clock the windows go by.
    pub basis: TimeBasis,
    /// Parts of windows; parts of the same window add up.
    pub windows: Vec<WindowPart>,
}

/// A part of a window: everything counted since the last seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPart {
    /// Which window.
    pub window: Window,
    /// What the part adds up to.
    pub distribution: Distribution,
}

/// Why a line, or its value for a signal, was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// Not in the declared format.
    Unparsable,
    /// Longer than `max_line`.
    TooLong,
    /// Not UTF-8.
    InvalidUtf8,
    /// Nothing but NUL bytes or white space.
    Blank,
    /// The declared time field is absent or no time.
    NoTime,
    /// Older than retention: the only meaning of "too late".
    TooLate,
    /// The declared value is absent, no number, or out of range.
    NoValue,
    /// Rotated away in a compressed form that is not read.
    Compressed,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Unparsable,
        Self::TooLong,
        Self::InvalidUtf8,
        Self::Blank,
        Self::NoTime,
        Self::TooLate,
        Self::NoValue,
        Self::Compressed,
    ];

    /// As it stands in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unparsable => "unparsable",
            Self::TooLong => "too_long",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Blank => "blank",
            Self::NoTime => "no_time",
            Self::TooLate => "too_late",
            Self::NoValue => "no_value",
            Self::Compressed => "compressed",
        }
    }

    /// The reason written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// What one source did since the last seal. Every field is a difference; they add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// The source, by name.
    pub source: String,
    /// Lines, or other records, read.
    pub read: u64,
    /// Lines skipped, by reason, each line once; `NoValue` counts observations of otherwise good lines.
    pub skipped: Vec<(SkipReason, u64)>,
    /// Lines whose time was more than a minute ahead and was set to the time they were read.
    pub clamped: u64,
    /// Bytes read, line ends included.
    pub bytes: u64,
    /// Bytes given up unread: rotated or deleted files beyond `max_held`, or gone while nobody could read.
    pub bytes_abandoned: u64,
    /// Bytes whose fate is unknown: what a truncation destroyed after the frontier.
    pub bytes_unknown: u64,
    /// How often a file was truncated in place.
    pub truncations: u64,
    /// Event bodies sealed: what the events stream must bring.
    pub events: u64,
    /// Event bodies dropped under pressure.
    pub events_dropped: u64,
    /// Label values that became `__overflow__`.
    pub overflowed: u64,
    /// Replacements made in event bodies, and in label values if asked for, before anything left the host.
    pub redacted: u64,
    /// Event bodies that were not kept because their definition's limit was reached; what they say is counted all the
    /// same.
    pub events_held_back: u64,
}

impl SourceTally {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Self { source: self.source.clone(), ..Self::default() }
    }

    /// Adds all of `more`; the name stays.
    pub fn add(&mut self, more: &Self) {
        self.read += more.read;
        for &(reason, n) in &more.skipped {
            self.skip(reason, n);
        }
        self.clamped += more.clamped;
        self.bytes += more.bytes;
        self.bytes_abandoned += more.bytes_abandoned;
        self.bytes_unknown += more.bytes_unknown;
        self.truncations += more.truncations;
        self.events += more.events;
        self.events_dropped += more.events_dropped;
        self.overflowed += more.overflowed;
        self.redacted += more.redacted;
        self.events_held_back += more.events_held_back;
    }

    /// Counts one more for a reason.
    pub fn skip(&mut self, reason: SkipReason, n: u64) {
        match self.skipped.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, count)) => *count += n,
            None => self.skipped.push((reason, n)),
        }
    }
}

/// One life of a file: an inode from its creation or truncation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRef {
    /// The inode.
    pub inode: u64,
    /// When this agent first saw this life of it; tells a recycled inode and a truncated file from the earlier one.
    pub born: Timestamp,
}

/// A hash of some bytes of a file and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guard {
    /// How many bytes are hashed.
    pub len: u32,
    /// The first 64 bits of their SHA-256.
    pub hash: u64,
}

impl Guard {
    /// The guard of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let full = Sha256::digest(bytes);
        let mut head = [0; 8];
        head.copy_from_slice(&full[..8]);
        Self { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash: u64::from_be_bytes(head) }
    }
}

/// How far a file was read at a seal: everything before `to` is counted or skipped in this batch or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    /// The source, by name.
    pub source: String,
    /// The path it was last seen under, for people.
    pub path: String,
    /// Which file.
    pub file: FileRef,
    /// Its first bytes, up to 1 024.
    pub prefix: Guard,
    /// Where reading began in it under this epoch.
    pub begin: u64,
    /// Where this seal began in it.
    pub from: u64,
    /// Where this seal ended in it; always at a record's end.
    pub to: u64,
    /// Up to 256 bytes just before `to`.
    pub guard: Guard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_as_it_is_written() {
        let epoch = Epoch { created_at: Timestamp(1_793_491_200_000_000_001), random: 0xdead_beef };
        assert_eq!(epoch.to_string().parse(), Ok(epoch));
        assert_eq!("17934".parse::<Epoch>(), Err(()));
    }

    #[test]
    fn a_flipped_bit_changes_the_digest() {
        assert_ne!(Digest::of(b"abc"), Digest::of(b"abb"));
        assert_eq!(Digest::of(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn reasons_read_as_they_are_written() {
        for reason in SkipReason::ALL {
            assert_eq!(SkipReason::parse(reason.as_str()), Some(reason));
        }
    }
}

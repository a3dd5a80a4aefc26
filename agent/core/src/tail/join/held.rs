//! What was read and not given out.
//!
//! Owns what is held of one stream, and its stored form: nothing of it is lost or given out twice if the process ends.
//! Bounded: a stream holds at most as many bytes of text as one line may have. Never decides what a line means.

use serde::{Deserialize, Serialize};
use watchkeeper_model::Timestamp;

use crate::tail::record::{Record, Stream, Wrapped};

/// What is held of a file whose reading was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The settings it was held under, as [`JoinSettings::key`](super::JoinSettings::key) says them.
    pub join: String,
    /// The configured path of its file, under which it is counted even if the file is gone.
    pub path: String,
    /// What is held, stream by stream; each at most once.
    pub streams: Vec<HeldStream>,
}

/// What is held of one stream. One of both is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldStream {
    /// `None` without a wrapper.
    pub(super) stream: Option<Stream>,
    /// The parts read so far of a line whose end was not read.
    pub(super) line: Option<Text>,
    /// The lines read so far of a record.
    pub(super) record: Option<Text>,
    /// When something was added last.
    pub(super) touched: Timestamp,
}

impl HeldStream {
    pub(super) fn new(stream: Option<Stream>) -> Self {
        Self { stream, line: None, record: None, touched: Timestamp(i64::MIN) }
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &Text> {
        self.line.iter().chain(&self.record)
    }
}

/// Text that grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// The wrapper's time of its beginning.
    pub(super) time: String,
    pub(super) n_lines: usize,
    /// A line that has become too long, or a record that was given out: more of it is passed over.
    pub(super) is_over: bool,
    /// Where in the file it begins; 0 if that is not where it would be read again.
    pub(super) start: u64,
    /// The end of the last that was added.
    pub(super) end: u64,
}

impl Text {
    pub(super) fn record(&self, stream: Option<Stream>) -> Record<'_> {
        record(stream, &self.time, &self.bytes)
    }

    /// Nothing is kept of it but that there is more.
    pub(super) fn pass_over(&mut self) {
        self.is_over = true;
        self.bytes = Vec::new();
    }
}

/// A record, wrapped if it has a stream.
pub(super) fn record<'a>(stream: Option<Stream>, time: &'a str, text: &'a [u8]) -> Record<'a> {
    match stream {
        Some(stream) => Record::Wrapped(Wrapped { text, stream, time }),
        None => Record::Line(text),
    }
}

/// What of a file has to be kept so that nothing that is held gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tail) enum Keep {
    /// Nothing is held.
    Nothing,
    /// Nothing was given out behind this place: reading on from there finds everything again.
    From(u64),
    /// What is held itself.
    Itself,
}

/// The stored form. Bytes are stored as the characters U+0000 to U+00FF: text as people see it, if it is ASCII.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::tail) struct HeldRow {
    join: String,
    path: String,
    streams: Vec<StreamRow>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StreamRow {
    stream: Option<String>,
    line: Option<TextRow>,
    record: Option<TextRow>,
}

#[derive(Clone, Serialize, Deserialize)]
struct TextRow {
    text: String,
    time: String,
    n_lines: usize,
    over: bool,
}

impl Held {
    pub(in crate::tail) fn row(&self) -> HeldRow {
        let text = |t: &Text| TextRow {
            text: t.bytes.iter().map(|&b| char::from(b)).collect(),
            time: t.time.clone(),
            n_lines: t.n_lines,
            over: t.is_over,
        };
        let stream = |s: &HeldStream| StreamRow {
            stream: s.stream.map(|s| s.as_str().to_owned()),
            line: s.line.as_ref().map(text),
            record: s.record.as_ref().map(text),
        };
        let streams = self.streams.iter().map(stream).collect();
        HeldRow { join: self.join.clone(), path: self.path.clone(), streams }
    }

    /// Out of its stored form; `None` if it contradicts itself.
    pub(in crate::tail) fn of(row: HeldRow) -> Option<Self> {
        let mut streams: Vec<HeldStream> = Vec::new();
        for row in row.streams {
            let stream = match row.stream {
                Some(word) => Some(Stream::parse(word.as_bytes())?),
                None => None,
            };
            let is_known = streams.iter().any(|s| s.stream == stream);
            if is_known || (row.line.is_none() && row.record.is_none()) {
                return None;
            }
            let (line, record) = (text(row.line)?, text(row.record)?);
            streams.push(HeldStream { line, record, ..HeldStream::new(stream) });
        }
        (!streams.is_empty()).then_some(Self { join: row.join, path: row.path, streams })
    }
}

fn text(row: Option<TextRow>) -> Option<Option<Text>> {
    let Some(TextRow { text, time, n_lines, over }) = row else { return Some(None) };
    let bytes = text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<_>>()?;
    Some(Some(Text { bytes, time, n_lines, is_over: over, start: 0, end: 0 }))
}

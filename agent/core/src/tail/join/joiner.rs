//! Putting the lines of one file together.
//!
//! Owns what belongs together: the parts of a line up to its end, and the lines of a record up to the next one's start, each
//! stream by itself. A line longer than allowed is one record [`Record::TooLong`], whether it is so in the file or became so
//! by its parts; it ends nothing that is held. A record that has too many lines or bytes is given out at once without the
//! rest, cut between two characters, and the lines up to the next start belong to it: it is one record, counted once.
//! Never waits: what is held is given out when somebody says what time it is.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::cri::parse_cri;
use super::docker::DockerParser;
use super::held::{HeldStream, Keep, Text, record};
use super::part::Part;
use super::settings::{JoinSettings, Multiline, Wrap};
use crate::tail::framer::{LineForm, without_cr};
use crate::tail::record::{Record, Stream};
use crate::tail::settings::TailSettings;

/// How long the next part of a line is waited for. Runtimes write the parts of a line at once.
const PART_WAIT: Duration = Duration::from_secs(60);

/// A record that was longer leaves no more memory than this behind for the next one.
const SPARE_BYTES: usize = 4 * 1024;

/// What all joiners of a source have in common.
#[derive(Debug)]
pub struct Joining {
    settings: JoinSettings,
    max_line_bytes: usize,
    docker: DockerParser,
}

impl Joining {
    /// For lines of at most so many bytes, without their wrappers.
    pub fn new(settings: JoinSettings, max_line_bytes: usize) -> Self {
        Self { settings, max_line_bytes, docker: DockerParser::default() }
    }

    /// As a source's settings want it; `None` if nothing is joined.
    pub(in crate::tail) fn by(settings: &TailSettings) -> Option<Self> {
        let join = settings.join.clone();
        join.joins().then(|| Self::new(join, settings.max_line_bytes))
    }

    /// What is joined.
    pub fn settings(&self) -> &JoinSettings {
        &self.settings
    }

    /// How long a line of a file may be so that its text can be as long as allowed.
    pub fn line_form(&self) -> LineForm {
        let more = match self.settings.wrap {
            // A CR that belongs to its end.
            Wrap::None => 1,
            // A time, a word and some tags.
            Wrap::Cri => 256,
            // Docker cuts at 16 KiB, of which each byte may need six, and labels may stand beside them.
            Wrap::Docker => self.max_line_bytes + 128 * 1024,
        };
        LineForm { max_bytes: self.max_line_bytes + more, keeps_cr: true }
    }

    fn split(&mut self) -> (Rules<'_>, Wrap, &mut DockerParser) {
        let Self { settings, max_line_bytes, docker } = self;
        let multiline = settings.multiline.as_ref();
        (Rules { multiline, max_bytes: *max_line_bytes }, settings.wrap, docker)
    }

    fn rules(&self) -> Rules<'_> {
        Rules { multiline: self.settings.multiline.as_ref(), max_bytes: self.max_line_bytes }
    }
}

/// What the lines of a record have to keep to.
#[derive(Clone, Copy)]
struct Rules<'a> {
    multiline: Option<&'a Multiline>,
    max_bytes: usize,
}

/// A record as the file has it, and where it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What the framer cut.
    pub record: Record<'a>,
    /// Its beginning.
    pub start: u64,
    /// The place behind its end.
    pub end: u64,
}

/// A whole line of one stream.
struct Line<'a> {
    stream: Option<Stream>,
    time: &'a str,
    text: &'a [u8],
    start: u64,
    end: u64,
}

/// The state of one file between two of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joiner {
    /// One for each stream of which something is held.
    held: Vec<HeldStream>,
    /// Everything that was given out or passed over ends here or before.
    given_to: u64,
}

impl Joiner {
    /// Goes on with what was held up to a place in a file.
    pub fn restored(held: Vec<HeldStream>, offset: u64, now: Timestamp) -> Self {
        let mut joiner = Self { held, given_to: offset.max(1) };
        joiner.held.iter_mut().for_each(|h| h.touched = now);
        joiner
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What is held.
    pub fn held(&self) -> &[HeldStream] {
        &self.held
    }

    pub(in crate::tail) fn keep(&self) -> Keep {
        // A record that was cut was given out, and so ends behind its beginning.
        match self.held.iter().flat_map(HeldStream::texts).map(|t| t.start).min() {
            None => Keep::Nothing,
            Some(start) if start >= self.given_to => Keep::From(start),
            Some(_) => Keep::Itself,
        }
    }

    /// When something has to be given out though nothing was added to it.
    pub fn deadline(&self, joining: &Joining) -> Option<Timestamp> {
        let rules = joining.rules();
        self.held.iter().map(|h| deadline(h, rules)).min()
    }

    /// Takes in the next record of the file, and gives out what that makes complete.
    pub fn take(
        &mut self,
        joining: &mut Joining,
        now: Timestamp,
        piece: Piece<'_>,
        out: &mut impl FnMut(Record<'_>),
    ) {
        let Piece { record: Record::Line(line), start, end } = piece else {
            return self.give(piece.record, piece.end, out);
        };
        let (rules, wrap, docker) = joining.split();
        let part = match wrap {
            Wrap::None => Some(Part { stream: None, time: "", text: line, ends: true }),
            Wrap::Cri => parse_cri(line),
            Wrap::Docker => docker.parse(line),
        };
        let Some(Part { stream, time, text, ends }) = part else {
            return self.give(Record::Unparsable(line), end, out);
        };
        let goes_on = self.held.iter().any(|h| h.stream == stream && h.line.is_some());
        if ends && !goes_on {
            let line = Line { stream, time, text: without_cr(text), start, end };
            return self.add_line(rules, now, &line, out);
        }
        let i = self.of_stream(stream);
        self.held[i].touched = now;
        self.add_part(i, rules, &Line { stream, time, text, start, end }, out);
        if ends {
            self.end_line(i, rules, now, out);
            self.forget_empty();
        }
    }

    /// A clock that was set back makes nothing wait for it to catch up.
    pub fn not_after(&mut self, now: Timestamp) {
        self.held.iter_mut().for_each(|h| h.touched = h.touched.min(now));
    }

    /// Gives out what nothing was added to for long enough.
    pub fn give_due(
        &mut self,
        joining: &Joining,
        now: Timestamp,
        out: &mut impl FnMut(Record<'_>),
    ) {
        let rules = joining.rules();
        for i in 0..self.held.len() {
            if deadline(&self.held[i], rules) > now {
                continue;
            }
            if self.held[i].line.is_some() {
                self.end_line(i, rules, now, out);
            } else if let Some(record) = self.held[i].record.take() {
                self.give_record(&record, self.held[i].stream, out);
            }
        }
        self.forget_empty();
    }

    /// Gives out everything that is held, oldest first: there is no more to come.
    pub fn finish(&mut self, joining: &Joining, now: Timestamp, out: &mut impl FnMut(Record<'_>)) {
        self.held.sort_by_key(|h| h.texts().map(|t| t.start).min());
        for i in 0..self.held.len() {
            self.end_line(i, joining.rules(), now, out);
        }
        self.finish_apart(out);
    }

    /// The same for what was held under other settings: nothing of it is joined any more.
    pub fn finish_apart(&mut self, out: &mut impl FnMut(Record<'_>)) {
        for held in std::mem::take(&mut self.held) {
            if let Some(record) = &held.record {
                self.give_record(record, held.stream, out);
            }
            match &held.line {
                Some(line) if line.is_over => self.give(Record::TooLong, line.end, out),
                Some(line) => self.give(
                    record(held.stream, &line.time, without_cr(&line.bytes)),
                    line.end,
                    out,
                ),
                None => {}
            }
        }
    }

    fn give(&mut self, record: Record<'_>, end: u64, out: &mut impl FnMut(Record<'_>)) {
        out(record);
        self.given_to = self.given_to.max(end);
    }

    /// Gives out a record of lines, if that was not done when it was cut.
    fn give_record(
        &mut self,
        record: &Text,
        stream: Option<Stream>,
        out: &mut impl FnMut(Record<'_>),
    ) {
        if !record.is_over {
            self.give(record.record(stream), record.end, out);
        }
    }

    /// The place of what is held of a stream, made if there is nothing.
    fn of_stream(&mut self, stream: Option<Stream>) -> usize {
        self.held.iter().position(|h| h.stream == stream).unwrap_or_else(|| {
            self.held.push(HeldStream::new(stream));
            self.held.len() - 1
        })
    }

    fn forget_empty(&mut self) {
        self.held.retain(|h| h.line.is_some() || h.record.is_some());
    }

    /// Adds a part to the line of its stream.
    fn add_part(
        &mut self,
        i: usize,
        rules: Rules<'_>,
        part: &Line<'_>,
        out: &mut impl FnMut(Record<'_>),
    ) {
        let HeldStream { stream, line, record, .. } = &mut self.held[i];
        let line = line.get_or_insert_with(|| Text {
            bytes: Vec::new(),
            time: part.time.to_owned(),
            n_lines: 1,
            is_over: false,
            start: part.start,
            end: part.end,
        });
        line.end = part.end;
        // One more for a CR that belongs to its end.
        if line.bytes.len() + part.text.len() > rules.max_bytes + 1 {
            line.pass_over();
        } else if !line.is_over {
            line.bytes.extend_from_slice(part.text);
        }
        let n_bytes = line.bytes.len();
        let (stream, Some(full)) = (*stream, record) else { return };
        // Together they are no more than one line may be: should this line go on with the record, it would be cut anyway.
        if !full.is_over && (line.is_over || full.bytes.len() + 1 + n_bytes > rules.max_bytes) {
            out(full.record(stream));
            self.given_to = self.given_to.max(full.end);
            full.pass_over();
        }
    }

    /// Takes the parts of a line for all of it.
    fn end_line(
        &mut self,
        i: usize,
        rules: Rules<'_>,
        now: Timestamp,
        out: &mut impl FnMut(Record<'_>),
    ) {
        let stream = self.held[i].stream;
        match self.held[i].line.take() {
            Some(line) if line.is_over => self.give(Record::TooLong, line.end, out),
            Some(Text { bytes, time, start, end, .. }) => {
                let line = Line { stream, time: &time, text: without_cr(&bytes), start, end };
                self.add_line(rules, now, &line, out);
            }
            None => {}
        }
    }

    /// Adds a line to the record of its stream, or begins the next one with it.
    fn add_line(
        &mut self,
        rules: Rules<'_>,
        now: Timestamp,
        line: &Line<'_>,
        out: &mut impl FnMut(Record<'_>),
    ) {
        if line.text.len() > rules.max_bytes {
            return self.give(Record::TooLong, line.end, out);
        }
        let Some(multiline) = rules.multiline else {
            return self.give(record(line.stream, line.time, line.text), line.end, out);
        };
        let i = self.of_stream(line.stream);
        let held = &mut self.held[i];
        held.touched = now;
        let Some(text) = &mut held.record else {
            held.record = Some(line.begin(Vec::new(), String::new()));
            return;
        };
        if multiline.is_start(line.text) {
            if !text.is_over {
                out(text.record(line.stream));
                self.given_to = self.given_to.max(text.end);
            }
            let (bytes, time) = (std::mem::take(&mut text.bytes), std::mem::take(&mut text.time));
            *text = line.begin(bytes, time);
        } else if text.is_over {
            self.given_to = self.given_to.max(line.end);
        } else if !text.go_on(line, multiline.max_lines, rules.max_bytes) {
            out(text.record(line.stream));
            self.given_to = self.given_to.max(text.end);
            text.pass_over();
        }
    }
}

impl Line<'_> {
    /// A record that begins with this line, in memory that was used before.
    fn begin(&self, mut bytes: Vec<u8>, mut time: String) -> Text {
        bytes.clear();
        bytes.shrink_to(SPARE_BYTES);
        bytes.extend_from_slice(self.text);
        time.clear();
        time.push_str(self.time);
        Text { bytes, time, n_lines: 1, is_over: false, start: self.start, end: self.end }
    }
}

impl Text {
    /// Adds as much of a line as there is room for; whether that was all of it.
    fn go_on(&mut self, line: &Line<'_>, max_lines: usize, max_bytes: usize) -> bool {
        self.end = line.end;
        let room = max_bytes.checked_sub(self.bytes.len() + 1);
        let Some(room) = room.filter(|_| self.n_lines < max_lines) else { return false };
        let is_whole = line.text.len() <= room;
        let n = if is_whole { line.text.len() } else { cut(line.text, room) };
        if is_whole || n > 0 {
            self.n_lines += 1;
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&line.text[..n]);
        }
        is_whole
    }
}

/// At most so many bytes, and no half of a character.
fn cut(text: &[u8], max: usize) -> usize {
    let is_inside = |at: usize| text.get(at).is_some_and(|b| b & 0xc0 == 0x80);
    // A character has at most four bytes; what is no text is cut anywhere.
    (max.saturating_sub(3)..=max).rev().find(|&at| !is_inside(at)).unwrap_or(max)
}

/// When something has to be given out of a stream.
fn deadline(held: &HeldStream, rules: Rules<'_>) -> Timestamp {
    let wait = match rules.multiline {
        Some(multiline) if held.line.is_none() => multiline.timeout,
        _ => PART_WAIT,
    };
    held.touched + wait
}

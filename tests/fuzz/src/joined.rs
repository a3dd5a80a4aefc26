//! Records of a file as one puts them together who has all of it.
//!
//! Owns the model that the joiner is held against: all parts of a stream at once, no clock. Wrappers are taken off by the
//! parsers themselves, which have targets of their own.

use std::time::Duration;

use watchkeeper_agent_core::tail::join::{
    DockerParser, JoinSettings, Multiline, Part, Wrap, parse_cri,
};
use watchkeeper_agent_core::tail::{Record, Stream};

/// A record that outlives its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Joined {
    /// Its stream, time and text.
    Text(Option<Stream>, String, Vec<u8>),
    /// Too long a line.
    TooLong,
    /// A run of NUL bytes.
    Blank,
    /// Not of its wrapper's form.
    Unparsable,
}

impl Joined {
    /// As the framer gives it out.
    pub fn record(&self) -> Record<'_> {
        match self {
            Self::Text(_, _, text) => Record::Line(text),
            Self::TooLong => Record::TooLong,
            Self::Blank => Record::Blank,
            Self::Unparsable => Record::Unparsable(b""),
        }
    }
}

/// Records by stream, in their order; those of no stream last, sorted.
pub fn by_stream(all: Vec<Joined>) -> [Vec<Joined>; 4] {
    let mut by = [const { Vec::new() }; 4];
    for one in all {
        let n = match &one {
            Joined::Text(Some(Stream::Stdout), ..) => 0,
            Joined::Text(Some(Stream::Stderr), ..) => 1,
            Joined::Text(None, ..) => 2,
            _ => 3,
        };
        by[n].push(one);
    }
    by[3].sort();
    by
}

/// What was given out.
pub fn joined(record: Record<'_>) -> Joined {
    match record {
        Record::Line(text) => Joined::Text(None, String::new(), text.to_vec()),
        Record::Wrapped(w) => Joined::Text(Some(w.stream), w.time.to_owned(), w.text.to_vec()),
        Record::TooLong => Joined::TooLong,
        Record::Blank => Joined::Blank,
        Record::Unparsable(_) => Joined::Unparsable,
    }
}

/// Some settings by number.
pub fn join_settings(n: usize) -> JoinSettings {
    let wrap = [Wrap::None, Wrap::Cri, Wrap::Docker][n % 3];
    let max_lines = [None, Some(100), Some(3)][n / 3 % 3];
    let multiline = max_lines.map(|max_lines| {
        Multiline::new(r"^\S", max_lines, Duration::from_secs(2)).expect("an expression of ours")
    });
    JoinSettings { wrap, multiline }
}

/// A record in the making, which takes in no more once it was cut.
struct Group {
    time: String,
    text: Vec<u8>,
    n_lines: usize,
    is_cut: bool,
}

/// One stream: the line that has not ended with its time and whether it is too long, and the record.
struct State<'a> {
    stream: Option<Stream>,
    multiline: Option<&'a Multiline>,
    max: usize,
    line: Option<(String, Vec<u8>, bool)>,
    group: Option<Group>,
    out: Vec<Joined>,
}

impl State<'_> {
    fn part(&mut self, part: &Part<'_>) {
        let is_alone = part.ends && self.line.is_none();
        let (time, mut text, mut is_over) =
            self.line.take().unwrap_or_else(|| (part.time.to_owned(), Vec::new(), false));
        text.extend_from_slice(part.text);
        if !is_alone {
            is_over |= text.len() > self.max + 1;
            // There is no memory for both.
            if let Some(group) = &mut self.group {
                group.is_cut |= is_over || group.text.len() + 1 + text.len() > self.max;
            }
        }
        self.line = Some((time, text, is_over));
        if part.ends {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let Some((time, mut text, is_over)) = self.line.take() else { return };
        if text.ends_with(b"\r") {
            text.pop();
        }
        if is_over || text.len() > self.max {
            return self.out.push(Joined::TooLong);
        }
        let Some(multiline) = self.multiline else {
            return self.out.push(Joined::Text(self.stream, time, text));
        };
        match &mut self.group {
            Some(group) if !multiline.is_start(&text) => {
                group.go_on(&text, multiline.max_lines, self.max)
            }
            _ => {
                self.end_group();
                self.group = Some(Group { time, text, n_lines: 1, is_cut: false });
            }
        }
    }

    fn end_group(&mut self) {
        let group = self.group.take().map(|g| Joined::Text(self.stream, g.time, g.text));
        self.out.extend(group);
    }
}

impl Group {
    fn go_on(&mut self, line: &[u8], max_lines: usize, max: usize) {
        let room = max.saturating_sub(self.text.len() + 1);
        if self.is_cut || self.n_lines == max_lines || self.text.len() + 1 > max {
            self.is_cut = true;
            return;
        }
        let is_character = |n: usize| line.get(n).is_none_or(|b| b & 0xc0 != 0x80);
        let n = match line.len() <= room {
            true => line.len(),
            false => {
                (room.saturating_sub(3)..=room).rev().find(|n| is_character(*n)).unwrap_or(room)
            }
        };
        self.is_cut = n < line.len();
        if n > 0 || line.is_empty() {
            self.n_lines += 1;
            self.text.push(b'\n');
            self.text.extend_from_slice(&line[..n]);
        }
    }
}

/// All records of a file whose lines are these.
pub fn reference(settings: &JoinSettings, max: usize, lines: &[(Joined, u64)]) -> [Vec<Joined>; 4] {
    let multiline = settings.multiline.as_ref();
    let state = |stream| State { stream, multiline, max, line: None, group: None, out: Vec::new() };
    let streams = [None, Some(Stream::Stdout), Some(Stream::Stderr)];
    let (mut states, mut out) = (streams.map(state), Vec::new());
    let mut docker = DockerParser::default();
    for (piece, _) in lines {
        let Joined::Text(_, _, line) = piece else {
            out.push(piece.clone());
            continue;
        };
        let part = match settings.wrap {
            Wrap::None => Some(Part { stream: None, time: "", text: line, ends: true }),
            Wrap::Cri => parse_cri(line),
            Wrap::Docker => docker.parse(line),
        };
        match part {
            Some(part) => {
                states.iter_mut().filter(|s| s.stream == part.stream).for_each(|s| s.part(&part))
            }
            None => out.push(Joined::Unparsable),
        }
    }
    for state in &mut states {
        state.end_line();
        state.end_group();
        out.append(&mut state.out);
    }
    by_stream(out)
}

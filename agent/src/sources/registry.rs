//! The kinds of sources there are: the one place to register another.
//!
//! Owns the tags of `sources:`. What stands below a tag is the business of its folder.

use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_config::{Located, Node, Reader};
use watchkeeper_model::Service;

use super::journal::{JournalSource, JournalSourceSettings};
use super::source::{Source, Stored};
use super::tail::{TailSource, TailSourceSettings};
use super::wake::Waker;

/// Kinds that are part of the file format but not of this version.
const LATER: [&str; 5] = ["probe", "watch", "process", "host", "heartbeat"];

/// What one source needs, of whatever kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSettings {
    /// Lines of files.
    Tail(TailSourceSettings),
    /// Entries of systemd's journal.
    Journal(JournalSourceSettings),
}

/// One element of `sources:` as it was written.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The name the user gave it, if any.
    pub given_name: Option<Located<String>>,
    /// What it needs; without a name if the user gave none.
    pub settings: SourceSettings,
}

/// Reads one element of `sources:`.
pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<SourceConfig> {
    let mut tags = vec!["tail", "journal"];
    tags.extend(LATER);
    let (tag, inner) = node.variant(reader, &tags)?;
    match tag {
        "tail" => {
            let (given_name, tail) = TailSourceSettings::read(inner, reader)?;
            Some(SourceConfig { given_name, settings: SourceSettings::Tail(tail) })
        }
        "journal" => {
            let (given_name, journal) = JournalSourceSettings::read(inner, reader)?;
            Some(SourceConfig { given_name, settings: SourceSettings::Journal(journal) })
        }
        later => {
            reader
                .error(node.place(), format!("`{later}` sources are not part of this version"))
                .help("this version observes with `tail` and `journal`");
            None
        }
    }
}

/// Makes the source that settings describe, going on from what it had stored.
pub fn build(
    settings: SourceSettings,
    stored: Stored,
    into: &mut Accumulator,
    waker: Waker,
) -> Box<dyn Source> {
    match settings {
        SourceSettings::Tail(tail) => Box::new(TailSource::new(tail, stored, into, waker)),
        SourceSettings::Journal(journal) => {
            Box::new(JournalSource::new(journal, stored, into, waker))
        }
    }
}

impl SourceSettings {
    /// What kind it is, as in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tail(_) => "tail",
            Self::Journal(_) => "journal",
        }
    }

    /// The settings of a source that tails files; `None` of any other.
    pub fn into_tail(self) -> Option<TailSourceSettings> {
        match self {
            Self::Tail(tail) => Some(tail),
            Self::Journal(_) => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Tail(tail) => &tail.lines.source,
            Self::Journal(journal) => &journal.lines.source,
        }
    }

    /// Names it.
    pub fn set_name(&mut self, name: &str) {
        match self {
            Self::Tail(tail) => tail.set_name(name),
            Self::Journal(journal) => journal.set_name(name),
        }
    }

    /// What it reads, in a form that is the same for the same: a line that begins with its kind, then one for each part.
    /// A source goes on where another one stood that read the same.
    pub fn reads(&self) -> String {
        match self {
            Self::Tail(tail) => tail.reads(),
            Self::Journal(journal) => journal.reads(),
        }
    }

    /// Those of a `tail`.
    pub fn as_tail(&self) -> Option<&TailSourceSettings> {
        match self {
            Self::Tail(tail) => Some(tail),
            Self::Journal(_) => None,
        }
    }

    /// Whose it is.
    pub fn service(&self) -> &Service {
        match self {
            Self::Tail(tail) => &tail.lines.service,
            Self::Journal(journal) => &journal.lines.service,
        }
    }
}

//! The kinds of sources there are: the one place to register another.
//!
//! Owns the tags of `sources:` and what is the same for every kind: that settings can be compared, named and built without
//! knowing which they are. What stands below a tag is the business of its folder.

use std::any::Any;
use std::fmt::Debug;

use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_config::{Located, Node, Reader};
use watchkeeper_model::Service;

use super::beside::Beside;
use super::heartbeat::HeartbeatSourceSettings;
use super::host::HostSourceSettings;
use super::journal::JournalSourceSettings;
use super::probe::ProbeSourceSettings;
use super::process::ProcessSourceSettings;
use super::source::{Source, Stored};
use super::tail::TailSourceSettings;
use super::watch::WatchSourceSettings;

/// Every kind, in the order in which they are named to people.
const KINDS: [Registered; 7] = [
    Registered::of::<TailSourceSettings>(),
    Registered::of::<JournalSourceSettings>(),
    Registered::of::<HostSourceSettings>(),
    Registered::of::<ProbeSourceSettings>(),
    Registered::of::<ProcessSourceSettings>(),
    Registered::of::<WatchSourceSettings>(),
    Registered::of::<HeartbeatSourceSettings>(),
];

/// The settings of one kind of source.
pub trait Kind: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Its tag in `sources:`.
    const TAG: &'static str;

    /// Reads the section below the tag; the name the user gave it, if any, with its place.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)>;

    /// Its name; empty until it has one.
    fn name(&self) -> &str;

    /// Names it.
    fn set_name(&mut self, name: &str);

    /// Whose it is.
    fn service(&self) -> &Service;

    /// What it reads, in a form that is the same for the same: a line that begins with its kind, then one for each part.
    /// A source goes on where another one stood that read the same.
    fn reads(&self) -> String;

    /// Makes the source, going on from what it had stored.
    fn build(self, stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source>;
}

/// What one source needs, of whatever kind.
#[derive(Debug)]
pub struct SourceSettings(Box<dyn Erased>);

/// One element of `sources:` as it was written.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The name the user gave it, if any.
    pub given_name: Option<Located<String>>,
    /// What it needs; without a name if the user gave none.
    pub settings: SourceSettings,
}

struct Registered {
    tag: &'static str,
    read: fn(&Node, &mut Reader<'_>) -> Option<SourceConfig>,
}

impl Registered {
    const fn of<K: Kind>() -> Self {
        Self {
            tag: K::TAG,
            read: |node, reader| {
                let (given_name, kind) = K::read(node, reader)?;
                Some(SourceConfig { given_name, settings: SourceSettings::new(kind) })
            },
        }
    }
}

/// Reads one element of `sources:`.
pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<SourceConfig> {
    let tags = KINDS.map(|kind| kind.tag);
    let (tag, inner) = node.variant(reader, &tags)?;
    let kind = KINDS.iter().find(|kind| kind.tag == tag)?;
    (kind.read)(inner, reader)
}

/// Makes the source that settings describe, going on from what it had stored.
pub fn build(
    settings: SourceSettings,
    stored: Stored,
    into: &mut Accumulator,
    beside: &Beside,
) -> Box<dyn Source> {
    settings.0.build(stored, into, beside)
}

impl SourceSettings {
    /// Those of one kind.
    pub fn new<K: Kind>(kind: K) -> Self {
        Self(Box::new(kind))
    }

    /// What kind it is, as in the configuration.
    pub fn kind(&self) -> &'static str {
        self.0.tag()
    }

    /// Those of this kind; `None` of any other.
    pub fn as_kind<K: Kind>(&self) -> Option<&K> {
        self.0.any().downcast_ref()
    }

    /// The settings of a source that tails files; `None` of any other.
    pub fn into_tail(self) -> Option<TailSourceSettings> {
        self.as_kind().cloned()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Names it.
    pub fn set_name(&mut self, name: &str) {
        self.0.set_name(name);
    }

    /// What it reads, see [`Kind::reads`].
    pub fn reads(&self) -> String {
        self.0.reads()
    }

    /// Whose it is.
    pub fn service(&self) -> &Service {
        self.0.service()
    }
}

impl Clone for SourceSettings {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

impl PartialEq for SourceSettings {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl Eq for SourceSettings {}

/// A [`Kind`] of which it is forgotten which it is.
trait Erased: Debug + Send + Sync {
    fn tag(&self) -> &'static str;
    fn any(&self) -> &dyn Any;
    fn name(&self) -> &str;
    fn set_name(&mut self, name: &str);
    fn service(&self) -> &Service;
    fn reads(&self) -> String;
    fn cloned(&self) -> Box<dyn Erased>;
    fn equals(&self, other: &dyn Erased) -> bool;
    fn build(
        self: Box<Self>,
        stored: Stored,
        into: &mut Accumulator,
        beside: &Beside,
    ) -> Box<dyn Source>;
}

impl<K: Kind> Erased for K {
    fn tag(&self) -> &'static str {
        K::TAG
    }

    fn any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        Kind::name(self)
    }

    fn set_name(&mut self, name: &str) {
        Kind::set_name(self, name);
    }

    fn service(&self) -> &Service {
        Kind::service(self)
    }

    fn reads(&self) -> String {
        Kind::reads(self)
    }

    fn cloned(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Erased) -> bool {
        other.any().downcast_ref() == Some(self)
    }

    fn build(
        self: Box<Self>,
        stored: Stored,
        into: &mut Accumulator,
        beside: &Beside,
    ) -> Box<dyn Source> {
        Kind::build(*self, stored, into, beside)
    }
}

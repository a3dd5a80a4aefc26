//! The ways to probe there are: the one place to register another.
//!
//! Owns their keys and what is the same for each: that it can be compared and opened without knowing which it is.

use std::any::Any;
use std::fmt;

use watchkeeper_agent_core::probe::Expectations;
use watchkeeper_config::{Node, Reader};
use watchkeeper_expr::{Condition, Scope, Type};
use watchkeeper_model::Masks;

use super::amqp::AmqpProbe;
use super::dns::DnsProbe;
use super::exec::ExecProbe;
use super::grpc::GrpcProbe;
use super::http::HttpProbe;
use super::icmp::IcmpProbe;
use super::kind::{ProbeKind, Prober};
use super::postgres::PostgresProbe;
use super::redis::RedisProbe;
use super::steps::StepsProbe;
use super::tcp::{TcpProbe, TlsProbe};

/// Every way, in the order in which they are named to people.
const KINDS: [Registered; 11] = [
    Registered::of::<HttpProbe>(),
    Registered::of::<TcpProbe>(),
    Registered::of::<TlsProbe>(),
    Registered::of::<DnsProbe>(),
    Registered::of::<GrpcProbe>(),
    Registered::of::<IcmpProbe>(),
    Registered::of::<RedisProbe>(),
    Registered::of::<PostgresProbe>(),
    Registered::of::<AmqpProbe>(),
    Registered::of::<ExecProbe>(),
    Registered::of::<StepsProbe>(),
];

/// A way's key, the names of its conditions, and what is usual.
#[cfg(test)]
pub(in super::super) type Vocabulary =
    (&'static str, &'static [(&'static str, Type)], &'static [(&'static str, &'static str)]);

/// What conditions of each way may say.
#[cfg(test)]
pub(in super::super) fn vocabularies() -> Vec<Vocabulary> {
    KINDS.iter().map(|kind| kind.vocabulary).collect()
}

/// Whom a probe asks, and in which way.
pub struct Target(Box<dyn Erased>);

struct Registered {
    tag: &'static str,
    #[cfg(test)]
    vocabulary: Vocabulary,
    read: fn(&Node, &mut Reader<'_>) -> Option<Target>,
}

impl Registered {
    const fn of<K: ProbeKind>() -> Self {
        Self {
            tag: K::TAG,
            #[cfg(test)]
            vocabulary: (K::TAG, K::NAMES, K::USUAL),
            read: |node, reader| Some(Target::new(K::read(node, reader)?)),
        }
    }
}

/// The keys of all ways.
pub(in super::super) fn tags() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.tag).collect()
}

/// Reads what stands below the key of one way.
pub(in super::super) fn read(tag: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Target> {
    let kind = KINDS.iter().find(|kind| kind.tag == tag)?;
    (kind.read)(node, reader)
}

/// These expectations, and what is usual for this way where they say nothing.
pub(super) fn expecting<K: ProbeKind>(all: Expectations) -> Expectations {
    with_usual(all, K::NAMES, K::USUAL)
}

fn with_usual(
    mut all: Expectations,
    names: &[(&'static str, Type)],
    usual: &[(&'static str, &'static str)],
) -> Expectations {
    for (name, condition) in usual {
        if !all.expects(name) {
            let condition = Condition::compile(condition, Scope::Known(names));
            all.expect.push(condition.expect("what is usual is a condition, a test holds"));
        }
    }
    all
}

impl Target {
    /// One that is asked in this way.
    pub fn new<K: ProbeKind>(kind: K) -> Self {
        Self(Box::new(kind))
    }

    /// The way's key.
    pub fn tag(&self) -> &'static str {
        self.0.tag()
    }

    /// The names its conditions know.
    pub fn names(&self) -> &'static [(&'static str, Type)] {
        self.0.names()
    }

    /// These expectations, and what is usual where they say nothing.
    pub fn expecting(&self, all: Expectations) -> Expectations {
        with_usual(all, self.0.names(), self.0.usual())
    }

    /// What must not be told to people, whoever says it.
    pub fn secrets(&self) -> Masks {
        self.0.secrets()
    }

    /// Somebody who asks.
    pub fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        self.0.open(expectations)
    }
}

impl Clone for Target {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// For people, without secrets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.target())
    }
}

/// A [`ProbeKind`] of which it is forgotten which it is.
trait Erased: fmt::Debug + Send + Sync {
    fn tag(&self) -> &'static str;
    fn any(&self) -> &dyn Any;
    fn names(&self) -> &'static [(&'static str, Type)];
    fn usual(&self) -> &'static [(&'static str, &'static str)];
    fn target(&self) -> String;
    fn secrets(&self) -> Masks;
    fn open(&self, expectations: &Expectations) -> Box<dyn Prober>;
    fn cloned(&self) -> Box<dyn Erased>;
    fn equals(&self, other: &dyn Erased) -> bool;
}

impl<K: ProbeKind> Erased for K {
    fn tag(&self) -> &'static str {
        K::TAG
    }

    fn any(&self) -> &dyn Any {
        self
    }

    fn names(&self) -> &'static [(&'static str, Type)] {
        K::NAMES
    }

    fn usual(&self) -> &'static [(&'static str, &'static str)] {
        K::USUAL
    }

    fn target(&self) -> String {
        ProbeKind::target(self)
    }

    fn secrets(&self) -> Masks {
        ProbeKind::secrets(self)
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        ProbeKind::open(self, expectations)
    }

    fn cloned(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Erased) -> bool {
        other.any().downcast_ref() == Some(self)
    }
}

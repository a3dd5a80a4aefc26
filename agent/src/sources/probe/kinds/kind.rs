//! What every way to probe promises.
//!
//! Owns two traits: what is written about a probe, and who asks.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use watchkeeper_agent_core::probe::{Expectations, Failure, Seen};
use watchkeeper_config::{Node, Reader};
use watchkeeper_expr::Type;
use watchkeeper_model::Masks;

/// One attempt under way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// What is shorter stands in many texts by chance.
pub(super) const SHORTEST_SECRET: usize = 4;

/// One way to probe, as it is written.
pub trait ProbeKind: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Its key in `probe:`.
    const TAG: &'static str;

    /// The names its conditions know besides `latency`, with their types. A part of a [`Type::Json`] may be named too, to give
    /// it a type: `certificate.expires_in`.
    const NAMES: &'static [(&'static str, Type)];

    /// What is expected of a name that no condition in `expect` reads: `("status", "status < 400")`.
    const USUAL: &'static [(&'static str, &'static str)];

    /// Reads the section below its key.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// Whom it asks, for people, in one line and without secrets.
    fn target(&self) -> String;

    /// What must not be told to people, also if the one who is asked repeats it.
    fn secrets(&self) -> Masks {
        Masks::default()
    }

    /// Somebody who asks. What conditions do not read need not be kept.
    fn open(&self, expectations: &Expectations) -> Box<dyn Prober>;
}

/// Somebody who asks, again and again, and may keep a connection in between.
pub trait Prober: Send {
    /// Asks once. What was seen is said to `seen` as soon as it is known: if time runs out this is dropped wherever it
    /// stands, and must leave nothing behind, no process and no connection. Never blocks. All it reads is bounded. An answer
    /// that is merely not as expected is no failure: conditions judge it.
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a>;
}

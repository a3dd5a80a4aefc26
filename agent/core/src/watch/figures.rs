//! The numbers that conditions name.
//!
//! Owns their names, their kinds and how a person reads them. What is not known is absent, and a condition over it has no
//! answer.

use std::time::Duration;

use watchkeeper_expr::{Record, Type, Value};
use watchkeeper_model::readable;
use watchkeeper_model::time::nanos_of;

/// What conditions may name.
pub const VARIABLES: [(&str, Type); 12] = [
    ("count", Type::Int),
    ("oldest", Type::Duration),
    ("newest", Type::Duration),
    ("waited", Type::Duration),
    ("bytes", Type::Int),
    ("writing", Type::Int),
    ("created", Type::Int),
    ("deleted", Type::Int),
    ("renamed", Type::Int),
    ("changed", Type::Int),
    ("free_bytes", Type::Int),
    ("free_inodes", Type::Int),
];

/// What one look comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Files that are finished.
    pub(super) count: u64,
    /// How long ago the one was written that was not written for longest; zero if there is none.
    pub(super) oldest: Duration,
    /// How long ago the one was written that was written last; zero if there is none.
    pub(super) newest: Duration,
    /// How long the one has been there that has been there for longest; zero if there is none.
    pub(super) waited: Duration,
    /// Their sizes together.
    pub(super) bytes: u64,
    /// New ones that are not finished; `None` if files are only added up.
    pub(super) writing: Option<u64>,
    /// Changes since the look before: created, deleted, renamed, changed; `None` if files are only added up.
    pub(super) changes: Option<[u64; 4]>,
    /// Bytes that are free where they lie.
    pub(super) free_bytes: Option<u64>,
    /// Inodes that are free there.
    pub(super) free_inodes: Option<u64>,
}

impl Figures {
    /// The name of a variable's position.
    pub(super) fn name(slot: usize) -> &'static str {
        VARIABLES.get(slot).map_or("", |(name, _)| name)
    }

    /// As a person reads it.
    pub(super) fn shown(&self, slot: usize) -> String {
        let whole = |n: i64| u64::try_from(n).unwrap_or(0);
        match (self.value(slot), VARIABLES.get(slot)) {
            (Value::Int(n), Some((_, Type::Duration))) => {
                readable::span(Duration::from_nanos(whole(n)))
            }
            (Value::Int(n), Some(("bytes" | "free_bytes", _))) => readable::bytes(whole(n)),
            (Value::Int(n), _) => readable::count(whole(n)),
            _ => "not known".to_owned(),
        }
    }
}

impl Record for Figures {
    fn value(&self, slot: usize) -> Value<'_> {
        let int = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let span = |span: Duration| Value::Int(nanos_of(span));
        let known = |n: Option<u64>| n.map_or(Value::Absent, int);
        let changes = |kind: usize| known(self.changes.map(|changes| changes[kind]));
        match Self::name(slot) {
            "count" => int(self.count),
            "oldest" => span(self.oldest),
            "newest" => span(self.newest),
            "waited" => span(self.waited),
            "bytes" => int(self.bytes),
            "writing" => known(self.writing),
            "created" => changes(0),
            "deleted" => changes(1),
            "renamed" => changes(2),
            "changed" => changes(3),
            "free_bytes" => known(self.free_bytes),
            "free_inodes" => known(self.free_inodes),
            _ => Value::Absent,
        }
    }
}

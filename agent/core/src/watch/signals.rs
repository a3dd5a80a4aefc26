//! What is counted of watched files.
//!
//! Owns names, units and labels.

use watchkeeper_model::Unit;

use crate::observe::Measure;

const fn of(name: &'static str, unit: Unit, labels: &'static [&'static str]) -> Measure {
    Measure { name, unit, labels }
}

const WATCH: &[&str] = &["watch"];

/// Each look; its value is how long it took.
pub(super) const LOOK: Measure = of("watch", Unit::S, &["watch", "result", "reason"]);
pub(super) const COUNT: Measure = of("watch_count", Unit::None, WATCH);
pub(super) const OLDEST: Measure = of("watch_oldest", Unit::S, WATCH);
pub(super) const NEWEST: Measure = of("watch_newest", Unit::S, WATCH);
pub(super) const WAITED: Measure = of("watch_waited", Unit::S, WATCH);
pub(super) const BYTES: Measure = of("watch_bytes", Unit::B, WATCH);
pub(super) const FREE_BYTES: Measure = of("watch_free_bytes", Unit::B, WATCH);
pub(super) const FREE_INODES: Measure = of("watch_free_inodes", Unit::None, WATCH);
/// How many changes of one kind a look has found, if there were any.
pub(super) const CHANGES: Measure = of("watch_changes", Unit::None, &["watch", "change"]);

/// All of them.
pub(super) const ALL: [Measure; 9] =
    [LOOK, COUNT, OLDEST, NEWEST, WAITED, BYTES, FREE_BYTES, FREE_INODES, CHANGES];

//! The commands, one file each: its options, what it asks, how it looks.
//!
//! Owns no logic of its own. A reading command prints the collector's JSON unchanged or draws it; what it draws is a
//! pure function of the answer and the screen.

pub(crate) mod agents;
pub(crate) mod alerts;
pub(crate) mod backup;
pub(crate) mod check;
mod connect;
pub(crate) mod corrections;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod events;
mod letter_keeper;
pub(crate) mod moment;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod send_test;
pub(crate) mod slo;
pub(crate) mod status;

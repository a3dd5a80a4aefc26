//! What the agent decides: parsing, matching, aggregation, file identity, sealing and delivery, without any I/O.

pub mod deliver;
pub mod heartbeat;
pub mod host;
pub mod journal;
pub mod observe;
pub mod polling;
pub mod probe;
pub mod process;
pub mod seal;
pub mod tail;
pub mod watch;

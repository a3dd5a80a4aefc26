//! What both daemons need of the process they are: its clock, its log, its machine, its listener, its crash points.
//!
//! Owns the few places where the outside of a process is touched. Knows nothing about agents, collectors or what they do.

pub mod clock;
pub mod crash;
pub mod listener;
pub mod log;
pub mod machine;

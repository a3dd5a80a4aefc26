//! What the collector decides: deduplication, series, SLOs, alerts, routes and notifications, without any I/O.
//!
//! Modules are in reading order; one imports those before it and never those after it, and only `engine` sees all;
//! `report` looks back at what it left.
//! Nothing here reads a clock, a file, a socket, the environment or randomness: the same inputs at the same times give
//! the same effects, byte for byte.

pub mod alert;
pub mod dedupe;
pub mod engine;
pub mod notify;
pub mod report;
pub mod route;
pub mod series;
pub mod slo;

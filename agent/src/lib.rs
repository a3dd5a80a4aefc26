//! What the agent does: sources, spool, transports and the admin endpoint around its core.

pub mod admin;
pub mod app;
pub mod choice;
pub mod config;
pub mod delivery;
pub mod descriptors;
pub mod dry_run;
mod facts;
pub mod hearing;
pub mod history;
pub mod letters;
mod redact;
pub mod reload;
pub mod sources;
pub mod spool;
pub mod status;
pub mod telemetry;
pub mod transports;
pub mod wire;
pub mod worker;

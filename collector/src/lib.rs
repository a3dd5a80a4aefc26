//! What the collector does: intake, store, channels and API around its core.

mod facts;

pub mod api;
pub mod app;
pub mod backup;
pub mod channels;
pub mod config;
pub mod dispatch;
pub mod hub;
pub mod intake;
pub mod letters;
pub mod query;
pub mod rehearsal;
pub mod reload;
pub mod restore;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod wire;

pub use watchkeeper_collector_core::slo::budget_words;

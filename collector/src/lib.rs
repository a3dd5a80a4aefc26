//! What the collector does: intake, store, channels and API around its core.

pub mod channels;
pub mod dispatch;
pub mod store;

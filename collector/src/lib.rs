//! What the collector does: intake, store, channels and API around its core.

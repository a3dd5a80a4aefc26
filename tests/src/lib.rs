//! End-to-end tests: harness, fakes, scenarios and the protocol model.

pub mod fakes;

//! The receivers of the end-to-end tests, for the tests of channels.
//!
//! Owns nothing: the files are those of `tests/src/fakes`, which know no type of ours.

#![allow(dead_code, unreachable_pub, reason = "the end-to-end tests use what is left over here")]

#[path = "../../../tests/src/fakes/pagerduty.rs"]
pub(super) mod pagerduty;
#[path = "../../../tests/src/fakes/receiver.rs"]
pub(super) mod receiver;
#[path = "../../../tests/src/fakes/signed.rs"]
pub(super) mod signed;
#[path = "../../../tests/src/fakes/slack_app.rs"]
pub(super) mod slack_app;

//! The wire format: the types generated from `proto/watchkeeper/v1/intake.proto`, committed so that a build needs
//! neither `protoc` nor a generator.
//!
//! Owns nothing but the shape of messages, and the checks over what they say of themselves. Never used inside the cores:
//! agent and collector map to and from it at their edges. `WATCHKEEPER_REGENERATE=1 cargo test -p watchkeeper-proto` writes
//! the types anew after the .proto changed.

mod check;

pub use check::{Checked, check, is_damaged};

/// Version 1 of the protocol.
#[allow(missing_docs, clippy::all, unreachable_pub, rust_2018_idioms)]
pub mod v1 {
    include!("watchkeeper.v1.rs");
}

/// The version of what is inside a batch's body that this build writes and reads.
pub const FORMAT: u32 = 1;

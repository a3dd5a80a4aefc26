//! The wire format: the types generated from `proto/watchkeeper/v1/intake.proto`, committed so that a build needs
//! neither `protoc` nor a generator.
//!
//! Owns nothing but the shape of messages, and the check over what a batch says of itself. Never used inside the cores: agent and collector map to and from it at their
//! edges. `WATCHKEEPER_REGENERATE=1 cargo test -p watchkeeper-proto` writes the types anew after the .proto changed.

use sha2::{Digest as _, Sha256};

/// Version 1 of the protocol.
#[allow(missing_docs, clippy::all, unreachable_pub, rust_2018_idioms)]
pub mod v1 {
    include!("watchkeeper.v1.rs");
}

/// The version of what is inside a batch's body that this build writes and reads.
pub const FORMAT: u32 = 1;

/// What a batch says of itself, in 64 bits: the first of SHA-256 over the agent's id, a zero byte, and the batch's
/// fields but for its body, which has its digest, and this. Texts end in a zero byte, numbers are big-endian.
///
/// Without TLS nothing but a 16-bit sum protects what is under way. A number that changed there would be another batch's,
/// and this one would count a second time when it is offered again. Never 0, which says that there is no check.
pub fn check(agent: &str, batch: &v1::Batch) -> u64 {
    let epoch = batch.epoch.unwrap_or_default();
    let mut hash = Sha256::new();
    for text in [agent, batch.service.as_str()] {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hash.update(epoch.created_at_ns.to_be_bytes());
    hash.update(epoch.random.to_be_bytes());
    hash.update(batch.kind.to_be_bytes());
    hash.update(batch.seq.to_be_bytes());
    hash.update(batch.settled_below.to_be_bytes());
    hash.update(batch.format.to_be_bytes());
    hash.update(&batch.digest);
    let sum = hash.finalize();
    let first = sum.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    first.max(1)
}

/// Whether a batch is not what its agent said, as far as it said so.
pub fn is_damaged(agent: &str, batch: &v1::Batch) -> bool {
    batch.check != 0 && batch.check != check(agent, batch)
}

//! When to seal, how coarsely, and how what was sealed is cut into batches.
//!
//! Owns the pressure stages and the size of a batch. Never touches the spool: it is told how full it is.

mod policy;
mod size;
pub(crate) mod split;

pub use policy::{SealOrder, SealPolicy, Stage};
pub use split::MAX_BODY_BYTES;

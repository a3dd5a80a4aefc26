//! What the store promises, asked of real files. `parts` makes data; the rest is one room per promise.

mod contract;
mod files;
mod folding;
mod full_disk;
pub(crate) mod parts;
mod throughput;

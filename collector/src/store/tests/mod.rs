//! What the store promises, asked of real files. `parts` makes data; the rest is one room per promise.

pub(crate) mod contract;
mod files;
mod folding;
mod full_disk;
mod letters;
pub(crate) mod parts;
mod throughput;

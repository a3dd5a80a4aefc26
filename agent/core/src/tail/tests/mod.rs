//! The rules of tailing, one by one, against a file system in memory.
//!
//! Owns one sentence per rule. Random mixtures of everything are in `property`.

mod changes;
mod cutting;
mod identity;
mod loss;
mod restart;
mod rotation;
mod scene;
mod turns;

//! Backup and restore of the collector's data.
//!
//! In reading order: `error` says what can go wrong, `manifest` is what a backup says of itself, `disk` how files are made
//! durable, `take` makes a backup of a running store, `verify` looks whether one is whole, `aside` puts data out of the
//! way, `numbers` keeps incidents from sharing a number, `restore` puts a backup in place.

mod aside;
mod disk;
mod error;
mod manifest;
mod numbers;
mod restore;
mod take;
#[cfg(test)]
mod tests;
mod verify;

pub use error::BackupError;
pub use manifest::{BackedUpFile, MANIFEST, Manifest};
pub use numbers::Orphan;
pub use restore::{Restored, restore};
pub use take::{Backups, Taken};
pub use verify::verify;

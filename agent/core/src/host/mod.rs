//! What a host's state is made of, and what is counted of it.
//!
//! In reading order: `glance` is what is looked at each time; `proc` reads it from Linux's texts, `mounts` which file systems
//! there are; `signals` names what is counted; `observer` counts it. Nothing here opens a file.

mod glance;
mod mounts;
mod observer;
mod proc;
mod signals;
#[cfg(test)]
mod tests;

pub use glance::{Glance, Interface, MAX_PARTS, Memory, Pressure, Sensor, Space};
pub use mounts::{Mount, MountKind, mounts};
pub use observer::HostObserver;
pub use proc::{cpu, descriptors, is_watched, load, memory, network, pressure};

//! The `host` source: how the machine is on which the agent runs.
//!
//! In reading order: `config` reads what the user wrote; `machine` looks at what can be read without waiting, `disks` and
//! `sensors` at what may take long, which they do beside the worker; `source` drives, `facts` tells. What is counted is
//! decided in the agent's core.

mod config;
mod disks;
mod facts;
#[cfg_attr(not(target_os = "linux"), path = "machine_elsewhere.rs")]
mod machine;
mod sensors;
mod source;
#[cfg(test)]
mod tests;

pub use config::HostSourceSettings;
pub use source::HostSource;

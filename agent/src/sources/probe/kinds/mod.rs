//! The ways to probe: one folder or file for each, registered in `registry`; `kind` is what each promises.

mod amqp;
mod dns;
mod exec;
mod grpc;
mod http;
mod icmp;
mod kind;
mod postgres;
mod redis;
mod registry;
mod steps;
mod tcp;

pub use kind::{Asking, ProbeKind, Prober};
pub use registry::Target;
#[cfg(test)]
pub(super) use registry::vocabularies;
pub(super) use registry::{read, tags};

//! The ways to probe: one folder or file for each, registered in `registry`; `kind` is what each promises.

mod exec;
mod http;
mod kind;
mod registry;
mod tcp;

pub use kind::{Asking, ProbeKind, Prober};
pub use registry::Target;
#[cfg(test)]
pub(super) use registry::vocabularies;
pub(super) use registry::{read, tags};

//! OpenSLO v1, <https://github.com/OpenSLO/OpenSLO>.
//!
//! Owns what its kinds mean here. Kinds of alerting mean nothing: burn rates decide when, and `alerting` who is told.
//!
//! In reading order: `document` is what all kinds share, `known` what they refer to; `duration` and `window` are its times,
//! `source` and `indicator` what is measured, `objective` a target, `slo` puts them together, `composite` several of them.

mod composite;
mod document;
mod duration;
mod indicator;
mod known;
mod objective;
mod slo;
mod source;
mod window;

pub(super) use slo::translate;

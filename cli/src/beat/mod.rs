//! `beat`: a job tells the agent on its machine how it is, by itself or by being run.
//!
//! In reading order: `args` is what may be typed; `voice` speaks to the agent; `signals` are passed on to
//! a command; `output` passes on what it writes and keeps the end of it; `run` runs it and says how it was.

mod args;
mod output;
mod run;
mod signals;
mod voice;

pub(crate) use args::{Args, run};

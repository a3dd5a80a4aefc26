//! `beat`: a job tells the agent on its machine how it is, by itself or by being run.
//!
//! In reading order: `args` is what may be typed; `voice` speaks to the agent; `run` runs a command and says how it was;
//! `output` passes on what the command writes and keeps the end of it.

mod args;
mod output;
mod run;
mod voice;

pub(crate) use args::{Args, run};

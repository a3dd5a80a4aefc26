//! Positioned YAML, durations, sizes, units and secrets; every problem with file, line and column.
//!
//! Owns how a file becomes typed values and how what is wrong with it is told, all at once. Never knows a schema: what
//! an agent or a collector may say stands in their crates, as functions from a [`Node`] and a [`Reader`] to a value.
//!
//! In reading order: `place` is where something stands, `problem` what is wrong there and `render` how it looks;
//! `node` is a file's tree and `yaml` makes it; `files` finds files, `load` merges included ones, `documents` reads those
//! of other tools; `loopback` tells this machine from others; `reader` and [`read`] turn nodes into values; [`mod@format`] turns values back into what people write.

mod condition;
mod documents;
mod environment;
mod files;
pub mod format;
mod load;
mod loopback;
mod mask;
mod node;
mod place;
mod problem;
pub mod read;
mod reader;
mod render;
mod secret;
mod within;
mod yaml;

pub use documents::{documents, documents_matching, documents_str, first_document};
pub use environment::{Environment, ProcessEnv};
pub use load::{Document, load, load_str};
pub use loopback::is_loopback;
pub use node::{Entry, Node};
pub use place::{Located, Place};
pub use problem::{Problem, Problems, Severity};
pub use read::Quantity;
pub use reader::{Fields, Reader};
pub use render::ReportedProblem;
pub use secret::Secret;

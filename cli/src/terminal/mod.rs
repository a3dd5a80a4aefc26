//! How things look on a terminal.
//!
//! Reading order: `screen` is what the terminal can show, `say` puts numbers and times into words, `chart` draws bars
//! and lines of blocks, `table` lays out columns, `wrap` breaks lines. Knows nothing of alerts or the API: it gets numbers and texts.

mod chart;
pub(crate) mod say;
mod screen;
mod table;
mod wrap;

pub(crate) use chart::{bar, sparkline};
pub(crate) use screen::{Screen, Tone};
pub(crate) use table::{Cell, Column, Grid};
pub(crate) use wrap::{hanging, wrap};

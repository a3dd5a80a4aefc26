//! Conditions in CEL, checked and compiled once, cheap per line.
//!
//! Owns what a condition means: how names resolve, what an absent field does, which comparisons are refused. Never
//! reads a line or a label set itself: a [`Record`] gives it values by slot. The grammar is that of the `cel` crate;
//! evaluation is ours, because CEL's own says that `500 == "500"` is merely false.
//!
//! In reading order: `scan` refuses what would only confuse the parser, `syntax` parses, `check` gives every part a
//! type and builds a `node` tree, `evaluate` asks it about a record, on `val`ues. [`duration`] and [`spelling`] are
//! shared with configuration.

mod calls;
mod check;
mod condition;
pub mod duration;
mod evaluate;
mod kind;
mod names;
mod node;
mod problem;
mod record;
mod scan;
pub mod spelling;
mod syntax;
mod val;

pub use condition::Condition;
pub use evaluate::MAX_VISITS;
pub use problem::ExprProblem;
pub use record::{Record, Scope, Type, Value, Verdict};

//! Routing: which receivers hear of an alert, and together with which others.
//!
//! In reading order: `matcher` tests one label, `tree` finds the routes. The semantics are Alertmanager's.

mod matcher;
mod tree;

pub use matcher::{MatchOp, Matcher, MatcherProblem};
pub use tree::{GroupBy, Route, RouteSettings, RouteTree, Timing};

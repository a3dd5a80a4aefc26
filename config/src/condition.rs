//! Conditions in a file: what is wrong in one is told with line and column in the file.
//!
//! Owns how a condition is read. Never knows what one means.

use watchkeeper_expr::{Condition, Scope};

use crate::node::Node;
use crate::read::string;
use crate::reader::Reader;

/// A condition in CEL over what `scope` names; "" always matches.
pub fn condition(scope: Scope<'_>) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Condition> {
    move |node, reader| {
        let text = string(node, reader)?;
        match Condition::compile(&text, scope) {
            Ok(condition) => Some(condition),
            Err(problems) => {
                for problem in problems {
                    let span = problem.offset..problem.offset + problem.len;
                    let place = node.place_within(&text, span);
                    reader.error(&place, problem.message).help(problem.help);
                }
                None
            }
        }
    }
}

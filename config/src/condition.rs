//! Conditions in a file: what is wrong in one is told with line and column in the file.
//!
//! Owns the way from an offset in a condition to one in the file. Never knows what a condition means.

use watchkeeper_expr::{Condition, ExprProblem, Scope};

use crate::node::{Content, Node};
use crate::place::Place;
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
                    let place = place_of(&problem, &text, node);
                    reader.error(&place, problem.message).help(problem.help);
                }
                None
            }
        }
    }
}

/// Where a problem stands in the file. The whole scalar, if its text is not in the file as it is.
fn place_of(problem: &ExprProblem, text: &str, node: &Node) -> Place {
    let raw = node.place.text();
    let Content::Scalar { text: written, .. } = &node.content else {
        return node.place.clone();
    };
    let span = problem.offset..problem.offset + problem.len;
    if written != text {
        return node.place.clone();
    }
    let trimmed = text.trim_end();
    if let Some(base) = raw.find(trimmed) {
        return node.place.part(base + span.start..base + span.end);
    }
    // A block of several lines is indented in the file: look for the line alone.
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    match raw.find(line) {
        Some(base) if !line.trim().is_empty() => {
            let end = span.end.min(line_start + line.len());
            node.place.part(base + start - line_start..base + end.saturating_sub(line_start))
        }
        _ => node.place.clone(),
    }
}

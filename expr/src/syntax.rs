//! Text to syntax tree, with the place of every part.
//!
//! Owns the use of the `cel` crate's parser and what becomes of its messages. Never expands macros: `has`, `exists`
//! and their like stay calls, so that `check` sees what was written.

use std::ops::Range;

use cel::common::ast::{Expr, IdedExpr, SourceInfo};
use cel::parser::ParseErrors;

use crate::problem::ExprProblem;

/// How deep the grammar may recurse; `scan` bounds brackets more tightly.
const MAX_RECURSION: u16 = 64;

/// The generated parser takes up to 150 KiB of stack per bracket in a debug build, more than a worker thread has for
/// the brackets that `scan` lets pass.
const STACK: usize = 32 << 20;

/// A parsed condition.
pub(crate) struct Syntax<'a> {
    pub(crate) root: IdedExpr,
    pub(crate) text: &'a str,
    places: SourceInfo,
}

/// Parses a text that passed `scan`.
pub(crate) fn parse(text: &str) -> Result<Syntax<'_>, ExprProblem> {
    match parse_aside(text)? {
        Ok((root, places)) => Ok(Syntax { root, text, places }),
        Err(errors) => Err(errors
            .errors
            .first()
            .map(|error| explain(text, error.pos, &error.msg))
            .unwrap_or_else(|| ExprProblem::at(0..text.len(), "not a condition"))),
    }
}

/// Parses on a thread with enough stack, and waits for it: the result is that of a plain call, but that a failure of
/// the parser itself is a problem like any other.
fn parse_aside(text: &str) -> Result<Result<(IdedExpr, SourceInfo), ParseErrors>, ExprProblem> {
    let parsing = || {
        // Without its standard library an environment has no macros.
        cel::Env::default()
            .parser()
            .enable_optional_syntax(false)
            .enable_ident_escape_syntax(true)
            .max_recursion_depth(MAX_RECURSION)
            .parse_with_source_info(text)
    };
    let failed = || ExprProblem::at(0..text.len(), "bug: the condition cannot be parsed");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, parsing);
        thread.map_err(|_| failed())?.join().map_err(|_| failed())
    })
}

impl Syntax<'_> {
    /// The bytes of a part and all parts of it.
    pub(crate) fn span(&self, part: &IdedExpr) -> Range<usize> {
        let mut span = self.own_span(part);
        self.widen(part, &mut span);
        span
    }

    /// The bytes of just the word that stands for a part: a name, a literal, an operator, a function's name.
    pub(crate) fn own_span(&self, part: &IdedExpr) -> Range<usize> {
        let Some((first, last)) = self.places.offset_for(part.id) else {
            return 0..self.text.len();
        };
        // Bytes, the last one included; every token ends in one that is a whole character.
        let start = self.text.floor_char_boundary(first as usize);
        let span = start..self.text.ceil_char_boundary(last as usize + 1).max(start);
        match &part.expr {
            Expr::Call(call) if self.text[span.clone()].starts_with('(') => {
                let before = self.text[..span.start].trim_end();
                match before.strip_suffix(call.func_name.as_str()) {
                    Some(rest) => rest.len()..before.len(),
                    None => span,
                }
            }
            Expr::Select(select) => {
                let after = &self.text[span.end..];
                let name = after.len() - after.trim_start().len();
                match after[name..].starts_with(select.field.as_str()) {
                    true => span.start..span.end + name + select.field.len(),
                    false => span,
                }
            }
            _ => span,
        }
    }

    fn widen(&self, part: &IdedExpr, span: &mut Range<usize>) {
        let mut waiting = vec![part];
        while let Some(part) = waiting.pop() {
            let own = self.own_span(part);
            *span = span.start.min(own.start)..span.end.max(own.end);
            match &part.expr {
                Expr::Call(call) => {
                    waiting.extend(call.target.as_deref().into_iter().chain(&call.args))
                }
                Expr::Select(select) => waiting.push(&select.operand),
                Expr::List(list) => waiting.extend(&list.elements),
                _ => {}
            }
        }
        for closing in [')', ']'] {
            let open = if closing == ')' { '(' } else { '[' };
            let inside = &self.text[span.clone()];
            let after = self.text[span.end..].trim_start();
            if inside.matches(open).count() > inside.matches(closing).count()
                && after.starts_with(closing)
            {
                span.end = self.text.len() - after.len() + 1;
            }
        }
    }
}

/// The parser's message in our words.
fn explain(text: &str, (line, column): (isize, isize), message: &str) -> ExprProblem {
    let at = byte_at(text, line, column);
    let rest = &text[at..];
    let word_len = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
        .max(rest.chars().next().map_or(0, char::len_utf8));
    let word = &rest[..word_len];
    let span = at..at + word_len;
    if rest.trim().is_empty() || message.contains("input '<EOF>'") {
        return ExprProblem::at(at..text.len(), "the condition ends too early");
    }
    if message.contains("Recursion limit") {
        return ExprProblem::at(0..text.len(), "the condition is nested too deeply");
    }
    if message.contains("reserved identifier") {
        return ExprProblem::at(span, format!("`{word}` is a reserved word"))
            .help(format!("a field of that name is fields[\"{word}\"]"));
    }
    if let Some(kind) = message.strip_prefix("invalid ").and_then(|m| m.split(" literal").next()) {
        return ExprProblem::at(span, format!("not a valid {kind}")).help(match kind {
            "int" | "uint" => "whole numbers have 64 bits",
            _ => "",
        });
    }
    let help = match word {
        "and" | "AND" => "write `&&`",
        "or" | "OR" => "write `||`",
        _ if ["not", "NOT"].iter().any(|not| text[..at].trim_end().ends_with(not)) => {
            "write `!` for not"
        }
        _ => "",
    };
    ExprProblem::at(span, format!("`{word}` is not expected here")).help(help)
}

fn byte_at(text: &str, line: isize, column: isize) -> usize {
    let line_start: usize =
        text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    text[line_start..].char_indices().nth(column).map_or(text.len(), |(at, _)| line_start + at)
}

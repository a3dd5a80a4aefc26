//! A regular expression whose named groups are the fields of a line.
//!
//! Owns what a pattern may be and how large, and leaves out of it what nobody asked for. Never reads a line: `regex`
//! does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Ast, Flags, GroupKind, Span};
use regex_syntax::hir::Look;
use regex_syntax::hir::translate::Translator;

use super::flaw::Flaw;

/// A compiled pattern takes at most so many bytes.
const MAX_COMPILED_BYTES: usize = 4 << 20;
/// What matching may remember between lines, for each direction.
const MAX_CACHE_BYTES: usize = 2 << 20;

/// A pattern that was checked; cheap to clone.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    text: String,
    syntax: Ast,
    /// Matches at the beginning of a line only.
    is_anchored: bool,
    regex: Regex,
    fields: Vec<String>,
}

impl Pattern {
    /// Checks and compiles a pattern in the syntax of the crate `regex`. It must have a named group, and must not take
    /// more than 4 MiB when it is compiled.
    pub fn new(text: &str) -> Result<Self, Flaw> {
        let syntax = Parser::new()
            .parse(text)
            .map_err(|error| Flaw::new(span_of(error.span()), error.kind().to_string(), ""))?;
        let meaning = Translator::new()
            .translate(text, &syntax)
            .map_err(|error| Flaw::new(span_of(error.span()), error.kind().to_string(), ""))?;
        let is_anchored = meaning.properties().look_set_prefix().contains(Look::Start);
        let regex = compile(text).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => Flaw::new(
                0..text.len(),
                "the pattern is too large".to_owned(),
                "repeat less, as in \\d+ and not \\d{1,1000}; \\d, \\w and \\s know all of Unicode, [0-9] is smaller",
            ),
            other => Flaw::new(0..text.len(), other.to_string(), ""),
        })?;
        let fields: Vec<String> = regex.capture_names().flatten().map(str::to_owned).collect();
        if fields.is_empty() {
            let message =
                "the pattern has no named group, so lines would have no fields".to_owned();
            return Err(Flaw::new(
                0..text.len(),
                message,
                "name what is wanted: (?P<status>[0-9]+)",
            ));
        }
        Ok(Self(Arc::new(Compiled { text: text.to_owned(), syntax, is_anchored, regex, fields })))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The names of its groups, in the order written.
    pub fn fields(&self) -> &[String] {
        &self.0.fields
    }

    /// The whole expression, with all its groups.
    pub(super) fn whole(&self) -> &Regex {
        &self.0.regex
    }

    /// The same expression with only the groups that are wanted, in the order to be tried: at the beginning of the
    /// line first, unless it can match nowhere else.
    ///
    /// A match at the beginning is the leftmost, so the result is the same, and looking there alone lets the engine
    /// match and find the groups in a single pass, at more than twice the speed. It does so with 16 groups at most, which
    /// is why the others are left out.
    pub(super) fn searches(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Regex> {
        let mut syntax = self.0.syntax.clone();
        leave_only(&mut syntax, &is_wanted);
        // As it is printed there are no comments, which would swallow the parenthesis.
        let anywhere = syntax.to_string();
        let first = format!("\\A(?:{anywhere})");
        let all = if self.0.is_anchored { vec![anywhere] } else { vec![first, anywhere] };
        // What is left of an expression is not larger than all of it.
        let compiled: Result<Vec<Regex>, _> = all.iter().map(|text| compile(text)).collect();
        compiled.unwrap_or_else(|_| vec![self.0.regex.clone()])
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.as_str()).finish()
    }
}

/// Two patterns are the same if they are written the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).dfa_size_limit(MAX_CACHE_BYTES).build()
}

fn span_of(span: &Span) -> Range<usize> {
    span.start.offset..span.end.offset
}

/// Makes the other groups mere parentheses. As deep as the parser let it be.
fn leave_only(expression: &mut Ast, is_wanted: &impl Fn(&str) -> bool) {
    match expression {
        Ast::Group(group) => {
            let wanted = match &group.kind {
                GroupKind::CaptureName { name, .. } => is_wanted(&name.name),
                GroupKind::CaptureIndex(_) => false,
                GroupKind::NonCapturing(_) => true,
            };
            if !wanted {
                group.kind = GroupKind::NonCapturing(Flags { span: group.span, items: Vec::new() });
            }
            leave_only(&mut group.ast, is_wanted);
        }
        Ast::Repetition(repeated) => leave_only(&mut repeated.ast, is_wanted),
        Ast::Concat(parts) => parts.asts.iter_mut().for_each(|part| leave_only(part, is_wanted)),
        Ast::Alternation(parts) => {
            parts.asts.iter_mut().for_each(|part| leave_only(part, is_wanted));
        }
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Literal(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::Hir;

    #[test]
    fn a_wrong_pattern_is_told_where_it_is_wrong() {
        for (pattern, told) in [
            ("(?P<a>x", "0..1: unclosed group"),
            ("é(?P<a>*)", "8..8: repetition operator missing expression"),
            ("(?P<a>[x)", "6..7: unclosed character class"),
            ("(?P<a>x)(?<a>y)", "11..12: duplicate capture group name"),
            ("(?P<1>x)", "4..5: invalid capture group character"),
            (r"(?P<a>\q)", "6..8: unrecognized escape sequence"),
            (
                "(?P<a>(?=x))",
                "6..9: look-around, including look-ahead and look-behind, is not supported",
            ),
            (r"(?P<a>x)\1", "8..10: backreferences are not supported"),
            (r"(?P<a>\p{Klingon})", "6..17: Unicode property not found"),
            ("", "0..0: the pattern has no named group, so lines would have no fields"),
            (
                "([0-9]+) (x)",
                "0..12: the pattern has no named group, so lines would have no fields",
            ),
            (r"(?P<a>\w{1,100}){100}", "0..21: the pattern is too large"),
        ] {
            let flaw = Pattern::new(pattern).expect_err(pattern);
            assert_eq!(format!("{:?}: {}", flaw.span, flaw.message), told, "{pattern}");
        }
        assert!(Pattern::new(&"(".repeat(10_000)).is_err());
        assert!(Pattern::new(&format!("{}(?P<a>x){}", "(?:".repeat(200), ")".repeat(200))).is_ok());
    }

    #[test]
    fn what_is_printed_means_what_was_written() {
        let meaning = |text: &str| regex_syntax::Parser::new().parse(text).unwrap();
        for pattern in [
            r"(?P<a>\x41\x{1F600}\u00e9\U0001F600\n\t\a\*\ \#\.\-\/)",
            r"(?P<a>[[:alpha:]&&[^x-z]--q~~[0-9]])[\]\^\-\\a-]",
            r"(?P<a>\p{Greek}\pL\P{scx!=Latin}\d\W\s)",
            r"(?P<a>a{2}b{2,}?c{2,3}d??e*?f+)",
            r"(?P<a>(?:a+)?(?:b?)+?|(?:)|)",
            r"(?P<a>\A^$\z\b\B\b{start}\b{end}\b{start-half}\b{end-half})",
            r"(?i)(?P<a>é(?-i)É(?s:.)(?m:^.$)(?U:a*)(?R:$))",
            "(?x)\n(?P<a> x # one )\n  [ y ] \\  \\# ) # end",
            "(?P<a>\u{1}\n é 😀)",
        ] {
            let syntax = Parser::new().parse(pattern).unwrap();
            let printed = syntax.to_string();
            assert_eq!(meaning(&printed), meaning(pattern), "{pattern} {printed}");
            let nested = format!("\\A(?:{printed})");
            let wanted = Hir::concat(vec![Hir::look(Look::Start), meaning(pattern)]);
            assert_eq!(meaning(&nested), wanted, "{pattern}");
        }
    }

    #[test]
    fn groups_are_named_in_the_order_written() {
        let pattern = Pattern::new(r"(?P<b>x)(?<a>(?P<c.d>y)?)(z)(?:w)").unwrap();
        assert_eq!(pattern.fields(), ["b", "a", "c.d"]);
        assert_eq!(pattern, Pattern::new(pattern.as_str()).unwrap());
        assert_ne!(pattern, Pattern::new("(?P<b>x)").unwrap());
        let only: Vec<Regex> = pattern.searches(|name| name == "c.d");
        let names: Vec<_> = only[0].capture_names().flatten().collect();
        assert_eq!((only.len(), names), (2, vec!["c.d"]));
        assert_eq!(Pattern::new("^(?P<b>x)|^y").unwrap().searches(|_| true).len(), 1);
        assert_eq!(Pattern::new("(?m)^(?P<b>x)").unwrap().searches(|_| true).len(), 2);
    }
}

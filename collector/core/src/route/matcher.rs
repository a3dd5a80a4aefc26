//! Matchers: `name=value`, `name!="value"`, `name=~"regex"`, `name!~"regex"`.
//!
//! Owns their grammar and that a regex is anchored. Never reads files: problems carry a byte offset into the text.

use std::fmt;

use regex::Regex;
use watchkeeper_model::Labels;
use watchkeeper_model::names::is_label_name;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// As written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// What is wrong with a matcher's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatcherProblem {
    /// Byte offset into the text.
    pub offset: usize,
    /// Bytes concerned.
    pub len: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right; "" if there is nothing to say.
    pub help: String,
}

impl fmt::Display for MatcherProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A test of one label; an absent label is "".
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Which label.
    pub name: String,
    /// How.
    pub op: MatchOp,
    /// The value, or the regex as written.
    pub value: String,
    regex: Option<Regex>,
}

/// The regex follows from the text.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Matcher {
    /// A matcher from its parts.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherProblem> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(value)?),
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// Reads one matcher.
    pub fn parse(text: &str) -> Result<Self, MatcherProblem> {
        let at =
            text.find(['=', '!']).ok_or_else(|| problem(text, 0, text.len(), "no operator"))?;
        let name = text[..at].trim();
        if !is_label_name(name) {
            return Err(MatcherProblem {
                offset: 0,
                len: at.max(1),
                message: format!("{name:?} is no label name"),
                help: "a label name is letters, digits and _, and does not begin with a digit"
                    .to_owned(),
            });
        }
        let (op, len) = match text.as_bytes()[at..] {
            [b'=', b'~', ..] => (MatchOp::Regex, 2),
            [b'!', b'~', ..] => (MatchOp::NotRegex, 2),
            [b'!', b'=', ..] => (MatchOp::NotEqual, 2),
            [b'=', ..] => (MatchOp::Equal, 1),
            _ => return Err(problem(text, at, 1, "`!` alone is no operator")),
        };
        let rest = &text[at + len..];
        let start = at + len + (rest.len() - rest.trim_start().len());
        let value = unquoted(text, start)?;
        Self::new(name, op, &value).map_err(|mut found| {
            found.offset = start;
            found.len = text.len().saturating_sub(start).max(1);
            found
        })
    }

    /// Whether these labels pass.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name);
        let regex = || self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => regex(),
            MatchOp::NotRegex => !regex(),
        }
    }

    /// `{a="b",c!~"d"}`, sorted by name, as Alertmanager writes a route's key.
    pub fn list_text(matchers: &[Self]) -> String {
        let mut sorted: Vec<_> = matchers.iter().map(|m| (&m.name, m.to_string())).collect();
        sorted.sort();
        let texts: Vec<_> = sorted.into_iter().map(|(_, text)| text).collect();
        format!("{{{}}}", texts.join(","))
    }
}

/// `name="value"`
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

fn anchored(pattern: &str) -> Result<Regex, MatcherProblem> {
    Regex::new(&format!("^(?s:{pattern})$")).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        problem(pattern, 0, pattern.len(), &format!("no regular expression: {reason}"))
    })
}

/// The value that begins at `start`: quoted with `\"`, `\\` and `\n` in it, or bare.
fn unquoted(text: &str, start: usize) -> Result<String, MatcherProblem> {
    let bare = text[start..].trim_end();
    let Some(inside) = bare.strip_prefix('"') else {
        return match bare.find('"') {
            Some(quote) => Err(problem(text, start + quote, 1, "a quote inside a bare value")),
            None => Ok(bare.to_owned()),
        };
    };
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' if inside[i + 1..].is_empty() => return Ok(value),
            '"' => {
                return Err(problem(
                    text,
                    start + i + 2,
                    inside.len() - i - 1,
                    "text after the closing quote",
                ));
            }
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                // As in Alertmanager: regexes may escape what they like.
                Some((_, c)) => value.extend(['\\', c]),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(problem(text, start, bare.len(), "no closing quote"))
}

fn problem(text: &str, offset: usize, len: usize, what: &str) -> MatcherProblem {
    MatcherProblem {
        offset,
        len: len.max(1),
        message: format!("matcher {text:?}: {what}"),
        help: r#"a matcher is name="value", name!="value", name=~"regex" or name!~"regex""#
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_read_as_alertmanager_reads_them() {
        let labels = Labels::new([("severity", "page"), ("service", "shop-eu"), ("q", "a\"b")]);
        for (text, matches) in [
            ("severity=page", true),
            ("severity = \"page\"", true),
            ("severity!=page", false),
            ("service=~\"shop\"", false),
            ("service=~\"shop-.*\"", true),
            ("service=~shop-(eu|us)", true),
            ("service!~\"shop-.*\"", false),
            ("service=~\"shop\\\\-eu\"", true),
            ("service=~\"shop\\-eu\"", true),
            ("absent=\"\"", true),
            ("absent=", true),
            ("absent!=x", true),
            ("q=\"a\\\"b\"", true),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().matches(&labels), matches, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, offset) in [
            ("severity", 0),
            ("9x=1", 0),
            ("=1", 0),
            ("a!b", 1),
            ("a=\"b", 2),
            ("a=\"b\"c", 5),
            ("a=b\"c", 3),
            ("a=~\"(\"", 3),
            ("a-b=\"c\"", 0),
        ] {
            let found = Matcher::parse(text).unwrap_err();
            assert_eq!(found.offset, offset, "{text}: {found}");
            assert!(found.len >= 1 && found.offset + found.len <= text.len(), "{text}: {found:?}");
        }
    }
}

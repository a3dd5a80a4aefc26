//! A look over a condition's text before it is parsed.
//!
//! Owns the limits (length, depth, number of words) and the slips that the grammar's own messages explain badly: one
//! `=`, an open quote, a bracket too many. Never judges grammar: what passes here may still not parse.

use crate::problem::ExprProblem;

/// The longest condition, in bytes.
pub(crate) const MAX_TEXT: usize = 4096;
/// Brackets within brackets, and choices within choices.
const MAX_DEPTH: usize = 24;
/// Names, operators, brackets and literals.
const MAX_WORDS: usize = 1000;

/// What would confuse the parser, or nothing.
pub(crate) fn scan(text: &str) -> Result<(), ExprProblem> {
    if text.len() > MAX_TEXT {
        return Err(ExprProblem::at(
            0..text.len(),
            format!("the condition has {} bytes; at most {MAX_TEXT} are allowed", text.len()),
        ));
    }
    Scan { text, bytes: text.as_bytes(), at: 0, open: Vec::new(), n_words: 0, n_choices: 0 }.run()
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Brackets not yet closed.
    open: Vec<(u8, usize)>,
    n_words: usize,
    n_choices: usize,
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), ExprProblem> {
        while let Some(&b) = self.bytes.get(self.at) {
            if b.is_ascii_whitespace() {
                self.at += 1;
                continue;
            }
            self.n_words += 1;
            if self.n_words > MAX_WORDS {
                return Err(self.here(1, "the condition is too long: it has over 1000 parts"));
            }
            self.word(b)?;
        }
        match self.open.pop() {
            Some((b, at)) => {
                Err(ExprProblem::at(at..at + 1, format!("`{}` is never closed", char::from(b))))
            }
            None => Ok(()),
        }
    }

    fn word(&mut self, b: u8) -> Result<(), ExprProblem> {
        match b {
            b'\'' | b'"' => return self.string(self.at, false),
            b'`' => return self.quoted_name(),
            b'/' if self.bytes.get(self.at + 1) == Some(&b'/') => self.comment(),
            b'(' | b'[' | b'{' => self.opened(b)?,
            b')' | b']' | b'}' => self.closed(b)?,
            b'?' => self.choice()?,
            b'=' | b'!' | b'<' | b'>' | b'&' | b'|' | b'~' => self.operator()?,
            b'.' | b',' | b':' | b'+' | b'-' | b'*' | b'/' | b'%' => self.at += 1,
            _ if b.is_ascii_alphanumeric() || b == b'_' => return self.name(),
            _ => {
                let c = self.text[self.at..].chars().next().unwrap_or('?');
                return Err(self
                    .here(c.len_utf8(), format!("`{}` is not expected here", c.escape_debug()))
                    .help("text stands in quotes; a field with such a name is fields[\"name\"]"));
            }
        }
        Ok(())
    }

    fn here(&self, len: usize, message: impl Into<String>) -> ExprProblem {
        ExprProblem::at(self.at..self.at + len, message)
    }

    fn comment(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }

    fn opened(&mut self, b: u8) -> Result<(), ExprProblem> {
        if self.open.len() == MAX_DEPTH {
            return Err(self.here(1, format!("brackets are more than {MAX_DEPTH} deep")));
        }
        self.open.push((b, self.at));
        self.at += 1;
        Ok(())
    }

    fn closed(&mut self, b: u8) -> Result<(), ExprProblem> {
        let opening = match b {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        match self.open.pop() {
            Some((open, _)) if open == opening => {}
            _ => return Err(self.here(1, format!("`{}` closes nothing", char::from(b)))),
        }
        self.at += 1;
        Ok(())
    }

    fn choice(&mut self) -> Result<(), ExprProblem> {
        self.n_choices += 1;
        if self.n_choices > MAX_DEPTH {
            return Err(self.here(1, format!("there are more than {MAX_DEPTH} choices")));
        }
        self.at += 1;
        Ok(())
    }

    fn operator(&mut self) -> Result<(), ExprProblem> {
        let rest = &self.bytes[self.at..];
        let len = rest
            .iter()
            .take_while(|b| matches!(b, b'=' | b'<' | b'>' | b'&' | b'|' | b'~'))
            .count();
        let operator = if rest[0] == b'!' { &rest[..rest.len().min(2)] } else { &rest[..len] };
        let right = match operator {
            b"==" | b"<" | b"<=" | b">" | b">=" | b"&&" | b"||" => None,
            [b'!', b'='] => match rest.get(2) {
                Some(b'=') => Some((3, "!=")),
                _ => None,
            },
            [b'!', ..] => {
                self.at += 1;
                return Ok(());
            }
            b"=" | b"===" => Some((len, "==")),
            b"<>" => Some((len, "!=")),
            b"&" => Some((len, "&&")),
            b"|" => Some((len, "||")),
            _ if operator.contains(&b'~') => {
                return Err(self
                    .here(len, "there is no operator `~`")
                    .help("write field.matches(\"…\") with a regular expression"));
            }
            _ => {
                return Err(self.here(len, format!("there is no operator `{}`", text_of(operator))));
            }
        };
        match right {
            Some((len, right)) => {
                let wrong = text_of(&rest[..len]);
                Err(self
                    .here(len, format!("there is no operator `{wrong}`"))
                    .help(format!("write `{right}`")))
            }
            None => {
                self.at += operator.len();
                Ok(())
            }
        }
    }

    fn quoted_name(&mut self) -> Result<(), ExprProblem> {
        match self.bytes[self.at + 1..].iter().position(|b| *b == b'`') {
            Some(len) => {
                self.at += len + 2;
                Ok(())
            }
            None => Err(self.here(1, "the name is never closed: a ` is missing")),
        }
    }

    /// A name, a number, or the prefix of a string.
    fn name(&mut self) -> Result<(), ExprProblem> {
        let start = self.at;
        let len = self.bytes[start..]
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
            .count();
        self.at += len;
        let quoted = matches!(self.bytes.get(self.at), Some(b'\'' | b'"'));
        let prefix = &self.text[start..self.at];
        let is_prefix = ["r", "b", "rb", "br"].iter().any(|p| prefix.eq_ignore_ascii_case(p));
        if quoted && is_prefix {
            return self.string(start, prefix.to_ascii_lowercase().contains('r'));
        }
        Ok(())
    }

    /// A string whose prefix, if any, begins at `start` and whose quote is next.
    fn string(&mut self, start: usize, raw: bool) -> Result<(), ExprProblem> {
        let quote = self.bytes[self.at];
        let triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        let end = if triple { vec![quote; 3] } else { vec![quote] };
        self.at += end.len();
        while let Some(&b) = self.bytes.get(self.at) {
            if self.bytes[self.at..].starts_with(&end) {
                self.at += end.len();
                return Ok(());
            }
            match b {
                b'\n' | b'\r' if !triple => break,
                b'\\' if !raw => self.escape()?,
                _ => self.at += 1,
            }
        }
        Err(ExprProblem::at(start..self.at, "the text is never closed")
            .help(format!("a closing {} is missing", char::from(quote))))
    }

    fn escape(&mut self) -> Result<(), ExprProblem> {
        let Some(c) = self.text[self.at + 1..].chars().next() else {
            self.at += 1;
            return Ok(());
        };
        if !c.is_ascii_digit() && !"abfnrtvxXuU\\?\"'`".contains(c) {
            return Err(self
                .here(1 + c.len_utf8(), format!("`\\{}` is no escape", c.escape_debug()))
                .help("double the backslash, or write r\"…\" for a regular expression"));
        }
        self.at += 1 + c.len_utf8();
        Ok(())
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! JSON for people, token by token as it came.
//!
//! Owns white space. Never reads a number: what the collector wrote is what is printed, to the last digit, in the
//! order it was written.

/// The same JSON with a line for each value. What is no JSON comes out as some text, without panic.
pub(crate) fn pretty(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                text.push('"');
                copy_string(&mut rest, &mut text);
            }
            '{' | '[' => {
                text.push(c);
                skip_space(&mut rest);
                if rest.peek().is_none_or(|next| !matches!(next, '}' | ']')) {
                    depth += 1;
                    new_line(&mut text, depth);
                } else if let Some(end) = rest.next() {
                    text.push(end);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c if c.is_whitespace() => {}
            c => text.push(c),
        }
    }
    text.push('\n');
    text
}

fn copy_string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, text: &mut String) {
    while let Some(c) = rest.next() {
        text.push(c);
        match c {
            '"' => return,
            '\\' => text.extend(rest.next()),
            _ => {}
        }
    }
}

fn skip_space(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_stays_as_it_was() {
        for (json, expected) in [
            (
                r#"{"b":1.50,"a":[1e3,{}],"c":"x,\"{y}\\","d":[ ]}"#,
                "{\n  \"b\": 1.50,\n  \"a\": [\n    1e3,\n    {}\n  ],\n  \"c\": \"x,\\\"{y}\\\\\",\n  \"d\": []\n}\n",
            ),
            ("[]", "[]\n"),
            ("null", "null\n"),
            ("18446744073709551616", "18446744073709551616\n"),
        ] {
            assert_eq!(pretty(json), expected);
        }
    }

    #[test]
    fn what_is_already_pretty_does_not_change() {
        let once = pretty(r#"{"a":[1,2],"b":{"c":null}}"#);
        assert_eq!(pretty(&once), once);
    }

    #[test]
    fn garbage_does_not_panic() {
        for text in ["", "}", "]]", "\"", "\"\\", "{[", "{"] {
            pretty(text);
        }
    }
}

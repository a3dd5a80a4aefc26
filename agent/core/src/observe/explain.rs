//! What a person is told about one line: over what its parser stumbled, and which fields it has.
//!
//! Owns answers that may take their time, because they are asked for one line in a million. Never decides whether a line is
//! read: that is the parser's word.

use serde_json::error::Category;
use serde_json::{Map, Value};

use super::evidence::head;
use super::logfmt::Pairs;
use super::parser::Format;

/// What keeps a line from being one JSON object; "" if nothing does.
pub(super) fn json_flaw(line: &str) -> String {
    let start = line.trim_start();
    if !start.starts_with('{') {
        return format!("it begins with {:?}, not with {{", head(start, 20));
    }
    let Err(error) = serde_json::from_str::<Map<String, Value>>(line) else { return String::new() };
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(&*said, |(said, _)| said);
    match error.classify() {
        Category::Eof => "it ends in the middle of the object".to_owned(),
        _ => format!("{said} at byte {}", error.column()),
    }
}

/// The names of a line's fields, as settings call them: `a.b` for `b` inside `a`. None of formats whose fields stand in
/// the settings.
pub(super) fn names_of(line: &str, format: &Format) -> Vec<String> {
    let mut names = Vec::new();
    match format {
        Format::Json => {
            if let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) {
                name_all(&object, "", &mut names);
            }
        }
        Format::Logfmt => {
            let mut pairs = Pairs::of(line);
            while let Ok(Some(pair)) = pairs.next() {
                names.push(pair.key(line).to_owned());
            }
        }
        Format::Regex(_) | Format::Text => {}
    }
    names
}

fn name_all(object: &Map<String, Value>, above: &str, names: &mut Vec<String>) {
    for (key, value) in object {
        let name = format!("{above}{key}");
        match value {
            Value::Object(inside) if !inside.is_empty() => {
                name_all(inside, &format!("{name}."), names);
            }
            _ => names.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_was_stumbled_over_is_said_for_people() {
        for (line, said) in [
            ("level=info msg=x", r#"it begins with "level=info msg=x", not with {"#),
            (r#"{"a":1 "b":2}"#, "expected `,` or `}` at byte 8"),
            (r#"{"a":1} x"#, "trailing characters at byte 9"),
            (r#"{"a":"#, "it ends in the middle of the object"),
            (r#"{'a':1}"#, "key must be a string at byte 2"),
            (
                "{\"a\":\"\t\"}",
                "control character (\\u0000-\\u001F) found while parsing a string at byte 7",
            ),
            (r#"{"a":1}"#, ""),
        ] {
            assert_eq!(json_flaw(line), said, "{line}");
        }
    }

    #[test]
    fn fields_are_named_as_settings_call_them() {
        let line = r#"{"b":1,"a":{"y":[1],"x":{"z":null}},"e":{}}"#;
        assert_eq!(names_of(line, &Format::Json), ["a.x.z", "a.y", "b", "e"]);
        assert!(names_of("no json", &Format::Json).is_empty());
        let line = r#"level=info msg="a b" retried a.b=1"#;
        assert_eq!(names_of(line, &Format::Logfmt), ["level", "msg", "retried", "a.b"]);
        assert!(names_of(line, &Format::Text).is_empty());
    }
}

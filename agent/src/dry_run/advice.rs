//! What could be done about lines that are not counted.
//!
//! Owns the sentences for people who write their first `tail:` section. They are guesses from one example and the
//! settings; a guess is told as one. Never looks at a file.

use watchkeeper_agent_core::observe::{
    Evidence, Example, Format, LineSettings, RETENTION, RuleEvidence, SignalSettings,
};
use watchkeeper_agent_core::tail::TailSettings;
use watchkeeper_agent_core::tail::join::Wrap;
use watchkeeper_config::format;
use watchkeeper_expr::Condition;
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::SkipReason;

use super::words;
use crate::sources::tail::TailSourceSettings;

/// Fields that usually hold a line's time.
const TIMES: [&str; 6] = ["time", "timestamp", "ts", "@timestamp", "datetime", "date"];

/// What a reason means in these settings.
pub(super) fn meaning(reason: SkipReason, lines: &LineSettings, tail: &TailSettings) -> String {
    match reason {
        SkipReason::Unparsable => {
            format!("is not {}", what_a_line_is(&lines.format, tail.join.wrap))
        }
        SkipReason::TooLong => {
            format!("is longer than `max_line`, {}", format::size(tail.max_line_bytes as u64))
        }
        SkipReason::InvalidUtf8 => "is not UTF-8".to_owned(),
        SkipReason::Blank => "is empty or blank".to_owned(),
        SkipReason::NoTime => match &lines.time {
            Some(time) => {
                let (field, format) = (&time.field, time.format.as_str());
                format!("field `{field}` is absent or no {format} time")
            }
            None => "has no time".to_owned(),
        },
        SkipReason::TooLate => {
            format!(
                "is older than {} days, which nothing is kept for",
                RETENTION.as_secs() / 86_400
            )
        }
        SkipReason::NoValue => "met a signal's condition, but has no usable value".to_owned(),
        SkipReason::Compressed => "is a compressed file, which is not read".to_owned(),
    }
}

/// What a line that is read is, and this one is not.
fn what_a_line_is(format: &Format, wrap: Wrap) -> String {
    let line = match format {
        Format::Json => "one JSON object",
        Format::Logfmt => "logfmt",
        Format::Regex(_) => "what `pattern` matches",
        Format::Text => "text",
    };
    match wrap {
        Wrap::None => line.to_owned(),
        Wrap::Cri => format!("{line}, written as `wrap: cri` expects it"),
        Wrap::Docker => format!("{line}, written as `wrap: docker` expects it"),
    }
}

/// What could be done about lines skipped for a reason; "" if there is nothing to be said.
pub(super) fn about_skipped(
    reason: SkipReason,
    settings: &TailSourceSettings,
    evidence: &Evidence,
    example: Option<&Example>,
) -> String {
    let lines = &settings.lines;
    match reason {
        SkipReason::Unparsable => {
            let line = example.map_or("", |e| &e.line);
            let wrap = settings.tail.join.wrap;
            match example {
                Some(example) if example.is_unwrapped => unwrapped(line, wrap),
                _ => unparsable(line, &lines.format, wrap),
            }
        }
        SkipReason::TooLong => "raise `max_line` if such lines matter".to_owned(),
        SkipReason::InvalidUtf8 => "have the service write UTF-8".to_owned(),
        SkipReason::Blank | SkipReason::NoValue | SkipReason::Compressed => String::new(),
        SkipReason::NoTime => {
            let field = lines.time.as_ref().map_or("", |time| &time.field);
            let meant = did_you_mean(field, evidence, TIMES.into_iter());
            let without = "without `time:` lines count by the time they are read";
            format!("{meant}put the right field and format under `time:`; {without}")
        }
        SkipReason::TooLate => "to try old lines, leave `time:` out: they then count by the time \
                                they are read"
            .to_owned(),
    }
}

fn unparsable(line: &str, format: &Format, wrap: Wrap) -> String {
    let is_json = *format == Format::Json;
    let is_bare = wrap == Wrap::None;
    let said = match () {
        () if line.is_empty() => "",
        () if is_bare && is_cri(line) => CRI,
        () if is_bare && is_docker(line) => DOCKER,
        () if is_part(line) => {
            "it looks like a part of a message of several lines: try `multiline:`"
        }
        () if is_json && line.starts_with('{') => "write each object on one line of its own",
        () if line.starts_with("{\"") => "it looks like JSON: try `format: json`",
        () if *format != Format::Logfmt && is_logfmt(line) => {
            "it looks like logfmt: try `format: logfmt`"
        }
        () if is_json => "lines that are not JSON need another `format:`",
        () => "",
    };
    said.to_owned()
}

/// What could be done about a line that is in no wrapper.
fn unwrapped(line: &str, wrap: Wrap) -> String {
    match () {
        () if wrap != Wrap::Cri && is_cri(line) => CRI.to_owned(),
        () if wrap != Wrap::Docker && is_docker(line) => DOCKER.to_owned(),
        () => "it is in no wrapper: leave `wrap` out if all lines are like it".to_owned(),
    }
}

const CRI: &str = "it looks as a container runtime writes it: try `wrap: cri`";
const DOCKER: &str = "it looks as Docker writes it: try `wrap: docker`";

/// `{"log":"…","stream":"stdout","time":"…"}`.
fn is_docker(line: &str) -> bool {
    line.starts_with("{\"log\":\"") && line.contains("\"stream\":\"std")
}

/// `2026-11-22T18:07:09.5Z stdout F …`.
fn is_cri(line: &str) -> bool {
    let mut words = line.split(' ');
    let is_time =
        words.next().is_some_and(|w| w.len() >= 20 && w.as_bytes().get(10) == Some(&b'T'));
    is_time
        && words.next().is_some_and(|w| ["stdout", "stderr"].contains(&w))
        && words.next().is_some_and(|w| w == "F" || w == "P" || w.starts_with("F:"))
}

/// A line of a stack trace, or one that is indented below another.
fn is_part(line: &str) -> bool {
    line.starts_with([' ', '\t'])
        || ["Traceback (", "Caused by: ", "goroutine "].iter().any(|head| line.starts_with(head))
}

/// `level=info msg="…"`.
fn is_logfmt(line: &str) -> bool {
    let is_key = |word: &str| {
        let key = word.split_once('=').map(|(key, _)| key);
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-@".contains(c);
        key.is_some_and(|key| !key.is_empty() && key.chars().all(is_name))
    };
    line.split_whitespace().take(2).filter(|word| is_key(word)).count() == 2
}

/// "did you mean `duration_ms`? " if a line has a field that is spelled alike, or one of those that are usual.
fn did_you_mean<'a>(
    field: &str,
    evidence: &Evidence,
    mut usual: impl Iterator<Item = &'a str>,
) -> String {
    let there = evidence.fields();
    if there.iter().any(|name| name == field) {
        return String::new();
    }
    let alike = closest(field, there.iter().map(String::as_str));
    let meant = alike.or_else(|| usual.find(|name| there.iter().any(|t| t == name)));
    meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "))
}

/// What is to be known of a source that counts by the time of reading, although its lines seem to say theirs.
pub(super) fn about_time(lines: &LineSettings, evidence: &Evidence) -> String {
    if lines.time.is_some() {
        return String::new();
    }
    let there = evidence.fields();
    let found = TIMES.into_iter().find(|name| there.iter().any(|t| t == name));
    found.map_or_else(String::new, |field| {
        format!("the lines have a field `{field}`: `time: {{field: {field}}}` would count them when they were written")
    })
}

/// Why no line met a condition; "" if some did.
pub(super) fn about_condition(
    rule: &RuleEvidence,
    condition: &Condition,
    evidence: &Evidence,
) -> String {
    let n_asked = evidence.n_matched_lines() + evidence.unmatched().0;
    match (rule.n_matched, rule.n_unjudged, &rule.unjudged) {
        (0, 0, _) if n_asked == 0 => "no line got as far as its condition".to_owned(),
        (0, 0, _) => "no line met its condition".to_owned(),
        (0, n, Some(first)) => {
            let fields = condition.fields().iter();
            let meant = fields.map(|field| did_you_mean(field, evidence, std::iter::empty()));
            let meant = meant.collect::<String>();
            let meant = about_wrapper(evidence, meant);
            let meant = if meant.is_empty() { meant } else { format!("; {}", meant.trim_end()) };
            let others = if n == n_asked { "" } else { ", and no other met it" };
            format!(
                "its condition could not be answered for {}{others}: {} in the first{meant}",
                words::things(n, "line"),
                first.why
            )
        }
        _ => String::new(),
    }
}

/// What could be done where a field is of several types; "" if there is nothing to be said.
pub(super) fn about_types(rule: &RuleEvidence, condition: &Condition) -> String {
    let Some(first) = &rule.mistyped else { return String::new() };
    let is_text_of_number = |field: &&String| {
        let text = first.why.split_once(&format!("`{field}` is the text \"")).map(|(_, text)| text);
        text.and_then(|text| text.split_once('"')).is_some_and(|(t, _)| t.parse::<i64>().is_ok())
    };
    let field = condition.fields().iter().find(is_text_of_number);
    field.map_or_else(String::new, |f| format!("`int({f})` takes numbers and texts of digits"))
}

/// What could be done about lines without a usable value; "" if all have one.
pub(super) fn about_values(
    signal: &SignalSettings,
    rule: &RuleEvidence,
    evidence: &Evidence,
) -> String {
    let (Some(value), Some(first)) = (&signal.value, &rule.without_value) else {
        return String::new();
    };
    let field = &value.field;
    let is_usual = |name: &&str| name.contains("duration") || name.contains("latency");
    let there: Vec<&str> = evidence.fields().iter().map(String::as_str).collect();
    let meant = did_you_mean(field, evidence, there.into_iter().filter(is_usual));
    let is_plain = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let leave_out = if meant.is_empty() && is_plain && first.why.ends_with("absent") {
        format!("if they have none on purpose, leave them out with `where: 'has(fields.{field})'`")
    } else {
        String::new()
    };
    about_wrapper(evidence, format!("{meant}{leave_out}").trim_end().to_owned())
}

/// What could be done about a label that is always empty.
pub(super) fn about_empty_label(field: &str, lines: &LineSettings, evidence: &Evidence) -> String {
    let is_given = lines.given.iter().any(|given| given == field);
    match () {
        () if is_given && field.starts_with("_file.") => {
            "`path_fields` did not find it in the path of any file".to_owned()
        }
        () if is_given => String::new(),
        () => about_wrapper(evidence, did_you_mean(field, evidence, std::iter::empty())),
    }
    .trim_end()
    .to_owned()
}

/// That lines are in a wrapper, where that explains why a field is missing; else what was to be said.
fn about_wrapper(evidence: &Evidence, said: String) -> String {
    let is_docker = evidence.fields() == ["log", "stream", "time"];
    if is_docker {
        DOCKER.replace("it looks", "the lines look").replace("writes it", "writes them")
    } else {
        said
    }
}

/// What could be done about a label with too many values.
pub(super) fn about_overflow(label: &str, signal: &SignalSettings) -> String {
    format!(
        "leave label `{label}` out if it has a value for each request or user; else raise `max_series`, which is {}",
        words::count(signal.max_series as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_agent_core::observe::Pattern;

    #[test]
    fn other_formats_and_wrappers_are_recognised_too() {
        let docker = r#"{"log":"a=1\n","stream":"stdout","time":"2026-11-22T18:07:09Z"}"#;
        let cri = "2026-11-22T18:07:09.5Z stdout F a=1";
        let logfmt = "level=info msg=x";
        let regex = Format::Regex(Pattern::new("(?P<a>#)").unwrap());
        for (line, format, wrap, part) in [
            (docker, &Format::Logfmt, Wrap::None, "wrap: docker"),
            (docker, &regex, Wrap::None, "wrap: docker"),
            (docker, &regex, Wrap::Docker, "format: json"),
            (cri, &Format::Logfmt, Wrap::None, "wrap: cri"),
            (logfmt, &regex, Wrap::Cri, "format: logfmt"),
            (r#"{"a":1}"#, &regex, Wrap::None, "format: json"),
            ("\tat com.shop.Cart.total(Cart.java:12)", &regex, Wrap::None, "multiline:"),
        ] {
            let said = unparsable(line, format, wrap);
            assert!(said.contains(part), "{line}: {said}");
        }
        assert_eq!(unparsable("any words", &regex, Wrap::None), "");
        assert_eq!(unparsable(logfmt, &Format::Logfmt, Wrap::None), "");
    }

    #[test]
    fn a_line_in_no_wrapper_is_looked_at_for_another_one() {
        let docker = r#"{"log":"a=1\n","stream":"stdout","time":"2026-11-22T18:07:09Z"}"#;
        let cri = "2026-11-22T18:07:09.5Z stdout F a=1";
        for (line, wrap, part) in [
            (docker, Wrap::Cri, "wrap: docker"),
            (cri, Wrap::Docker, "wrap: cri"),
            ("{\"a\":1}", Wrap::Cri, "leave `wrap` out"),
            ("{\"log\":\"a", Wrap::Docker, "leave `wrap` out"),
        ] {
            let said = unwrapped(line, wrap);
            assert!(said.contains(part), "{line}: {said}");
        }
    }

    #[test]
    fn a_line_that_is_no_json_is_looked_at_for_what_it_is() {
        for (line, part) in [
            ("2026-11-22T18:07:09.5Z stdout F {\"a\":1}", "wrap: cri"),
            ("2026-11-22T18:07:09.5Z stdout of it", "another `format:`"),
            ("level=info msg=\"x y\"", "format: logfmt"),
            ("a=1", "another `format:`"),
            ("\tat com.shop.Cart.total(Cart.java:12)", "multiline:"),
            ("Caused by: java.lang.IllegalStateException", "multiline:"),
            ("Traceback (most recent call last):", "multiline:"),
            ("{\"a\":1,", "one line of its own"),
            (
                "1.2.3.4 - - [22/Nov/2026:18:07:09 +0000] \"GET / HTTP/1.1\" 200 12",
                "another `format:`",
            ),
            ("", ""),
        ] {
            let said = unparsable(line, &Format::Json, Wrap::None);
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}

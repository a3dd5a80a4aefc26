//! What could be done about lines that are not counted.
//!
//! Owns the sentences for people who write their first `tail:` section. They are guesses from one example and the
//! settings; a guess is told as one. Never looks at a file.

use watchkeeper_agent_core::observe::{
    Evidence, Example, Format, LineSettings, RETENTION, RuleEvidence, SignalSettings,
};
use watchkeeper_agent_core::tail::TailSettings;
use watchkeeper_config::format;
use watchkeeper_expr::Condition;
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::SkipReason;

use super::words;

/// Fields that usually hold a line's time.
const TIMES: [&str; 6] = ["time", "timestamp", "ts", "@timestamp", "datetime", "date"];

/// What a reason means in these settings.
pub(super) fn meaning(reason: SkipReason, lines: &LineSettings, tail: &TailSettings) -> String {
    match reason {
        SkipReason::Unparsable => format!("is not {}", what_a_line_is(&lines.format)),
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

fn what_a_line_is(format: &Format) -> &'static str {
    if *format == Format::Json { "one JSON object" } else { "of its `format`" }
}

/// What could be done about lines skipped for a reason; "" if there is nothing to be said.
pub(super) fn about_skipped(
    reason: SkipReason,
    lines: &LineSettings,
    evidence: &Evidence,
    example: Option<&Example>,
) -> String {
    match reason {
        SkipReason::Unparsable if lines.format == Format::Json => {
            unparsable(example.map_or("", |e| &e.line))
        }
        SkipReason::Unparsable => String::new(),
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

fn unparsable(line: &str) -> String {
    let said = match () {
        () if line.is_empty() => "",
        () if is_cri(line) => "it looks as a container runtime writes it: try `wrap: cri`",
        () if is_part(line) => {
            "it looks like a part of a message of several lines: try `multiline:`"
        }
        () if is_logfmt(line) => "it looks like logfmt: try `format: logfmt`",
        () if line.starts_with('{') => "write each object on one line of its own",
        () => "lines that are not JSON need another `format:`",
    };
    said.to_owned()
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
    format!("{meant}{leave_out}").trim_end().to_owned()
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
            assert!(unparsable(line).contains(part), "{line}: {}", unparsable(line));
        }
    }
}

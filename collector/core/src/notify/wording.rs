//! Expressions in annotations: `{{ value | duration }}`, filled in when somebody is told.
//!
//! Owns what they see, how numbers read in them, and their limits: 20 000 steps, 16 KiB of text. Never fails a notification:
//! whoever asks gets the reason and the text as it was written. Language and limits are `minijinja`'s; texts of labels and of
//! events are values in it and never become expressions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, escape_formatter};
use watchkeeper_model::{Labels, Timestamp, readable};

use super::message::{SampleEvent, SloFacts};

/// Steps one text may take.
const FUEL: u64 = 20_000;

/// The longest text that comes of an expression, in bytes; the rest is cut.
const MAX_BYTES: usize = 16 * 1024;

/// The longest text with expressions in it, in bytes.
const MAX_SOURCE_BYTES: usize = 16 * 1024;

/// What stands for a number that is not there.
const NO_VALUE: &str = "no value";

/// What is in an expression of Alertmanager's or Prometheus', by what it begins with, and what to write instead.
const GO: &[(&str, &str)] = &[
    ("$labels.", "labels."),
    ("$value", "value"),
    ("$externalURL", "external_url"),
    (".CommonLabels.", "labels."),
    (".GroupLabels.", "labels."),
    (".Labels.", "labels."),
    (".ExternalURL", "external_url"),
    (".Value", "value"),
    ("humanizeDuration", "… | duration"),
    ("humanizePercentage", "… | percent"),
    ("humanize1024", "… | bytes"),
    ("humanize", "… | number"),
];

/// Words that begin an action of Go's templates and no expression of ours.
const GO_WORDS: [&str; 9] =
    ["if", "else", "end", "range", "with", "template", "define", "block", "printf"];

/// What the expressions of one alert see. Numbers are in outside units: seconds, bytes, ratio, plain.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// `labels`; `service`, `severity` and `alertname` by themselves too.
    pub labels: &'a Labels,
    /// `value`; none where there is none.
    pub value: Option<f64>,
    /// `reason`
    pub reason: &'a str,
    /// `firing`
    pub firing: bool,
    /// `starts_at`, RFC 3339.
    pub starts_at: Timestamp,
    /// `url`, where to look at it.
    pub url: &'a str,
    /// `external_url`
    pub external_url: &'a str,
    /// `slo`, with `budget_remaining` and `burn` by themselves too.
    pub slo: Option<&'a SloFacts>,
    /// Whether it is an SLO's: then the above are there, if only without a value.
    pub is_slo: bool,
    /// `events`, the latest of the service, the oldest first: each with `at`, `agent`, `name`, `message`, `correlation`, `trace`.
    pub events: &'a [SampleEvent],
}

/// Why a text can't be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordingError {
    /// What is wrong, in words.
    pub message: String,
    /// What would be right; "" if that can't be said.
    pub help: String,
    /// Where in the text, if that is known.
    pub span: Option<Range<usize>>,
}

/// Whether there is anything to fill in.
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Fills in a text. What is not there reads as nothing, or as `no value`.
///
/// # Errors
/// If an expression can't be read or worked out.
pub fn fill_in(text: &str, scene: &Scene<'_>) -> Result<String, WordingError> {
    static ENVIRONMENT: LazyLock<Environment<'static>> =
        LazyLock::new(|| environment(UndefinedBehavior::Chainable));
    fill_in_by(&ENVIRONMENT, text, scene)
}

/// Whether a text can be filled in, with names that are not there as errors.
///
/// # Errors
/// If an expression can't be read or worked out, or names what is not there.
pub fn check_wording(text: &str, scene: &Scene<'_>) -> Result<(), WordingError> {
    static ENVIRONMENT: LazyLock<Environment<'static>> =
        LazyLock::new(|| environment(UndefinedBehavior::SemiStrict));
    if !is_template(text) {
        return Ok(());
    }
    if let Some(found) = go_template(text) {
        return Err(found);
    }
    fill_in_by(&ENVIRONMENT, text, scene).map(drop)
}

fn fill_in_by(
    environment: &Environment<'static>,
    text: &str,
    scene: &Scene<'_>,
) -> Result<String, WordingError> {
    if text.len() > MAX_SOURCE_BYTES {
        let message = format!("it has {} bytes, and {MAX_SOURCE_BYTES} are allowed", text.len());
        return Err(WordingError { message, help: String::new(), span: None });
    }
    let mut filled =
        environment.render_str(text, variables(scene)).map_err(|error| explained(&error, scene))?;
    if filled.len() > MAX_BYTES {
        filled.truncate(filled.floor_char_boundary(MAX_BYTES));
        filled.push('…');
    }
    Ok(filled)
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(20);
    environment.set_debug(true);
    environment.set_formatter(|out, state, value| match value.is_none() {
        true => out.write_str(NO_VALUE).map_err(Error::from),
        false => escape_formatter(out, state, value),
    });
    environment.add_filter("duration", |state: &State<'_, '_>, value: &Value| {
        written(state, value, duration)
    });
    environment
        .add_filter("bytes", |state: &State<'_, '_>, value: &Value| written(state, value, bytes));
    environment.add_filter(
        "percent",
        |state: &State<'_, '_>, value: &Value, digits: Option<usize>| {
            let digits = digits.unwrap_or(1).min(9);
            written(state, value, |ratio| format!("{:.digits$}%", ratio * 100.0))
        },
    );
    environment.add_filter(
        "number",
        |state: &State<'_, '_>, value: &Value, digits: Option<usize>| {
            written(state, value, |n| number(n, digits.map(|digits| digits.min(9))))
        },
    );
    environment
}

/// A number in words; what is none is an error, and what is not there reads so.
fn written(
    state: &State<'_, '_>,
    value: &Value,
    words: impl Fn(f64) -> String,
) -> Result<String, Error> {
    if value.is_undefined() && !matches!(state.undefined_behavior(), UndefinedBehavior::Chainable) {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if value.is_undefined() || value.is_none() {
        return Ok(NO_VALUE.to_owned());
    }
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    match number {
        Some(n) if n.is_finite() => Ok(words(n)),
        Some(_) => Ok(NO_VALUE.to_owned()),
        None => {
            let what = format!("{value} is not a number");
            Err(Error::new(ErrorKind::InvalidOperation, what))
        }
    }
}

/// `250ms`, `4m 12s`, `3d 4h`.
fn duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m"), (1.0, "s")];
    let (sign, seconds) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
    if seconds < 1.0 {
        return format!("{sign}{}ms", number(seconds * 1e3, Some(usize::from(seconds < 0.01))));
    }
    if seconds < 10.0 {
        return format!("{sign}{}s", number(seconds, Some(2)));
    }
    let mut rest = seconds.round();
    let largest = UNITS.iter().position(|(unit, _)| rest >= *unit).unwrap_or(UNITS.len() - 1);
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(largest).take(2) {
        let n = (rest / unit).floor();
        if n >= 1.0 {
            parts.push(format!("{n}{name}"));
        }
        rest -= n * unit;
    }
    format!("{sign}{}", parts.join(" "))
}

/// `1.5GiB`
fn bytes(n: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut n, mut unit) = (n, 0);
    while n.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        n /= 1024.0;
        unit += 1;
    }
    format!("{}{}", number(n, Some(1)), UNITS[unit])
}

/// `1,234.5`: with two digits behind the point at most, or as many as wanted, and none that say nothing.
fn number(n: f64, digits: Option<usize>) -> String {
    let digits = digits.unwrap_or(2);
    let text = format!("{n:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = format!("{sign}{}", readable::grouped(whole));
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        let _ = write!(grouped, ".{fraction}");
    }
    if grouped == "-0" { "0".to_owned() } else { grouped }
}

fn variables(scene: &Scene<'_>) -> BTreeMap<&'static str, Value> {
    let labels: BTreeMap<String, Value> =
        scene.labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    let mut variables = BTreeMap::from([
        ("labels", Value::from(labels)),
        ("alertname", Value::from(scene.labels.get("alertname"))),
        ("service", Value::from(scene.labels.get("service"))),
        ("severity", Value::from(scene.labels.get("severity"))),
        ("value", scene.value.map_or_else(|| Value::from(()), Value::from)),
        ("reason", Value::from(scene.reason)),
        ("firing", Value::from(scene.firing)),
        ("starts_at", Value::from(scene.starts_at.rfc3339())),
        ("url", Value::from(scene.url)),
        ("external_url", Value::from(scene.external_url)),
        ("events", scene.events.iter().map(event).collect()),
    ]);
    if scene.is_slo || scene.slo.is_some() {
        let slo = slo(scene.slo);
        for name in ["budget_remaining", "burn"] {
            variables.insert(name, slo.get(name).cloned().unwrap_or_default());
        }
        variables.insert("slo", Value::from(slo));
    }
    variables
}

fn event(event: &SampleEvent) -> Value {
    let at = event.at.rfc3339();
    let fields = [
        ("at", at.as_str()),
        ("agent", &event.agent),
        ("name", &event.name),
        ("message", &event.message),
        ("correlation", &event.correlation),
        ("trace", &event.trace),
    ];
    Value::from(BTreeMap::from(fields.map(|(name, text)| (name, Value::from(text)))))
}

fn slo(facts: Option<&SloFacts>) -> BTreeMap<&'static str, Value> {
    let of = |value: fn(&SloFacts) -> Value| facts.map_or_else(|| Value::from(()), value);
    BTreeMap::from([
        ("objective", of(|slo| Value::from(slo.objective / 100.0))),
        ("window", of(|slo| Value::from(slo.window.as_str()))),
        ("good", of(|slo| Value::from(slo.good))),
        ("total", of(|slo| Value::from(slo.total))),
        ("budget_remaining", of(|slo| Value::from(slo.budget_remaining))),
        (
            "exhausts_at",
            of(|slo| slo.exhausts_at.map_or_else(|| Value::from(()), |at| at.rfc3339().into())),
        ),
        ("burn", of(|slo| Value::from(burn(slo)))),
    ])
}

/// Burn rates by window, as it is written: `5m`, `1h`.
fn burn(slo: &SloFacts) -> BTreeMap<String, Value> {
    let window = |span: std::time::Duration| {
        let secs = span.as_secs();
        let unit = [(86_400, "d"), (3_600, "h"), (60, "m")];
        let fits = unit.into_iter().find(|(unit, _)| secs >= *unit && secs.is_multiple_of(*unit));
        fits.map_or_else(|| format!("{secs}s"), |(unit, name)| format!("{}{name}", secs / unit))
    };
    slo.burn.iter().map(|(span, rate)| (window(*span), Value::from(*rate))).collect()
}

/// What went wrong, in our words.
fn explained(error: &Error, scene: &Scene<'_>) -> WordingError {
    let source = error.template_source().unwrap_or_default();
    let mut span = error.range().filter(|span| source.get(span.clone()).is_some());
    let (message, help) = match error.kind() {
        ErrorKind::UndefinedError => {
            span = span.map(|span| given_to(source, span));
            let name = span.clone().map_or("", |span| &source[span]);
            (format!("`{}` is not there", name.trim()), known(scene))
        }
        ErrorKind::UnknownFilter => (
            error.detail().unwrap_or("unknown filter").to_owned(),
            "filters for people are: duration, percent, bytes, number".to_owned(),
        ),
        ErrorKind::OutOfFuel => ("it takes too long".to_owned(), String::new()),
        kind => (error.detail().map_or_else(|| kind.to_string(), str::to_owned), String::new()),
    };
    WordingError { message, help, span }
}

/// Where a filter is at fault, what it was given; otherwise the same place.
fn given_to(source: &str, span: Range<usize>) -> Range<usize> {
    let before = &source[..span.start];
    let start = ["{{", "{%"].iter().filter_map(|mark| Some(before.rfind(mark)? + 2)).max();
    match (start, before.trim_end().strip_suffix('|')) {
        (Some(start), Some(given)) if start < given.len() => {
            let given = given.trim_end();
            start + (given[start..].len() - given[start..].trim_start().len())..given.len()
        }
        _ => span,
    }
}

fn known(scene: &Scene<'_>) -> String {
    let mut names: Vec<String> =
        variables(scene).into_keys().filter(|name| *name != "labels").map(str::to_owned).collect();
    names.extend(scene.labels.iter().map(|(name, _)| format!("labels.{name}")));
    format!("known here: {}", names.join(", "))
}

/// The first expression that is one of Go's templates, and what to write in its place.
fn go_template(text: &str) -> Option<WordingError> {
    let mut from = 0;
    while let Some(start) = text[from..].find("{{").map(|at| from + at) {
        let end = text[start..].find("}}").map_or(text.len(), |at| start + at + 2);
        let inner = text[start + 2..end].trim_end_matches('}').trim_matches(['-', ' ', '\t', '\n']);
        let first = inner.split([' ', '|', '(']).next().unwrap_or_default();
        let known = GO.iter().find(|(go, _)| inner.contains(go) && is_bare(inner, go));
        if inner.starts_with('.') || GO_WORDS.contains(&first) || known.is_some() {
            let help = match known {
                Some((go, ours)) => {
                    let rest = inner.find(go).map_or("", |at| &inner[at + go.len()..]);
                    let name: String =
                        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let name = if ours.ends_with('.') { name } else { String::new() };
                    format!("write {{{{ {ours}{name} }}}}")
                }
                None if ["if", "else", "end", "range"].contains(&first) => {
                    "write {% if … %}…{% else %}…{% endif %}, {% for x in … %}…{% endfor %}".into()
                }
                None => "write {{ labels.NAME }}, {{ value | number }} and the like".to_owned(),
            };
            let message = "this is a template of Alertmanager's or Prometheus', in Go's language";
            let span = Some(start..end);
            return Some(WordingError { message: message.to_owned(), help, span });
        }
        from = end;
    }
    None
}

/// Whether what was found is no part of a longer word or of a text in quotes.
fn is_bare(inner: &str, go: &str) -> bool {
    let Some(at) = inner.find(go) else { return false };
    let before = &inner[..at];
    let is_quoted = ['"', '\''].iter().any(|quote| before.matches(*quote).count() % 2 == 1);
    let is_part = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ']');
    !is_quoted && !is_part
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn facts() -> SloFacts {
        SloFacts {
            objective: 99.9,
            window: "30d".to_owned(),
            burn: vec![(Duration::from_secs(300), 21.34), (Duration::from_secs(3_600), 18.9)],
            budget_remaining: 0.874,
            exhausts_at: None,
            good: 1_234_567,
            total: 1_300_000,
        }
    }

    fn labels() -> Labels {
        Labels::new([
            ("alertname", "Shop"),
            ("service", "shop"),
            ("severity", "page"),
            ("evil", "{{ 1/0 }} & <b>"),
        ])
    }

    fn scene<'a>(labels: &'a Labels, slo: Option<&'a SloFacts>) -> Scene<'a> {
        Scene {
            labels,
            value: Some(0.25),
            reason: "p95 is high",
            firing: true,
            starts_at: Timestamp::from_secs(0),
            url: "http://h/alerts/1",
            external_url: "http://h",
            slo,
            is_slo: slo.is_some(),
            events: &[],
        }
    }

    #[test]
    fn the_latest_events_read_as_people_write() {
        let event = |secs, message: &str| SampleEvent {
            at: Timestamp::from_secs(secs),
            agent: "web-1".to_owned(),
            name: "line".to_owned(),
            message: message.to_owned(),
            correlation: String::new(),
            trace: String::new(),
        };
        let labels = labels();
        let events = [event(1, "{{ 1/0 }} <b>"), event(2, "done")];
        let scene = Scene { events: &events, ..scene(&labels, None) };
        for (text, want) in [
            (
                "{% for e in events %}{{ e.at }} {{ e.message }};{% endfor %}",
                "1970-01-01T00:00:01Z {{ 1/0 }} <b>;1970-01-01T00:00:02Z done;",
            ),
            ("{{ events | length }}: {{ (events | last).message }}", "2: done"),
            ("{% for e in events[-1:] %}{{ e.agent }} {{ e.name }}{% endfor %}", "web-1 line"),
        ] {
            assert_eq!(fill_in(text, &scene).as_deref(), Ok(want), "{text}");
        }
        let problem = check_wording("{% for e in events %}{{ e.msg }}{% endfor %}", &scene);
        assert!(problem.unwrap_err().message.contains("`e.msg` is not there"));
    }

    #[test]
    fn expressions_read_as_people_write() {
        let (labels, facts) = (labels(), facts());
        let scene = scene(&labels, Some(&facts));
        for (text, want) in [
            ("no expression", "no expression"),
            ("{{ service }} is slow: {{ value | duration }}", "shop is slow: 250ms"),
            ("{{ labels.evil }}", "{{ 1/0 }} & <b>"),
            ("{{ budget_remaining | percent }} left", "87.4% left"),
            ("{{ slo.objective | percent(2) }}", "99.90%"),
            ("{{ burn['5m'] | number(1) }}x", "21.3x"),
            ("{{ slo.good | number }}", "1,234,567"),
            ("{{ 1610612736 | bytes }}", "1.5GiB"),
            ("{{ 512 | bytes }}", "512B"),
            ("{{ 252 | duration }}, {{ 3600 | duration }}", "4m 12s, 1h"),
            ("{{ 1.5 | duration }}, {{ 0.0004 | duration }}", "1.5s, 0.4ms"),
            ("{{ -0.001 | number }}", "0"),
            ("{{ slo.exhausts_at | duration }}", "no value"),
            ("{{ 'page!' if severity == 'page' else 'later' }}", "page!"),
            ("{% if firing %}on{% else %}off{% endif %}", "on"),
            ("{{ starts_at }} {{ external_url }}", "1970-01-01T00:00:00Z http://h"),
            ("{{ labels.absent }}{{ burn['9h'] | number }}{{ a.b.c }}", "no value"),
        ] {
            assert_eq!(fill_in(text, &scene).as_deref(), Ok(want), "{text}");
        }
        let over = Scene { slo: None, ..scene };
        let text = "{{ budget_remaining | percent }}, {{ burn['5m'] | number }}, {{ slo.window }}";
        assert_eq!(fill_in(text, &over).as_deref(), Ok("no value, no value, no value"));
    }

    #[test]
    fn what_is_wrong_is_found_before_it_runs() {
        let (labels, facts) = (labels(), facts());
        let (slo, rule) = (scene(&labels, Some(&facts)), scene(&labels, None));
        for (text, scene, message, help, marked) in [
            (
                "x {{ labels.team }}",
                &slo,
                "`labels.team` is not there",
                "labels.service",
                "labels.team",
            ),
            ("{{ servce }}", &slo, "`servce` is not there", "service", "servce"),
            ("{{ burn['9h'] | number }}", &slo, "`burn['9h']` is not there", "burn", "burn['9h']"),
            ("{{ budget_remaining }}", &rule, "is not there", "value", "budget_remaining"),
            ("{{ value | humanise }}", &rule, "humanise", "duration, percent", "humanise"),
            ("{{ value", &rule, "end of", "", ""),
            ("{% if value %}", &rule, "end of", "", ""),
            ("{{ service | percent }}", &rule, "shop is not a number", "", "percent"),
            (
                "{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}",
                &rule,
                "too long",
                "",
                "",
            ),
            (
                "a {{ $labels.team }}",
                &rule,
                "Go's language",
                "{{ labels.team }}",
                "{{ $labels.team }}",
            ),
            (
                "{{ $value | humanizePercentage }}",
                &rule,
                "Go's",
                "{{ value }}",
                "{{ $value | humanizePercentage }}",
            ),
            (
                "{{ .CommonLabels.service }}",
                &rule,
                "Go's",
                "{{ labels.service }}",
                "{{ .CommonLabels.service }}",
            ),
            ("{{ .Annotations.x }}", &rule, "Go's", "{{ labels.NAME }}", "{{ .Annotations.x }}"),
            ("{{- if .x }}a{{ end }}", &rule, "Go's", "{% if", "{{- if .x }}"),
            ("{{ humanize value }}", &rule, "Go's", "| number", "{{ humanize value }}"),
        ] {
            let problem = check_wording(text, scene).unwrap_err();
            assert!(problem.message.contains(message), "{text}: {problem:?}");
            assert!(problem.help.contains(help), "{text}: {problem:?}");
            let span = problem.span.clone().unwrap_or_default();
            assert!(marked.is_empty() || &text[span] == marked, "{text}: {problem:?}");
        }
        for text in
            ["{{ 'costs $value' }}", "a { b } c", "{{ labels.evil }}", "{{ iffy | default('x') }}"]
        {
            assert_eq!(check_wording(text, &rule), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_comes_of_it_is_bounded() {
        let labels = labels();
        let scene = scene(&labels, None);
        let filled = fill_in("{{ 'äx' * 100000 }}", &scene).unwrap();
        assert!(filled.len() <= MAX_BYTES + 3, "{}", filled.len());
        assert!(fill_in(&"{{ 1 }}".repeat(10_000), &scene).is_err());
        for nasty in ["{{ 'x' * 99999999999 }}", "{{ 1 // 0 }}", "{{ -9223372036854775808 // -1 }}"]
        {
            let _ = fill_in(nasty, &scene);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in r#"(\{\{|\}\}|\{%|%\}|\{#|[a-z.|$'"()\[\]0-9 +*/~-]|labels\.|value| if | endif |ä){0,60}"#) {
            let labels = labels();
            let scene = scene(&labels, None);
            let _ = fill_in(&text, &scene);
            if let Err(WordingError { span: Some(span), .. }) = check_wording(&text, &scene) {
                proptest::prop_assert!(text.get(span).is_some());
            }
        }
    }
}

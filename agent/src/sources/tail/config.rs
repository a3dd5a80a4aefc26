//! The `tail:` section of an agent's file.
//!
//! Owns its keys, their defaults and what this version does not read yet. Never opens a file.

use std::path::Path;

use glob::Pattern;
use watchkeeper_agent_core::observe::{
    DEFAULT_MAX_SERIES, EventSettings, LineSettings, SignalSettings, TimeField, TimeFormat,
    ValueField,
};
use watchkeeper_agent_core::tail::{StartAt, TailSettings};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::{Condition, Scope};
use watchkeeper_model::names::{RESERVED_LABELS, is_label_name};
use watchkeeper_model::{Severity, Unit};

/// What a `tail` source needs.
#[derive(Clone, Debug)]
pub struct TailSourceSettings {
    /// The name the user gave it.
    pub given_name: Option<Located<String>>,
    /// What becomes of a line.
    pub lines: LineSettings,
    /// How files are followed.
    pub tail: TailSettings,
    /// Absolute patterns of the files' paths.
    pub paths: Vec<Pattern>,
    /// Patterns of paths that are left out.
    pub exclude: Vec<Pattern>,
}

const KEYS: [&str; 12] = [
    "name",
    "service",
    "paths",
    "exclude",
    "start_at",
    "format",
    "wrap",
    "multiline",
    "max_line",
    "time",
    "signals",
    "events",
];

impl TailSourceSettings {
    /// Reads the section.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &KEYS, |f| {
            let given_name = f.optional("name", read::located(read::string));
            let service = f.required("service", read::service);
            let paths = f.required("paths", read::non_empty(pattern));
            let exclude = f.or("exclude", Vec::new(), read::list_of(pattern));
            let start_at = f.or(
                "start_at",
                StartAt::End,
                read::choice(&[("end", StartAt::End), ("beginning", StartAt::Beginning)]),
            );
            let default = TailSettings::new("");
            let max_line_bytes =
                f.or("max_line", default.max_line_bytes as u64, read::size_in(1..=16 << 20));
            let is_supported = refuse_what_comes_later(f);
            let time = f.optional("time", read_time);
            let signals = f.list("signals", read_signal);
            let events = f.list("events", read_event);
            unique_names(f, &signals, &events)?;
            let (service, paths) = (service?, paths?);
            is_supported?;
            let source = given_name.as_ref().map_or(String::new(), |name| name.value.clone());
            Some(Self {
                lines: LineSettings {
                    source: source.clone(),
                    service,
                    time,
                    signals: signals.into_iter().map(|s| s.value).collect(),
                    events: events.into_iter().map(|e| e.value).collect(),
                },
                tail: TailSettings {
                    source,
                    start_at,
                    max_line_bytes: max_line_bytes as usize,
                    ..default
                },
                given_name,
                paths,
                exclude,
            })
        })
    }

    /// Names the source.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.lines.source);
        name.clone_into(&mut self.tail.source);
    }
}

/// What the file format has and this version has not: refused by name, so that nobody waits for lines that never come.
fn refuse_what_comes_later(f: &mut Fields<'_, '_, '_>) -> Option<()> {
    let format =
        f.or("format", "json", read::choice(&["json", "logfmt", "regex", "text"].map(|w| (w, w))));
    let wrap = f.or("wrap", "none", read::choice(&["none", "cri", "docker"].map(|w| (w, w))));
    let mut later = Vec::new();
    if format != "json" {
        later.push(("format", format!("format `{format}` is not part of this version")));
    }
    if wrap != "none" {
        later.push(("wrap", format!("wrap `{wrap}` is not part of this version")));
    }
    if f.has("multiline") {
        later.push(("multiline", "`multiline` is not part of this version".to_owned()));
    }
    for (key, message) in &later {
        let place = f.node(key).map_or(f.place(), Node::place).clone();
        f.reader()
            .error(&place, message.clone())
            .help("this version reads one JSON object per line");
    }
    later.is_empty().then_some(())
}

/// A pattern of paths, absolute: relative ones are meant from the working directory.
fn pattern(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
    let text = read::string(node, reader)?;
    let absolute = if Path::new(&text).is_absolute() {
        text.clone()
    } else {
        let here = std::env::current_dir().unwrap_or_default();
        let relative = text.strip_prefix("./").unwrap_or(&text);
        format!("{}/{relative}", Pattern::escape(&here.to_string_lossy()))
    };
    match Pattern::new(&absolute) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader
                .error(node.place(), format!("{text:?} is no pattern of paths: {}", error.msg))
                .help("write /var/log/shop/*.log, or /var/log/**/*.log for any depth");
            None
        }
    }
}

fn read_time(node: &Node, reader: &mut Reader<'_>) -> Option<TimeField> {
    node.fields(reader, &["field", "format", "zone"], |f| {
        let field = f.required("field", read::string);
        let format = f.or("format", Some(TimeFormat::Rfc3339), |node, reader| {
            Some(read_time_format(node, reader))
        });
        let zone = f.optional("zone", read::located(read::string));
        if let Some(zone) = zone.filter(|z| z.value != "UTC") {
            f.reader()
                .error(&zone.place, format!("zone {:?} is not part of this version", zone.value))
                .help("these formats say their offset themselves, or count from 1970 in UTC");
            return None;
        }
        Some(TimeField { field: field?, format: format? })
    })
}

fn read_time_format(node: &Node, reader: &mut Reader<'_>) -> Option<TimeFormat> {
    let word = read::string(node, reader)?;
    let format = TimeFormat::parse(&word);
    if format.is_none() {
        let known: Vec<&str> = TimeFormat::ALL.iter().map(|f| f.as_str()).collect();
        let message = if word.contains('%') || word == "strftime" {
            "strftime formats are not part of this version".to_owned()
        } else {
            format!("{word:?} is no time format")
        };
        reader
            .error(node.place(), message)
            .help(format!("this version reads {}", known.join(", ")));
    }
    format
}

fn read_signal(node: &Node, reader: &mut Reader<'_>) -> Option<Located<SignalSettings>> {
    let keys = ["name", "value", "labels", "where", "bounds", "max_series"];
    let signal = node.fields(reader, &keys, |f| {
        let name = f.required("name", read_name);
        let value = f.optional("value", read_value);
        let labels = f.optional("labels", read_labels);
        let has_labels = f.has("labels");
        let filter = f.or("where", Condition::always(), read::condition(Scope::Line));
        let unit = value.as_ref().map(|v| v.unit);
        let bounds = f.optional("bounds", read::list_of(read::located(read::quantity)));
        let bounds = to_base(bounds.unwrap_or_default(), unit, f);
        let max_series = f.or("max_series", DEFAULT_MAX_SERIES as i64, read::integer(1..=100_000));
        if has_labels && labels.is_none() {
            return None;
        }
        Some(SignalSettings {
            name: name?,
            value,
            labels: labels.unwrap_or_default(),
            filter,
            bounds: bounds?,
            max_series: max_series as usize,
        })
    })?;
    Some(Located { value: signal, place: node.place().clone() })
}

fn read_value(node: &Node, reader: &mut Reader<'_>) -> Option<ValueField> {
    node.fields(reader, &["field", "unit"], |f| {
        let field = f.required("field", read::string);
        let unit = f.or("unit", Unit::None, read::unit);
        Some(ValueField { field: field?, unit })
    })
}

/// Bounds in the base unit of the signal's value, sorted, each once.
fn to_base(
    bounds: Vec<Located<read::Quantity>>,
    unit: Option<Unit>,
    f: &mut Fields<'_, '_, '_>,
) -> Option<Vec<i64>> {
    let mut all = Vec::new();
    let mut complete = true;
    for bound in bounds {
        let base = match unit {
            None => Err("bounds need a `value`".to_owned()),
            Some(unit) => bound.to_base(unit.dimension()),
        };
        match base {
            Ok(base) => all.push(base),
            Err(message) => {
                f.reader().error(&bound.place, message);
                complete = false;
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    complete.then_some(all)
}

/// `label: field`.
fn read_labels(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<(String, String)>> {
    let pairs = read::map_of(read::string)(node, reader)?;
    let mut complete = true;
    for (label, _) in &pairs {
        let reserved = RESERVED_LABELS.contains(&label.value.as_str());
        if reserved || !is_label_name(label) {
            let what = if reserved { "is reserved" } else { "is no label's name" };
            reader
                .error(&label.place, format!("`{}` {what}", label.value.escape_debug()))
                .help("letters, digits and `_`, no digit first; the name stands before the colon, its field after it");
            complete = false;
        }
    }
    complete.then(|| pairs.into_iter().map(|(label, field)| (label.value, field)).collect())
}

fn read_event(node: &Node, reader: &mut Reader<'_>) -> Option<Located<EventSettings>> {
    let severities = [
        ("info", Severity::Info),
        ("warning", Severity::Warning),
        ("ticket", Severity::Warning),
        ("error", Severity::Error),
        ("critical", Severity::Critical),
        ("page", Severity::Critical),
    ];
    let event =
        node.fields(reader, &["name", "where", "severity", "message", "correlation"], |f| {
            let name = f.required("name", read_name);
            let filter = f.required("where", read::condition(Scope::Line));
            let severity = f.or("severity", Severity::Info, read::choice(&severities));
            let message = f.optional("message", read::string);
            let correlation = f.optional("correlation", read::string);
            Some(EventSettings { name: name?, filter: filter?, severity, message, correlation })
        })?;
    Some(Located { value: event, place: node.place().clone() })
}

/// The name of a signal or event.
fn read_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    if is_label_name(&name) {
        return Some(name);
    }
    reader
        .error(node.place(), format!("`{}` is no name of a signal or event", name.escape_debug()))
        .help("letters, digits and `_`, no digit first");
    None
}

fn unique_names(
    f: &mut Fields<'_, '_, '_>,
    signals: &[Located<SignalSettings>],
    events: &[Located<EventSettings>],
) -> Option<()> {
    let signals = signals.iter().map(|s| ("signal", &s.value.name, &s.place));
    let events = events.iter().map(|e| ("event", &e.value.name, &e.place));
    let (mut seen, mut unique) = (Vec::new(), true);
    for (what, name, place) in signals.chain(events) {
        if seen.contains(&(what, name)) {
            f.reader()
                .error(place, format!("another {what} of this source is called {name:?} too"));
            unique = false;
        }
        seen.push((what, name));
    }
    unique.then_some(())
}

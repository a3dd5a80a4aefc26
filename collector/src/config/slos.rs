//! SLOs.
//!
//! Owns their schema and the checks that need more than one field. A tier that can never fire is a warning; an objective
//! out of range, a window said twice or a slice that does not divide a day is an error. An entry with several objectives
//! becomes as many SLOs.

use std::time::Duration;

use watchkeeper_collector_core::series::{Filter, Threshold};
use watchkeeper_collector_core::slo::{
    Calendar, CalendarUnit, Component, Method, Objective, SliceObjective, Slices, SloSettings,
    SloWindow, Zone,
};
use watchkeeper_config::{Fields, Located, Node, Reader, format, read};
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::{Decimal, Labels};

use super::composites;
use super::objectives::{read_annotations, read_filter, read_labels, read_name, read_threshold};

const MAX_WINDOW: Duration = Duration::from_secs(400 * 86_400);
/// Each is kept by itself, in memory and in the store.
const MAX_SLICES: u64 = 600_000;
/// A slice says more than an observation, and there are few of them in an hour.
const SLICES_NEEDED: i64 = 5;

const KEYS: [&str; 18] = [
    "name",
    "service",
    "signal",
    "composite",
    "where",
    "good",
    "below",
    "objective",
    "objectives",
    "window",
    "calendar",
    "method",
    "slice",
    "slice_objective",
    "min_events",
    "no_data",
    "labels",
    "annotations",
];

/// One of the objectives of an entry.
struct Target {
    /// What its SLO's name has at its end.
    suffix: Option<String>,
    good: Option<Filter>,
    below: Option<Threshold>,
    objective: Objective,
}

/// One entry: an SLO, or one for each of its objectives.
pub(super) fn read_slo(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Located<SloSettings>>> {
    node.fields(reader, &KEYS, |f| {
        let name = f.required("name", read_name);
        let service = f.required("service", read::service);
        let is_composite = f.node("composite").is_some();
        let counted = if is_composite { read_composite(f) } else { read_counted(f) };
        let window = read_window(f);
        let is_sliced = matches!(counted, Some(Counted { method: Method::Timeslices(_), .. }));
        let default = if is_sliced { SLICES_NEEDED } else { 10 };
        let min_events = f.or("min_events", default, read::integer(1..=1_000_000_000));
        let no_data = f.or("no_data", Duration::from_secs(900), read::duration);
        let labels = f.or("labels", Labels::default(), |n, r| read_labels(n, r, &[]));
        let annotations = f.or("annotations", Labels::default(), read_annotations);
        let (name, service) = (name?, service?);
        let (counted, (window, window_text)) = (counted?, window?);
        refuse_many_slices(f, &window, counted.method);
        let place = f.place().clone();
        let mut slos = Vec::new();
        for target in counted.targets {
            let name = target.suffix.map_or_else(|| name.clone(), |end| format!("{name}-{end}"));
            let slo = SloSettings {
                composite: counted.composite.clone(),
                scope: counted.scope.clone(),
                good: target.good.unwrap_or_else(|| counted.good.clone()),
                below: target.below,
                method: counted.method,
                window: window.clone(),
                window_text: window_text.clone(),
                min_events: min_events.unsigned_abs(),
                no_data,
                labels: labels.clone(),
                annotations: annotations.clone(),
                ..SloSettings::new(&name, service.clone(), &counted.signal, target.objective)
            };
            for left_out in slo.tiers().1 {
                f.reader().warning(&place, left_out.to_string());
            }
            slos.push(Located { value: slo, place: place.clone() });
        }
        Some(slos)
    })
}

/// What an entry counts, and its objectives.
struct Counted {
    signal: String,
    composite: Vec<Component>,
    scope: Filter,
    good: Filter,
    method: Method,
    targets: Vec<Target>,
}

fn read_counted(f: &mut Fields<'_, '_, '_>) -> Option<Counted> {
    let signal = f.required("signal", read::label_name);
    let scope = f.or("where", Filter::all(), read_filter);
    let good = f.or("good", Filter::all(), read_filter);
    let targets = read_targets(f);
    let method = read_method(f);
    let (signal, targets, method) = (signal?, targets?, method?);
    Some(Counted { signal, composite: Vec::new(), scope, good, method, targets })
}

fn read_composite(f: &mut Fields<'_, '_, '_>) -> Option<Counted> {
    let composite = composites::read_parts(f);
    let objective = f.required("objective", read_objective);
    let target = Target { suffix: None, good: None, below: None, objective: objective? };
    Some(Counted {
        signal: String::new(),
        composite: composite?,
        scope: Filter::all(),
        good: Filter::all(),
        method: Method::Occurrences,
        targets: vec![target],
    })
}

/// Either `objective`, with `below` beside it, or `objectives`.
fn read_targets(f: &mut Fields<'_, '_, '_>) -> Option<Vec<Target>> {
    let Some(list) = f.node("objectives") else {
        let below = f.optional("below", read_threshold);
        let objective = f.required("objective", read_objective);
        if f.node("good").is_none() && f.node("below").is_none() {
            let place = f.place().clone();
            needs_good_or_below(f.reader(), &place);
        }
        return Some(vec![Target { suffix: None, good: None, below, objective: objective? }]);
    };
    for key in ["objective", "below"] {
        if let Some(node) = f.node(key) {
            let place = node.place().clone();
            f.reader()
                .error(&place, format!("`{key}` stands beside `objectives`"))
                .help("with several objectives it belongs into each of them");
        }
    }
    let has_good = f.node("good").is_some();
    let place = list.place().clone();
    let read_one = |n: &Node, r: &mut Reader<'_>| read_target(n, r, has_good);
    let targets = f.list("objectives", read_one);
    if list.items().is_empty() {
        f.reader().error(&place, "`objectives` has none").help(
            "write some, such as [{below: 200ms, objective: 95}, {below: 1s, objective: 99}]",
        );
    }
    // One that is wrong has been reported.
    (!targets.is_empty()).then_some(targets)
}

fn read_target(node: &Node, reader: &mut Reader<'_>, has_good: bool) -> Option<Target> {
    node.fields(reader, &["name", "below", "good", "objective"], |f| {
        let name = f.optional("name", read_name);
        let good = f.optional("good", read_filter);
        let below = f.optional("below", read_threshold);
        let objective = f.required("objective", read_objective);
        let place = f.place().clone();
        if !has_good && f.node("good").is_none() && f.node("below").is_none() {
            needs_good_or_below(f.reader(), &place);
        }
        let written = f.node("below").and_then(Node::as_scalar).map(str::to_owned);
        let suffix = name.or(written);
        if suffix.is_none() {
            f.reader()
                .error(&place, "an objective without `below` needs a `name`")
                .help("its SLO is called by it: NAME-name");
        }
        Some(Target { suffix: Some(suffix?), good, below, objective: objective? })
    })
}

fn needs_good_or_below(reader: &mut Reader<'_>, place: &watchkeeper_config::Place) {
    reader
        .error(place, "an SLO needs `good`, `below` or both: without them everything is good")
        .help("for availability write good: 'int(status) < 500'; for latency below: 200ms");
}

/// Either `window` or `calendar`, and how it is shown.
fn read_window(f: &mut Fields<'_, '_, '_>) -> Option<(SloWindow, String)> {
    let rolling = f.optional("window", read::duration_in(Duration::from_secs(60)..=MAX_WINDOW));
    let calendar = f.optional("calendar", read_calendar);
    let place = f.place().clone();
    match (f.node("window"), f.node("calendar")) {
        (Some(_), Some(calendar)) => {
            let place = calendar.place().clone();
            f.reader()
                .error(&place, "an SLO has a `window` or a `calendar`, not both")
                .help("`window` is the last so long, `calendar` begins anew with each period");
            None
        }
        (None, None) => {
            f.reader().error(&place, "`window` is missing").help(
                "say over which time the objective holds, such as window: 30d, or calendar: {unit: month}",
            );
            None
        }
        (Some(_), None) => {
            rolling.map(|length| (SloWindow::Rolling(length), format::duration(length)))
        }
        (None, Some(_)) => {
            let calendar = calendar?;
            let text = calendar.to_string();
            Some((SloWindow::Calendar(calendar), text))
        }
    }
}

fn read_calendar(node: &Node, reader: &mut Reader<'_>) -> Option<Calendar> {
    node.fields(reader, &["unit", "zone"], |f| {
        let units = CalendarUnit::ALL.map(|unit| (unit.as_str(), unit));
        let unit = f.required("unit", read::choice(&units));
        let n_before = f.reader().problems().n_errors();
        let zone = f.or("zone", Zone::UTC, read_zone);
        let is_read = f.reader().problems().n_errors() == n_before;
        Some(Calendar { unit: unit?, zone: is_read.then_some(zone)? })
    })
}

/// The name of a time zone.
pub(super) fn read_zone(node: &Node, reader: &mut Reader<'_>) -> Option<Zone> {
    let name = read::string(node, reader)?;
    let zone = Zone::named(&name);
    if zone.is_none() {
        let names = Zone::names();
        let near = closest(&name, names.iter().map(String::as_str));
        let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        reader
            .error(node.place(), format!("there is no time zone {name:?}"))
            .help(format!("{meant}write it as in the IANA database, such as Europe/Berlin or UTC"));
    }
    zone
}

/// `occurrences`, or `timeslices` with `slice` and `slice_objective`.
fn read_method(f: &mut Fields<'_, '_, '_>) -> Option<Method> {
    let words = [("occurrences", false), ("timeslices", true)];
    let is_sliced = f.or("method", false, read::choice(&words));
    if !is_sliced {
        for key in ["slice", "slice_objective"] {
            if let Some(node) = f.node(key) {
                let place = node.place().clone();
                f.reader()
                    .error(&place, format!("`{key}` is for slices"))
                    .help("write method: timeslices beside it, or leave it out");
            }
        }
        return Some(Method::Occurrences);
    }
    let length = f.required("slice", read_slice);
    let objective = f.required("slice_objective", |node, reader| {
        let text = read::string(node, reader)?;
        let objective = Decimal::parse(&text).and_then(SliceObjective::from_percent);
        if objective.is_none() {
            reader
                .error(node.place(), format!("{text} is no objective of a slice"))
                .help("it is a percentage above 0, at most 100, such as 95");
        }
        objective
    });
    Some(Method::Timeslices(Slices { length: length?, objective: objective? }))
}

fn read_slice(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    let length = read::duration(node, reader)?;
    if !Slices::is_length(length) {
        reader
            .error(node.place(), format!("a slice of {} does not fit", format::duration(length)))
            .help("it is 1s to 1h long and divides a day, such as 10s, 1m or 5m");
        return None;
    }
    Some(length)
}

fn refuse_many_slices(f: &mut Fields<'_, '_, '_>, window: &SloWindow, method: Method) {
    let Method::Timeslices(slices) = method else { return };
    let n_slices = window.reach().as_secs() / slices.length.as_secs();
    if n_slices > MAX_SLICES {
        let place = f.node("slice").map_or_else(|| f.place().clone(), |node| node.place().clone());
        f.reader()
            .error(&place, format!("{n_slices} slices in a window are too many"))
            .help(format!("at most {MAX_SLICES}: make slices longer, or the window shorter"));
    }
}

fn read_objective(node: &Node, reader: &mut Reader<'_>) -> Option<Objective> {
    let text = read::string(node, reader)?;
    let objective = Decimal::parse(&text).and_then(Objective::from_percent);
    if objective.is_none() {
        reader
            .error(node.place(), format!("{text} is no objective"))
            .help("an objective is a percentage above 0 and below 100, such as 99.9");
    }
    objective
}

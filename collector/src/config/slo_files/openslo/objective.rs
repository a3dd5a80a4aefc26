//! `objectives`: how much has to be good.
//!
//! Owns targets, as shares and in percent, thresholds and slices. Never a name: `slo` gives it.

use watchkeeper_collector_core::slo::Objective;
use watchkeeper_config::{Fields, Node, Place, Reader, read};
use watchkeeper_model::{Decimal, Dimension, Unit};

use super::duration::read_shorthand;
use super::indicator::{Indicator, Measure};
use crate::config::slo_files::entry::{OwnSlo, literal};

const NANO: i64 = 1_000_000_000;

const KEYS: [&str; 10] = [
    "displayName",
    "op",
    "value",
    "target",
    "targetPercent",
    "timeSliceTarget",
    "timeSliceWindow",
    "indicator",
    "indicatorRef",
    "compositeWeight",
];

/// `budgetingMethod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Occurrences,
    Timeslices,
    RatioTimeslices,
}

/// Reads the method; `title` is whose it is.
pub(super) fn read_method(node: &Node, title: &str, reader: &mut Reader<'_>) -> Option<Method> {
    let words = [
        ("Occurrences", Method::Occurrences),
        ("Timeslices", Method::Timeslices),
        ("RatioTimeslices", Method::RatioTimeslices),
    ];
    let method = read::choice(&words)(node, reader)?;
    if method == Method::RatioTimeslices {
        reader
            .error(node.place(), format!("{title} averages the ratios of slices (RatioTimeslices), which Watchkeeper does not do"))
            .help("an average of ratios hides how many were hit: write Occurrences to count observations, or Timeslices to count slices that were good enough");
        return None;
    }
    Some(method)
}

/// One objective.
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) display_name: Option<Node>,
    /// In percent, as our own files have it.
    pub(super) percent: Node,
    /// 1 − target, in 1e-9.
    pub(super) allowed_nano: u64,
    below: Option<Node>,
    /// How long slices are, and what has to be good of one in percent.
    slices: Option<(Node, Node)>,
}

impl Target {
    /// Says it in our words.
    pub(super) fn say(&self, slo: &mut OwnSlo) {
        slo.say("objective", self.percent.clone()).say_if("below", self.below.clone());
        if let Some((length, objective)) = &self.slices {
            slo.say("method", Node::text_at(length.place(), "timeslices"))
                .say("slice", length.clone())
                .say("slice_objective", objective.clone());
        }
    }
}

/// Reads an objective; without an indicator, what belongs to one is not judged.
pub(super) fn read_objective(
    node: &Node,
    method: Option<Method>,
    indicator: Option<&Indicator>,
    reader: &mut Reader<'_>,
) -> Option<Target> {
    node.fields(reader, &KEYS, |f| {
        let display_name = f.optional("displayName", read::node);
        let target = read_target(f);
        let slices = read_slices(f, method);
        let below = match indicator.map(|indicator| &indicator.measure) {
            Some(Measure::Threshold { unit }) => read_value(f, *unit).map(Some),
            Some(Measure::Ratio { below }) => {
                leave_out(f, &["op", "value"], "a `ratioMetric` compares nothing");
                Some(below.clone())
            }
            None => Some(None),
        };
        let place = f.place().clone();
        let (percent, allowed_nano) = target?;
        Some(Target { place, display_name, percent, allowed_nano, below: below?, slices: slices? })
    })
}

/// Either `target` or `targetPercent`.
fn read_target(f: &mut Fields<'_, '_, '_>) -> Option<(Node, u64)> {
    let place = f.place().clone();
    let (key, factor) = match (f.has("target"), f.has("targetPercent")) {
        (true, false) => ("target", NANO),
        (false, true) => ("targetPercent", NANO / 100),
        (is_both, _) => {
            let has = if is_both { "both" } else { "neither" };
            f.reader()
                .error(
                    &place,
                    format!(
                        "an objective has one of `target` and `targetPercent`, and this has {has}"
                    ),
                )
                .help("write target: 0.999, or targetPercent: 99.9");
            return None;
        }
    };
    f.required(key, |node, reader| {
        let text = read::string(node, reader)?;
        let nano = Decimal::parse(&text).and_then(|number| number.scale(factor));
        let nano = nano.and_then(|nano| u64::try_from(nano).ok());
        let Some(nano) = nano.filter(|nano| (1..NANO.unsigned_abs()).contains(nano)) else {
            let right =
                if key == "target" { "below 1, such as 0.999" } else { "below 100, such as 99.9" };
            reader.error(node.place(), format!("{text} is no `{key}`")).help(format!(
                "it is above 0 and {right}: with nothing or everything allowed there is no budget"
            ));
            return None;
        };
        Some((percent(node.place(), nano), NANO.unsigned_abs() - nano))
    })
}

/// A share of 1e-9 in percent.
pub(super) fn percent(place: &Place, nano: u64) -> Node {
    let text = format!("{}.{:07}", nano / 10_000_000, nano % 10_000_000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    debug_assert!(
        nano >= NANO.unsigned_abs()
            || Decimal::parse(text).and_then(Objective::from_percent).is_some(),
        "bug: {text} is no objective"
    );
    Node::text_at(place, text)
}

/// What means nothing here is told, and left out.
fn leave_out(f: &mut Fields<'_, '_, '_>, keys: &[&'static str], why: &str) {
    for key in keys {
        if let Some(place) = f.node(key).filter(|node| !node.is_null()).map(|n| n.place().clone()) {
            f.reader().warning(&place, format!("`{key}` is left out")).help(why);
        }
    }
}

/// `Some(None)` if there are none.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether they could be read, the inner one whether there are any"
)]
fn read_slices(f: &mut Fields<'_, '_, '_>, method: Option<Method>) -> Option<Option<(Node, Node)>> {
    match method? {
        Method::Occurrences => {
            leave_out(
                f,
                &["timeSliceTarget", "timeSliceWindow"],
                "they are for budgetingMethod: Timeslices",
            );
            Some(None)
        }
        _ => {
            let target = f.required("timeSliceTarget", read_slice_target);
            let length = f.required("timeSliceWindow", read_slice_length);
            Some(Some((length?, target?)))
        }
    }
}

fn read_slice_target(node: &Node, reader: &mut Reader<'_>) -> Option<Node> {
    let text = read::string(node, reader)?;
    let nano = Decimal::parse(&text).and_then(|number| number.scale(NANO));
    let nano = nano.and_then(|nano| u64::try_from(nano).ok());
    let nano = nano.filter(|nano| (1..=NANO.unsigned_abs()).contains(nano));
    if nano.is_none() {
        reader
            .error(node.place(), format!("{text} is no `timeSliceTarget`"))
            .help("it is above 0 and at most 1, such as 0.95");
    }
    Some(percent(node.place(), nano?))
}

/// A number of minutes, or a duration.
fn read_slice_length(node: &Node, reader: &mut Reader<'_>) -> Option<Node> {
    let minutes = node.as_scalar().and_then(|text| text.parse::<u32>().ok());
    if let Some(minutes) = minutes {
        return Some(Node::text_at(node.place(), format!("{minutes}m")));
    }
    let length = read_shorthand(node, reader)?;
    let Some(text) = length.fixed() else {
        reader
            .error(node.place(), format!("a slice of {} is too long", node.place().text()))
            .help("it is at most an hour long and divides a day, such as 1m or 5m");
        return None;
    };
    Some(Node::text_at(node.place(), text))
}

/// `op` and `value` as `below`.
fn read_value(f: &mut Fields<'_, '_, '_>, unit: Option<Unit>) -> Option<Node> {
    let words = [("lte", "lte"), ("lt", "lt"), ("gte", "gte"), ("gt", "gt")];
    let op = f.required("op", read::choice(&words));
    let value = f.required("value", |node, reader| read_threshold(node, unit, reader));
    let place = f.node("op").map(|node| node.place().clone());
    match (op?, place) {
        ("gte" | "gt", Some(place)) => {
            f.reader()
                .error(&place, "what is good lies at or below a value here, not above it")
                .help("write op: lte; or a `ratioMetric` with a condition over labels for `good`");
            return None;
        }
        ("lt", Some(place)) => {
            f.reader()
                .warning(&place, "`lt` is read as `lte`")
                .help("a value that is exactly the threshold is good here; write lte");
        }
        _ => {}
    }
    value
}

/// The value in the unit of its metric source, exactly.
fn read_threshold(node: &Node, unit: Option<Unit>, reader: &mut Reader<'_>) -> Option<Node> {
    let text = read::string(node, reader)?;
    let Some(number) = Decimal::parse(&text) else {
        reader.error(node.place(), format!("{text:?} is no number")).help(
            "OpenSLO has no units: name one in `spec` of the metric source, such as unit: ms",
        );
        return None;
    };
    let Some(unit) = unit.filter(|unit| *unit != Unit::None) else {
        return Some(literal(node.place(), &text));
    };
    let base = number.scale(unit.base_factor()).filter(|base| *base >= 0);
    let Some(base) = base else {
        reader
            .error(node.place(), format!("{text} {unit} is out of range"))
            .help("it is 0 or more");
        return None;
    };
    let text = match unit.dimension() {
        Dimension::Time => format!("{base}ns"),
        Dimension::Bytes => format!("{base}B"),
        Dimension::Ratio => format!("{base}e-7%"),
        Dimension::Plain => text,
    };
    Some(Node::text_at(node.place(), text))
}

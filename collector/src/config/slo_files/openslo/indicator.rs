//! An SLI: what is measured.
//!
//! Owns how good, bad and total become `where` and `good`, and the words that stand in the `spec` of our metric sources.
//! Never counts: a ratio that was computed elsewhere is refused.

use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::Scope;
use watchkeeper_model::Unit;

use super::document::read_metadata;
use super::known::Known;
use super::source::read_source;
use crate::config::slo_files::entry::literal;

/// What is measured, in our words.
#[derive(Clone, Debug)]
pub(super) struct Indicator {
    pub(super) signal: Node,
    pub(super) scope: Option<Node>,
    pub(super) good: Option<Node>,
    pub(super) measure: Measure,
}

/// What is compared.
#[derive(Clone, Debug)]
pub(super) enum Measure {
    /// Observations are good or not.
    Ratio { below: Option<Node> },
    /// Their values are, by each objective.
    Threshold { unit: Option<Unit> },
}

/// Reads an indicator that stands in an SLO: `{metadata, spec}`.
pub(super) fn read_inline(
    node: &Node,
    title: &str,
    known: &Known,
    reader: &mut Reader<'_>,
) -> Option<Indicator> {
    node.fields(reader, &["metadata", "spec"], |f| {
        f.optional("metadata", read_metadata);
        f.required("spec", |node, reader| read_spec(node, title, known, reader))
    })
}

/// Reads the `spec` of an indicator.
pub(super) fn read_spec(
    node: &Node,
    title: &str,
    known: &Known,
    reader: &mut Reader<'_>,
) -> Option<Indicator> {
    node.fields(reader, &["description", "thresholdMetric", "ratioMetric"], |f| {
        let place = f.place().clone();
        match (f.has("thresholdMetric"), f.has("ratioMetric")) {
            (true, false) => f.required("thresholdMetric", |node, reader| {
                read_threshold(&read_source(node, title, known, reader)?, reader)
            }),
            (false, true) => {
                f.required("ratioMetric", |node, reader| read_ratio(node, title, known, reader))
            }
            (is_both, _) => {
                let has = if is_both { "both" } else { "neither" };
                f.reader()
                    .error(&place, format!("{title} has {has} of `thresholdMetric` and `ratioMetric`"))
                    .help("it has one of them: `ratioMetric` for what is good or bad, `thresholdMetric` for values such as latencies");
                None
            }
        }
    })
}

fn read_threshold(spec: &Node, reader: &mut Reader<'_>) -> Option<Indicator> {
    spec.fields(reader, &["signal", "where", "good", "unit"], |f| {
        let signal = f.required("signal", read::node);
        let (scope, good) = (f.optional("where", read::node), f.optional("good", read::node));
        let n_before = f.reader().problems().n_errors();
        let unit = f.optional("unit", read::unit);
        let is_read = f.reader().problems().n_errors() == n_before;
        let measure = Measure::Threshold { unit };
        Some(Indicator { signal: signal?, scope, good, measure: is_read.then_some(measure)? })
    })
}

fn read_ratio(
    node: &Node,
    title: &str,
    known: &Known,
    reader: &mut Reader<'_>,
) -> Option<Indicator> {
    node.fields(reader, &["counter", "good", "bad", "total", "rawType", "raw"], |f| {
        f.optional("counter", read::bool);
        refuse_raw(f, title)?;
        let place = f.place().clone();
        let is_good = match (f.has("good"), f.has("bad")) {
            (true, false) => true,
            (false, true) => false,
            (is_both, _) => {
                let has = if is_both { "both" } else { "neither" };
                f.reader()
                    .error(&place, format!("{title} has {has} of `good` and `bad`"))
                    .help("a ratio has one of them, and `total`");
                return None;
            }
        };
        let part = if is_good { "good" } else { "bad" };
        let source = |node: &Node, r: &mut Reader<'_>| read_source(node, title, known, r);
        // Once a type has been refused, the others are of the same.
        let part = read_part(&f.required(part, source)?, is_good, f.reader());
        let total = f.required("total", source)?;
        let (signal, scope) = total.fields(f.reader(), &["signal", "where"], |f| {
            let signal = f.required("signal", read::node);
            let scope = f.optional("where", read::node);
            Some((signal?, scope))
        })?;
        let part = part?;
        refuse_other_signal(&signal, part.signal.as_ref(), f.reader())?;
        Some(Indicator {
            signal,
            scope,
            good: part.good,
            measure: Measure::Ratio { below: part.below },
        })
    })
}

fn refuse_raw(f: &mut Fields<'_, '_, '_>, title: &str) -> Option<()> {
    let raw = ["raw", "rawType"].into_iter().find(|key| f.has(key));
    let Some(node) = raw.and_then(|key| f.node(key)) else { return Some(()) };
    f.reader()
        .error(node.place(), format!("{title} is a ratio that was computed elsewhere (`raw`)"))
        .help("Watchkeeper counts: write `good` or `bad`, and `total`, with type: watchkeeper");
    None
}

/// The numerator.
struct Part {
    signal: Option<Node>,
    good: Option<Node>,
    below: Option<Node>,
}

fn read_part(spec: &Node, is_good: bool, reader: &mut Reader<'_>) -> Option<Part> {
    let keys: &[&'static str] =
        if is_good { &["signal", "where", "below"] } else { &["signal", "where"] };
    spec.fields(reader, keys, |f| {
        let signal = f.optional("signal", read::node);
        let below = if is_good { f.optional("below", read::node) } else { None };
        let place = f.place().clone();
        let has_some = f.node("where").is_some() || below.is_some();
        if !has_some {
            let (message, help) = if is_good {
                (
                    "`good` needs `where`, `below` or both: without them everything is good",
                    "such as where: 'int(status) < 500', or below: 200ms",
                )
            } else {
                (
                    "`bad` needs `where`: without it everything is bad",
                    "such as where: 'int(status) >= 500'",
                )
            };
            f.reader().error(&place, message).help(help);
            return None;
        }
        let good = if is_good {
            f.optional("where", read::node)
        } else {
            Some(f.optional("where", negated)?)
        };
        Some(Part { signal, good, below })
    })
}

/// What is good where this says what is bad. Checked as it is written, so that problems have their places.
fn negated(node: &Node, reader: &mut Reader<'_>) -> Option<Node> {
    let condition = read::condition(Scope::Labels)(node, reader)?;
    let text = condition.text().trim();
    if text.is_empty() {
        reader.error(node.place(), "`where` is empty: everything would be bad");
        return None;
    }
    // A comment would hide the bracket.
    let end = if text.contains("//") { "\n" } else { "" };
    Some(literal(node.place(), &format!("!({text}{end})")))
}

fn refuse_other_signal(total: &Node, part: Option<&Node>, reader: &mut Reader<'_>) -> Option<()> {
    let Some(part) = part else { return Some(()) };
    let name = read::located(read::string);
    let (total, part): (Located<String>, Located<String>) =
        (name(total, reader)?, name(part, reader)?);
    if total.value == part.value {
        return Some(());
    }
    reader
        .error(&part.place, format!("the signal {:?} is not the one of `total`, {:?}", part.value, total.value))
        .help("what is good is a part of what is counted: write the same signal, or leave it out here");
    None
}

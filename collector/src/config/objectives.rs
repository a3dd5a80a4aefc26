//! Rules, and what they have in common with SLOs.
//!
//! Owns their schema and the checks that need more than one field: an unknown statistic or a value of the wrong kind is an
//! error.

use std::time::Duration;

use watchkeeper_collector_core::alert::RuleSettings;
use watchkeeper_collector_core::series::{Filter, Op, Stat, Threshold};
use watchkeeper_collector_core::slo::SloSettings;
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::Scope;
use watchkeeper_model::names::{RESERVED_LABELS, is_label_name};
use watchkeeper_model::{Decimal, Dimension, Labels};

const MAX_OVER: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn read_rule(node: &Node, reader: &mut Reader<'_>) -> Option<Located<RuleSettings>> {
    let keys = [
        "name",
        "service",
        "signal",
        "where",
        "good",
        "stat",
        "of",
        "over",
        "op",
        "value",
        "for",
        "keep_firing_for",
        "by",
        "min_events",
        "labels",
        "annotations",
    ];
    node.fields(reader, &keys, |f| {
        let name = f.required("name", read_name);
        let service = f.required("service", read::service);
        let signal = f.required("signal", read::label_name);
        let scope = f.or("where", Filter::all(), read_filter);
        let good = f.or("good", Filter::all(), read_filter);
        let stat = f.required("stat", read_stat);
        let of = f.optional("of", read_by);
        let over = f.required("over", read::duration_in(Duration::from_secs(1)..=MAX_OVER));
        let op = f.or("op", None, |n, r| read_op(n, r).map(Some));
        let value = f.optional("value", read_threshold);
        let wait = f.or("for", Duration::ZERO, read::duration);
        let keep = f.or("keep_firing_for", Duration::ZERO, read::duration);
        let by = f.or("by", Vec::new(), read::list_of(read_by));
        let min_events = f.or("min_events", 1, read::integer(0..=1_000_000_000));
        // A rule's severity is its own word; an SLO's comes from its tier.
        let labels = f.or("labels", Labels::default(), |n, r| read_labels(n, r, &["severity"]));
        let annotations = f.or("annotations", Labels::default(), read_annotations);
        let (stat, over) = (stat?, over?);
        let (op, value) = comparison(f, stat, op, value)?;
        if stat == Stat::BadRatio && f.node("good").is_none() {
            let place = f.place().clone();
            f.reader()
                .error(&place, "stat bad_ratio needs `good`: without it nothing is bad")
                .help("write good: 'int(status) < 500'");
        }
        check_of(f, stat);
        let value = RuleSettings {
            name: name?,
            service: service?,
            signal: signal?,
            scope,
            good,
            stat,
            of: of.unwrap_or_default(),
            over,
            op,
            value,
            wait,
            keep,
            by,
            min_events: min_events.unsigned_abs(),
            labels,
            annotations,
        };
        Some(Located { value, place: f.place().clone() })
    })
}

/// `distinct` counts the values of one label, and nothing else names one.
fn check_of(f: &mut Fields<'_, '_, '_>, stat: Stat) {
    let place = f.place().clone();
    match (stat, f.node("of").map(|node| node.place().clone())) {
        (Stat::Distinct, None) => {
            f.reader()
                .error(&place, "stat distinct needs `of`: the label whose values are counted")
                .help("write of: region");
        }
        (Stat::Distinct, Some(_)) | (_, None) => {}
        (stat, Some(place)) => {
            let problem = f.reader().error(&place, format!("`of` means nothing to stat {stat}"));
            problem.help("it is for stat: distinct");
        }
    }
}

/// `absent` compares with nothing; everything else needs both sides.
fn comparison(
    f: &mut Fields<'_, '_, '_>,
    stat: Stat,
    op: Option<Op>,
    value: Option<Threshold>,
) -> Option<(Op, Threshold)> {
    if stat == Stat::Absent {
        return Some((
            op.unwrap_or(Op::Greater),
            value.unwrap_or(Threshold::Bare(Decimal::from_int(0))),
        ));
    }
    for (key, given) in [("op", f.has("op")), ("value", f.has("value"))] {
        if !given {
            let place = f.place().clone();
            f.reader().error(&place, format!("`{key}` is missing")).help(
                "a rule compares its statistic with a value, such as op: '>' and value: 200ms",
            );
        }
    }
    // What was given and could not be read has been reported.
    let (op, value) = (op?, value?);
    let fits = match (stat.dimension(Dimension::Plain), value) {
        (_, Threshold::Bare(_)) => true,
        // A rate or count is a plain number whatever the signal measures.
        (Dimension::Plain, Threshold::Base { .. }) => {
            !matches!(stat, Stat::Rate | Stat::Count | Stat::Distinct)
        }
        (wanted, Threshold::Base { dimension, .. }) => wanted == dimension,
    };
    if !fits {
        let place = f.node("value").map_or_else(|| f.place().clone(), |n| n.place().clone());
        let wanted = stat.dimension(Dimension::Plain).noun();
        f.reader().error(&place, format!("stat {stat} is compared with {wanted}"));
        return None;
    }
    Some((op, value))
}

pub(super) fn read_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    if (1..=200).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Some(name);
    }
    reader.error(node.place(), "a name has 1 to 200 printable characters");
    None
}

pub(super) fn read_filter(node: &Node, reader: &mut Reader<'_>) -> Option<Filter> {
    // Checked here with positions; compiled again by the core, which takes text.
    let condition = read::condition(Scope::Labels)(node, reader)?;
    Filter::compile(condition.text()).ok()
}

pub(super) fn read_threshold(node: &Node, reader: &mut Reader<'_>) -> Option<Threshold> {
    let quantity = read::quantity(node, reader)?;
    let threshold = match quantity.dimension() {
        Some(dimension) => {
            quantity.to_base(dimension).ok().map(|base| Threshold::base(base, dimension))
        }
        None => Decimal::parse(quantity.text()).map(Threshold::Bare),
    };
    if threshold.is_none() {
        reader.error(node.place(), format!("{} is out of range", quantity.text()));
    }
    threshold
}

fn read_stat(node: &Node, reader: &mut Reader<'_>) -> Option<Stat> {
    let text = read::string(node, reader)?;
    let stat = Stat::parse(&text);
    if stat.is_none() {
        reader
            .error(node.place(), format!("{text:?} is no statistic"))
            .help("one of rate, count, sum, avg, min, max, last, p50 … p99.9, bad_ratio, distinct, absent");
    }
    stat
}

fn read_op(node: &Node, reader: &mut Reader<'_>) -> Option<Op> {
    let text = read::string(node, reader)?;
    let op = Op::parse(&text);
    if op.is_none() {
        reader
            .error(node.place(), format!("{text:?} is no comparison"))
            .help("one of '>', '>=', '<', '<=', '==', '!='");
    }
    op
}

/// A label to group by; the reserved ones `agent` and `service` may be among them.
fn read_by(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    match node.as_scalar() {
        Some(name @ ("agent" | "service")) => Some(name.to_owned()),
        _ => read::label_name(node, reader),
    }
}

/// Annotations are labels in form; any text may be their value.
pub(super) fn read_annotations(node: &Node, reader: &mut Reader<'_>) -> Option<Labels> {
    let pairs = read::map_of(read::text)(node, reader)?;
    Some(pairs.into_iter().map(|(name, value)| (name.value, value)).collect())
}

/// Labels of alerts: those that Watchkeeper sets itself are refused, but for the ones `allowed`.
pub(super) fn read_labels(
    node: &Node,
    reader: &mut Reader<'_>,
    allowed: &[&str],
) -> Option<Labels> {
    let pairs = read::map_of(read::text)(node, reader)?;
    for (name, _) in &pairs {
        let reserved = RESERVED_LABELS.contains(&name.value.as_str())
            && !allowed.contains(&name.value.as_str());
        if reserved {
            reader
                .error(&name.place, format!("the label {:?} is set by Watchkeeper", name.value))
                .help("choose another name");
        } else if !is_label_name(&name.value) {
            reader
                .error(&name.place, format!("{:?} is no name of a label", name.value))
                .help("letters, digits and _, not beginning with a digit");
        }
    }
    Some(pairs.into_iter().map(|(name, value)| (name.value, value)).collect())
}

pub(super) fn refuse_same_names(
    slos: &[Located<SloSettings>],
    rules: &[Located<RuleSettings>],
    reader: &mut Reader<'_>,
) {
    let named =
        slos.iter().map(|s| (&s.name, &s.place)).chain(rules.iter().map(|r| (&r.name, &r.place)));
    let mut seen = Vec::new();
    for (name, place) in named {
        if seen.contains(&name) {
            reader
                .error(place, format!("another SLO or rule is called {name:?} too"))
                .help("names are the `alertname` of their alerts and must differ");
        }
        seen.push(name);
    }
}

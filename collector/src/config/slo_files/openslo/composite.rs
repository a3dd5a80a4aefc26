//! Composite SLOs: objectives with indicators of their own.
//!
//! Owns how rates of burning add up. OpenSLO has a composite burn at the sum of the rates of its objectives, each times its
//! weight. Ours burns at the weighted mean of bad ratios, over what it allows itself. With the weights `w ÷ (1 − target)`
//! and `1 ÷ (sum of these weights)` allowed, both are the same number.

use watchkeeper_config::{Entry, Fields, Node, Reader, read};
use watchkeeper_model::Decimal;

use super::known::Known;
use super::objective::{Method, Target, percent, read_objective};
use super::slo::{Common, read_indicator};
use crate::config::slo_files::entry::{entry, literal};

const NANO: f64 = 1e9;

/// An objective with its indicator, an SLO of its own, and how much it weighs in the whole.
struct Part {
    target: Target,
    name: String,
    slo: Node,
    weight: f64,
}

/// The parts, and the whole of them.
pub(super) fn translate(
    f: &mut Fields<'_, '_, '_>,
    objectives: &[Node],
    method: Option<Method>,
    common: Option<Common>,
    (title, known): (&str, &Known),
) -> Option<Vec<Node>> {
    for key in ["indicator", "indicatorRef"] {
        if let Some(place) = f.node(key).filter(|n| !n.is_null()).map(|n| n.place().clone()) {
            f.reader()
                .error(&place, format!("`{key}` stands beside objectives that have their own"))
                .help("move it into the objectives that have none");
        }
    }
    if let (Some(Method::Timeslices), Some(node)) = (method, f.node("budgetingMethod")) {
        let place = node.place().clone();
        f.reader()
            .error(
                &place,
                format!("{title} is a composite by slices, which Watchkeeper does not know"),
            )
            .help("write budgetingMethod: Occurrences, or an SLO for each of its objectives");
    }
    let read = |node: &Node, reader: &mut Reader<'_>| {
        let weight = read_weight(node, reader);
        let indicator = read_indicator(node, title, known, reader);
        let target = read_objective(node, method, indicator.as_ref(), reader);
        let (common, target) = (common.as_ref()?, target?);
        let slo = common.counted(&target, &indicator?, false).finish();
        Some(Part { name: common.part_name(&target), target, slo, weight: weight? })
    };
    let parts: Vec<Option<Part>> = objectives.iter().map(|node| read(node, f.reader())).collect();
    let parts: Vec<Part> = parts.into_iter().collect::<Option<_>>()?;
    let whole = whole(common.as_ref()?, &parts, f.reader())?;
    Some(parts.into_iter().map(|part| part.slo).chain([whole]).collect())
}

fn whole(common: &Common, parts: &[Part], reader: &mut Reader<'_>) -> Option<Node> {
    let weights: Vec<f64> =
        parts.iter().map(|part| part.weight * NANO / part.target.allowed_nano as f64).collect();
    let allowed_nano = (NANO / weights.iter().sum::<f64>()).round();
    if !(1.0..NANO).contains(&allowed_nano) {
        let message = "the weights of this composite leave no objective between 0 and 100 percent";
        reader
            .error(common.place(), message)
            .help("a composite burns at the sum of its objectives' rates, each times its weight: write weights around 1");
        return None;
    }
    let most = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let place = common.place();
    let items = parts.iter().zip(&weights).map(|(part, weight)| {
        let place = &part.target.place;
        let entries: Vec<Entry> = vec![
            entry("slo", literal(place, &part.name)),
            entry("weight", Node::text_at(place, format!("{}", weight / most))),
        ];
        Node::map_at(place, entries)
    });
    let items = Node::list_at(place, items.collect());
    let mut slo = common.whole();
    // In range, so whole and positive.
    let target_nano = 1_000_000_000 - allowed_nano as u64;
    slo.say("composite", items).say("objective", percent(place, target_nano));
    Some(slo.finish())
}

/// `compositeWeight`, 1 if nothing is said.
fn read_weight(objective: &Node, reader: &mut Reader<'_>) -> Option<f64> {
    let Some(node) = objective.get("compositeWeight").filter(|node| !node.is_null()) else {
        return Some(1.0);
    };
    let text = read::string(node, reader)?;
    let weight = Decimal::parse(&text).map(Decimal::to_f64);
    let weight = weight.filter(|weight| *weight > 0.0 && *weight <= 1e6);
    if weight.is_none() {
        reader
            .error(node.place(), format!("{text} is no weight"))
            .help("a weight is a number above 0, at most 1000000, such as 2 or 0.5");
    }
    weight
}

//! Composite SLOs: what they may say, and whether their parts are there.
//!
//! Owns the check of names, which needs all SLOs: a part is an SLO with a signal of its own.

use watchkeeper_collector_core::slo::{Component, Method, SloSettings};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::Decimal;

/// What a composite has not, for its parts have it.
const OF_PARTS: [&str; 8] =
    ["signal", "where", "good", "below", "objectives", "method", "slice", "slice_objective"];

/// The parts, with what they count left open: see [`resolve`].
pub(super) fn read_parts(f: &mut Fields<'_, '_, '_>) -> Option<Vec<Component>> {
    for key in OF_PARTS {
        if let Some(node) = f.node(key) {
            let place = node.place().clone();
            f.reader()
                .error(&place, format!("`{key}` stands beside `composite`"))
                .help("a composite is judged by what its parts count: it belongs into them");
        }
    }
    f.optional("composite", read::non_empty(read_part))
}

fn read_part(node: &Node, reader: &mut Reader<'_>) -> Option<Component> {
    node.fields(reader, &["slo", "weight"], |f| {
        let slo = f.required("slo", read::string);
        let n_before = f.reader().problems().n_errors();
        let weight = f.or("weight", 1.0, read_weight);
        let is_read = f.reader().problems().n_errors() == n_before;
        let (definition, method) = (0, Method::Occurrences);
        Some(Component { slo: slo?, weight: is_read.then_some(weight)?, definition, method })
    })
}

fn read_weight(node: &Node, reader: &mut Reader<'_>) -> Option<f64> {
    let text = read::string(node, reader)?;
    let weight = Decimal::parse(&text).map(|weight| weight.to_f64());
    let weight = weight.filter(|weight| *weight > 0.0 && *weight <= 1e6);
    if weight.is_none() {
        reader
            .error(node.place(), format!("{text} is no weight"))
            .help("a weight is a number above 0, at most 1000000, such as 2 or 0.5");
    }
    weight
}

/// Finds the parts of composites among all SLOs.
pub(super) fn resolve(slos: &mut [Located<SloSettings>], reader: &mut Reader<'_>) {
    let known: Vec<SloSettings> = slos.iter().map(|slo| slo.value.clone()).collect();
    for slo in slos.iter_mut() {
        let mut seen: Vec<String> = Vec::new();
        for part in &mut slo.value.composite {
            if seen.contains(&part.slo) {
                reader
                    .error(&slo.place, format!("{:?} is a part twice", part.slo))
                    .help("give it the weight of both");
            }
            seen.push(part.slo.clone());
            match known.iter().find(|slo| slo.name == part.slo) {
                Some(found) if found.composite.is_empty() => {
                    (part.definition, part.method) = (found.definition(), found.method);
                }
                Some(_) => {
                    reader
                        .error(&slo.place, format!("{:?} is a composite itself", part.slo))
                        .help("name its parts instead");
                }
                None => {
                    let names = known.iter().map(|slo| slo.name.as_str());
                    let near = closest(&part.slo, names);
                    let meant =
                        near.map_or_else(String::new, |near| format!("did you mean {near}?"));
                    reader.error(&slo.place, format!("no SLO is named {:?}", part.slo)).help(meant);
                }
            }
        }
    }
}

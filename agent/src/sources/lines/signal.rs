//! `signals:`, what of a line is counted and measured.
//!
//! Owns the keys of one signal.

use watchkeeper_agent_core::observe::{DEFAULT_MAX_SERIES, SignalSettings, ValueField};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::Condition;
use watchkeeper_model::Unit;
use watchkeeper_model::names::{RESERVED_LABELS, is_label_name};

use super::known::Known;
use super::name::read_name;

/// Reads one signal.
pub(super) fn read_signal(
    node: &Node,
    reader: &mut Reader<'_>,
    known: &Known,
) -> Option<Located<SignalSettings>> {
    let keys = ["name", "value", "labels", "where", "bounds", "max_series"];
    let signal = node.fields(reader, &keys, |f| {
        let name = f.required("name", read_name);
        let value = f.optional("value", |node, reader| read_value(node, reader, known));
        let labels = f.optional("labels", |node, reader| read_labels(node, reader, known));
        let has_labels = f.has("labels");
        let filter = f.or("where", Condition::always(), read::condition(known.scope()));
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

fn read_value(node: &Node, reader: &mut Reader<'_>, known: &Known) -> Option<ValueField> {
    node.fields(reader, &["field", "unit"], |f| {
        let field = f.required("field", |node, reader| known.field(node, reader));
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
fn read_labels(
    node: &Node,
    reader: &mut Reader<'_>,
    known: &Known,
) -> Option<Vec<(String, String)>> {
    let field = |node: &Node, reader: &mut Reader<'_>| known.field(node, reader);
    let pairs = read::map_of(field)(node, reader)?;
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

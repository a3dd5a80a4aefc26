//! Whatever stands in a file, it is read or refused.

use proptest::prelude::*;

use super::sloth::SLOTH;
use super::texts::{RATIO, ROLLING, VALUES, of_others, slo, usual};

/// Keys and values that mean something somewhere, in any shape.
fn any_node() -> impl Strategy<Value = String> {
    let words = "apiVersion|kind|metadata|spec|name|displayName|labels|annotations|service|indicator|indicatorRef|timeWindow|duration|\
        isRolling|calendar|startTime|timeZone|budgetingMethod|objectives|target|targetPercent|op|value|timeSliceTarget|timeSliceWindow|\
        compositeWeight|ratioMetric|thresholdMetric|metricSource|type|good|bad|total|signal|where|below|unit|version|slos|sli|plugin|id|\
        options|alerting|page_alert|ticket_alert|disable|objective|alertPolicies|watchkeeper/min_events";
    let keys: Vec<String> = words.split('|').map(|word| word.trim().to_owned()).collect();
    let values = "openslo/v1|SLO|SLI|Service|DataSource|prometheus/v1|watchkeeper|web|0.9|99|1m|1M|30d|é|1é|-1|1e999|true|false|~|''|\
        lte|lt|gt|Occurrences|Timeslices|'${X}'|'{{ x }}'|\"a == 'b'\"|2026-01-01 00:00:00|UTC|'1'|ms";
    let values: Vec<String> = values.split('|').map(|word| word.trim().to_owned()).collect();
    let leaf = proptest::sample::select(values);
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let key = proptest::sample::select(keys.clone());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map(key, inner, 0..8).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

/// A sound text with one of its values replaced.
fn any_damage() -> impl Strategy<Value = String> {
    let composite = usual("objectives: [{target: 0.9, compositeWeight: 2, indicatorRef: x}]");
    let calendar = slo(
        "web",
        RATIO,
        "timeWindow: [{duration: 1M, calendar: {startTime: 2026-01-01 00:00:00, timeZone: UTC}}]\nbudgetingMethod: Timeslices\nobjectives: [{target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 1m}]",
    );
    let values =
        slo("web", VALUES, &format!("{ROLLING}objectives: [{{target: 0.9, op: lte, value: 3}}]"));
    let texts = [composite, calendar, values, SLOTH.to_owned()];
    (proptest::sample::select(texts.to_vec()), any::<prop::sample::Index>(), any_node()).prop_map(
        |(text, at, node)| {
            let places: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
            let start = places[at.index(places.len())];
            let len = text[start..].find([',', '}', '\n', ']']).unwrap_or(0);
            format!("{}{node}{}", &text[..start], &text[start + len..])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_nodes_are_slos_or_problems_and_never_a_panic(
        nodes in proptest::collection::vec(any_node(), 0..3),
        heads in proptest::collection::vec(0..3_usize, 3),
        is_whole: bool,
    ) {
        let head = ["", "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: ", "version: prometheus/v1\nservice: a\nslos: "];
        let texts: Vec<String> = nodes.iter().zip(heads).map(|(n, h)| format!("{}{n}\n", head[h])).collect();
        of_others(&texts.join("---\n"), is_whole);
    }

    #[test]
    fn a_damaged_file_is_told_and_never_a_panic(text in any_damage(), is_whole: bool) {
        of_others(&text, is_whole);
    }
}

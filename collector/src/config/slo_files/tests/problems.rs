//! What is wrong in OpenSLO is told with place and help.

use super::texts::{RATIO, ROLLING, VALUES, of_others, say, slo, usual};

#[test]
fn documents_that_are_wrong_are_told_with_place_and_help() {
    let one = "objectives: [{target: 0.9}]";
    say(&[
        (
            usual(one).replace("openslo/v1", "openslo/v1alpha"),
            "1:13: error: apiVersion \"openslo/v1alpha\" is not read",
        ),
        (usual(one).replace("openslo/v1", "sloth.slok.dev/v1"), "Sloth's form for Kubernetes"),
        (
            usual(one).replace("kind: SLO", "kind: SLOs"),
            "2:7: error: `SLOs` is not one of the words valid here (did you mean `SLO`?",
        ),
        (usual(one).replace("  service: shop\n", ""), "`service` is missing"),
        (
            usual(one).replace("shop", "Shop.Front"),
            "5:12: error: `Shop.Front` is no service (1 to 63 of a–z",
        ),
        (
            usual(one).replace("  service", "  sevice"),
            "unknown key `sevice` (did you mean `service`?",
        ),
        (
            usual(one).replace("{name: web}", "{nam: web}"),
            "unknown key `nam` (did you mean `name`?",
        ),
        (
            usual(one)
                .replace("{name: web}", "{name: web, annotations: {watchkeeper/min_event: 3}}"),
            "unknown annotation \"watchkeeper/min_event\" (did you mean watchkeeper/min_events?",
        ),
        (format!("{}---\n{}", usual(one), usual(one)), "another SLO or rule is called \"web\" too"),
        ("version: '3'".to_owned(), "neither OpenSLO's nor Sloth's"),
        ("a: 1".to_owned(), "1:1: error: this document is neither OpenSLO's nor Sloth's"),
    ]);
}

#[test]
fn times_that_are_none_of_ours_are_told_with_place_and_help() {
    let one = "objectives: [{target: 0.9}]";
    let windowed = |window: &str| {
        slo("web", RATIO, &format!("timeWindow: {window}\nbudgetingMethod: Occurrences\n{one}"))
    };
    say(&[
        (windowed("[]"), "7:15: error: `timeWindow` has exactly one window, and this has 0"),
        (windowed("[{duration: 1d}, {duration: 2d}]"), "and this has 2"),
        (
            windowed("[{duration: 1M}]"),
            "7:27: error: 1M are no rolling window: their lengths differ (write days",
        ),
        (
            windowed("[{duration: 5m}]"),
            "7:27: warning: 5m is a window of minutes (m are minutes; a month is 1M",
        ),
        (windowed("[{duration: 30 d}]"), "\"30 d\" is no duration of OpenSLO"),
        (windowed("[{duration: 1h30m}]"), "\"1h30m\" is no duration of OpenSLO"),
        (windowed("[{duration: 0d}]"), "\"0d\" is no duration of OpenSLO"),
        (windowed("[{duration: 9999999999999d}]"), "is no duration of OpenSLO"),
        (windowed("[{duration: 500d}]"), "7:27: error: `500d` is out of range"),
        (
            windowed("[{duration: 30d, isRolling: false}]"),
            "`calendar` is missing: the window does not roll",
        ),
        (
            windowed(
                "[{duration: 1M, isRolling: true, calendar: {startTime: 2026-01-01 00:00:00, timeZone: UTC}}]",
            ),
            "rolling or has a `calendar`, not both",
        ),
        (
            windowed("[{duration: 2M, calendar: {startTime: 2026-01-01 00:00:00, timeZone: UTC}}]"),
            "a calendar has no periods of 2M",
        ),
        (
            windowed("[{duration: 1M, calendar: {startTime: 2026-01-02 00:00:00, timeZone: UTC}}]"),
            "no month begins at 2026-01-02 00:00:00 (here it begins on the first of a month",
        ),
        (
            windowed("[{duration: 1Q, calendar: {startTime: 2026-02-01 00:00:00, timeZone: UTC}}]"),
            "no quarter begins at",
        ),
        (
            windowed("[{duration: 1M, calendar: {startTime: January, timeZone: UTC}}]"),
            "\"January\" is no time of a calendar",
        ),
        (
            windowed(
                "[{duration: 1M, calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berln}}]",
            ),
            "there is no time zone \"Europe/Berln\" (did you mean Europe/Berlin?",
        ),
        (
            windowed("[{duration: 1M, calendar: {startTime: 2026-01-01 00:00:00}}]"),
            "`timeZone` is missing",
        ),
    ]);
}

#[test]
fn objectives_that_are_wrong_are_told_with_place_and_help() {
    let valued =
        |objective: &str| slo("web", VALUES, &format!("{ROLLING}objectives: [{objective}]"));
    let sliced = |keys: &str| {
        usual(&format!("objectives: [{{target: 0.9, {keys}}}]"))
            .replace("Occurrences", "Timeslices")
    };
    say(&[
        (usual("objectives: []"), "the list is empty"),
        (usual("objectives: [{}]"), "one of `target` and `targetPercent`, and this has neither"),
        (usual("objectives: [{target: 0.9, targetPercent: 90}]"), "and this has both"),
        (
            usual("objectives: [{target: 99.9}]"),
            "99.9 is no `target` (it is above 0 and below 1, such as 0.999",
        ),
        (usual("objectives: [{target: 0}]"), "0 is no `target`"),
        (usual("objectives: [{target: 1.0}]"), "1.0 is no `target`"),
        (usual("objectives: [{targetPercent: 100}]"), "100 is no `targetPercent`"),
        (usual("objectives: [{target: most}]"), "most is no `target`"),
        (
            usual("objectives: [{target: 0.9, op: lte, value: 3}]"),
            "warning: `op` is left out (a `ratioMetric` compares nothing",
        ),
        (
            usual("objectives: [{target: 0.9, compositeWeight: 2}]"),
            "warning: `compositeWeight` is left out",
        ),
        (
            usual("objectives: [{target: 0.9, timeSliceTarget: 0.9}]"),
            "warning: `timeSliceTarget` is left out",
        ),
        (
            usual("objectives: [{target: 0.9}, {target: 0.9}]"),
            "another SLO or rule is called \"web-90\" too",
        ),
        (usual("objectives: [{targt: 0.9}]"), "unknown key `targt` (did you mean `target`?"),
        (sliced("timeSliceWindow: 1m"), "`timeSliceTarget` is missing"),
        (sliced("timeSliceWindow: 1m, timeSliceTarget: 95"), "95 is no `timeSliceTarget`"),
        (sliced("timeSliceWindow: 7m, timeSliceTarget: 0.9"), "a slice of 7m does not fit"),
        (sliced("timeSliceWindow: 1M, timeSliceTarget: 0.9"), "a slice of 1M is too long"),
        (valued("{target: 0.9, op: gte, value: 1}"), "what is good lies at or below a value here"),
        (valued("{target: 0.9, op: lt, value: 1}"), "warning: `lt` is read as `lte`"),
        (valued("{target: 0.9, op: lte}"), "`value` is missing"),
        (valued("{target: 0.9, value: 1}"), "`op` is missing"),
        (
            valued("{target: 0.9, op: lte, value: 200ms}"),
            "\"200ms\" is no number (OpenSLO has no units",
        ),
        (valued("{target: 0.9, op: lte, value: -1}"), "-1 ms is out of range"),
    ]);
}

#[test]
fn indicators_that_are_not_ours_are_told_with_place_and_help() {
    let one = "objectives: [{target: 0.9}]";
    let indicated = |sli: &str| slo("web", sli, &format!("{ROLLING}{one}"));
    let source = |spec: &str| format!("{{metricSource: {{type: watchkeeper, spec: {spec}}}}}");
    say(&[
        (indicated(""), "SLO \"web\" has neither of `thresholdMetric` and `ratioMetric`"),
        (indicated(&format!("{RATIO}, {VALUES}")), "has both of `thresholdMetric` and `ratioMetric`"),
        (indicated("thresholdMetric: {metricSource: {spec: {signal: x}}}"), "`type` is missing (write type: watchkeeper"),
        (indicated("thresholdMetric: {metricSource: {metricSourceRef: x, spec: {signal: x}}}"), "no DataSource is named \"x\""),
        (indicated("thresholdMetric: {metricSource: {type: watchkeeper}}"), "`spec` is missing"),
        (indicated(&format!("thresholdMetric: {}", source("{signal: x, query: y}"))), "unknown key `query` (valid keys are signal, where, good, unit"),
        (indicated(&format!("thresholdMetric: {}", source("{signal: x, unit: sec}"))), "`sec` is not one of the words valid here"),
        (indicated(&RATIO.replace("good:", "bad: {}, good:")), "SLO \"web\" has both of `good` and `bad`"),
        (indicated(&RATIO.replace("good:", "rawType: success, good:")), "SLO \"web\" is a ratio that was computed elsewhere (`raw`)"),
        (indicated(&format!("ratioMetric: {{good: {}}}", source("{where: 'a == \"b\"'}"))), "`total` is missing"),
        (indicated(&format!("ratioMetric: {{good: {}, total: {}}}", source("{signal: a}"), source("{signal: a}"))), "`good` needs `where`, `below` or both"),
        (indicated(&format!("ratioMetric: {{bad: {}, total: {}}}", source("{}"), source("{signal: a}"))), "`bad` needs `where`"),
        (indicated(&format!("ratioMetric: {{bad: {}, total: {}}}", source("{where: ''}"), source("{signal: a}"))), "`where` is empty"),
        (indicated(&format!("ratioMetric: {{bad: {}, total: {}}}", source("{where: 'a ='}"), source("{signal: a}"))), "6:"),
        (indicated(&RATIO.replace("spec: {where", "spec: {signal: other, where")), "the signal \"other\" is not the one of `total`, \"requests\""),
        (usual(one).replace("  indicator:", "  indicatorRef: x\n  indicator:"), "SLO \"web\" has both of `indicator` and `indicatorRef`"),
        (usual(one).replace("  indicator: {spec: {", "  description: {spec: {"), "has neither of `indicator` and `indicatorRef`"),
        (
            usual(one).replace("  indicator: {spec: {", "  indicatorRef: web-sl\n  description: x #")
                + "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {name: web-sli}\nspec: {"
                + RATIO
                + "}\n",
            "6:17: error: no SLI is named \"web-sl\" (did you mean web-sli?)",
        ),
        (
            "apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: a}\nspec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: up}}}}".to_owned(),
            "4:47: error: SLI \"a\" asks a metric source of the type \"Prometheus\" (Watchkeeper counts what its agents send",
        ),
        (
            usual(one) + "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: shops}\nspec: {}\n",
            "5:12: warning: no Service is named \"shop\" (did you mean shops?)",
        ),
        (
            "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n".to_owned(),
            "8:18: error: there are two of Service \"a\"",
        ),
        (usual(one).replace("{name: web}", "{name: web, annotations: {summary: '{{ nothing }}'}}"), "3:50: error: `nothing`"),
    ]);
}

#[test]
fn a_file_by_itself_may_refer_to_others() {
    let text = usual("objectives: [{target: 0.9}]");
    let text =
        text.replace("  indicator: {spec: {", "  indicatorRef: elsewhere\n  description: x #");
    let (slos, problems) = of_others(&text, false);
    assert!(slos.is_empty());
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("6:17: warning: no SLI is named \"elsewhere\" in this file"));
}

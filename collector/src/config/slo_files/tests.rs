//! What becomes of SLO files of others: the same settings as of files of our own, or problems that say where and why.

use proptest::prelude::*;
use watchkeeper_collector_core::slo::SloSettings;
use watchkeeper_config::{ProcessEnv, Reader, documents_str, load_str};

use super::format::translate;
use crate::config::{annotations, check_slo_file, composites, load_settings, objectives, slos};

/// The SLOs of a text, and its problems as `line:column: severity: message (help)`.
fn of_others(text: &str, is_whole: bool) -> (Vec<SloSettings>, Vec<String>) {
    let mut reader = Reader::new(&ProcessEnv);
    let documents = documents_str("slos.yaml", text, &mut reader).unwrap_or_default();
    let entries = translate(&documents, is_whole, &mut reader);
    let mut slos: Vec<_> =
        entries.iter().filter_map(|e| slos::read_slo(e, &mut reader)).flatten().collect();
    composites::resolve(&mut slos, &mut reader);
    objectives::refuse_same_names(&slos, &[], &mut reader);
    annotations::check_slos(&entries, &slos, &mut reader);
    let problems = match reader.finish(Some(())) {
        Ok((_, problems)) | Err(problems) => problems,
    };
    let words = problems.report().into_iter().map(|p| {
        let severity = format!("{:?}", p.severity).to_lowercase();
        format!("{}:{}: {severity}: {} ({})", p.line, p.column, p.message, p.help)
    });
    (slos.into_iter().map(|slo| slo.value).collect(), words.collect())
}

/// The SLOs of a file of our own.
fn of_ours(text: &str) -> Vec<SloSettings> {
    let mut reader = Reader::new(&ProcessEnv);
    let settings = load_str("c.yaml", text, &mut reader)
        .and_then(|document| crate::config::read(&document, &mut reader, false));
    match reader.finish(settings) {
        Ok((settings, _)) => settings.engine.slos.clone(),
        Err(problems) => panic!("{}", problems.render()),
    }
}

const RATIO: &str = "ratioMetric: {counter: true, good: {metricSource: {type: watchkeeper, spec: {where: \"status == '200'\"}}}, \
    total: {metricSource: {type: watchkeeper, spec: {signal: requests, where: \"method == 'GET'\"}}}}";
const VALUES: &str =
    "thresholdMetric: {metricSource: {type: watchkeeper, spec: {signal: requests, unit: ms}}}";

/// A document of the kind SLO; `more` are lines of its `spec`.
fn slo(name: &str, sli: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n  service: shop\n  indicator: {{spec: {{{sli}}}}}\n{more}"
    )
}

const ROLLING: &str =
    "timeWindow: [{duration: 30d, isRolling: true}]\nbudgetingMethod: Occurrences\n";

/// An SLO with a usual indicator and window and these lines more.
fn usual(more: &str) -> String {
    slo("web", RATIO, &format!("{ROLLING}{more}"))
}

#[test]
fn openslo_comes_to_what_our_own_words_come_to() {
    let ours = |keys: &str| format!("slos:\n  - {{service: shop, signal: requests, {keys}}}\n");
    let counted = "where: \"method == 'GET'\", good: \"status == '200'\"";
    let latency = |more: &str| slo("slow", VALUES, &format!("{ROLLING}{more}"));
    let sliced = |times: &str| {
        format!(
            "timeWindow: [{{duration: 2w, isRolling: true}}]\nbudgetingMethod: Timeslices\nobjectives: [{{target: 0.99, {times}}}]"
        )
    };
    let along = |duration: &str, start: &str| {
        slo(
            "web",
            RATIO,
            &format!(
                "timeWindow: [{{duration: {duration}, calendar: {{startTime: {start}, timeZone: Europe/Berlin}}}}]\nbudgetingMethod: Occurrences\nobjectives: [{{target: 0.5}}]"
            ),
        )
    };
    let calendar = |unit: &str| {
        ours(&format!(
            "name: web, {counted}, objective: 50, calendar: {{unit: {unit}, zone: Europe/Berlin}}"
        ))
    };
    for (theirs, ours) in [
        (usual("objectives: [{target: 0.999}]"), ours(&format!("name: web, {counted}, objective: 99.9, window: 30d"))),
        (usual("objectives: [{targetPercent: 99.95}]"), ours(&format!("name: web, {counted}, objective: 99.95, window: 30d"))),
        (
            usual("objectives: [{displayName: Good experience!, target: 0.9}, {targetPercent: 99.5}]"),
            ours(&format!("name: web, {counted}, window: 30d, objectives: [{{name: good-experience, objective: 90}}, {{name: '99.5', objective: 99.5}}]"))
                .replace("window: 30d", "window: 30d, annotations: {}"),
        ),
        (latency("objectives: [{op: lte, value: 500, target: 0.95}]"), ours("name: slow, below: 500ms, objective: 95, window: 30d")),
        (latency("objectives: [{op: lte, value: 0.5, target: 0.95}]").replace(", unit: ms", ""), ours("name: slow, below: 0.5, objective: 95, window: 30d")),
        (latency("objectives: [{op: lte, value: 1.5, target: 0.95}]").replace("unit: ms", "unit: min"), ours("name: slow, below: 90s, objective: 95, window: 30d")),
        (latency("objectives: [{op: lte, value: 2, target: 0.95}]").replace("unit: ms", "unit: MiB"), ours("name: slow, below: 2MiB, objective: 95, window: 30d")),
        (latency("objectives: [{op: lte, value: 2.5, target: 0.95}]").replace("unit: ms", "unit: percent"), ours("name: slow, below: 2.5%, objective: 95, window: 30d")),
        (
            slo("web", RATIO, &sliced("timeSliceTarget: 0.95, timeSliceWindow: 5m")),
            ours(&format!("name: web, {counted}, objective: 99, window: 2w, method: timeslices, slice: 5m, slice_objective: 95")),
        ),
        (
            slo("slow", VALUES, &sliced("op: lte, value: 200, timeSliceTarget: 1, timeSliceWindow: 1")),
            ours("name: slow, below: 200ms, objective: 99, window: 2w, method: timeslices, slice: 1m, slice_objective: 100"),
        ),
        (along("1w", "2026-01-05 00:00:00"), calendar("week")),
        (along("1M", "2020-02-01T00:00:00"), calendar("month")),
        (along("1Q", "2026-04-01 00:00:00"), calendar("quarter")),
        (along("3M", "2026-10-01 00:00:00"), calendar("quarter")),
        (along("1Y", "'2026-01-01 00:00'"), calendar("year")),
        (
            usual("objectives: [{target: 0.9}]").replace("good:", "bad:"),
            ours("name: web, where: \"method == 'GET'\", good: \"!(status == '200')\", objective: 90, window: 30d"),
        ),
        (
            usual("objectives: [{target: 0.9}]").replace("spec: {where", "spec: {signal: requests, below: 1s, where"),
            ours(&format!("name: web, {counted}, below: 1s, objective: 90, window: 30d")),
        ),
    ] {
        let (slos, problems) = of_others(&theirs, true);
        let others: Vec<_> = problems.iter().filter(|p| !p.contains("can never fire")).collect();
        assert!(others.is_empty(), "{theirs}\n{others:#?}");
        let mut ours = of_ours(&ours);
        // What people called it goes along.
        for (slo, ours) in slos.iter().zip(&mut ours) {
            ours.annotations = slo.annotations.clone();
        }
        assert_eq!(slos, ours, "{theirs}");
    }
}

#[test]
fn names_labels_and_texts_go_along() {
    let text = "apiVersion: openslo/v1
kind: SLO
metadata:
  name: Web.Front
  displayName: The front page
  labels: {team: web, tier: [a, b], severity: high, app.kubernetes.io/name: x}
  annotations: {runbook_url: 'https://x', openslo.com/y: z, watchkeeper/min_events: '3', watchkeeper/no_data: 1h}
spec:
  description: It answers.
  service: shop
  indicatorRef: answers
  timeWindow: [{duration: 4w}]
  budgetingMethod: Occurrences
  objectives: [{displayName: A, target: 0.99}, {displayName: B, target: 0.999}]
  alertPolicies: [{alertPolicyRef: p}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: answers, displayName: Answers}
spec:
  ratioMetric:
    good: {metricSource: {metricSourceRef: wk, spec: {where: 'int(status) < 500'}}}
    total: {metricSource: {metricSourceRef: wk, spec: {signal: requests}}}
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: wk}
spec: {type: Watchkeeper, connectionDetails: {anything: [at, all]}}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, labels: {a b: c}}
spec: {description: Sells}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: p}
spec: {alertWhenBreaching: true, conditions: [{conditionRef: c}]}
";
    let (slos, problems) = of_others(text, true);
    assert_eq!(
        problems,
        [
            "6:37: warning: the label \"severity\" is left out (it is set by Watchkeeper)",
            "6:53: warning: the label \"app.kubernetes.io/name\" is left out (a name has letters, digits and _ here, and does not begin with a digit)",
            "15:18: warning: `alertPolicies` of SLO \"Web.Front\" is left out (burn rates decide when somebody is told, and `alerting` in the collector's file who)",
            "37:18: warning: AlertPolicy \"p\" is left out (burn rates decide when somebody is told, and `alerting` in the collector's file who)",
        ]
    );
    let expected = of_ours(
        "slos:
  - name: Web.Front
    service: shop
    signal: requests
    good: int(status) < 500
    window: 4w
    min_events: 3
    no_data: 1h
    labels: {team: web, tier: 'a,b'}
    annotations: {runbook_url: 'https://x', description: It answers., summary: X}
    objectives: [{name: a, objective: 99}, {name: b, objective: 99.9}]
",
    );
    let mut expected = expected;
    for (slo, title) in expected.iter_mut().zip(["The front page: A", "The front page: B"]) {
        slo.annotations = slo.annotations.with_one("summary", title);
    }
    assert_eq!(slos, expected);
}

#[test]
fn a_composite_burns_at_the_sum_of_its_objectives() {
    let part = |signal: &str, keys: &str| {
        format!(
            "  - {{displayName: {signal}, {keys}, indicator: {{spec: {{{}}}}}}}\n",
            RATIO.replace("requests", signal)
        )
    };
    let head = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: journey}\nspec:\n  service: shop\n  timeWindow: [{duration: 30d}]\n";
    let of = |method: &str, parts: &[String]| {
        format!("{head}  budgetingMethod: {method}\n  objectives:\n{}", parts.concat())
    };
    let two = [part("cart", "target: 0.99"), part("pay", "target: 0.999, compositeWeight: 2")];
    let (slos, problems) = of_others(&of("Occurrences", &two), true);
    assert_eq!(problems, [""; 0]);
    let names: Vec<&str> = slos.iter().map(|slo| slo.name.as_str()).collect();
    assert_eq!(names, ["journey-cart", "journey-pay", "journey"]);
    let whole = &slos[2];
    let weights: Vec<(&str, f64)> =
        whole.composite.iter().map(|part| (part.slo.as_str(), part.weight)).collect();
    // 1 ÷ 1 % and 2 ÷ 0.1 %.
    assert_eq!(weights, [("journey-cart", 0.05), ("journey-pay", 1.0)]);
    // Cart burns at 3 (3 % bad) and pay at 5 (0.5 % bad): together at 3 + 2 × 5.
    let mean = (0.05 * 0.03 + 1.0 * 0.005) / 1.05;
    assert!((mean / whole.objective.allowed() - 13.0).abs() < 1e-4);
    for (text, expected) in [
        (
            of(
                "Timeslices",
                &[part("cart", "target: 0.9, timeSliceTarget: 0.9, timeSliceWindow: 1m")],
            ),
            "is a composite by slices",
        ),
        (of("Occurrences", &[part("cart", "target: 0.9, compositeWeight: 0")]), "0 is no weight"),
        (
            of("Occurrences", &[part("cart", "target: 0.1, compositeWeight: 0.0001")]),
            "leave no objective between 0 and 100",
        ),
        (
            of("Occurrences", &[part("cart", "target: 0.9"), "  - {target: 0.9}\n".to_owned()]),
            "neither of `indicator` and `indicatorRef`",
        ),
        (
            of("Occurrences", &two)
                .replace("  service: shop", "  service: shop\n  indicatorRef: x"),
            "`indicatorRef` stands beside objectives",
        ),
        (of("Occurrences", &[two[0].clone(), two[0].clone()]), "is a part twice"),
    ] {
        let (_, problems) = of_others(&text, true);
        assert!(problems.iter().any(|p| p.contains(expected)), "{text}\n{expected}\n{problems:#?}");
    }
}

/// Files in the shape of the standard's own examples, whose metric sources are of the type `Any`.
#[test]
fn examples_of_the_standard_have_exactly_the_problems_they_should() {
    let any = "{metricSource: {type: Any, spec: {query: Any}}}";
    let ratio = format!("ratioMetric: {{good: {any}, total: {any}}}");
    let values = format!("thresholdMetric: {any}");
    for (text, expected) in [
        (
            slo(
                "search",
                &values,
                "timeWindow: [{duration: 2w, isRolling: true}]\nbudgetingMethod: Occurrences\nobjectives: [{displayName: Good, op: lt, value: 500, target: 0.99}]\nalertPolicies:",
            ),
            vec!["6:61: error: SLO \"search\" asks a metric source of the type \"Any\""],
        ),
        (
            slo(
                "main-page",
                &ratio,
                "timeWindow: [{duration: 2w, isRolling: true}]\nbudgetingMethod: RatioTimeslices\nobjectives: [{op: gt, timeSliceWindow: 1m, target: 0.99}]",
            ),
            vec![
                "6:64: error: SLO \"main-page\" asks a metric source of the type \"Any\"",
                "8:20: error: SLO \"main-page\" averages the ratios of slices (RatioTimeslices)",
            ],
        ),
        (
            slo(
                "isp",
                &ratio,
                "timeWindow:\n  - duration: 1m\n    isRolling: false\n    calendar: {startTime: 2022-01-01 12:00:00, timeZone: America/New_York}\nbudgetingMethod: Timeslices\nobjectives:\n  - {op: gt, target: 0.995, timeSliceTarget: 0.99, timeSliceWindow: 1m}\n  - {displayName: SLA, target: 0.99, timeSliceTarget: 0.99, timeSliceWindow: 1m}\nalertPolicies:",
            ),
            vec![
                "6:64: error: SLO \"isp\" asks a metric source of the type \"Any\"",
                "8:17: error: a calendar has no periods of 1m",
            ],
        ),
        (
            slo(
                "rare",
                &ratio,
                "timeWindow: [{duration: 1w, isRolling: false, calendar: {startTime: 2022-01-01 12:00:00, timeZone: America/New_York}}]\nbudgetingMethod: Timeslices\nobjectives: [{op: gt, target: 0.9995, timeSliceTarget: 0.95, timeSliceWindow: 1m}]",
            ),
            vec![
                "6:64: error: SLO \"rare\" asks a metric source of the type \"Any\"",
                "7:71: error: no week begins at 2022-01-01 12:00:00",
            ],
        ),
    ] {
        let (slos, problems) = of_others(&text, true);
        assert!(slos.is_empty(), "{text}");
        assert_eq!(problems.len(), expected.len(), "{text}\n{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{text}\n{problem}\n{expected}");
        }
    }
}

/// Each text has a problem with these words.
#[track_caller]
fn say(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let (_, problems) = of_others(text, true);
        let is_told = problems.iter().any(|p| p.contains(expected));
        assert!(is_told, "{text}\nexpected {expected}\n{problems:#?}");
    }
}

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

const SLOTH: &str = "version: prometheus/v1
service: shop
labels: {owner: web, tier: '2', severity: x}
slos:
  - name: answers
    objective: 99.9
    description: It answers.
    labels: {tier: '1'}
    sli: {plugin: {id: watchkeeper, options: {signal: requests, where: \"method == 'GET'\", good: 'int(status) < 500'}}}
    alerting:
      labels: {category: availability}
      annotations: {summary: Errors}
  - name: fast
    objective: 95
    sli: {plugin: {id: watchkeeper, options: {signal: requests, below: 200ms, window: 7d, min_events: '3', no_data: 1h}}}
    alerting:
      name: ShopSlow
      annotations: {runbook: 'https://x'}
      page_alert: {annotations: {summary: It is slow}, labels: {channel: a, severity: b}}
      ticket_alert: {disable: true, annotations: {summary: It is slow at times}}
";

#[test]
fn sloth_comes_to_what_our_own_words_come_to() {
    let (slos, problems) = of_others(SLOTH, true);
    let expected = of_ours(
        "slos:
  - name: shop-answers
    service: shop
    signal: requests
    where: method == 'GET'
    good: int(status) < 500
    objective: 99.9
    window: 30d
    labels: {owner: web, tier: '1', category: availability}
    annotations: {summary: Errors, description: It answers.}
  - name: shop-fast
    service: shop
    signal: requests
    below: 200ms
    objective: 95
    window: 7d
    min_events: 3
    no_data: 1h
    labels: {owner: web, tier: '2'}
    annotations:
      runbook: 'https://x'
      summary: '{% if severity == \"page\" %}It is slow{% else %}It is slow at times{% endif %}'
",
    );
    assert_eq!(slos, expected);
    assert_eq!(
        problems,
        [
            "3:33: warning: the label \"severity\" is left out (it is set by Watchkeeper)",
            "17:13: warning: the alerts of this SLO are called \"shop-fast\" here, not \"ShopSlow\" (an alert is called by its SLO, which Sloth calls by its service and its name: routes match it so)",
            "19:64: warning: `page_alert.labels` is left out: channel, severity (pages and tickets have the same labels but for severity; match severity=\"page\" in routes)",
            "20:31: warning: `ticket_alert.disable` is left out: the ticket alert stays (give it a route to a receiver that tells nobody, by its alertname and severity=\"ticket\")",
        ]
    );
}

#[test]
fn problems_of_sloth_say_where_and_what_would_be_right() {
    let plugin = "plugin: {id: watchkeeper, options: {signal: requests, good: \"a == 'b'\"}}";
    let of = |slo: &str| {
        format!("version: prometheus/v1\nservice: shop\nslos:\n  - {{name: a, {slo}}}\n")
    };
    let usual = format!("objective: 99.9, sli: {{{plugin}}}");
    for (text, expected) in [
        (
            of("objective: 99, sli: {events: {error_query: up, total_query: up}}"),
            "4:44: error: SLO \"a\" asks Prometheus (`sli.events` holds PromQL)",
        ),
        (
            of("objective: 99, sli: {raw: {error_ratio_query: up}}"),
            "SLO \"a\" asks Prometheus (`sli.raw` holds PromQL)",
        ),
        (
            of("objective: 99, sli: {plugin: {id: getting_started, options: {}}}"),
            "4:49: error: SLO \"a\" asks Sloth's plugin \"getting_started\"",
        ),
        (
            of("objective: 99, sli: {plugin: {id: watchkeeper, options: {good: 'true'}}}"),
            "`signal` is missing",
        ),
        (
            of("objective: 99, sli: {plugin: {id: watchkeeper, options: {signal: a, god: b}}}"),
            "unknown key `god` (did you mean `good`?",
        ),
        (
            of("objective: 99, sli: {plugin: {id: watchkeeper, options: {signal: a}}}"),
            "an SLO needs `good`, `below` or both",
        ),
        (of("objective: 99, sli: {}"), "`plugin` is missing"),
        (of(&format!("objective: 100, sli: {{{plugin}}}")), "4:26: error: 100 is no objective"),
        (of(&format!("sli: {{{plugin}}}")), "`objective` is missing"),
        (of(&format!("{usual}, alert: {{}}")), "unknown key `alert`"),
        (of(&format!("{usual}, plugins: {{chain: []}}")), "warning: `plugins` is left out"),
        (
            of(&format!("{usual}, alerting: {{page_alert: {{disabled: true}}}}")),
            "unknown key `disabled` (did you mean `disable`?",
        ),
        (
            of(&format!("{usual}, alerting: {{annotations: {{summary: '{{{{ $labels.x }}}}'}}}}")),
            "Go's language",
        ),
        (of(&usual).replace("service: shop", "service: my.shop"), "`my.shop` is no service"),
        (of(&usual).replace("service: shop\n", ""), "`service` is missing"),
        (
            of(&usual).replace("prometheus/v1", "prometheus/v2"),
            "version \"prometheus/v2\" is not read",
        ),
        (
            format!("{}---\n{}", of(&usual), of(&usual)),
            "another SLO or rule is called \"shop-a\" too",
        ),
    ] {
        let (_, problems) = of_others(&text, true);
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{text}\nexpected {expected}\n{problems:#?}"
        );
    }
}

#[test]
fn files_are_found_beside_the_one_that_names_them_and_refer_to_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("slos")).unwrap();
    let referring = usual("objectives: [{target: 0.99}]")
        .replace("  indicator: {spec: {", "  indicatorRef: answers\n  description: x #");
    write("slos/a.yaml", &referring);
    let sli = format!(
        "apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: answers}}\nspec: {{{RATIO}}}\n"
    );
    write("slos/b.yaml", &sli);
    write("slos/c.yml", SLOTH);
    let own = "name: own, service: shop, window: 30d, objective: 99, composite: [{slo: web}, {slo: shop-fast}]";
    let main = format!(
        "slos: [{{{own}}}]\nslo_files: ['slos/*.yaml', slos/c.yml]\ncorrections: [{{slos: [web], reason: x, weekly: {{days: [sun], from: '01:00', to: '02:00'}}}}]\n"
    );
    write("collector.yaml", &main);
    let load = || load_settings(&dir.path().join("collector.yaml"), &ProcessEnv, false);
    let names = |settings: &crate::config::CollectorSettings| -> Vec<String> {
        settings.engine.slos.iter().map(|slo| slo.name.clone()).collect()
    };
    let (settings, problems) = load().unwrap();
    assert_eq!(names(&settings), ["own", "shop-answers", "shop-fast", "web"]);
    assert!(problems.iter().all(|p| p.place.file().starts_with(dir.path().join("slos"))));

    // What is edited is there when it is loaded again, as a reload does.
    write(
        "slos/c.yml",
        &SLOTH.replace("objective: 95", "objective: 97").replace("name: answers", "name: asks"),
    );
    let (settings, _) = load().unwrap();
    assert_eq!(names(&settings), ["own", "shop-asks", "shop-fast", "web"]);
    assert!((settings.engine.slos[2].objective.percent() - 97.0).abs() < 1e-9);

    for (file, text, expected) in [
        ("slos/d.yaml", "a: [\n", "d.yaml:"),
        ("slos/d.yaml", "slos: []\n", "neither OpenSLO's nor Sloth's"),
        ("collector.yaml", "slo_files: [none.yaml]", "there is no file `none.yaml`"),
        ("collector.yaml", "slo_files: slos/a.yaml", "a list is needed"),
        (
            "collector.yaml",
            "slos: []\ninclude: [slos/b.yaml]",
            "b.yaml:1:13: error: SLO files of others are not included",
        ),
        (
            "collector.yaml",
            "slos: []\ninclude: [slos/c.yml]",
            "c.yml:1:10: error: SLO files of others are not included",
        ),
    ] {
        write("collector.yaml", &main);
        write(file, text);
        let shown = load().unwrap_err().render();
        assert!(shown.contains(expected), "{file}: {text}\n{shown}");
        let _ = std::fs::remove_file(dir.path().join("slos/d.yaml"));
    }
}

#[test]
fn a_file_by_itself_is_checked_with_all_that_is_said_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slos.yaml");
    let wrong = usual("objectives: [{target: 0.9}]")
        .replace("{name: web}", "{name: web, annotations: {summary: '{{ nothing }}'}}");
    for (text, n_slos, problem) in [
        (format!("---\n{}---\n{SLOTH}", usual("objectives: [{target: 0.99}]")), Some(3), ""),
        (wrong, Some(1), "`nothing` is not there"),
        (SLOTH.replace("name: fast", "name: answers"), Some(2), "another SLO or rule is called"),
        ("# nothing\n".to_owned(), None, "no document"),
        ("a: [".to_owned(), None, "broken YAML"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let mut reader = Reader::new(&ProcessEnv);
        let file = check_slo_file(&path, &mut reader);
        let shown = reader.problems().render();
        assert_eq!(file.map(|file| file.n_slos), n_slos, "{text}\n{shown}");
        assert!(shown.contains(problem), "{text}\n{shown}");
        assert_eq!(reader.problems().has_errors(), !problem.is_empty(), "{shown}");
    }
}

#[test]
fn examples_in_the_documents_are_read_without_a_word() {
    let text = include_str!("../../../../docs/openslo.md");
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    let read = |head: &str| {
        let block = blocks.iter().find(|block| block.starts_with(head)).unwrap();
        let (slos, problems) = of_others(block, true);
        assert_eq!(problems, [""; 0], "{block}");
        slos.into_iter().map(|slo| slo.name).collect::<Vec<_>>()
    };
    assert_eq!(read("apiVersion"), ["shop-answers", "shop-fast-most", "shop-fast-nearly-all"]);
    assert_eq!(read("version"), ["shop-answers", "shop-fast"]);
}

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

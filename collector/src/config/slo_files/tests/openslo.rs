//! OpenSLO comes to the same settings as our own words.

use super::texts::{RATIO, ROLLING, VALUES, of_others, of_ours, slo, usual};

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

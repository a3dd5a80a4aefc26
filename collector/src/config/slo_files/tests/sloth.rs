//! Sloth comes to the same settings as our own words, or to problems.

use super::texts::{of_others, of_ours};

pub(super) const SLOTH: &str = "version: prometheus/v1
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

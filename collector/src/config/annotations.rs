//! Expressions in annotations, tried out before anything runs.
//!
//! Owns the samples they are tried on: an SLO's as page and ticket, a rule's with its labels, each firing and over. Never
//! changes a text: it is filled in when somebody is told.

use std::time::Duration;

use watchkeeper_collector_core::alert::RuleSettings;
use watchkeeper_collector_core::notify::{
    SampleEvent, Scene, SloFacts, WordingError, check_wording,
};
use watchkeeper_collector_core::series::Stat;
use watchkeeper_collector_core::slo::SloSettings;
use watchkeeper_config::{Fields, Located, Node, Reader};
use watchkeeper_model::{Labels, Timestamp};

/// Tries out the annotations of all SLOs and rules that could be read.
pub(super) fn check(
    f: &mut Fields<'_, '_, '_>,
    slos: &[Located<SloSettings>],
    rules: &[Located<RuleSettings>],
) {
    check_slos(f.node("slos").map_or(&[][..], Node::items), slos, f.reader());
    for node in f.node("rules").map_or(&[][..], Node::items) {
        let name = name_of(node);
        if let Some(rule) = rules.iter().find(|rule| rule.name == name) {
            let by: Labels = rule.by.iter().map(|name| (name.clone(), name.clone())).collect();
            let labels =
                rule.labels.with(&Labels::new([("service", rule.service.as_str())])).with(&by);
            let labels = [labels.with_one("alertname", &rule.name)];
            let value = (!matches!(rule.stat, Stat::Absent)).then_some(1.5);
            check_each(node, &labels, value, None, f.reader());
        }
    }
}

/// Tries out the annotations of SLOs where their entries stand.
pub(super) fn check_slos(entries: &[Node], slos: &[Located<SloSettings>], reader: &mut Reader<'_>) {
    for node in entries {
        let name = name_of(node);
        if let Some(slo) = slos.iter().find(|slo| slo.name == name) {
            let labels = ["page", "ticket"].map(|severity| {
                slo.labels.with(&Labels::new([
                    ("alertname", slo.name.as_str()),
                    ("service", slo.service.as_str()),
                    ("severity", severity),
                ]))
            });
            check_each(node, &labels, Some(1.0), Some(&sample(slo)), reader);
        }
    }
}

fn name_of(node: &Node) -> &str {
    node.get("name").and_then(Node::as_scalar).unwrap_or_default()
}

fn check_each(
    node: &Node,
    labels: &[Labels],
    value: Option<f64>,
    slo: Option<&SloFacts>,
    reader: &mut Reader<'_>,
) {
    let Some(annotations) = node.get("annotations") else { return };
    let events = [event()];
    for entry in annotations.entries() {
        let Some(text) = entry.value.as_scalar() else { continue };
        let scenes = labels.iter().flat_map(|labels| [(labels, true), (labels, false)]);
        let mut tried = scenes.map(|(labels, firing)| {
            let scene = Scene {
                labels,
                value,
                reason: "the reason",
                firing,
                starts_at: Timestamp::EPOCH,
                url: "http://127.0.0.1:7700/alerts/0",
                external_url: "http://127.0.0.1:7700",
                slo,
                is_slo: slo.is_some(),
                events: if firing { &events } else { &[] },
            };
            check_wording(text, &scene)
        });
        let failed = tried.find_map(Result::err);
        if let Some(WordingError { message, help, span }) = failed {
            let place = span.map_or_else(
                || entry.value.place().clone(),
                |span| entry.value.place_within(text, span),
            );
            let problem = reader.error(&place, message);
            if !help.is_empty() {
                problem.help(help);
            }
        }
    }
}

/// An event as it may have been.
fn event() -> SampleEvent {
    SampleEvent {
        at: Timestamp::EPOCH,
        agent: "web-1".to_owned(),
        name: "error".to_owned(),
        message: "the payment gateway refused the connection".to_owned(),
        correlation: "req-1".to_owned(),
        trace: String::new(),
    }
}

/// An SLO as it may stand when somebody is told.
fn sample(slo: &SloSettings) -> SloFacts {
    let mut windows: Vec<Duration> =
        slo.tiers().0.iter().flat_map(|tier| [tier.short, tier.long]).collect();
    windows.sort_unstable();
    windows.dedup();
    SloFacts {
        objective: slo.objective.percent(),
        window: slo.window_text.clone(),
        burn: windows.into_iter().map(|window| (window, 20.0)).collect(),
        budget_remaining: 0.5,
        exhausts_at: Some(Timestamp::EPOCH),
        good: 990,
        total: 1_000,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::read;
    use watchkeeper_config::{ProcessEnv, Reader, load_str};

    fn problems(section: &str, annotations: &str) -> String {
        let slo = "{name: s, service: shop, signal: requests, good: 'a == \"b\"', objective: 99.9, window: 30d, labels: {team: web}, annotations: ";
        let rule = "{name: r, service: shop, signal: requests, stat: p95, over: 5m, op: '>', value: 1s, by: [method], annotations: ";
        let item = if section == "slos" { slo } else { rule };
        let text = format!("{section}:\n  - {item}{annotations}}}\n");
        let mut reader = Reader::new(&ProcessEnv);
        let read = load_str("collector.yaml", &text, &mut reader)
            .and_then(|document| read(&document, &mut reader, true));
        match reader.finish(read) {
            Ok(_) => String::new(),
            Err(problems) => problems.render(),
        }
    }

    #[test]
    fn expressions_that_see_what_is_there_are_good() {
        for (section, text) in [
            (
                "slos",
                "{{ labels.team }}: {{ burn['1h'] | number }}x, {{ budget_remaining | percent }}",
            ),
            ("slos", "{% if severity == 'page' %}now{% else %}{{ slo.exhausts_at }}{% endif %}"),
            ("rules", "{{ labels.method }} takes {{ value | duration }}"),
            (
                "rules",
                "{% for e in events[-5:] %}{{ e.at }} {{ e.name }} {{ e.message }}{% endfor %}",
            ),
            ("rules", "no expression at all: 100 % of {them}"),
        ] {
            let annotations = format!("{{summary: \"{text}\"}}");
            assert_eq!(problems(section, &annotations), "", "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (section, text, message, help, marked) in [
            (
                "slos",
                "{{ labels.method }}",
                "`labels.method` is not there",
                "labels.team",
                "labels.method",
            ),
            (
                "slos",
                "{% if severity == 'ticket' %}{{ typo }}{% endif %}",
                "`typo`",
                "service",
                "typo",
            ),
            (
                "slos",
                "{{ burn['2h5m'] | number }}",
                "is not there",
                "budget_remaining",
                "burn['2h5m']",
            ),
            (
                "rules",
                "{{ budget_remaining | percent }}",
                "is not there",
                "labels.method",
                "budget_remaining",
            ),
            (
                "rules",
                "{{ $labels.method }}",
                "Go's language",
                "write {{ labels.method }}",
                "{{ $labels.method }}",
            ),
            ("rules", "{% for e in events %}{{ e.msg }}{% endfor %}", "`e.msg`", "events", "e.msg"),
            ("rules", "{{ value | durations }}", "durations", "duration, percent", "durations"),
        ] {
            let shown = problems(section, &format!("{{summary: \"{text}\"}}"));
            for part in [message, help] {
                assert!(shown.contains(part), "{text}: {part}:\n{shown}");
            }
            let line = shown.lines().find(|line| line.contains("annotations:")).unwrap();
            let marks = shown.lines().find(|line| line.contains("^^")).unwrap();
            let (start, n) = (marks.find('^').unwrap(), marks.matches('^').count());
            assert_eq!(line.get(start..start + n), Some(marked), "{shown}");
        }
    }
}

//! Notifications for the tests of channels and dispatch.
//!
//! Owns one of each kind: an SLO's page, its update and its end, a rule's, a group's, and one that means harm.

use std::time::Duration;

use watchkeeper_collector_core::notify::{
    Action, Notification, NotifiedAlert, SampleEvent, SloFacts,
};
use watchkeeper_model::{Labels, Timestamp};

/// 2026-11-22 18:07:19 UTC, when the page goes out.
pub(crate) const AT: Timestamp = Timestamp::from_secs(1_795_370_839);

/// 18:03:07, when the problem began.
const SINCE: Timestamp = Timestamp::from_secs(1_795_370_587);

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn notification(action: Action, at: Timestamp, alerts: Vec<NotifiedAlert>) -> Notification {
    let labels = &alerts[0].labels;
    let group_labels = if alerts.len() == 1 {
        labels.only(&["alertname", "service"])
    } else {
        labels.only(&["service"])
    };
    Notification {
        receiver: "chat".into(),
        group_key: format!("{{}}:{group_labels}"),
        dedup_key: "5d1f".repeat(16),
        incident: 12,
        action,
        reason: "new alert in the group".into(),
        at,
        group_labels,
        alerts,
        n_truncated: 0,
        external_url: "http://127.0.0.1:7700".into(),
        memory: None,
    }
}

fn alert(name: &str, severity: &str) -> NotifiedAlert {
    NotifiedAlert {
        fingerprint: "00000000000000aa".into(),
        labels: Labels::new([("alertname", name), ("service", "shop"), ("severity", severity)]),
        annotations: Labels::default(),
        firing: true,
        stale: false,
        starts_at: SINCE,
        ends_at: None,
        reason: String::new(),
        value: None,
        generator_url: "http://127.0.0.1:7700/alerts/00000000000000aa".into(),
        slo: None,
        events: Vec::new(),
        agents: Vec::new(),
    }
}

fn event(secs_before: u64, agent: &str, message: &str, ids: (&str, &str)) -> SampleEvent {
    SampleEvent {
        at: AT - Duration::from_secs(secs_before),
        agent: agent.into(),
        name: "error".into(),
        message: message.into(),
        correlation: ids.0.into(),
        trace: ids.1.into(),
    }
}

fn slo_alert(burn: [f64; 3], budget_remaining: f64) -> NotifiedAlert {
    let [short, long, longer] = burn;
    NotifiedAlert {
        labels: Labels::new([
            ("alertname", "shop-availability"),
            ("service", "shop"),
            ("severity", "page"),
            ("team", "web"),
        ]),
        annotations: Labels::new([
            ("summary", "Customers cannot check out"),
            (
                "description",
                "More requests fail than the objective allows.\nLook at payments first.",
            ),
            ("runbook_url", "https://runbooks.example/shop?a=1&b=2"),
        ]),
        reason: format!("burning {short}x over 5m and {long}x over 1h (limit 14.4x)"),
        slo: Some(SloFacts {
            objective: 99.9,
            window: "30d".into(),
            burn: vec![(minutes(5), short), (minutes(60), long), (minutes(360), longer)],
            budget_remaining,
            exhausts_at: Some(AT + minutes(192)),
            good: 1_998_766,
            total: 2_000_000,
        }),
        events: vec![
            event(
                3,
                "web-1",
                "payment gateway timed out after 5s",
                ("req-4711", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ),
            event(4, "web-2", "payment gateway timed out after 5s", ("req-4709", "")),
            event(9, "web-1", "card <declined> & retried", ("", "")),
        ],
        agents: vec!["web-1".into(), "web-2".into()],
        ..alert("shop-availability", "page")
    }
}

/// An SLO begins to burn.
pub(crate) fn slo_page() -> Notification {
    notification(Action::Open, AT, vec![slo_alert([21.3, 18.9, 3.1], 0.874)])
}

/// It burns on, and its data have stopped.
pub(crate) fn slo_update() -> Notification {
    let mut alert = slo_alert([14.6, 19.4, 6.2], 0.583);
    alert.stale = true;
    let reason = "reminder after 15m".into();
    Notification { reason, ..notification(Action::Update, AT + minutes(15), vec![alert]) }
}

/// It has ended.
pub(crate) fn slo_close() -> Notification {
    let mut alert = slo_alert([0.0, 14.9, 6.5], 0.561);
    alert.firing = false;
    alert.ends_at = Some(SINCE + minutes(23));
    let reason = "all alerts resolved".into();
    Notification { reason, ..notification(Action::Close, AT + minutes(19), vec![alert]) }
}

/// A rule's condition holds.
pub(crate) fn rule_page() -> Notification {
    let mut alert = alert("ShopSlow", "warning");
    alert.annotations = Labels::new([("summary", "Pages load slowly")]);
    alert.reason = "p95 of requests is 412ms over 5m, for 10m (limit 200ms)".into();
    alert.value = Some(0.412);
    alert.agents = vec!["web-1".into()];
    notification(Action::Open, AT, vec![alert])
}

/// Several rules of one service, the last of them resolved.
pub(crate) fn group(n_alerts: usize) -> Notification {
    let mut alerts: Vec<NotifiedAlert> = (1..=n_alerts)
        .map(|i| NotifiedAlert {
            fingerprint: format!("{i:016x}"),
            reason: format!("p95 of requests is {}ms over 5m (limit 200ms)", 200 + i),
            agents: vec![format!("web-{i}")],
            ..alert(&format!("Slow{i}"), "warning")
        })
        .collect();
    if let Some(last) = alerts.last_mut().filter(|_| n_alerts > 1) {
        last.firing = false;
        last.ends_at = Some(AT);
    }
    notification(Action::Open, AT, alerts)
}

/// Alerts whose texts try everything: markup, control characters, mentions, sheer size.
pub(crate) fn hostile(n_alerts: usize) -> Notification {
    let nasty = "<!channel> <https://evil.example|ok> & *b* `c` @here #general \u{0}\u{7}\u{1b}[31m\u{202e}\"}],\\ \r\n";
    let huge = nasty.repeat(1_000_000 / nasty.len());
    let mut told = group(n_alerts);
    told.reason = nasty.into();
    told.external_url = "javascript:alert(1)".into();
    for (i, alert) in told.alerts.iter_mut().enumerate() {
        alert.reason = nasty.repeat(20);
        alert.labels = alert.labels.with_one("alertname", nasty).with_one("path", nasty);
        alert.annotations = Labels::new([
            ("summary", nasty),
            ("description", if i == 0 { huge.as_str() } else { &huge[..20_000] }),
            ("runbook_url", "https://evil.example/|<!channel>"),
        ]);
        alert.events = vec![event(1, nasty, &huge[..100_000], (nasty, nasty)); 3];
        alert.agents = vec![nasty.into(); 10];
        alert.slo = slo_alert([1e300, f64::NAN, -1.0], f64::INFINITY).slo;
    }
    told
}

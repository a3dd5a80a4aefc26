//! Arbitrary lines as events: the id of the trace is what W3C's form says, as many are kept as the limit allows, and a
//! body is bounded, as text, without secrets, whole or said to be cut.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use regex::Regex;
use watchkeeper_agent_core::observe::{
    Accumulator, EventLimit, EventSettings, Format, LineObserver, LineSettings,
};
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_expr::Condition;
use watchkeeper_fuzz::{Feed, NOW, secret};
use watchkeeper_model::{AgentId, Body, Event, Labels, Service, Severity, Timestamp};

/// W3C Trace Context, section 3.2.2, of version 00, and of those to come.
static PARENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\A(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|(?:[0-9a-e][0-9a-f]|f[0-9a-e])-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?s:-.*)?)\z")
        .expect("an expression of ours")
});

fn trace_of(text: &str) -> Option<&str> {
    let found =
        PARENT.captures(text).filter(|found| !text.starts_with("00") || found.get(1).is_some());
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    let of_parent = found.and_then(|found| {
        let [trace, parent] = [found.get(1).or(found.get(3))?, found.get(2).or(found.get(4))?];
        (!is_zero(trace.as_str()) && !is_zero(parent.as_str())).then_some(trace.as_str())
    });
    let id = of_parent.unwrap_or(text);
    (!id.trim_matches(['0', '-']).is_empty()).then_some(id)
}

fn settings(limit: Option<EventLimit>) -> LineSettings {
    LineSettings {
        source: "log".to_owned(),
        service: Service::new("shop").expect("a name of a service"),
        format: Format::Json,
        given: Vec::new(),
        time: None,
        signals: Vec::new(),
        events: vec![EventSettings {
            name: "any".to_owned(),
            filter: Condition::always(),
            severity: Severity::Info,
            message: Some("msg".to_owned()),
            correlation: None,
            trace: Some("trace".to_owned()),
            limit,
        }],
    }
}

/// How many of these come through, by the other algorithm: each is let in as early as its turn is.
fn allowed(limit: EventLimit, times: &[Timestamp]) -> usize {
    let (per, n) = (limit.per.as_nanos() as i128, i128::from(limit.events));
    let mut turn = i128::MIN;
    let is_in = |at: &&Timestamp| {
        let now = i128::from(at.0) * n;
        let is_in = turn <= now + (n - 1) * per;
        if is_in {
            turn = turn.max(now) + per;
        }
        is_in
    };
    times.iter().filter(is_in).count()
}

fn check(event: &Event, text: &str) {
    let Event { message, trace, fields, correlation, truncated, .. } = event;
    let sizes = [message, trace, fields, correlation].map(String::len);
    assert!(sizes.iter().sum::<usize>() <= 256 * 1024 && sizes[0] <= 16 * 1024, "{sizes:?}");
    for said in [message, fields, correlation] {
        assert_eq!(secret(said), None, "in an event of {text:?}");
    }
    assert!(*truncated || serde_json::from_str::<serde_json::Value>(fields).is_ok(), "{fields}");
    let wanted = trace_of(text).unwrap_or_default();
    if wanted.len() <= 1024 && wanted.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        assert_eq!(trace, wanted);
    }
}

// The limit in two bytes, how often a text is repeated in the third; then texts, one per line, with the milliseconds
// since the last in two bytes each.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let limit = EventLimit {
        events: feed.choice(20) as u32 + 1,
        per: Duration::from_millis(feed.choice(255) as u64 * 7 + 1),
    };
    let repeated = [1, 1, 1, 1, 1, 1, 1, 1, 40, 1_100][feed.choice(10)];
    let mut acc = Accumulator::new(AgentId::new("web-1"), Labels::default());
    let all = LineObserver::new(&settings(None), &mut acc);
    let limited = LineObserver::new(
        &LineSettings { source: "limited".to_owned(), ..settings(Some(limit)) },
        &mut acc,
    );
    let mut observers = [all, limited];
    let (mut now, mut times, mut texts) = (NOW, Vec::new(), Vec::new());
    while !feed.is_empty() && texts.len() < 24 {
        now = now + Duration::from_millis(u64::from(feed.byte()) * [1, 7][feed.choice(2)]);
        let Ok(text) = std::str::from_utf8(feed.line()) else { continue };
        let message = text.repeat((repeated * 16).min(400_000) / (text.len() + 16) + 1);
        let line = serde_json::json!({"msg": message, "trace": text}).to_string();
        observers.iter_mut().for_each(|o| o.observe(line.as_bytes(), now, &mut acc));
        times.push(now);
        texts.push(text);
        if texts.len() == 1 && repeated > 1 {
            break;
        }
    }
    let sealed = acc.seal(now, &SealOrder::default(), Vec::new());
    let bodies = sealed.services.iter().flat_map(|s| &s.bodies);
    let (mut kept, mut held_back, mut dropped) = (Vec::new(), 0, 0);
    for body in bodies {
        match body {
            Body::Events { events, .. } => kept.extend(events),
            Body::Windows { tallies, .. } => {
                held_back += tallies.iter().map(|t| t.events_held_back).sum::<u64>();
                dropped += tallies.iter().map(|t| t.events_dropped).sum::<u64>();
            }
        }
    }
    assert_eq!(dropped, 0);
    let (of_all, of_limited): (Vec<&Event>, Vec<&Event>) =
        kept.iter().partition(|e| e.source == "log");
    assert_eq!(of_all.len(), texts.len());
    of_all.iter().zip(&texts).for_each(|(event, text)| check(event, text));
    assert_eq!(of_limited.len(), allowed(limit, &times));
    assert_eq!(held_back as usize, texts.len() - of_limited.len());
});

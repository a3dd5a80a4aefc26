//! What a rehearsal promises: the live engine's decisions, in order, at the times at which they would have been made.

use std::sync::Arc;
use std::time::Duration;

use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::{
    AgentId, Distribution, Labels, SeriesWindows, Service, TimeBasis, Timestamp, Unit, Window,
    WindowPart,
};

use super::{Counted, Happened, Mood, Rehearsal};
use crate::config;

const T0: Timestamp = Timestamp::from_secs(1_793_491_200);

const SETTINGS: &str = "
slos:
  - {name: shop, service: shop, signal: requests, good: 'int(status) < 500', objective: 99.9, window: 30d}
alerting:
  route: {receiver: pager, group_by: [alertname], group_wait: 0s}
  receivers:
    - name: pager
      webhook_configs: [{url: 'http://127.0.0.1:9/'}]
";

const RULES: &str = "
rules:
  - {name: Quiet, service: shop, signal: requests, stat: absent, over: 5m, labels: {severity: warning}}
";

fn rehearsal() -> Rehearsal {
    rehearsal_of(SETTINGS)
}

fn rehearsal_of(text: &str) -> Rehearsal {
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("collector.yaml", text, &mut reader)
        .and_then(|document| config::read(&document, &mut reader, false));
    let (settings, _) = reader.finish(settings).unwrap();
    Rehearsal::begin(Arc::clone(&settings.engine), T0)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn web() -> AgentId {
    AgentId::new("web-1")
}

/// Requests of the second that is just over.
fn requests(rehearsal: &mut Rehearsal, status: &str, n: u64) {
    let window = Window::holding(rehearsal.now() - secs(1), 1);
    let series = SeriesWindows {
        signal: "requests".into(),
        unit: Unit::None,
        labels: Labels::new([("status", status)]),
        basis: TimeBasis::Line,
        windows: vec![WindowPart { window, distribution: Distribution::counted(n) }],
    };
    rehearsal.take_in(Counted {
        agent: web(),
        service: Service::new("shop").unwrap(),
        series: vec![series],
        events: Vec::new(),
        tallies: Vec::new(),
    });
}

/// A stretch of seconds with requests of one status in each.
fn stretch(rehearsal: &mut Rehearsal, n_secs: u64, status: &str) {
    for _ in 0..n_secs {
        let next = rehearsal.now() + secs(1);
        rehearsal.advance(next);
        requests(rehearsal, status, 100);
    }
}

/// `60 shop firing page`, `60 pager open`; without the alert that is always on.
fn told(rehearsal: &mut Rehearsal) -> Vec<String> {
    let line = |happened: Happened| {
        let at = happened.at().since(T0).as_secs();
        match happened {
            Happened::Moved(moved) => {
                let stale = if moved.stale { " stale" } else { "" };
                let severity = moved.severity();
                (!moved.is_watchdog()).then(|| {
                    format!(
                        "{at} {} {} {severity}{stale}",
                        moved.alert,
                        moved.is().unwrap_or("none")
                    )
                })
            }
            Happened::Told(told) => Some(format!("{at} {} {}", told.receiver, told.verb())),
        }
    };
    rehearsal.happened().into_iter().filter_map(line).collect()
}

#[test]
fn an_slo_burns_pages_and_is_closed_again_in_virtual_time() {
    let mut rehearsal = rehearsal();
    stretch(&mut rehearsal, 3600, "200");
    stretch(&mut rehearsal, 120, "500");
    assert_eq!(
        told(&mut rehearsal),
        [
            "3604 shop firing ticket",
            "3604 pager open",
            "3622 shop firing page",
            "3622 pager update",
        ],
        "6 times 0.1 % of an hour's requests, all there are, are 21.6 s of errors"
    );
    let slo = &rehearsal.slos()[0];
    assert_eq!((slo.total, slo.good), (372_000, 360_000));
    stretch(&mut rehearsal, 2 * 3600, "200");
    let happened = told(&mut rehearsal);
    assert!(happened.iter().any(|line| line.ends_with("pager update")), "{happened:?}");
    rehearsal.advance(rehearsal.now() + secs(5 * 3600));
    let after = told(&mut rehearsal);
    // The errors have left the six hours, and good requests are still there to say so.
    for line in ["25260 shop resolved ticket", "25260 pager close"] {
        assert!(after.iter().any(|told| told == line), "{line}: {after:?}");
    }
}

#[test]
fn a_receiver_that_fails_is_told_when_it_is_back() {
    let mut rehearsal = rehearsal();
    stretch(&mut rehearsal, 3600, "200");
    rehearsal.receiver_is("pager", Mood::Fails);
    stretch(&mut rehearsal, 1000, "500");
    let happened = told(&mut rehearsal);
    assert!(!happened.iter().any(|line| line.contains("pager open")), "{happened:?}");
    rehearsal.receiver_is("pager", Mood::Works);
    rehearsal.advance(rehearsal.now() + secs(600));
    let happened = told(&mut rehearsal);
    assert!(happened.iter().any(|line| line.ends_with("pager open")), "{happened:?}");
}

#[test]
fn silence_stop_and_quiet_are_told_apart() {
    let mut rehearsal = rehearsal_of(&format!("{SETTINGS}{RULES}"));
    rehearsal.agent_arrives(&web());
    stretch(&mut rehearsal, 600, "200");
    rehearsal.agent_falls_silent(&web());
    rehearsal.advance(rehearsal.now() + secs(60));
    let silent = told(&mut rehearsal);
    assert!(silent.iter().any(|line| line.contains("AgentSilent firing")), "{silent:?}");
    rehearsal.agent_arrives(&web());
    rehearsal.advance(rehearsal.now() + secs(400));
    let quiet = told(&mut rehearsal);
    assert!(quiet.iter().any(|line| line.contains("AgentSilent resolved")), "{quiet:?}");
    assert!(quiet.iter().any(|line| line.contains("Quiet firing warning")), "{quiet:?}");
    rehearsal.agent_stops(&web());
    rehearsal.advance(rehearsal.now() + secs(3600));
    let stopped = told(&mut rehearsal);
    assert!(!stopped.iter().any(|line| line.contains("Silent firing")), "{stopped:?}");
}

#[test]
fn days_without_anything_pass_at_once_and_the_same_inputs_give_the_same() {
    let run = || {
        let mut rehearsal = rehearsal();
        stretch(&mut rehearsal, 300, "200");
        stretch(&mut rehearsal, 300, "500");
        rehearsal.advance(rehearsal.now() + secs(30 * 86_400));
        stretch(&mut rehearsal, 60, "200");
        (rehearsal.happened(), rehearsal.slos())
    };
    let (happened, slos) = run();
    assert!(happened.iter().any(|h| matches!(h, Happened::Moved(m) if m.alert == "NoData")));
    assert_eq!((happened, slos), run());
}

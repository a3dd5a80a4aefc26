//! Probes as the worker has them: polled, counted, reloaded.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Body, Event, Labels, Timestamp};

use super::super::source::ProbeSource;
use super::scene::{head, serve, settings};
use crate::sources::{Beside, Health, Source as _, SourceSettings, Wakes};

/// Series as `signal result reason`, and events.
fn sealed(acc: &mut Accumulator) -> (BTreeSet<String>, Vec<Event>) {
    let (mut series, mut all) = (BTreeSet::new(), Vec::new());
    for service in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
        for body in service.bodies {
            match body {
                Body::Windows { series: part, .. } => series.extend(part.iter().map(|s| {
                    format!("{} {} {}", s.signal, s.labels.get("result"), s.labels.get("reason"))
                })),
                Body::Events { events, .. } => all.extend(events),
            }
        }
    }
    (series, all)
}

/// Polls until the series are there; all events up to then.
fn until(
    source: &mut ProbeSource,
    wakes: &Wakes,
    acc: &mut Accumulator,
    wanted: &str,
) -> Vec<Event> {
    let (mut all, mut events) = (BTreeSet::new(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(60);
    while !all.contains(wanted) {
        assert!(Instant::now() < deadline, "{wanted}: {all:?}");
        wakes.wait(Duration::from_secs(1));
        source.poll(clock::now(), true, acc);
        let (series, more) = sealed(acc);
        all.extend(series);
        events.extend(more);
    }
    events
}

#[test]
fn a_service_that_goes_and_comes_back_is_counted_and_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(200));
    let said = status.clone();
    let at = runtime.block_on(serve(move |mut stream| {
        let status = said.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            head(&mut stream).await;
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }));
    let wakes = Wakes::new();
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let keys =
        format!("probe: {{name: home, service: shop, every: 1s, http: {{url: 'http://{at}/'}}}}");
    let settings = settings(&keys).unwrap();
    let mut source = ProbeSource::new(settings.clone(), &mut acc, Beside::new(wakes.waker()));
    assert!(matches!(source.health(), Health::Waiting(_)));
    assert!(until(&mut source, &wakes, &mut acc, "probe up ok").is_empty());
    assert_eq!(source.health(), Health::Ok);
    status.store(503, std::sync::atomic::Ordering::Relaxed);
    until(&mut source, &wakes, &mut acc, "probe degraded status");
    // An edit does not forget how it stands: the second failure in a row is the turn.
    let mut edited = settings.clone();
    edited.expectations.within = Duration::from_millis(900);
    assert!(source.reconfigure(&SourceSettings::new(edited), &mut acc));
    let events = until(&mut source, &wakes, &mut acc, "probe down status");
    assert_eq!(events[0].name, "down");
    assert!(events[0].fields.contains(r#""before":"up""#), "{}", events[0].fields);
    status.store(200, std::sync::atomic::Ordering::Relaxed);
    let events = until(&mut source, &wakes, &mut acc, "probe up ok");
    assert_eq!(events[0].name, "up");
}

//! Probes in the real programs: counts, turns and budgets, and a rule over several regions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use watchkeeper_tests::harness::{LogWriter, Process, Site, Totals, binary, eventually, free_port};

const SOON: Duration = Duration::from_secs(60);

/// A service that answers with a status that can be changed.
async fn service() -> (u16, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = Arc::new(AtomicU16::new(200));
    let said = status.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let status = said.load(Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 2048];
                if stream.read(&mut buffer).await.is_ok() {
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (port, status)
}

async fn slo(site: &Site, name: &str) -> Option<(u64, u64)> {
    let answer = site.api(&format!("slos/{name}")).await.ok()?;
    let slo = answer["slos"].as_array()?.first()?.clone();
    Some((slo["good"].as_u64()?, slo["total"].as_u64()?))
}

/// How often a probe came to a result.
async fn n(site: &Site, probe: &str, result: &str) -> u64 {
    let of = "query?service=shop&signal=probe&stat=count&by=probe,result";
    let answer = site.api(of).await.unwrap_or_default();
    let series = answer["series"].as_array().cloned().unwrap_or_default();
    let is_it = |s: &&Value| s["labels"]["probe"] == probe && s["labels"]["result"] == result;
    let point = series.iter().find(is_it).map(|s| s["points"][0][1].clone());
    point.and_then(|n| n.as_f64()).unwrap_or_default() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_is_counted_turns_are_told_and_unknown_is_outside_of_the_budget() {
    let (port, status) = service().await;
    let slos = "slos:\n  - {name: home, service: shop, signal: probe, where: 'probe == \"home\"', good: 'result != \"down\"', objective: 90, window: 1d}\n\
                \x20 - {name: gone, service: shop, signal: probe, where: 'probe == \"gone\"', good: 'result == \"up\"', objective: 90, window: 1d}\n";
    let mut site = Site::new(slos).unwrap();
    site.configure_sources(&format!(
        "  - probe: {{name: home, service: shop, every: 1s, http: {{url: 'http://127.0.0.1:{port}/health'}}, expect: ['status == 200']}}\n\
         \x20 - probe: {{name: gone, service: shop, every: 1s, exec: {{command: [/no/such/program]}}}}\n",
    ))
    .unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let is_up = || async { (n(&site, "home", "up").await > 1).then_some(()) };
    eventually("it is up", SOON, is_up).await;
    status.store(503, Ordering::Relaxed);
    let is_down = || async { (n(&site, "home", "down").await > 1).then_some(()) };
    eventually("it is down", SOON, is_down).await;
    status.store(200, Ordering::Relaxed);
    let told = || async {
        let events = site.api("events?service=shop").await.ok()?["events"].as_array()?.clone();
        let turns: Vec<Value> =
            events.into_iter().filter(|e| e["fields"]["probe"] == "home").collect();
        turns.iter().any(|e| e["name"] == "up").then_some(turns)
    };
    let turns = eventually("it is told that it is up again", SOON, told).await;
    let down = turns.iter().find(|e| e["name"] == "down").expect("a turn before that one");
    assert_eq!(down["severity"], "error");
    for (field, value) in [
        ("before", "up"),
        ("after", "down"),
        ("reason", "status"),
        ("condition", "status == 200"),
        ("saw", "status = 503"),
    ] {
        assert_eq!(down["fields"][field], value, "{field}: {down}");
    }
    let unknown = || async { (n(&site, "gone", "unknown").await > 2).then_some(()) };
    eventually("what can't be run is unknown", SOON, unknown).await;
    assert_eq!(n(&site, "gone", "down").await, 0);
    // The first failure was forgiven, and the bad ones are those that were confirmed.
    let budget = || async {
        let (good, total) = slo(&site, "home").await?;
        let (up, degraded) = (n(&site, "home", "up").await, n(&site, "home", "degraded").await);
        let down = n(&site, "home", "down").await;
        (good <= up + degraded && total - good <= down && total > 5 && down > 1).then_some(())
    };
    eventually("the budget follows", SOON, budget).await;
    assert_eq!(slo(&site, "gone").await, Some((0, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_fires_when_two_of_three_regions_say_down_and_not_for_one() {
    let rule = "rules:\n  - {name: HomeDown, service: shop, signal: probe, where: 'probe == \"home\" && result == \"down\"', stat: distinct, of: region, over: 5s, op: '>=', value: 2, labels: {severity: critical}}\n\
                \x20 - {name: OneDown, service: shop, signal: probe, where: 'result == \"down\"', stat: count, over: 5s, op: '>', value: 2, labels: {severity: info}}\n";
    let mut site = Site::new(rule).unwrap();
    site.start_collector(&[]).await.unwrap();
    let (mut agents, mut regions) = (Vec::new(), Vec::new());
    for region in ["eu", "us", "ap"] {
        let (port, status) = service().await;
        regions.push(status);
        let file = site.path().join(format!("{region}.yaml"));
        let text = format!(
            "agent: {{id: {region}, data_dir: {}, admin: '127.0.0.1:{}', labels: {{region: {region}}}}}\n\
             collector:\n{}sources:\n\
             \x20 - probe: {{name: home, service: shop, every: 1s, http: {{url: 'http://shop.example:{port}/', address: 127.0.0.1}}}}\n",
            site.path().join(region).display(),
            free_port(),
            site.road(None),
        );
        std::fs::write(&file, text).unwrap();
        let log = site.path().join(format!("{region}.log"));
        let arguments = ["--config", file.to_str().unwrap()];
        agents.push(Process::start(&binary("watchkeeper-agent"), &arguments, &log).unwrap());
    }
    let firing = || async {
        let alerts = site.api("alerts").await.ok()?["alerts"].as_array()?.clone();
        let on = alerts.iter().filter(|a| a["state"] == "firing");
        Some(
            on.map(|a| a["labels"]["alertname"].as_str().unwrap_or_default().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let all_up = || async {
        let of = "query?service=shop&signal=probe&stat=count&by=region,result";
        let series = site.api(of).await.ok()?["series"].as_array()?.clone();
        let up = series.iter().filter(|s| s["labels"]["result"] == "up");
        (up.filter(|s| s["points"][0][1].as_f64() > Some(5.0)).count() == 3).then_some(())
    };
    eventually("all three regions answer", SOON, all_up).await;
    regions[0].store(500, Ordering::Relaxed);
    let one = || async { firing().await?.contains(&"OneDown".to_owned()).then_some(()) };
    eventually("one region is seen to be down", SOON, one).await;
    let alerts = firing().await.unwrap();
    assert!(!alerts.contains(&"HomeDown".to_owned()), "{alerts:?}");
    regions[1].store(500, Ordering::Relaxed);
    let two = || async { firing().await?.contains(&"HomeDown".to_owned()).then_some(()) };
    eventually("two regions are enough", SOON, two).await;
    for status in &regions {
        status.store(200, Ordering::Relaxed);
    }
    let none = || async { (!firing().await?.contains(&"HomeDown".to_owned())).then_some(()) };
    eventually("it is over", SOON, none).await;
}

/// A service that lets everybody wait.
async fn slow_service(wait: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 2048];
                let _ = stream.read(&mut buffer).await;
                tokio::time::sleep(wait).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_room_for_its_probes_says_unknown_and_never_down() {
    let port = slow_service(Duration::from_millis(1_500)).await;
    let mut site = Site::new("").unwrap();
    let mut sources: String = (0..60)
        .map(|n| format!("  - probe: {{name: p{n}, service: shop, every: 2s, timeout: 2s, http: {{url: 'http://127.0.0.1:{port}/{n}'}}}}\n"))
        .collect();
    sources.push_str(&format!(
        "  - tail: {{name: shop-log, service: shop, paths: ['{}'], start_at: beginning, signals: [{{name: requests, labels: {{status: status}}}}]}}\n",
        site.logs().join("*.log").display()
    ));
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    // A quarter of them is for probes.
    site.start_agent_with_descriptors(80).unwrap();
    let by_reason = || async {
        let of = "query?service=shop&signal=probe&stat=count&by=result,reason";
        let series = site.api(of).await.ok()?["series"].as_array()?.clone();
        let said = |s: &Value| {
            let label = |name: &str| s["labels"][name].as_str().unwrap_or_default().to_owned();
            (label("result"), label("reason"))
        };
        let all: Vec<(String, String)> = series.iter().map(said).collect();
        let has = |result: &str| all.iter().any(|(known, _)| known == result);
        (has("up") && has("unknown")).then_some(all)
    };
    let all = eventually("some are asked and some wait for too long", SOON, by_reason).await;
    for (result, reason) in &all {
        assert!(result != "down", "{all:?}");
        assert_eq!(result == "unknown", reason == "resources", "{all:?}");
    }
    let mut log = LogWriter::open(&site.logs().join("shop.log")).unwrap();
    for _ in 0..500 {
        log.line(200, 1.0).unwrap();
    }
    site.wait_counted(&Totals::from([("200".into(), 500)]), SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_stood_still_tells_a_gap_and_accuses_nobody() {
    let port = slow_service(Duration::from_millis(300)).await;
    let mut site = Site::new("").unwrap();
    let sources: String = (0..8)
        .map(|n| format!("  - probe: {{name: p{n}, service: shop, every: 1s, confirm: {{down: 1, up: 1}}, http: {{url: 'http://127.0.0.1:{port}/{n}'}}}}\n"))
        .collect();
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let is_up = || async { (n(&site, "p7", "up").await > 2).then_some(()) };
    eventually("all are up", SOON, is_up).await;
    let agent = site.agent.as_ref().unwrap();
    agent.signal(Signal::STOP);
    // Longer than what a probe may be late, five seconds.
    tokio::time::sleep(Duration::from_secs(7)).await;
    agent.signal(Signal::CONT);
    let gaps = || async {
        let events =
            site.api("events?service=shop&name=gap").await.ok()?["events"].as_array()?.clone();
        (events.len() >= 8).then_some(events)
    };
    let gaps = eventually("each probe tells the gap", SOON, gaps).await;
    assert_eq!(gaps[0]["fields"]["cause"], "stalled");
    for probe in ["p0", "p3", "p7"] {
        assert_eq!(n(&site, probe, "down").await, 0, "{probe}");
    }
    let events = site.api("events?service=shop&name=down").await.unwrap();
    assert_eq!(events["events"].as_array().map(Vec::len), Some(0), "{events}");
}

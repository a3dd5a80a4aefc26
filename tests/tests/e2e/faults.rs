//! A full disk, too few descriptors, bits flipped on the way.

use std::time::Duration;

use watchkeeper_tests::harness::{
    AgentOptions, Direction, Fault, LogWriter, Proxy, Site, SmallDisk, eventually, free_port,
    get_text,
};

#[tokio::test]
async fn a_bit_flipped_on_the_way_is_noticed_and_nothing_is_lost() {
    let mut site = Site::new("").unwrap();
    let proxy = Proxy::start(site.port).await.unwrap();
    let collector_port = Some(proxy.port());
    site.configure_agent(&AgentOptions { collector_port, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    for round in 0..10_u64 {
        proxy.set(Fault::FlipAfter(40 + round * 29));
        for n in 0..200 {
            log.line(200 + (n % 3) as u16, n as f64).unwrap();
        }
        let faults = round + 1;
        let flipped = || async { (proxy.n_faults() >= faults).then_some(()) };
        eventually("a bit is flipped", Duration::from_secs(60), flipped).await;
    }
    site.wait_counted(&log.written, Duration::from_secs(120)).await;
}

#[tokio::test]
async fn a_bit_flipped_in_an_answer_is_noticed_and_nothing_is_lost() {
    let mut site = Site::new("").unwrap();
    let proxy = Proxy::start(site.port).await.unwrap();
    let collector_port = Some(proxy.port());
    site.configure_agent(&AgentOptions { collector_port, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    for round in 0..8_u64 {
        // In what is said of HTTP/2, or in the receipt of the next batch.
        proxy.set_for(Direction::Down, Fault::FlipAfter(5 + round * 13));
        for n in 0..200 {
            log.line(200 + (n % 3) as u16, n as f64).unwrap();
        }
        site.wait_counted_once(&log.written, Duration::from_secs(120)).await;
        let faults = round + 1;
        let flipped = || async { (proxy.n_faults() >= faults).then_some(()) };
        eventually("a bit is flipped", Duration::from_secs(60), flipped).await;
    }
    site.wait_counted(&log.written, Duration::from_secs(120)).await;
    let agents = site.api("agents").await.unwrap();
    assert_eq!(agents["agents"].as_array().map(Vec::len), Some(1), "{agents}");
}

#[tokio::test]
async fn a_full_disk_stops_reading_and_loses_nothing() {
    let mut site = Site::new("").unwrap();
    let Some(disk) = SmallDisk::mount(&site.path().join("small"), "8m") else { return };
    let dead_port = Some(free_port());
    let data_dir = Some(disk.path().join("agent"));
    let without_collector = AgentOptions {
        collector_port: dead_port,
        data_dir: data_dir.clone(),
        ..AgentOptions::default()
    };
    // The first welcome makes the spool known; then the road ends nowhere, and the spool fills.
    site.configure_agent(&AgentOptions { data_dir, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(20)).await;
    site.agent.as_mut().unwrap().stop(Duration::from_secs(15)).unwrap();
    site.configure_agent(&without_collector).unwrap();
    site.start_agent(&[]).unwrap();
    let metrics = format!("http://127.0.0.1:{}/readyz", site.admin_port);
    let up = || async { get_text(&metrics).await.ok().filter(|(status, _)| *status == 200) };
    eventually("the agent is up", Duration::from_secs(20), up).await;
    // Somebody fills the disk to its last byte.
    disk.fill().unwrap();
    let mut n = 0_u64;
    let full = eventually("the agent says that its disk is full", Duration::from_secs(60), || {
        for _ in 0..500 {
            n += 1;
            log.line(if n.is_multiple_of(5) { 500 } else { 200 }, (n % 977) as f64).unwrap();
        }
        async { get_text(&metrics).await.ok().filter(|(_, text)| text.contains("disk is full")) }
    })
    .await;
    assert_eq!(full.0, 503, "{}", full.1);
    for n in 0..1000 {
        log.line(404, n as f64).unwrap();
    }
    // New settings wait for room, like everything else.
    let file_of_agent = site.path().join("agent.yaml");
    let text = std::fs::read_to_string(&file_of_agent).unwrap();
    std::fs::write(&file_of_agent, text.replace("name: shop-log", "name: renamed")).unwrap();
    site.agent.as_ref().unwrap().signal(rustix::process::Signal::HUP);
    let says = |words: &'static str| {
        let metrics = metrics.clone();
        move || {
            let metrics = metrics.clone();
            async move { get_text(&metrics).await.ok().filter(|(_, text)| text.contains(words)) }
        }
    };
    eventually("the reload waits", Duration::from_secs(20), says("config: reload of")).await;
    // There is room again: sealing goes on by itself, and with a road everything arrives.
    disk.free();
    let ready = || async { get_text(&metrics).await.ok().filter(|(status, _)| *status == 200) };
    eventually("the agent seals again", Duration::from_secs(60), ready).await;
    eventually("it is reloaded", Duration::from_secs(20), says("config: reloaded at")).await;
    eventually("by its new name", Duration::from_secs(20), says("source renamed: ok")).await;
    site.agent.as_mut().unwrap().stop(Duration::from_secs(15)).unwrap();
    let back = AgentOptions { data_dir: without_collector.data_dir, ..AgentOptions::default() };
    site.configure_agent(&back).unwrap();
    site.start_agent(&[]).unwrap();
    site.wait_counted(&log.written, Duration::from_secs(60)).await;
}

#[tokio::test]
async fn too_few_descriptors_are_told_and_keep_nothing_from_being_sealed() {
    let mut site = Site::new("").unwrap();
    site.configure_agent(&AgentOptions::default()).unwrap();
    site.start_collector(&[]).await.unwrap();
    let mut logs: Vec<LogWriter> = (0..120)
        .map(|i| LogWriter::open(&site.logs().join(format!("{i:03}.log"))).unwrap())
        .collect();
    for log in &mut logs {
        log.line(200, 1.0).unwrap();
    }
    site.start_agent_with_descriptors(100).unwrap();
    let url = format!("http://127.0.0.1:{}/readyz", site.admin_port);
    let told = "too many open files: raise `LimitNOFILE`";
    let ready = eventually("the agent says so", Duration::from_secs(20), || async {
        get_text(&url).await.ok().filter(|(_, text)| text.contains(told))
    })
    .await;
    assert_eq!(ready.0, 200, "it seals all the same: {}", ready.1);
    // What it could open is counted, and goes on being counted through an end of the collector.
    let n_counted = || async {
        let counted = site.counted().await.ok()?;
        Some(counted.values().sum::<u64>())
    };
    let n_before = eventually("some are counted", Duration::from_secs(20), || async {
        n_counted().await.filter(|n| (40..100).contains(n))
    })
    .await;
    for log in &mut logs {
        log.line(200, 2.0).unwrap();
    }
    eventually("they are counted on", Duration::from_secs(20), || async {
        n_counted().await.filter(|n| *n >= 2 * n_before)
    })
    .await;
    let agent = site.agent.as_mut().unwrap();
    assert!(agent.log().contains("log files that can be open at a time"), "{}", agent.log());
    agent.stop(Duration::from_secs(15)).unwrap();
    site.start_agent(&[]).unwrap();
    let mut all = std::collections::BTreeMap::new();
    all.insert("200".to_owned(), 240);
    site.wait_counted(&all, Duration::from_secs(30)).await;
}

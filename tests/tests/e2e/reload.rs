//! SIGHUP while everything moves: each line is counted once, by whichever settings hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use watchkeeper_tests::harness::{LogWriter, Site, Totals, eventually, get_text};

const SOON: Duration = Duration::from_secs(30);

/// A source of an agent's file.
struct Tail {
    name: &'static str,
    /// Of the site's logs.
    paths: &'static [&'static str],
    /// More lines of its section, each indented by six.
    more: &'static str,
}

const fn tail(name: &'static str, paths: &'static [&'static str]) -> Tail {
    Tail { name, paths, more: "" }
}

/// Writes the agent's file with these sources, each counting `requests`.
fn configure(site: &Site, sources: &[Tail]) {
    let mut text = format!(
        "agent: {{id: web-1, data_dir: '{}', admin: '127.0.0.1:{}', labels: {{env: test}}}}\n\
         collector: {{grpc: {{endpoint: 'http://127.0.0.1:{}'}}}}\nsources:\n",
        site.path().join("agent").display(),
        site.admin_port,
        site.port,
    );
    for Tail { name, paths, more } in sources {
        let paths: Vec<String> =
            paths.iter().map(|p| format!("'{}'", site.logs().join(p).display())).collect();
        text += &format!(
            "  - tail:\n      name: {name}\n      service: shop\n      paths: [{}]\n      start_at: beginning\n\
             \x20     signals: [{{name: requests, value: {{field: duration_ms, unit: ms}}, labels: {{status: status}}}}]\n{more}",
            paths.join(", ")
        );
    }
    replace(site, &text);
}

/// Never half of it: the agent may read the file at any time.
fn replace(site: &Site, text: &str) {
    let new = site.path().join("agent.yaml.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, site.path().join("agent.yaml")).unwrap();
}

fn hang_up(site: &Site) {
    site.agent.as_ref().unwrap().signal(Signal::HUP);
}

fn n_told(site: &Site, words: &str) -> usize {
    let log = site.agent.as_ref().unwrap().log();
    log.lines().filter(|line| line.contains(words)).count()
}

/// Reloads, and says what the agent says of it.
async fn reload(site: &Site, sources: &[Tail]) -> String {
    let n = n_told(site, "configuration reloaded");
    configure(site, sources);
    hang_up(site);
    eventually("it is reloaded", SOON, || async {
        (n_told(site, "configuration reloaded") > n).then_some(())
    })
    .await;
    let log = site.agent.as_ref().unwrap().log();
    let line = log.lines().rfind(|line| line.contains("configuration reloaded")).unwrap();
    line.split("configuration reloaded: ").nth(1).unwrap().to_owned()
}

async fn ask(site: &Site, page: &str) -> String {
    let url = format!("http://127.0.0.1:{}/{page}", site.admin_port);
    eventually(&format!("{url} answers"), SOON, || async { get_text(&url).await.ok() }).await.1
}

fn metric(text: &str, name: &str) -> String {
    let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// Descriptors of the agent that lead to a file of this name.
fn descriptors(site: &Site, name: &str) -> Vec<String> {
    let path = site.logs().join(name);
    let directory = format!("/proc/{}/fd", site.agent.as_ref().unwrap().id());
    let all = std::fs::read_dir(directory).unwrap().filter_map(Result::ok);
    let leads = all.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == path));
    leads.map(|fd| fd.file_name().to_string_lossy().into_owned()).collect()
}

/// A service that writes at speed and rotates, until it is told to stop.
struct Service {
    stop: Arc<AtomicBool>,
    n_lines: Arc<AtomicU64>,
    thread: JoinHandle<LogWriter>,
}

impl Service {
    fn start(path: PathBuf) -> Self {
        let (stop, n_lines) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), n_lines.clone());
        let thread = std::thread::spawn(move || {
            let mut log = LogWriter::open(&path).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                for n in 0..20 {
                    log.line([200, 200, 404, 500][n % 4], 1.0).unwrap();
                }
                counted.store(log.n_lines(), Ordering::Relaxed);
                if log.n_lines().is_multiple_of(2_000) {
                    log.rotate_by_rename().unwrap();
                }
                // The pace of a busy service.
                std::thread::sleep(Duration::from_millis(4));
            }
            log
        });
        Self { stop, n_lines, thread }
    }

    /// Waits until it has written some more.
    async fn goes_on(&self) {
        let enough = self.n_lines.load(Ordering::Relaxed) + 500;
        eventually("the service writes", SOON, || async {
            (self.n_lines.load(Ordering::Relaxed) > enough).then_some(())
        })
        .await;
    }

    fn end(self) -> LogWriter {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn sum(logs: &[&LogWriter]) -> Totals {
    let mut all = Totals::new();
    for (status, n) in logs.iter().flat_map(|l| &l.written) {
        *all.entry(status.clone()).or_default() += n;
    }
    all
}

async fn site_with(sources: &[Tail]) -> Site {
    let mut site = Site::new("").unwrap();
    configure(&site, sources);
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    site
}

#[tokio::test]
async fn counts_are_exact_through_reloads_while_files_grow_and_rotate() {
    let still = || tail("still", &["still.log"]);
    let busy = || tail("busy", &["busy.log"]);
    let site = site_with(&[still(), busy()]).await;
    let mut quiet = LogWriter::open(&site.logs().join("still.log")).unwrap();
    quiet.line(200, 1.0).unwrap();
    site.wait_counted(&quiet.written, SOON).await;
    let untouched = descriptors(&site, "still.log");
    assert_eq!(untouched.len(), 1);
    let service = Service::start(site.logs().join("busy.log"));
    let mut other = LogWriter::open(&site.logs().join("other.txt")).unwrap();
    (0..50).for_each(|n| other.line(200, f64::from(n)).unwrap());
    service.goes_on().await;

    replace(&site, "sources:\n  - tale: {}\n");
    hang_up(&site);
    eventually("the bad file is told", SOON, || async {
        (n_told(&site, "unknown key `tale`") > 0).then_some(())
    })
    .await;
    let readyz = ask(&site, "readyz").await;
    assert!(readyz.starts_with("ready\n"), "{readyz}");
    assert!(readyz.contains("config: last reload failed at 2"), "{readyz}");
    let gauge = "watchkeeper_config_last_reload_successful";
    assert_eq!(metric(&ask(&site, "metrics").await, gauge), "0");
    let before = site.counted().await.unwrap().values().sum::<u64>();
    eventually("the settings before go on", SOON, || async {
        (site.counted().await.ok()?.values().sum::<u64>() > before).then_some(())
    })
    .await;

    let events = "      events: [{name: error, where: 'level == \"error\"', severity: error}]\n";
    let edited = || Tail { more: events, ..busy() };
    assert_eq!(reload(&site, &[still(), edited()]).await, "1 unchanged, 1 edited (busy)");
    assert_eq!(metric(&ask(&site, "metrics").await, gauge), "1");
    service.goes_on().await;
    let wider = tail("busy", &["busy.log", "*.txt"]);
    assert_eq!(reload(&site, &[still(), wider]).await, "1 unchanged, 1 edited (busy)");
    service.goes_on().await;
    let renamed = || tail("moved", &["*.txt", "busy.log"]);
    assert_eq!(reload(&site, &[still(), renamed()]).await, "1 unchanged, renamed busy -> moved");
    service.goes_on().await;
    assert_eq!(reload(&site, &[still()]).await, "1 unchanged, 1 removed (moved)");
    service.goes_on().await;
    let page = ask(&site, "readyz").await + &ask(&site, "metrics").await;
    assert!(page.contains("source still: ok") && !page.contains("source moved:"), "{page}");
    assert!(!page.contains("lag_bytes{source=\"moved\""), "{page}");
    assert_eq!(reload(&site, &[renamed(), still()]).await, "1 unchanged, 1 added (moved)");
    service.goes_on().await;
    assert_eq!(descriptors(&site, "still.log"), untouched, "who is unchanged is not touched");

    quiet.line(404, 1.0).unwrap();
    let log = service.end();
    let written = sum(&[&quiet, &log, &other]);
    site.wait_counted(&written, Duration::from_secs(90)).await;
    let agents = site.api("agents").await.unwrap();
    let sources = agents["agents"][0]["sources"].as_array().unwrap();
    let read: BTreeMap<&str, u64> = sources
        .iter()
        .map(|s| (s["name"].as_str().unwrap(), s["read"].as_u64().unwrap()))
        .collect();
    assert_eq!(read.values().sum::<u64>(), written.values().sum::<u64>(), "{agents}");
    assert_eq!(read["still"], 2);
    for source in sources {
        assert_eq!((&source["bytes_abandoned"], &source["bytes_unknown"]), (&0.into(), &0.into()));
    }
}

/// A repeatable source of chance: the seed is printed when a test fails.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        // Xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[tokio::test]
async fn counts_are_exact_through_random_reloads_and_kills() {
    let seed = std::env::var("STORM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x5eed_0002);
    let n_rounds = std::env::var("STORM_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}");
    let mut chance = Chance(seed);
    let still = || tail("still", &["still.log"]);
    let named = |name| tail(name, &["busy.log", "more-*.log"]);
    let mut site = site_with(&[still(), named("a")]).await;
    let mut quiet = LogWriter::open(&site.logs().join("still.log")).unwrap();
    let service = Service::start(site.logs().join("busy.log"));
    service.goes_on().await;
    for _ in 0..n_rounds {
        let edit = "      events: [{name: error, where: 'level == \"error\"'}]\n";
        let sources = match chance.below(6) {
            0 => vec![named("a"), still()],
            1 => vec![still(), named("b")],
            2 => vec![still(), Tail { more: edit, ..named("c") }],
            3 => vec![still(), Tail { more: "      max_line: 1KiB\n", ..named("a") }],
            4 => vec![still()],
            // Something else that reads nothing takes a name.
            _ => vec![tail("a", &["none.log"]), named("b"), still()],
        };
        quiet.line(200, 1.0).unwrap();
        configure(&site, &sources);
        hang_up(&site);
        match chance.below(6) {
            0 | 1 => {}
            2 => service.goes_on().await,
            3 | 4 => {
                if chance.below(2) == 0 {
                    let ms = chance.below(20);
                    // So long a reload has had, at random.
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                site.agent.as_mut().unwrap().kill();
                site.start_agent(&[]).unwrap();
                catches(&site, Signal::HUP).await;
            }
            _ => {
                site.collector.as_mut().unwrap().kill();
                site.start_collector(&[]).await.unwrap();
            }
        }
    }
    service.goes_on().await;
    let log = service.end();
    configure(&site, &[still(), named("last")]);
    hang_up(&site);
    site.wait_counted(&sum(&[&quiet, &log]), Duration::from_secs(120)).await;
}

#[tokio::test]
async fn a_reload_that_dies_at_each_named_point_counts_no_line_twice() {
    let mut site = site_with(&[tail("name-0", &["a.log"])]).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, SOON).await;
    let names = ["name-1", "name-2", "name-3", "name-4"];
    // A start tells the spool of its sources too: the second time is the reload.
    let points = [
        "agent.before_configured",
        "spool.before_configured:2",
        "spool.after_configured:2",
        "agent.after_configured",
    ];
    for (name, point) in names.into_iter().zip(points) {
        site.agent.as_mut().unwrap().stop(SOON).unwrap();
        site.start_agent(&["--crash-at", point]).unwrap();
        eventually("it is connected", SOON, || async {
            ask(&site, "readyz").await.contains("collector: connected").then_some(())
        })
        .await;
        log.line(500, 2.0).unwrap();
        configure(&site, &[tail(name, &["a.log"])]);
        hang_up(&site);
        let status = site.agent.as_mut().unwrap().wait(SOON).unwrap();
        assert!(!status.success(), "the agent passed {point} alive");
        log.line(200, 3.0).unwrap();
        site.start_agent(&[]).unwrap();
        site.wait_counted(&log.written, SOON).await;
    }
}

#[tokio::test]
async fn files_that_are_not_asked_for_any_more_are_not_counted_until_they_are_again() {
    let site = site_with(&[tail("shop", &["a.log"])]).await;
    let mut a = LogWriter::open(&site.logs().join("a.log")).unwrap();
    let mut b = LogWriter::open(&site.logs().join("b.log")).unwrap();
    a.line(200, 1.0).unwrap();
    site.wait_counted(&a.written, SOON).await;
    assert_eq!(reload(&site, &[tail("shop", &["b.log"])]).await, "0 unchanged, 1 edited (shop)");
    let counted = a.written.clone();
    a.line(404, 1.0).unwrap();
    b.line(500, 1.0).unwrap();
    let mut expected = counted;
    expected.insert("500".to_owned(), 1);
    site.wait_counted(&expected, SOON).await;
    assert_eq!(descriptors(&site, "a.log").len(), 0);
    reload(&site, &[tail("shop", &["b.log", "a.log"])]).await;
    site.wait_counted(&sum(&[&a, &b]), SOON).await;
}

#[tokio::test]
async fn a_source_renamed_while_the_agent_was_stopped_goes_on_where_it_stood() {
    let mut site = site_with(&[tail("before", &["*.log"]), tail("other", &["x.txt"])]).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    (0..100).for_each(|n| log.line(200, f64::from(n)).unwrap());
    site.wait_counted(&log.written, SOON).await;
    site.agent.as_mut().unwrap().stop(SOON).unwrap();
    log.line(404, 1.0).unwrap();
    log.rotate_by_rename().unwrap();
    log.line(500, 1.0).unwrap();
    configure(&site, &[tail("after", &["*.log"])]);
    site.start_agent(&[]).unwrap();
    site.wait_counted(&log.written, SOON).await;
    let told = "source goes on where another one stood that read the same";
    assert_eq!(n_told(&site, told), 1);
    // Now the spool is lost: the collector knows both files under the new name.
    site.agent.as_mut().unwrap().kill();
    std::fs::remove_dir_all(site.path().join("agent")).unwrap();
    log.line(200, 1.0).unwrap();
    site.start_agent(&[]).unwrap();
    site.wait_counted(&log.written, SOON).await;
}

/// Waits until a signal is caught: before that it would end the process, as it would any other.
async fn catches(site: &Site, signal: Signal) {
    let path = format!("/proc/{}/status", site.agent.as_ref().unwrap().id());
    eventually("the signal is caught", SOON, || async {
        let status = std::fs::read_to_string(&path).ok()?;
        let caught = status.lines().find_map(|l| l.strip_prefix("SigCgt:"))?.trim();
        let mask = u64::from_str_radix(caught, 16).ok()?;
        (mask >> (signal.as_raw() - 1) & 1 == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hangup_while_starting_or_stopping_breaks_nothing() {
    let mut site = site_with(&[tail("a", &["a.log"])]).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, SOON).await;
    for name in ["b", "c", "d"] {
        site.agent.as_mut().unwrap().stop(SOON).unwrap();
        log.line(200, 1.0).unwrap();
        site.start_agent(&[]).unwrap();
        catches(&site, Signal::HUP).await;
        hang_up(&site);
        configure(&site, &[tail(name, &["a.log"])]);
        hang_up(&site);
        hang_up(&site);
        site.wait_counted(&log.written, SOON).await;
        let now = format!("source {name}: ok");
        eventually("the last file holds", SOON, || async {
            ask(&site, "readyz").await.contains(&now).then_some(())
        })
        .await;
    }
    site.collector.as_mut().unwrap().kill();
    log.line(500, 1.0).unwrap();
    eventually("it is disconnected", SOON, || async {
        (!ask(&site, "readyz").await.contains("collector: connected")).then_some(())
    })
    .await;
    configure(&site, &[tail("e", &["a.log"])]);
    site.agent.as_ref().unwrap().signal(Signal::TERM);
    for _ in 0..20 {
        hang_up(&site);
    }
    let status = site.agent.as_mut().unwrap().wait(SOON).unwrap();
    assert!(status.success(), "{status}");
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    log.line(404, 1.0).unwrap();
    site.wait_counted(&log.written, SOON).await;
}

#[tokio::test]
async fn keys_that_need_a_restart_are_named() {
    let mut site = site_with(&[tail("a", &["a.log"])]).await;
    ask(&site, "readyz").await;
    let text = std::fs::read_to_string(site.path().join("agent.yaml")).unwrap();
    let edited = text.replace("labels: {env: test}", "labels: {env: prod}, flush: 100ms");
    assert_ne!(text, edited);
    for _ in 0..2 {
        let n = n_told(&site, "configuration reloaded");
        replace(&site, &edited);
        hang_up(&site);
        eventually("it is told", SOON, || async {
            (n_told(&site, "configuration reloaded") > n).then_some(())
        })
        .await;
    }
    let log = site.agent.as_ref().unwrap().log();
    let told: Vec<&str> =
        log.lines().filter_map(|l| l.split("configuration reloaded: ").nth(1)).collect();
    assert_eq!(
        told,
        [
            "1 unchanged, agent.flush is 100ms now; these need a restart: agent.labels",
            "1 unchanged; these need a restart: agent.labels",
        ]
    );
    assert!(site.agent.as_mut().unwrap().is_running());
}

#[tokio::test]
async fn hundreds_of_reloads_leave_no_descriptor_and_no_thread_behind() {
    let site = site_with(&[tail("same", &["a.log"])]).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted(&log.written, SOON).await;
    let n_of = |what: &str| {
        let path = format!("/proc/{}/{what}", site.agent.as_ref().unwrap().id());
        std::fs::read_dir(path).unwrap().count()
    };
    let rounds: [&[Tail]; 4] = [
        &[tail("same", &["a.log"]), tail("one", &["b.log"]), tail("two", &["c.log"])],
        &[tail("two", &["b.log"]), tail("three", &["c.log", "d.log"])],
        &[tail("same", &["a*.log"]), tail("four", &["*.txt"])],
        &[tail("same", &["a.log"])],
    ];
    let mut before = None;
    for n in 0..50 {
        for sources in &rounds {
            log.line(200, 1.0).unwrap();
            reload(&site, sources).await;
        }
        if n == 4 {
            before =
                Some((n_of("fd"), n_of("task"), site.agent.as_ref().unwrap().rss_bytes().unwrap()));
        }
    }
    site.wait_counted(&log.written, SOON).await;
    let (n_open, n_threads, rss_bytes) = before.unwrap();
    eventually("everything of before is closed", SOON, || async {
        (n_of("fd") <= n_open && n_of("task") <= n_threads).then_some(())
    })
    .await;
    let rss = site.agent.as_ref().unwrap().rss_bytes().unwrap();
    assert!(rss < rss_bytes + (8 << 20), "{} MiB grew to {}", rss_bytes >> 20, rss >> 20);
}

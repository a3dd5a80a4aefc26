//! The example of twenty-two services on one machine, with its own files: five break, and each is told with what failed and its
//! last log lines, while nobody speaks of the others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchkeeper_tests::fakes::{Flavour, Receiver, Request};
use watchkeeper_tests::harness::{Process, Site, binary, eventually, find_program, free_port};

const LIMIT: Duration = Duration::from_secs(60);

const N_SERVICES: usize = 22;

/// What breaks; which service is told; by which rule, how soon, and with which words among its last log lines.
const FAULTS: [(&str, &str, &str, Duration, &str); 5] = [
    ("killed", "photo-sort", "photo-sort-down", Duration::from_secs(10), ".dat is done"),
    (
        "config",
        "issue-triage",
        "issue-triage-down",
        Duration::from_secs(10),
        "issue-triage.conf:2: `intervall` is not known",
    ),
    ("api", "crm-sync", "crm-api-gone", Duration::from_secs(10), "/orders: connection refused"),
    ("slow", "transcriber", "transcriber-slow", Duration::from_secs(30), ".dat is done"),
    (
        "stuck",
        "vtt-import",
        "vtt-import-stuck",
        Duration::from_secs(25),
        "took up 0-endless-meeting.vtt",
    ),
];

/// The example, as it lies in the repository, with other ports and another directory.
struct Example {
    directory: PathBuf,
    services: Option<Process>,
}

impl Example {
    fn copied(site: &Site, told: &Receiver) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/maia");
        let directory = site.path().join("maia");
        std::fs::create_dir_all(directory.join("services")).unwrap();
        let (crm, calendar, receiver) = (free_port(), free_port(), free_port());
        let data = site.path().join("data");
        let replaced = [
            ("http://127.0.0.1:7799/told".to_owned(), told.url("/told")),
            ("127.0.0.1:7700".to_owned(), format!("127.0.0.1:{}", site.port)),
            ("127.0.0.1:7701".to_owned(), format!("127.0.0.1:{}", site.admin_port)),
            ("7801".to_owned(), crm.to_string()),
            ("7802".to_owned(), calendar.to_string()),
            ("7799".to_owned(), receiver.to_string()),
            ("/tmp/maia".to_owned(), data.display().to_string()),
        ];
        let files = ["run", "services/list", "services/service", "services/api"];
        for name in files.into_iter().chain(["agent.yaml", "collector.yaml"]) {
            let mut text = std::fs::read_to_string(from.join(name)).unwrap();
            for (old, new) in &replaced {
                text = text.replace(old, new);
            }
            // The site starts both programs by the files that lie in its own directory.
            let is_ours = Path::new(name).extension().is_some();
            let to = if is_ours { site.path().join(name) } else { directory.join(name) };
            std::fs::write(&to, text).unwrap();
            let mode = std::fs::metadata(from.join(name)).unwrap().permissions();
            std::fs::set_permissions(&to, mode).unwrap();
        }
        Self { directory, services: None }
    }

    fn start(&mut self) {
        let log = self.directory.join("run.log");
        let run = self.directory.join("run");
        self.services = Some(Process::start(&run, &[], &log).unwrap());
    }

    fn does(&self, what: &str, fault: &str) {
        let status = Command::new(self.directory.join("run")).args([what, fault]).status().unwrap();
        assert!(status.success(), "run {what} {fault}");
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It stops all that it has started, by process id.
        if let Some(services) = &mut self.services {
            let _ = services.stop(Duration::from_secs(10));
        }
    }
}

/// The alerts in a message, with whether they fire.
fn alerts(request: &Request) -> Vec<Value> {
    request.json()["alerts"].as_array().cloned().unwrap_or_default()
}

fn told_of(requests: &[Request], service: &str, name: &str) -> Option<(Instant, Value)> {
    requests.iter().find_map(|request| {
        let is_it = |alert: &Value| {
            alert["labels"]["service"] == service && alert["labels"]["alertname"] == name
        };
        let alert = alerts(request).into_iter().find(is_it)?;
        (alert["status"] == "firing").then(|| (request.at.into_std(), alert))
    })
}

fn services_told(requests: &[Request]) -> BTreeSet<String> {
    let all = requests.iter().flat_map(alerts);
    all.map(|alert| alert["labels"]["service"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What a command prints, which has to succeed.
fn asked(site: &Site, arguments: &[&str]) -> String {
    let url = format!("http://127.0.0.1:{}", site.port);
    let output = Command::new(binary("watchkeeper")).args(arguments).args(["--url", &url]).output();
    let output = output.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("$ watchkeeper {}\n{shown}", arguments.join(" "));
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    shown
}

async fn wait_all_seen(site: &Site) {
    eventually("all services run, and their jobs are counted", LIMIT, || async {
        let up = site.stat_by("process_up", "last", "service").await.ok()?;
        let jobs = site.counted_by("jobs", "service").await.ok()?;
        let all_up = up.len() == N_SERVICES && up.values().all(|up| *up == 1.0);
        (all_up && jobs.len() == N_SERVICES && jobs.values().all(|n| *n >= 5)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_two_services_the_five_that_break_are_told_with_their_last_lines() {
    if find_program("bash").is_none() || find_program("perl").is_none() {
        return;
    }
    let told = Receiver::start(Flavour::Webhook).await.unwrap();
    let mut site = Site::new("").unwrap();
    let mut example = Example::copied(&site, &told);
    let files = ["agent.yaml", "collector.yaml"].map(|name| site.path().join(name));
    let mut strict = Command::new(binary("watchkeeper"));
    let strict = strict.args(["check", "--strict"]).args(&files).output().unwrap();
    assert!(strict.status.success(), "{}", String::from_utf8_lossy(&strict.stdout));

    example.start();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    wait_all_seen(&site).await;
    assert_eq!(services_told(&told.requests()), BTreeSet::new(), "nothing is broken yet");

    for (fault, service, rule, limit, line) in FAULTS {
        let broken = Instant::now();
        example.does("break", fault);
        let is_told = |requests: &[Request]| told_of(requests, service, rule).is_some();
        let requests = told.wait_for(is_told, LIMIT).await;
        let requests = requests.unwrap_or_else(|all| panic!("{fault}: {:?}", services_told(&all)));
        let (at, alert) = told_of(&requests, service, rule).unwrap();
        let took = at.duration_since(broken);
        let annotations = &alert["annotations"];
        let (what, lines) = (&annotations["summary"], annotations["last_lines"].as_str().unwrap());
        println!("{fault}: told after {} ms: {what}\n{lines}", took.as_millis());
        assert!(took < limit, "{fault}: {took:?}");
        assert!(what.as_str().unwrap().contains(service), "{what}");
        assert!(lines.contains(line) && lines.lines().count() >= 3, "{fault}: {line:?} in {lines}");
        if rule.ends_with("-down") {
            assert!(lines.contains(" died: "), "{lines}");
        }
    }
    let broken: BTreeSet<String> = FAULTS.map(|fault| fault.1.to_owned()).into();
    assert_eq!(services_told(&told.requests()), broken, "who was not broken is silent");
    questions(&site);

    for (fault, ..) in FAULTS {
        example.does("heal", fault);
    }
    eventually("all is well again", Duration::from_secs(120), || async {
        let alerts = site.api("alerts").await.ok()?["alerts"].as_array()?.clone();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        // An error budget is not given back by healing, and the watchdog always barks.
        let mut names = firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap_or(""));
        names.all(|name| ["crm-sync", "Watchdog"].contains(&name)).then_some(())
    })
    .await;
    assert_eq!(services_told(&told.requests()), broken, "nor afterwards");
}

/// Each is one command.
fn questions(site: &Site) {
    let status = asked(site, &["status"]);
    assert!(status.contains("firing") && status.contains("crm-api-gone"), "{status}");
    let alerts = asked(site, &["alerts"]);
    for (_, _, rule, ..) in FAULTS {
        assert!(alerts.contains(rule), "{rule}: {alerts}");
    }
    let slo = asked(site, &["slo"]);
    assert!(slo.contains("vtt-import") && slo.contains("crm-sync"), "{slo}");
    let p95 = asked(site, &["query", "jobs", "--service", "transcriber", "--stat", "p95"]);
    // In seconds.
    let seconds: Option<f64> = p95.lines().last().and_then(|line| line.trim().parse().ok());
    assert!(seconds.is_some_and(|seconds| (1.0..5.0).contains(&seconds)), "{p95}");
    let cpu = asked(site, &["query", "process_cpu", "--stat", "avg", "--by", "service"]);
    assert!(cpu.contains("tag-cleaner"), "{cpu}");
}

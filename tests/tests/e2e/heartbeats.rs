//! Jobs that say how they are: by being run, by a word, and over HTTP; through agents that die, and past those that are dead.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchkeeper_tests::fakes::PagerDuty;
use watchkeeper_tests::harness::{Site, Totals, binary, eventually, find_program, free_port};

const KEY: &str = "0cc175b9c0f1b6a831c399e269772661";

const LIMIT: Duration = Duration::from_secs(30);

const BACKUP: &str =
    "  - heartbeat: {name: backup, service: db, schedule: '0 3 * * *', grace: 30m}\n";

async fn site(sources: &str) -> Site {
    let mut site = Site::new("").unwrap();
    site.configure_sources(sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    start_agent(&mut site).await;
    site
}

async fn start_agent(site: &mut Site) {
    site.start_agent(&[]).unwrap();
    let agent = agent(site.admin_port);
    eventually("the agent listens", LIMIT, || async {
        reqwest::get(format!("{agent}/healthz")).await.ok().map(|_| ())
    })
    .await;
}

fn agent(port: u16) -> String {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    format!("http://127.0.0.1:{port}")
}

/// As cron calls it: by a shell, with hardly any environment.
fn cron(agent: &str, line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    let path = binary("watchkeeper");
    let directory = path.parent().unwrap().display();
    shell.env_clear().env("PATH", format!("{directory}:/usr/bin:/bin"));
    shell.env("WATCHKEEPER_AGENT", agent).args(["-c", line]);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

fn done(agent: &str, line: &str) -> Output {
    cron(agent, line).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until there are exactly these results.
async fn wait_results(site: &Site, wanted: &[(&str, u64)]) {
    let wanted: Totals = wanted.iter().map(|(result, n)| ((*result).to_owned(), *n)).collect();
    eventually(&format!("{wanted:?}"), LIMIT, || async {
        (site.counted_by("heartbeat", "result").await.ok()? == wanted).then_some(())
    })
    .await;
}

async fn event(site: &Site, name: &str) -> Value {
    eventually(&format!("the event {name}"), LIMIT, || async {
        let answer = site.api(&format!("events?service=db&name={name}")).await.ok()?;
        answer["events"].as_array()?.first().cloned()
    })
    .await
}

/// A job that runs until a file is there.
fn until(path: &Path) -> String {
    format!("while ! test -e {}; do sleep 0.05; done", path.display())
}

#[tokio::test]
async fn a_command_runs_as_it_would_alone_and_how_it_ended_is_counted() {
    let site = site(BACKUP).await;
    let agent = agent(site.admin_port);
    let job = "watchkeeper beat backup -- sh -c 'cat; echo dumping; echo disk full, token=s3cr3t-of-ann@shop.example >&2; exit 3'";
    let mut child = cron(&agent, job).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from stdin\n").unwrap();
    let failed = child.wait_with_output().unwrap();
    assert_eq!(failed.status.code(), Some(3));
    assert_eq!(text(&failed.stdout), "from stdin\ndumping\n");
    assert_eq!(text(&failed.stderr), "disk full, token=s3cr3t-of-ann@shop.example\n");
    let well = done(&agent, "watchkeeper beat backup -- true");
    assert_eq!((well.status.code(), well.stdout.len(), well.stderr.len()), (Some(0), 0, 0));
    wait_results(&site, &[("failed", 1), ("ok", 1)]).await;

    let failed = event(&site, "failed").await;
    assert_eq!(failed["severity"], "error");
    let fields = &failed["fields"];
    let fields: Value = match fields.as_str() {
        Some(text) => serde_json::from_str(text).unwrap(),
        None => fields.clone(),
    };
    assert_eq!(fields["exit_code"], 3, "{failed}");
    let output = fields["output"].as_str().unwrap();
    assert!(output.contains("dumping") && output.contains("disk full"), "{output}");
    assert!(!output.contains("ann@shop.example"), "it is redacted as lines are: {output}");

    // What can't be started is a failure too, with the shell's code.
    let missing = done(&agent, "watchkeeper beat backup -- /no/such/program");
    assert_eq!(missing.status.code(), Some(127));
    let crashed = done(&agent, "watchkeeper beat backup -- sh -c 'kill -9 $$'");
    assert_eq!(crashed.status.code(), Some(128 + 9));
    wait_results(&site, &[("failed", 3), ("ok", 1)]).await;
}

#[tokio::test]
async fn signals_reach_the_command() {
    let site = site(BACKUP).await;
    let job = "exec watchkeeper beat backup -- sh -c 'trap \"echo stopping; exit 5\" TERM; echo ready; while :; do sleep 0.05; done'";
    let mut child: Child = cron(&agent(site.admin_port), job).spawn().unwrap();
    let mut said = Vec::new();
    let mut out = child.stdout.take().unwrap();
    while !text(&said).contains("ready") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut out, &mut byte).unwrap();
        said.extend(byte);
    }
    signal_to(child.id(), Signal::TERM);
    std::io::Read::read_to_end(&mut out, &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(text(&said).ends_with("stopping\n"), "{}", text(&said));
    wait_results(&site, &[("failed", 1)]).await;
}

#[tokio::test]
async fn a_dead_agent_stops_no_job() {
    let nobody = agent(free_port());
    let began = Instant::now();
    let output = done(&nobody, "watchkeeper beat backup -- sh -c 'echo done; exit 4'");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(4), "done\n".to_owned()));
    let said = text(&output.stderr);
    assert!(
        said.contains("warning: the agent at") && said.contains("Connection refused"),
        "{said}"
    );
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let alone = done(&nobody, "watchkeeper beat backup");
    assert_eq!(alone.status.code(), Some(1));
}

#[test]
fn what_a_command_left_behind_holds_nobody_who_is_told_to_end() {
    let job = "exec watchkeeper beat backup -- sh -c 'sleep 60 & echo $!; exit 3'";
    let nobody = agent(free_port());
    let started = [Signal::TERM, Signal::INT, Signal::HUP]
        .map(|signal| (signal, cron(&nobody, job).spawn().unwrap()));
    for (signal, mut child) in started {
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let told = lines.find(|line| line.as_ref().unwrap().contains("how the command ended"));
        assert!(told.is_some(), "the command has ended, and everything is said");
        signal_to(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), Some(3), "{signal:?}");
        let mut left = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut left).unwrap();
        signal_to(left.trim().parse().unwrap(), Signal::KILL);
    }
}

#[test]
fn what_is_ignored_stays_so_for_the_command() {
    let nobody = agent(free_port());
    let job = "trap '' HUP; exec watchkeeper beat backup -- sh -c 'kill -HUP $$ $PPID; exit 6'";
    assert_eq!(done(&nobody, job).status.code(), Some(6));
}

#[test]
fn keys_of_a_terminal_reach_the_command_once_wherever_its_input_comes_from() {
    // Elsewhere script(1) takes other options.
    if !cfg!(target_os = "linux") || find_program("script").is_none() {
        return;
    }
    // What was passed on before USR1 has come before USR1.
    let job = r#"exec watchkeeper beat backup --no-output -- sh -c '
        n=0
        trap "n=\$((n+1)); kill -USR1 \$PPID" INT
        trap "echo came \$n times; exit" USR1
        echo ready; while :; do sleep 0.05; done' </dev/null"#;
    let mut command = cron(&agent(free_port()), r#"exec script -qec "$JOB" /dev/null"#);
    let mut child = command.env("JOB", job).stdin(Stdio::piped()).spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")));
    keys.write_all(b"\x03").unwrap();
    let told = lines.map(Result::unwrap).find(|line| line.contains("came")).unwrap();
    assert!(told.contains("came 1 times"), "{told}");
    child.wait().unwrap();
}

fn signal_to(id: u32, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

#[tokio::test]
async fn an_agent_that_is_killed_between_beginning_and_end_counts_the_run_once() {
    let mut site = site(BACKUP).await;
    let agent = agent(site.admin_port);
    let go = site.path().join("go");
    let job = format!("watchkeeper beat backup -- sh -c '{}'", until(&go));
    let running = cron(&agent, &job).spawn().unwrap();
    // A run without a name, by words alone.
    assert!(done(&agent, "watchkeeper beat backup --start --run by-hand").status.success());
    wait_results(&site, &[("overlap", 1)]).await;
    site.agent.as_mut().unwrap().kill();
    start_agent(&mut site).await;
    std::fs::write(&go, "").unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    for _ in 0..2 {
        let word = done(&agent, "watchkeeper beat backup --run by-hand");
        assert!(word.status.success(), "{}", text(&word.stderr));
    }
    wait_results(&site, &[("ok", 2), ("overlap", 1)]).await;
    let spans = site.stat_by("heartbeat", "min", "result").await.unwrap();
    assert!(spans["ok"] > 0.0, "how long they ran is known: {spans:?}");
}

#[tokio::test]
async fn an_agent_that_comes_back_in_time_hears_of_the_end() {
    let mut site = site(BACKUP).await;
    let agent = agent(site.admin_port);
    site.agent.as_mut().unwrap().kill();
    let running = cron(&agent, "watchkeeper beat backup -- true").spawn().unwrap();
    start_agent(&mut site).await;
    assert_eq!(running.wait_with_output().unwrap().status.code(), Some(0));
    wait_results(&site, &[("ok", 1)]).await;
}

#[tokio::test]
async fn a_missed_run_pages_and_the_page_closes_when_it_comes() {
    let pager = PagerDuty::start(&[KEY]).await.unwrap();
    let mut site = Site::new(&format!(
        "rules:\n  - {{name: BackupMissing, service: db, signal: heartbeat_up, stat: last, over: 5m, op: '<', value: 1, by: [job], labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: oncall, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n\
         \x20 receivers:\n    - name: oncall\n      pagerduty_configs: [{{routing_key: {KEY}, url: '{}'}}]\n",
        pager.receiver.url("/v2/enqueue")
    ))
    .unwrap();
    let often = "  - heartbeat: {name: sync, service: db, every: 10s, grace: 0s}\n";
    site.configure_sources(often).unwrap();
    site.start_collector(&[]).await.unwrap();
    start_agent(&mut site).await;
    let agent = agent(site.admin_port);
    assert!(done(&agent, "watchkeeper beat sync").status.success());
    let requests = pager.receiver.wait_for(|r| !r.is_empty(), LIMIT).await.unwrap();
    assert!(requests[0].text().contains("BackupMissing"), "{}", requests[0].text());
    let missed = event(&site, "missed").await;
    assert!(missed["message"].as_str().unwrap().contains("nothing was heard"), "{missed}");
    assert!(done(&agent, "watchkeeper beat sync").status.success());
    eventually("the incident is closed", LIMIT, || async {
        pager.incidents().first().filter(|incident| incident.is_resolved).map(|_| ())
    })
    .await;
    let results = site.counted_by("heartbeat", "result").await.unwrap();
    assert_eq!((results.get("ok"), results.get("late")), (Some(&1), Some(&1)), "{results:?}");
}

#[tokio::test]
async fn over_http_what_is_wrong_is_refused_with_the_reason() {
    let site = site(BACKUP).await;
    let base = format!("{}/api/v1/heartbeats", agent(site.admin_port));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str, body: usize, origin: Option<&str>| {
        let mut request = client.post(format!("{base}/{path}")).body("x".repeat(body));
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    for (path, body, origin, status, said) in [
        ("backup/start?run=a", 0, None, 200, r#"{"heartbeat":"backup","result":"started"}"#),
        ("backup/success?run=a&duration=1h30m", 60 << 10, None, 200, r#""result":"ok""#),
        ("backup/success?run=a", 0, None, 200, r#""result":"known""#),
        ("backup", 0, None, 200, r#""result":"ok""#),
        ("backup/failure?exit_code=2", 10, None, 200, r#""result":"failed""#),
        ("report", 0, None, 404, "there is no heartbeat \\\"report\\\": this agent has backup"),
        ("backup/stop", 0, None, 404, "a job says start, success or failure"),
        ("backup/success?duration=soon", 0, None, 400, "a number of seconds"),
        ("backup/success", 65 << 10, None, 413, "send the end of the output"),
        ("backup", 0, Some("https://evil.example"), 403, "web pages can't speak for jobs"),
    ] {
        let (code, text) = post(path, body, origin).await;
        assert!(code == status && text.contains(said), "{path}: {code} {text}");
    }
    wait_results(&site, &[("failed", 1), ("ok", 2)]).await;
    let (code, _) = watchkeeper_tests::harness::get_text(&format!("{base}/backup")).await.unwrap();
    assert_eq!(code, 405, "asking changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_does_not_wait_for_seals_that_are_rare() {
    let mut site = Site::new("").unwrap();
    site.configure_sources(BACKUP).unwrap();
    let file = site.path().join("agent.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, yaml.replacen("agent: {", "agent: {flush: 60s, ", 1)).unwrap();
    site.start_collector(&[]).await.unwrap();
    start_agent(&mut site).await;
    let agent = agent(site.admin_port);
    for _ in 0..3 {
        let began = Instant::now();
        let output = done(&agent, "watchkeeper beat backup -- true");
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
    wait_results(&site, &[("ok", 3)]).await;
}

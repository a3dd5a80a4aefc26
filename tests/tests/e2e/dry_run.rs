//! The dry run of the real agent: what it reads, what it says, when it ends, and that it leaves nothing behind.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchkeeper_tests::harness::{binary, eventually};

/// A configuration of two sources whose collector can't be reached and whose admin port is taken.
struct Site {
    dir: tempfile::TempDir,
    _taken: std::net::TcpListener,
}

const SECRET: &str = "hunter2-is-not-to-be-seen";

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let root = dir.path().display();
        let yaml = format!(
            "agent: {{id: web-1, data_dir: {root}/data, admin: '{}'}}\n\
             collector: {{grpc: {{endpoint: 'http://127.0.0.1:1', token: {SECRET}}}}}\n\
             sources:\n\
             - tail: {{name: shop-log, service: shop, paths: ['{root}/*.log'],\n\
             \x20   signals: [{{name: requests, value: {{field: ms, unit: ms}}, labels: {{status: status}}}}],\n\
             \x20   events: [{{name: error, where: 'status >= 500', severity: error, message: msg}}]}}\n\
             - tail: {{name: other, service: other, paths: ['{root}/other/*.log'], signals: [{{name: all}}]}}\n",
            taken.local_addr().unwrap(),
        );
        fs::write(dir.path().join("agent.yaml"), yaml).unwrap();
        Self { dir, _taken: taken }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(binary("watchkeeper-agent"));
        command.arg("--config").arg(self.path("agent.yaml")).arg("--dry-run").args(options);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, options: &[&str]) -> Output {
        self.command(options).output().unwrap()
    }

    fn start(&self, options: &[&str]) -> Child {
        let mut command = self.command(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&output.stderr)))
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

/// A number that Linux tells of a process.
fn number(child: &Child, file: &str, name: &str) -> u64 {
    let path = format!("/proc/{}/{file}", child.id());
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let digits = line.split_whitespace().next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[test]
fn a_dry_run_shows_every_source_and_leaves_nothing_behind() {
    let site = Site::new();
    let lines =
        "{\"status\":200,\"ms\":1.5}\n{\"status\":502,\"ms\":9,\"msg\":\"refused\"}\nno json\n";
    fs::write(site.path("a.log"), lines).unwrap();
    let output = site.run(&["--output", "json"]);
    let report = json(&output);
    assert_eq!(code(&output), 0);
    let (shop, other) = (&report["sources"][0], &report["sources"][1]);
    assert_eq!(
        (&shop["name"], &shop["lines"], &shop["matched"]),
        (&"shop-log".into(), &3.into(), &2.into())
    );
    assert_eq!(shop["signals"][0]["observed"], 2);
    assert_eq!(shop["events"][0]["message"], "refused");
    assert_eq!((&other["name"], &other["n_files"]), (&"other".into(), &0.into()));

    let output = site.run(&[]);
    let shown = String::from_utf8(output.stdout.clone()).unwrap();
    for part in [
        "shop-log (service shop)",
        "LINES       3",
        "unparsable  1  33.3%  is not one JSON object",
        "a.log:3  no json",
        "requests         2           2",
        "error     1  error     refused",
        "no file matches ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let all = shown + &report.to_string() + &String::from_utf8_lossy(&output.stderr);
    assert!(!all.contains(SECRET) && !all.contains('\u{1b}'), "{all}");
    let mut left: Vec<_> =
        fs::read_dir(site.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.log", "agent.yaml"]);
}

#[test]
fn standard_input_and_named_files_stand_for_one_source() {
    let site = Site::new();
    let mut child = site.start(&["--stdin", "--source", "shop-log", "--output", "json"]);
    // The last line has no end, and will get none.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"status\":200,\"ms\":1}\r\n\n{\"status\":404,\"ms\":2}")
        .unwrap();
    let report = json(&child.wait_with_output().unwrap());
    let source = &report["sources"][0];
    assert_eq!((&source["paths"][0], &source["lines"]), (&"standard input".into(), &3.into()));
    assert_eq!(
        (&source["signals"][0]["observed"], &source["skipped"][0]["reason"]),
        (&2.into(), &"blank".into())
    );
    assert_eq!(source["skipped"][0]["first"]["number"], 2);

    fs::create_dir(site.path("elsewhere")).unwrap();
    fs::write(site.path("elsewhere/sample[1].log"), "{\"status\":200,\"ms\":1}\n").unwrap();
    let named =
        |source: &str, file: &str| site.run(&["--output", "json", "--source", source, file]);
    let output = named("shop-log", "elsewhere/sample[1].log");
    assert_eq!((code(&output), &json(&output)["sources"][0]["matched"]), (0, &1.into()));
    let output = named("other", "elsewhere/none.log");
    assert_eq!(code(&output), 1);
    let problem = json(&output)["sources"][0]["problems"][0].to_string();
    assert!(problem.contains("none.log: is not there"), "{problem}");
}

#[test]
fn what_does_not_go_together_is_refused_with_what_would() {
    let site = Site::new();
    for (options, exit_code, part) in [
        (&["--stdin"][..], 2, "name it with --source; there are shop-log, other"),
        (&["a.log"], 2, "name it with --source"),
        (&["--source", "shop-lgo"], 2, "there are shop-log"),
        (&["--stdin", "--follow"], 2, "cannot be used with"),
        (&["--check"], 2, "cannot be used with"),
    ] {
        let output = site.run(options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code(&output), exit_code, "{options:?}: {said}");
        assert!(said.contains(part), "{options:?}: {said}");
    }
}

#[tokio::test]
async fn a_million_lines_of_standard_input_take_little_memory() {
    let site = Site::new();
    let mut child = site.start(&["--stdin", "--source", "shop-log", "--output", "json"]);
    let mut input = child.stdin.take().unwrap();
    let lines: String = (0..1_000)
        .map(|i| {
            format!(
                "{{\"status\":{},\"ms\":{i},\"msg\":\"line {i}\"}}\n",
                if i % 100 == 0 { 502 } else { 200 }
            )
        })
        .collect();
    for _ in 0..1_000 {
        input.write_all(lines.as_bytes()).unwrap();
    }
    let peak = number(&child, "status", "VmHWM:") << 10;
    drop(input);
    let report = json(&child.wait_with_output().unwrap());
    let requests = &report["sources"][0]["signals"][0];
    assert_eq!(requests["observed"], 1_000_000);
    assert_eq!(requests["values"]["max"], 0.999);
    assert_eq!(report["sources"][0]["events"][0]["n"], 10_000);
    println!("peak {} MiB, {} s", peak >> 20, report["sources"][0]["seconds"]);
    assert!(peak > 0 && peak < 80 << 20, "{} MiB", peak >> 20);
}

#[tokio::test]
async fn following_goes_on_until_it_is_interrupted() {
    let site = Site::new();
    let line = "{\"status\":200,\"ms\":1,\"fill\":\"".to_owned() + &"x".repeat(1_000) + "\"}\n";
    fs::write(site.path("a.log"), &line).unwrap();
    let child = site.start(&["--follow", "--source", "shop-log", "--output", "json"]);
    let read = || number(&child, "io", "rchar:");
    let has_begun = || async { site_is_watched(&child).then_some(()) };
    eventually("the directory is watched", Duration::from_secs(20), has_begun).await;
    let before = read();
    let mut log = fs::File::options().append(true).open(site.path("a.log")).unwrap();
    log.write_all(line.repeat(4_000).as_bytes()).unwrap();
    let bytes = 4_000 * line.len() as u64;
    let is_read = || async { (read() >= before + bytes).then_some(()) };
    eventually("what was appended is read", Duration::from_secs(60), is_read).await;
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let report = json(&output);
    assert_eq!((code(&output), &report["complete"]), (0, &true.into()));
    assert_eq!(report["sources"][0]["signals"][0]["observed"], 4_001);
}

/// It listens for changes: the first look was taken.
fn site_is_watched(child: &Child) -> bool {
    let files = fs::read_dir(Path::new("/proc").join(child.id().to_string()).join("fdinfo"));
    let infos =
        files.into_iter().flatten().filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    infos.into_iter().any(|info| info.contains("inotify wd:"))
}

#[tokio::test]
async fn a_run_that_is_interrupted_shows_what_it_has_seen() {
    let site = Site::new();
    let mut child = site.start(&["--stdin", "--source", "shop-log"]);
    let mut input = child.stdin.take().unwrap();
    let bytes = b"{\"status\":200,\"ms\":1}\n";
    input.write_all(bytes).unwrap();
    let is_listening = || async { (number(&child, "status", "Threads:") >= 3).then_some(()) };
    eventually("it reads", Duration::from_secs(20), is_listening).await;
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), 130, "{shown}");
    assert!(shown.contains("stopped before the end"), "{shown}");
}

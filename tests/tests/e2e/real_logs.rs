//! JSON logs as real servers write them: a RabbitMQ and a PostgreSQL, privately started, really used.
//!
//! What the agent counts is compared with what the files hold, read here by another parser.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use watchkeeper_tests::harness::{
    Process, Rabbit, Site, Totals, as_user, eventually, find_program, free_port,
};

use super::amqp_client::{AmqpClient, CHANNEL_CLOSE, DECLARED};

const LIMIT: Duration = Duration::from_secs(60);

/// Every line of the logs, in all their rotated files, by an independent parser.
fn lines(directory: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // PostgreSQL writes a few lines for people beside its JSON.
        if path.extension().is_some_and(|e| e == "log") && path.with_extension("json").exists() {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            lines.push(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
        }
    }
    lines
}

fn by(lines: &[Value], field: &str) -> Totals {
    let mut totals = Totals::new();
    for line in lines {
        *totals.entry(line[field].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    totals
}

/// What the collector has is what the files hold: by label, the sum of a number, and each error as an event.
async fn compare(
    site: &Site,
    logs: &Path,
    label: (&str, &str),
    number: &str,
    is_error: fn(&Value) -> bool,
) {
    let written = lines(logs);
    let expected = by(&written, label.1);
    let n = written.len() as u64;
    println!("{n} lines: {expected:?}");
    let mut last = Totals::new();
    let counted = || async {
        let counted = site.counted_by("lines", label.0).await.ok()?;
        (counted.values().sum::<u64>() >= n).then_some(counted)
    };
    last.extend(eventually("every line is counted", LIMIT, counted).await);
    assert_eq!(last, expected);

    let numbers = written.iter().filter_map(|line| line[number].as_f64());
    let (n_numbers, sum) = numbers.fold((0, 0.0), |(n, sum), value| (n + 1, sum + value));
    let told = |values: BTreeMap<String, f64>| values.values().sum::<f64>().round() as u64;
    assert_eq!(told(site.stat_by("numbers", "count", label.0).await.unwrap()), n_numbers);
    assert_eq!(told(site.stat_by("numbers", "sum", label.0).await.unwrap()), sum as u64);

    let mut errors: Vec<String> = written.iter().filter(|l| is_error(l)).map(message).collect();
    errors.sort_unstable();
    let told = || async {
        let events = site.api("events?limit=1000").await.ok()?;
        let mut told: Vec<String> = events["events"].as_array()?.iter().map(message).collect();
        told.sort_unstable();
        (told.len() >= errors.len()).then_some(told)
    };
    assert_eq!(eventually("every error is an event", LIMIT, told).await, errors);
    let source = site.source("server").await.unwrap();
    assert_eq!((&source["read"], &source["skipped"]), (&n.into(), &serde_json::json!({})));
}

/// The message of a line or an event.
fn message(of: &Value) -> String {
    let text = of["msg"].as_str().or(of["message"].as_str());
    text.unwrap_or_default().to_owned()
}

/// A directory that any user may pass through, and one in it that belongs to `user`.
fn directory_of(site: &Site, name: &str, user: &str) -> PathBuf {
    let directory = site.path().join(name);
    std::fs::create_dir(&directory).unwrap();
    if rustix::process::geteuid().is_root() {
        std::fs::set_permissions(site.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        run(Command::new("chown").arg(user).arg(&directory));
    }
    directory
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A PostgreSQL of its own.
struct Postgres {
    server: Process,
    root: PathBuf,
    port: u16,
    psql: PathBuf,
    pgbench: PathBuf,
}

impl Postgres {
    /// Starts it; `None` if a program is missing.
    async fn start(site: &Site) -> Option<Self> {
        let programs = ["initdb", "postgres", "psql", "pgbench"].map(find_program);
        let [Some(initdb), Some(postgres), Some(psql), Some(pgbench)] = programs else {
            return None;
        };
        let root = directory_of(site, "postgres", "postgres");
        let data = root.join("data");
        let mut init = as_user("postgres", &initdb);
        init.args(["-U", "app", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        run(init.arg(&data));
        let port = free_port();
        let settings = [
            format!("unix_socket_directories={}", root.display()),
            format!("log_directory={}", root.join("log").display()),
            // A new name with every second, so that a rotation is one.
            "log_filename=server-%H%M%S.log".to_owned(),
            "listen_addresses=".to_owned(),
            "logging_collector=on".to_owned(),
            "log_destination=jsonlog".to_owned(),
            "log_file_mode=0644".to_owned(),
            "log_statement=all".to_owned(),
            "log_min_duration_statement=0".to_owned(),
            "log_connections=on".to_owned(),
            "fsync=off".to_owned(),
        ];
        let mut command = as_user("postgres", &postgres);
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in settings {
            command.args(["-c", &setting]);
        }
        let server = Process::start_command(&mut command, &site.path().join("postgres.log"));
        let server = Self { server: server.unwrap(), root, port, psql, pgbench };
        let answers = || async { server.psql(&["select 1"]).status.success().then_some(()) };
        eventually("PostgreSQL answers", LIMIT, answers).await;
        Some(server)
    }

    fn client(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("-h").arg(&self.root).args(["-p", &self.port.to_string(), "-U", "app"]);
        command
    }

    /// Runs statements one after the other, each on its own, whether or not they succeed.
    fn psql(&self, statements: &[&str]) -> std::process::Output {
        let mut command = self.client(&self.psql);
        command.args(["-d", "postgres", "-X", "-q"]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        command.output().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_log_of_a_postgresql_is_counted_line_for_line() {
    let mut site = Site::new("").unwrap();
    let Some(mut postgres) = Postgres::start(&site).await else { return };
    let logs = postgres.root.join("log");
    // Its own time has a zone's name, which only a time format of the user's could say.
    let sources = format!(
        "  - tail:\n      name: server\n      service: db\n      paths: ['{}/*.json']\n      start_at: beginning\n      signals:\n\
         \x20       - {{name: lines, labels: {{severity_of: error_severity, state: state_code, backend: backend_type}}}}\n\
         \x20       - {{name: numbers, value: {{field: line_num}}, labels: {{severity_of: error_severity}}}}\n\
         \x20     events:\n\
         \x20       - {{name: failed, where: 'error_severity in [\"ERROR\", \"FATAL\", \"PANIC\"]', severity: error, message: message, correlation: session_id}}\n",
        logs.display()
    );
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();

    let long = format!("select length('{}')", "é\\\"\t".repeat(20_000));
    postgres.psql(&[
        "create table orders (id int primary key, what text)",
        "insert into orders values (1, 'tea')",
        "insert into orders values (1, 'tea again')",
        "select * from missing",
        "select 'two\nlines, \"quotes\", {\"json\": [1]} and \u{1F600}'",
        "select 1/0",
        long.as_str(),
        "select pg_rotate_logfile()",
    ]);
    let refused =
        postgres.client(&postgres.psql).args(["-d", "nowhere", "-c", "select 1"]).output();
    assert!(!refused.unwrap().status.success());
    run(postgres.client(&postgres.pgbench).args(["-i", "-q", "postgres"]));
    run(postgres.client(&postgres.pgbench).args(["-c", "4", "-t", "50", "-n", "postgres"]));
    let statements = site.api("events?limit=1000").await.unwrap();
    assert!(statements["events"].is_array());
    postgres.server.signal(Signal::INT);
    postgres.server.wait(LIMIT).unwrap();

    let is_error =
        |line: &Value| matches!(line["error_severity"].as_str(), Some("ERROR" | "FATAL" | "PANIC"));
    let written = lines(&logs);
    let errors: Vec<String> = written.iter().filter(|l| is_error(l)).map(message).collect();
    assert!(errors.iter().any(|e| e.contains("division by zero")), "{errors:?}");
    assert!(errors.iter().any(|e| e.contains("\"missing\" does not exist")), "{errors:?}");
    assert!(written.len() > 1_000, "{} lines", written.len());
    compare(&site, &logs, ("severity_of", "error_severity"), "line_num", is_error).await;
    assert_eq!(site.counted_by("lines", "backend").await.unwrap(), by(&written, "backend_type"));
    assert_eq!(site.counted_by("lines", "state").await.unwrap(), by(&written, "state_code"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_log_of_a_rabbitmq_is_counted_line_for_line() {
    let mut site = Site::new("").unwrap();
    let config = "log.file = server.log\nlog.file.level = info\nlog.file.formatter = json\n\
                  log.file.rotation.size = 20000\nlog.file.rotation.count = 50\n";
    let Some(mut rabbit) = Rabbit::start(&site.path().join("rabbit"), config).await else { return };
    let logs = rabbit.root.join("log");
    let sources = format!(
        "  - tail:\n      name: server\n      service: broker\n      paths: ['{}/server.log*']\n      start_at: beginning\n\
         \x20     time: {{field: time, format: rfc3339}}\n      signals:\n\
         \x20       - {{name: lines, labels: {{level: level, domain: domain}}}}\n\
         \x20       - {{name: numbers, where: 'has(fields.line)', value: {{field: line}}, labels: {{level: level}}}}\n\
         \x20     events:\n\
         \x20       - {{name: failed, where: 'level in [\"error\", \"critical\"]', severity: error, message: msg, correlation: pid}}\n",
        logs.display()
    );
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();

    let port = rabbit.port;
    let talk = move || {
        for n in 0..20 {
            let mut client = AmqpClient::log_in(port, "guest", "guest").unwrap();
            assert_eq!(client.declare(&format!("orders-{n}"), false).unwrap(), DECLARED);
            for _ in 0..50 {
                client.publish(&format!("orders-{n}"), br#"{"what": "tea"}"#).unwrap();
            }
            if n % 4 == 0 {
                // An error of the channel, then gone without a word.
                assert_eq!(client.declare("missing", true).unwrap(), CHANNEL_CLOSE);
            } else {
                client.close().unwrap();
            }
        }
        assert!(AmqpClient::log_in(port, "guest", "wrong").is_err());
        // No AMQP at all.
        let _ = AmqpClient::connect(port, b"GET / HTTP/1.1\r\n\r\n").unwrap().answer();
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    assert!(rabbit.ctl(&["add_vhost", "shop \"é\" \\"]).status.success());
    assert!(!rabbit.ctl(&["authenticate_user", "guest", "wrong"]).status.success());
    rabbit.server.stop(LIMIT).unwrap();

    let is_error = |line: &Value| matches!(line["level"].as_str(), Some("error" | "critical"));
    let written = lines(&logs);
    let errors: Vec<String> = written.iter().filter(|l| is_error(l)).map(message).collect();
    assert!(errors.iter().any(|e| e.contains("no queue 'missing'")), "{errors:?}");
    assert!(errors.iter().any(|e| e.contains("bad_header")), "{errors:?}");
    assert!(std::fs::read_dir(&logs).unwrap().count() > 2, "nothing was rotated");
    compare(&site, &logs, ("level", "level"), "line", is_error).await;
    assert_eq!(site.counted_by("lines", "domain").await.unwrap(), by(&written, "domain"));
}

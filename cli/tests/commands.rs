//! The command as it is typed: what it asks, what it prints, and how it exits.
//!
//! Owns a collector that says what it is told to say. Never starts a real one: the demo's test does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};

/// Answers each path that begins so with that status and body; everything else with 404. Says where it listens, and
/// hands on what it is asked.
fn collector(answers: Vec<(&'static str, u16, &'static str)>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (asked, asks) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let authorization = lines.by_ref().take_while(|line| !line.is_empty());
            let authorization: Vec<String> =
                authorization.filter(|line| line.starts_with("authorization")).collect();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let found = answers.iter().find(|(start, ..)| path.starts_with(start));
            let (status, body) = found.map_or((404, "{}"), |(_, status, body)| (*status, *body));
            let _ = asked.send([vec![path], authorization].concat().join(" "));
            let length = body.len();
            let _ = (&stream).write_all(
                format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                    .as_bytes(),
            );
        }
    });
    (url, asks)
}

fn watchkeeper(line: &str, url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchkeeper"))
        .args(line.split_whitespace())
        .env("WATCHKEEPER_URL", url)
        .env_remove("WATCHKEEPER_TOKEN")
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const FIRING: &str = r#"{"alerts":[{"labels":{"alertname":"Down","severity":"page"},"state":"firing","value":1.50}]}"#;
const WATCHDOG: &str =
    r#"{"alerts":[{"labels":{"alertname":"Watchdog","severity":"none"},"state":"firing"}]}"#;

#[test]
fn exit_codes_say_done_failed_or_misused() {
    let (trouble, _trouble) = collector(vec![
        ("/readyz", 503, "store: the disk is full\n"),
        ("/api/v1/alerts", 200, FIRING),
        ("/api/v1/agents", 200, r#"{"agents":[{"id":"a","state":"silent"}]}"#),
        ("/api/v1/slos", 200, r#"{"slos":[{"name":"s","state":"no_data"}]}"#),
        ("/api/v1/deliveries", 200, r#"{"deliveries":[{"receiver":"r","outcome":"failed"}]}"#),
        ("/api/v1/events", 200, r#"{"events":[{"severity":"error"}]}"#),
        ("/api/v1/query", 400, r#"{"error":"stat is missing","parameter":"stat"}"#),
    ]);
    let (calm, _calm) = collector(vec![
        ("/readyz", 200, "ready\n"),
        ("/api/v1/alerts", 200, WATCHDOG),
        ("/api/v1/agents", 200, r#"{"agents":[{"id":"a","state":"stopped"}]}"#),
        ("/api/v1/slos", 200, r#"{"slos":[{"name":"s","state":"ok"}]}"#),
        ("/api/v1/deliveries", 200, r#"{"deliveries":[]}"#),
        ("/api/v1/events", 200, r#"{"events":[{"severity":"info"}]}"#),
        ("/api/v1/query", 200, r#"{"resolution_seconds":1,"series":[]}"#),
    ]);
    let (locked, _locked) = collector(vec![("/", 401, r#"{"error":"a token is needed"}"#)]);
    let nobody = "http://127.0.0.1:1";
    for (line, url, code) in [
        ("alerts", trouble.as_str(), 0),
        ("alerts --exit-code", &trouble, 1),
        ("agents --exit-code", &trouble, 1),
        ("slo --exit-code", &trouble, 1),
        ("deliveries --exit-code", &trouble, 1),
        ("events --exit-code", &trouble, 1),
        ("status", &trouble, 0),
        ("status --exit-code", &trouble, 1),
        ("query requests", &trouble, 1),
        ("alerts --exit-code", &calm, 0),
        ("agents --exit-code", &calm, 0),
        ("slo --exit-code", &calm, 0),
        ("deliveries --exit-code", &calm, 0),
        ("events --exit-code", &calm, 0),
        ("status --exit-code", &calm, 0),
        ("query requests", &calm, 0),
        ("alerts", &locked, 1),
        ("status", nobody, 1),
        ("alerts --output json", nobody, 1),
        ("check /nowhere/at/all.yaml", nobody, 1),
        ("alerts --nonsense", nobody, 2),
        ("", nobody, 2),
        ("--help", nobody, 0),
    ] {
        let output = watchkeeper(line, url);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    }
}

#[test]
fn json_is_what_the_collector_wrote() {
    let (url, _asks) = collector(vec![("/api/v1/alerts", 200, FIRING)]);
    let output = watchkeeper("alerts --output json", &url);
    let shown = text(&output.stdout);
    assert!(shown.contains("\"value\": 1.50"), "{shown}");
    let without_space: String = shown.split_whitespace().collect();
    assert_eq!(without_space, FIRING);
}

#[test]
fn lists_are_followed_to_their_end_unless_a_page_is_asked_for() {
    let pages = || {
        vec![
            ("/api/v1/alerts?after=x", 200, r#"{"alerts":[2]}"#),
            ("/api/v1/alerts", 200, r#"{"alerts":[1],"next":"x"}"#),
        ]
    };
    for (line, asked) in [
        ("agents", vec!["/api/v1/agents"]),
        ("alerts --limit 1 --output json", vec!["/api/v1/alerts?limit=1"]),
        ("alerts --output json", vec!["/api/v1/alerts", "/api/v1/alerts?after=x"]),
    ] {
        let (url, asks) = collector(pages());
        watchkeeper(line, &url);
        assert_eq!(asks.try_iter().collect::<Vec<String>>(), asked, "{line}");
    }
}

#[test]
fn a_token_goes_along_and_is_never_shown() {
    let (url, asks) = collector(vec![("/", 401, r#"{"error":"unknown token"}"#)]);
    let output = watchkeeper("alerts --token s3cret", &url);
    let asked = asks.recv().expect("it was asked");
    assert_eq!(asked, "/api/v1/alerts authorization: Bearer s3cret");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("unknown token") && !said.contains("s3cret"), "{said}");
}

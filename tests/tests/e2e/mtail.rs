//! mtail beside it: another program counts the same access log in combined format, and the counts are equal.
//!
//! `WATCHKEEPER_ACCESS_LOG` names a log of the past to be counted as well.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use watchkeeper_tests::harness::{Site, Totals, eventually, find_program};

/// What takes a line apart, in both: the regular expressions of Go and of Rust agree on it.
const PATTERN: &str = r#"^(?P<client>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>\S+)[^"]*" (?P<status>\d{3}) (?P<size>\d+|-)"#;

/// A line that is not of the format counts among the lines, and no request.
fn program() -> String {
    let sized = PATTERN.replace(r"(?P<size>\d+|-)", r"(?P<size>\d+)");
    format!(
        "counter lines_total\ncounter requests_total by method, status\ncounter bytes_total\n\
         /$/ {{\n  lines_total++\n}}\n/{PATTERN}/ {{\n  requests_total[$method][$status]++\n}}\n\
         /{sized}/ {{\n  bytes_total += $size\n}}\n"
    )
}

/// Lines in combined format: ordinary ones, and every so often an odd one.
fn access_log(n: u64) -> String {
    let (methods, statuses) =
        (["GET", "POST", "HEAD", "PUT", "OPTIONS"], [200, 301, 304, 404, 500, 502]);
    let now = jiff::Timestamp::now();
    let mut text = String::new();
    for i in 0..n {
        // Spread over the values without a pattern.
        let h = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let (method, status) = (methods[h as usize % 5], statuses[(h >> 8) as usize % 6]);
        let at = now - Duration::from_millis(n - i);
        let time = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
        let agent = "Mozilla/5.0 (X11; Linux x86_64) \\\"quoted\\\"";
        let client = if h.is_multiple_of(3) { "2001:db8::1" } else { "192.0.2.7" };
        let _ = match i % 500 {
            // Sent before there was a request; no size; no protocol; a name with spaces; an address beyond ASCII.
            7 => writeln!(text, "{client} - - [{time}] \"-\" 408 0 \"-\" \"-\""),
            17 => writeln!(
                text,
                "{client} - - [{time}] \"{method} / HTTP/1.1\" 304 - \"-\" \"{agent}\""
            ),
            27 => writeln!(text, "{client} - - [{time}] \"{method} /\" 400 150 \"-\" \"-\""),
            37 => {
                writeln!(text, "{client} - a b [{time}] \"{method} / HTTP/1.1\" 200 1 \"-\" \"-\"")
            }
            47 => writeln!(
                text,
                "{client} - - [{time}] \"{method} /caf\u{e9}?q=\u{1F600} HTTP/1.1\" 200 9 \"-\" \"-\""
            ),
            // What is not of the format: the bytes of a TLS greeting, lines that were cut, other programs' lines.
            57 => {
                writeln!(text, "{client} - - [{time}] \"\\x16\\x03\\x01\\x02\" 400 166 \"-\" \"-\"")
            }
            67 => writeln!(text, "{client} - - [{time}] \"{method} /cut"),
            77 => writeln!(text, "nginx: [warn] the \"user\" directive makes no sense here\r"),
            87 => writeln!(
                text,
                "{client} - - [{time}] \"{method} /huge HTTP/1.1\" 200 18446744073 \"-\" \"-\""
            ),
            _ => writeln!(
                text,
                "{client} - user{} [{time}] \"{method} /item/{h}?a=%20b HTTP/2.0\" {status} {} \"https://shop.example/\" \"{agent}\"",
                h % 10,
                h % 100_000
            ),
        };
    }
    text
}

/// What mtail counts: by `METHOD STATUS`, lines in all, and bytes.
fn by_mtail(mtail: &Path, site: &Site, log: &Path) -> (Totals, u64, u64) {
    let directory = site.path().join("mtail");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("access.mtail"), program()).unwrap();
    let mut command = Command::new(mtail);
    command.args(["--one_shot", "--one_shot_format", "json", "--logtostderr", "--port", "0"]);
    command.arg("--progs").arg(&directory).arg("--logs").arg(log);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let values =
        |name: &str| counted[name][0]["LabelValues"].as_array().cloned().unwrap_or_default();
    let value = |of: &Value| of["Value"]["Value"].as_u64().unwrap();
    let one = |name: &str| values(name).first().map_or(0, value);
    let requests = values("requests_total").into_iter().map(|of| {
        let label = |at: usize| of["Labels"][at].as_str().unwrap().to_owned();
        (format!("{} {}", label(0), label(1)), value(&of))
    });
    (requests.collect(), one("lines_total"), one("bytes_total"))
}

fn sources(log: &Path, time: &str) -> String {
    format!(
        "  - tail:\n      name: access\n      service: web\n      paths: ['{}']\n      start_at: beginning\n      format: regex\n\
         \x20     pattern: '{PATTERN}'\n{time}      signals:\n\
         \x20       - {{name: requests, labels: {{method: method, status: status}}}}\n\
         \x20       - {{name: sizes, where: 'size != \"-\"', value: {{field: size, unit: B}}, labels: {{method: method}}}}\n",
        log.display()
    )
}

/// Waits until as much is counted as mtail has, and compares all of it.
async fn compare(site: &Site, (requests, n_lines, bytes): (Totals, u64, u64)) {
    println!("mtail: {n_lines} lines, {bytes} bytes, {requests:?}");
    let n_requests: u64 = requests.values().sum();
    let counted = || async {
        let counted = site.counted_by("requests", "method,status").await.ok()?;
        (counted.values().sum::<u64>() >= n_requests).then_some(counted)
    };
    let limit = Duration::from_secs(60);
    assert_eq!(eventually("all requests are counted", limit, counted).await, requests);
    let read = || async { site.source("access").await.filter(|s| s["read"] == n_lines) };
    let source = eventually("all lines are read", limit, read).await;
    let skipped = source["skipped"].as_object().unwrap();
    let n_skipped: u64 = skipped.values().filter_map(Value::as_u64).sum();
    assert_eq!(n_requests + n_skipped, n_lines, "{skipped:?}");
    let sizes = site.stat_by("sizes", "sum", "method").await.unwrap();
    assert_eq!(sizes.values().sum::<f64>().round() as u64, bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_log_is_counted_as_mtail_counts_it() {
    let Some(mtail) = find_program("mtail") else { return };
    let mut site = Site::new("").unwrap();
    let path = site.logs().join("access.log");
    let time = "      time: {field: time, format: '%d/%b/%Y:%H:%M:%S %z'}\n";
    site.configure_sources(&sources(&path, time)).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = std::fs::File::create(&path).unwrap();
    // In pieces that end anywhere, as a server's buffer does.
    for piece in access_log(6_000).as_bytes().chunks(50_021) {
        log.write_all(piece).unwrap();
    }
    compare(&site, by_mtail(&mtail, &site, &path)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_log_of_the_past_is_counted_as_mtail_counts_it() {
    let Some(given) = std::env::var_os("WATCHKEEPER_ACCESS_LOG") else { return };
    let Some(mtail) = find_program("mtail") else { return };
    let mut site = Site::new("").unwrap();
    let path = site.logs().join("access.log");
    std::fs::copy(given, &path).unwrap();
    // Without a time, because the lines of the past would be too late.
    site.configure_sources(&sources(&path, "")).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    compare(&site, by_mtail(&mtail, &site, &path)).await;
}

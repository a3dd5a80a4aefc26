//! A live nginx under load whose upstream is stopped and started again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use watchkeeper_tests::fakes::{Flavour, Receiver, Request};
use watchkeeper_tests::harness::{Process, Site, Totals, eventually, find_program, free_port};

/// The service behind nginx: answers every request with 200.
async fn upstream(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free again");
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok() {
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await;
            }
        });
    }
}

fn configure(site: &Site, nginx: &Path, port: u16, upstream: u16) -> PathBuf {
    let root = site.path().join("nginx");
    std::fs::create_dir_all(root.join("tmp")).unwrap();
    let text = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
           client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;\n\
           uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp;\n\
           log_format json escape=json '{{\"time\":\"$time_iso8601\",\"status\":$status,\"method\":\"$request_method\",'\n\
             '\"path\":\"$uri\",\"request_time\":$request_time,\"request_id\":\"$request_id\"}}';\n\
           access_log {log} json;\n\
           server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_connect_timeout 1s; }} }}\n\
         }}\n",
        root = root.display(),
        log = site.logs().join("access.log").display(),
    );
    let config = root.join("nginx.conf");
    std::fs::write(&config, text).unwrap();
    let check = Command::new(nginx).arg("-t").arg("-c").arg(&config).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    config
}

fn sources(site: &Site) -> String {
    format!(
        "  - tail:\n      name: nginx\n      service: web\n      paths: ['{}']\n      start_at: beginning\n      format: json\n\
         \x20     time: {{field: time, format: rfc3339}}\n\
         \x20     signals:\n        - {{name: requests, value: {{field: request_time, unit: s}}, labels: {{status: status, method: method}}, bounds: [200ms]}}\n\
         \x20     events:\n        - {{name: bad_gateway, where: 'status >= 500', severity: error, message: path, correlation: request_id}}\n",
        site.logs().join("access.log").display(),
    )
}

/// Lines of the access log, by status.
fn lines(site: &Site) -> Totals {
    let mut totals = Totals::new();
    let text = std::fs::read_to_string(site.logs().join("access.log")).unwrap_or_default();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("nginx writes JSON");
        *totals.entry(line["status"].to_string()).or_default() += 1;
    }
    totals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_nginx_whose_upstream_dies_pages_and_closes_and_counts_every_line() {
    let [Some(nginx), Some(wrk)] = ["nginx", "wrk"].map(find_program) else { return };
    let receiver = Receiver::start(Flavour::Webhook).await.unwrap();
    let sections = format!(
        "rules:\n  - {{name: BadGateway, service: web, signal: requests, where: 'int(status) >= 500', stat: count, over: 3s, op: '>', value: 0, labels: {{severity: critical}}}}\n\
         alerting:\n  route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}\n  receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]\n",
        receiver.url("/hook"),
    );
    let mut site = Site::new(&sections).unwrap();
    site.configure_sources(&sources(&site)).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let (port, upstream_port) = (free_port(), free_port());
    let config = configure(&site, &nginx, port, upstream_port);
    let service = tokio::spawn(upstream(upstream_port));
    let log = site.path().join("nginx.log");
    let mut server = Process::start(&nginx, &["-c", config.to_str().unwrap()], &log).unwrap();
    let url = format!("http://127.0.0.1:{port}/cart");
    let listening = || async { TcpStream::connect(("127.0.0.1", port)).await.ok() };
    eventually("nginx listens", Duration::from_secs(10), listening).await;
    let load = ["-t1", "-c4", "-d15s", url.as_str()];
    let mut load = Process::start(&wrk, &load, &site.path().join("wrk.log")).unwrap();
    let some =
        || async { site.counted().await.ok().filter(|c| c.get("200").is_some_and(|n| *n > 100)) };
    eventually("requests are counted", Duration::from_secs(20), some).await;

    service.abort();
    let stopped = Instant::now();
    let has =
        |status: &'static str| move |r: &[Request]| r.iter().any(|r| r.json()["status"] == status);
    let page = receiver.wait_for(has("firing"), Duration::from_secs(10)).await.expect("a page");
    let first = page.iter().find(|r| r.json()["status"] == "firing").expect("just seen").at;
    println!("upstream stopped to page: {} ms", first.duration_since(stopped.into()).as_millis());
    let service = tokio::spawn(upstream(upstream_port));
    receiver
        .wait_for(has("resolved"), Duration::from_secs(30))
        .await
        .expect("the incident is closed");

    let _ = load.wait(Duration::from_secs(30));
    service.abort();
    server.stop(Duration::from_secs(10)).unwrap();
    let written = lines(&site);
    println!("lines written: {written:?}");
    assert!(written.len() >= 2 && written.values().sum::<u64>() > 1000, "{written:?}");
    site.wait_counted(&written, Duration::from_secs(60)).await;
}

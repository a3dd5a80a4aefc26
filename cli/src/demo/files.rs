//! The two configurations of the demo, written the way a user would.
//!
//! Owns their text. Nothing in the demo is configured in any other way.

use std::path::Path;

/// The SLO that breaks.
pub(super) const BREAKING: &str = "shop-availability";

/// All SLOs, by their alerts' names.
pub(super) const SLOS: [&str; 3] = [BREAKING, "shop-latency", "db-latency"];

/// Where everybody is.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// The collector's.
    pub(super) collector: String,
    /// A Slack-like incoming webhook.
    pub(super) chat: String,
    /// A webhook as Alertmanager calls them.
    pub(super) oncall: String,
}

/// The agent's file.
pub(super) fn agent(dir: &Path, addresses: &Addresses) -> String {
    let [data, shop, db] = ["agent", "shop.log", "db.log"].map(|name| quoted(&dir.join(name)));
    let collector = &addresses.collector;
    format!(
        r#"agent:
  id: demo
  data_dir: {data}
  labels: {{env: demo}}
  admin: 127.0.0.1:0                # any free port
collector:
  grpc: {{endpoint: "http://{collector}"}}
sources:
  - tail:
      name: shop-log
      service: shop
      paths: [{shop}]
      start_at: beginning
      time: {{field: time, format: rfc3339}}
      signals:
        - name: requests
          value: {{field: duration_ms, unit: ms}}
          labels: {{status: status, path: path}}
          bounds: [250ms]
      events:
        - {{name: error, where: 'level == "error"', severity: error, message: msg, correlation: request_id}}
  - tail:
      name: db-log
      service: db
      paths: [{db}]
      start_at: beginning
      time: {{field: ts, format: unix_ms}}
      signals:
        - name: queries
          value: {{field: took_us, unit: us}}
"#
    )
}

/// The collector's file.
pub(super) fn collector(dir: &Path, addresses: &Addresses) -> String {
    let data = quoted(&dir.join("collector"));
    let Addresses { collector, chat, oncall } = addresses;
    format!(
        r#"collector:
  listen: {collector}
  data_dir: {data}
slos:
  - name: shop-availability
    service: shop
    signal: requests
    good: 'int(status) < 500'
    objective: 99
    window: 10m                     # so short that you can watch: yours will say 30d
    annotations: {{summary: "Customers cannot check out"}}
  - {{name: shop-latency, service: shop, signal: requests, below: 250ms, objective: 95, window: 10m}}
  - {{name: db-latency, service: db, signal: queries, below: 50ms, objective: 95, window: 10m}}
builtin:
  Watchdog: {{off: true}}             # always firing, to show that alerts flow: here it would be in the way
alerting:
  route:
    receiver: chat
    group_by: [service, alertname]
    group_wait: 0s
    group_interval: 1s
    routes:
      - {{matchers: ['severity="page"'], receiver: oncall, continue: true}}
      - {{receiver: chat}}
  receivers:
    - name: chat
      slack_configs: [{{api_url: "http://{chat}/services/T000/B000/demo"}}]
    - name: oncall
      webhook_configs: [{{url: "http://{oncall}/page"}}]
"#
    )
}

/// A path in double quotes, taken as it is.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${");
    format!("\"{path}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_config::{Problems, Reader, load_str};

    fn addresses() -> Addresses {
        let address = |port: u16| format!("127.0.0.1:{port}");
        Addresses { collector: address(7700), chat: address(1), oncall: address(2) }
    }

    fn problems<T>(
        text: &str,
        read: impl FnOnce(&watchkeeper_config::Document, &mut Reader<'_>) -> Option<T>,
    ) -> Problems {
        let environment = |_: &str| None;
        let mut reader = Reader::new(&environment);
        let settings = load_str("demo.yaml", text, &mut reader).and_then(|d| read(&d, &mut reader));
        match reader.finish(settings) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        }
    }

    #[test]
    fn both_files_are_read_without_a_word() {
        let dir = Path::new("/tmp/a \"b\" ${c}");
        let agent = problems(&agent(dir, &addresses()), |d, r| {
            watchkeeper_agent::config::read(d, r, false)
        });
        assert!(agent.is_empty(), "{agent}");
        let collector = problems(&collector(dir, &addresses()), |d, r| {
            watchkeeper_collector::config::read(d, r, false)
        });
        assert!(collector.is_empty(), "{collector}");
    }
}

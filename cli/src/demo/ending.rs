//! Whether all of it happened.
//!
//! Owns the list of what must, and the words about it. Never waits for anything.

use std::time::Duration;

use serde::Serialize;

use super::receivers::Receiver;
use super::shop::Written;
use crate::terminal::{Screen, Tone, hanging, say};

/// Agent and collector together should never need more than this.
const MAX_RSS_BYTES: u64 = 60_000_000;

/// What came to pass.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Who was told anything, and how long after the first error line.
    pub(super) told: Vec<(Receiver, Duration)>,
    /// Who was paged, and how long after the first error line.
    pub(super) paged: Vec<(Receiver, Duration)>,
    /// Who was told that it is over, and how long after the last error line.
    pub(super) closed: Vec<(Receiver, Duration)>,
    /// What was opened and never closed.
    pub(super) open: Vec<(Receiver, &'static str)>,
    /// What was written.
    pub(super) written: Written,
    /// What was counted.
    pub(super) n_counted: u64,
    /// Memory at the end.
    pub(super) rss_bytes: Option<u64>,
    /// How long it all took.
    pub(super) took: Duration,
    broke_off: Option<String>,
}

#[derive(Serialize)]
struct Json {
    complete: bool,
    missing: Vec<String>,
    receivers: Vec<ReceiverJson>,
    lines_written: u64,
    lines_counted: u64,
    error_lines: u64,
    rss_bytes: Option<u64>,
    seconds: f64,
}

#[derive(Serialize)]
struct ReceiverJson {
    name: &'static str,
    told_after_ms: Option<u64>,
    paged_after_ms: Option<u64>,
    closed_after_ms: Option<u64>,
}

impl Ending {
    /// Nothing has happened yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The story did not come to its end.
    pub(super) fn broke_off(&mut self, why: String) {
        self.broke_off = Some(why);
    }

    /// Lines in both logs.
    pub(super) fn n_written(&self) -> u64 {
        self.written.n_requests + self.written.n_queries
    }

    /// Whether everything happened.
    pub(super) fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// What did not happen.
    fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> =
            self.broke_off.iter().map(|why| format!("the story broke off: {why}")).collect();
        for receiver in Receiver::ALL {
            let name = receiver.name();
            if after(&self.paged, receiver).is_none() {
                missing.push(format!("{name} was not paged"));
            }
            if after(&self.closed, receiver).is_none() {
                missing.push(format!("{name} was not told that it is over"));
            }
        }
        for (receiver, alert) in &self.open {
            missing.push(format!("{} was never told that {alert} is over", receiver.name()));
        }
        if self.n_written() == 0 {
            // A story that broke off may not have come to the count.
            missing.extend(self.broke_off.is_none().then(|| "no line was written".to_owned()));
        } else if self.n_counted != self.n_written() {
            let (counted, written) = (say::count(self.n_counted), say::count(self.n_written()));
            missing.push(format!("{counted} lines were counted, {written} were written"));
        }
        missing
    }

    /// For programs.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let receivers = Receiver::ALL.map(|receiver| ReceiverJson {
            name: receiver.name(),
            told_after_ms: after(&self.told, receiver).map(ms),
            paged_after_ms: after(&self.paged, receiver).map(ms),
            closed_after_ms: after(&self.closed, receiver).map(ms),
        });
        let json = Json {
            complete: self.is_complete(),
            missing: self.missing(),
            receivers: receivers.into(),
            lines_written: self.n_written(),
            lines_counted: self.n_counted,
            error_lines: self.written.n_errors,
            rss_bytes: self.rss_bytes,
            seconds: (self.took.as_secs_f64() * 1_000.0).round() / 1_000.0,
        };
        Ok(serde_json::to_string_pretty(&json)? + "\n")
    }

    /// For people.
    pub(super) fn words(&self, screen: &Screen) -> String {
        let missing = self.missing();
        let took = say::span(self.took);
        let (tone, verdict) = match missing.is_empty() {
            true => (Tone::Good, format!("All of it happened, in {took}:")),
            false => (Tone::Bad, format!("Not all of it happened, in {took}:")),
        };
        let mut text = format!("\n{}\n", screen.paint(tone, &verdict));
        for line in &missing {
            text += &hanging(screen, "  ", Tone::Bad, line, "");
        }
        for receiver in Receiver::ALL {
            text += &self.line(receiver, screen);
        }
        text += &self.lines(screen);
        text += &self.memory(screen);
        text + if missing.is_empty() { NEXT } else { RETRY }
    }

    fn lines(&self, screen: &Screen) -> String {
        if self.n_written() == 0 {
            return String::new();
        }
        let [written, errors, counted] =
            [self.n_written(), self.written.n_errors, self.n_counted].map(say::count);
        let text = format!("{written} lines written, {errors} of them errors; {counted} counted");
        hanging(screen, "  ", Tone::Plain, "", &text)
    }

    fn line(&self, receiver: Receiver, screen: &Screen) -> String {
        let span = |times| after(times, receiver).map(say::span);
        let told = span(&self.told).filter(|_| span(&self.told) != span(&self.paged));
        let told = told.map(|span| format!("told {span}"));
        let paged = span(&self.paged).map(|span| format!("paged {span} after the first bad line"));
        let closed = span(&self.closed).map(|span| format!("closed {span} after the last one"));
        let parts: Vec<String> = [told, paged, closed].into_iter().flatten().collect();
        if parts.is_empty() {
            return String::new();
        }
        let lead = format!("  {:<7} ", receiver.name());
        hanging(screen, &lead, Tone::Plain, "", &parts.join(", "))
    }

    fn memory(&self, screen: &Screen) -> String {
        let Some(bytes) = self.rss_bytes else { return String::new() };
        let text = format!(
            "{:.1} MB of memory: agent, collector, shop and receivers together",
            bytes as f64 / 1e6
        );
        let tone = if bytes > MAX_RSS_BYTES { Tone::Warning } else { Tone::Plain };
        hanging(screen, "  ", tone, &text, "")
    }
}

fn after(times: &[(Receiver, Duration)], receiver: Receiver) -> Option<Duration> {
    times.iter().find(|(who, _)| *who == receiver).map(|(_, span)| *span)
}

/// What to do if something is missing.
const RETRY: &str = "\nWATCHKEEPER_LOG=info watchkeeper demo shows what agent and collector have to say about it.\n";

/// What to do with a log of one's own.
const NEXT: &str = r#"
Now with a log of yours. collector.yaml:
  slos:
    - name: shop-availability
      service: shop
      signal: requests
      good: 'int(status) < 500'
      objective: 99.9
      window: 30d
  alerting:
    route: {receiver: chat, group_by: [service, alertname], group_wait: 0s}
    receivers:
      - name: chat
        slack_configs: [{api_url: {env: SLACK_WEBHOOK}}]
agent.yaml, for JSON lines with a field `status`:
  sources:
    - tail:
        service: shop
        paths: [/var/log/shop/*.log]
        signals: [{name: requests, labels: {status: status}}]
and then:
  watchkeeper check collector.yaml agent.yaml
  watchkeeper-collector --config collector.yaml
  watchkeeper-agent --config agent.yaml
  watchkeeper status
  watchkeeper query requests --by status --step 1m
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Ending {
        let times = |ms: u64| Receiver::ALL.map(|r| (r, Duration::from_millis(ms))).into();
        Ending {
            told: times(98),
            paged: times(412),
            closed: times(6_100),
            written: Written {
                n_requests: 1_000,
                n_queries: 500,
                n_errors: 100,
                ..Written::default()
            },
            n_counted: 1_500,
            rss_bytes: Some(40_000_000),
            took: Duration::from_secs(21),
            ..Ending::new()
        }
    }

    #[test]
    fn only_if_everything_happened_it_is_complete() {
        assert!(complete().is_complete());
        type Change = fn(&mut Ending);
        let changes: [(Change, &str); 6] = [
            (|e| e.paged.truncate(1), "oncall was not paged"),
            (|e| e.closed.clear(), "chat was not told that it is over"),
            (
                |e| e.open.push((Receiver::Chat, "shop-latency")),
                "chat was never told that shop-latency is over",
            ),
            (|e| e.n_counted += 1, "1,501 lines were counted, 1,500 were written"),
            (|e| e.written = Written::default(), "no line was written"),
            (|e| e.broke_off("interrupted".into()), "the story broke off: interrupted"),
        ];
        for (change, missing) in changes {
            let mut ending = complete();
            change(&mut ending);
            assert!(
                ending.missing().contains(&missing.to_owned()),
                "{missing}: {:?}",
                ending.missing()
            );
            let json: serde_json::Value = serde_json::from_str(&ending.json().unwrap()).unwrap();
            assert_eq!(json["complete"], false, "{missing}");
        }
    }

    #[test]
    fn the_words_have_the_numbers() {
        let screen = Screen::plain(None, watchkeeper_model::Timestamp::EPOCH);
        let words = complete().words(&screen);
        for part in [
            "All of it happened, in 21s:",
            "chat    told 98ms, paged 412ms after the first bad line, closed 6s after the last one",
            "1,500 lines written, 100 of them errors; 1,500 counted",
            "40.0 MB of memory",
            "watchkeeper check collector.yaml agent.yaml",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(NEXT.lines().all(|line| line.chars().count() < 80));
    }

    #[test]
    fn what_is_recommended_can_be_read() {
        let environment =
            |name: &str| (name == "SLACK_WEBHOOK").then(|| "http://127.0.0.1:9/x".to_owned());
        let part = |from: &str, to: &str| {
            let text = NEXT
                .split_once(from)
                .and_then(|(_, rest)| rest.split_once(to))
                .map(|(text, _)| text);
            text.and_then(|text| text.split_once('\n')).map(|(_, yaml)| yaml.to_owned()).unwrap()
        };
        let mut reader = watchkeeper_config::Reader::new(&environment);
        let collector =
            watchkeeper_config::load_str("c", &part("collector.yaml:", "agent.yaml,"), &mut reader);
        let collector =
            collector.and_then(|d| watchkeeper_collector::config::read(&d, &mut reader, false));
        assert!(collector.is_some(), "{}", reader.problems());
        let agent =
            watchkeeper_config::load_str("a", &part("agent.yaml,", "and then"), &mut reader);
        let agent = agent.and_then(|d| watchkeeper_agent::config::read(&d, &mut reader, false));
        assert!(agent.is_some() && reader.problems().is_empty(), "{}", reader.problems());
    }
}

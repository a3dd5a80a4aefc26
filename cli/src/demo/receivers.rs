//! Two receivers on loopback that record what they are told: one as Slack takes it, one as Alertmanager's webhooks do.
//!
//! Owns what a payload means to a person: which alert, and whether it is a page, something less, or over. Never reads
//! anything that a real receiver would not get.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use watchkeeper_collector::channels::slack::preview;

use super::files::SLOS;

/// Which receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Receiver {
    /// The Slack-like one.
    Chat,
    /// The webhook.
    Oncall,
}

impl Receiver {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Chat, Self::Oncall];

    /// As in the collector's file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Oncall => "oncall",
        }
    }
}

/// What a receiver was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Somebody must get up.
    Page,
    /// Something is wrong, but not that bad.
    Less,
    /// It is over.
    Over,
}

/// One thing that one receiver was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Who was told.
    pub(super) receiver: Receiver,
    /// When.
    pub(super) at: Instant,
    /// Of which alert; "" if of none we know.
    pub(super) alert: &'static str,
    /// What.
    pub(super) word: Word,
    /// The payload in words.
    pub(super) text: String,
}

/// Everything that was told.
#[derive(Clone, Debug)]
pub(super) struct Record {
    told: Arc<Mutex<Vec<Told>>>,
    n_told: watch::Sender<usize>,
}

impl Record {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { told: Arc::default(), n_told: watch::Sender::new(0) }
    }

    /// What was told after the first `n`.
    pub(super) fn after(&self, n: usize) -> Vec<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(n..).unwrap_or_default().to_vec()
    }

    /// The first thing each receiver was told since then that `fits`.
    pub(super) fn first(&self, since: Instant, fits: impl Fn(&Told) -> bool) -> Vec<Told> {
        let all = self.after(0);
        let first =
            |receiver| all.iter().find(|t| t.receiver == receiver && t.at >= since && fits(t));
        Receiver::ALL.into_iter().filter_map(first).cloned().collect()
    }

    /// What was told to somebody last and was not that it is over.
    pub(super) fn open(&self) -> Vec<(Receiver, &'static str)> {
        let all = self.after(0);
        let of_each =
            Receiver::ALL.into_iter().flat_map(|receiver| SLOS.map(|slo| (receiver, slo)));
        let last = |receiver, slo| all.iter().rfind(|t| t.receiver == receiver && t.alert == slo);
        of_each
            .filter(|(who, slo)| last(*who, *slo).is_some_and(|t| t.word != Word::Over))
            .collect()
    }

    /// Changes when something is told.
    pub(super) fn changes(&self) -> watch::Receiver<usize> {
        self.n_told.subscribe()
    }

    fn take(&self, told: Told) {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(told);
        let n_told = all.len();
        drop(all);
        self.n_told.send_replace(n_told);
    }
}

/// Listens as this receiver until the process ends; says where.
pub(super) async fn listen(receiver: Receiver, record: Record) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(take).with_state((receiver, record));
    // Ends with the runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn take(
    State((receiver, record)): State<(Receiver, Record)>,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let at = Instant::now();
    let Ok(payload) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload");
    };
    let (alert, word, text) = match receiver {
        Receiver::Chat => of_slack(&payload),
        Receiver::Oncall => of_webhook(&payload),
    };
    record.take(Told { receiver, at, alert, word, text });
    (StatusCode::OK, "ok")
}

/// The headline says it all, as it would to a person.
fn of_slack(payload: &Value) -> (&'static str, Word, String) {
    let text = preview(payload).replace("# ", "");
    let headline = text.lines().next().unwrap_or_default();
    let alert = SLOS.into_iter().find(|name| headline.contains(name)).unwrap_or_default();
    let word = match () {
        () if headline.contains("Resolved") || headline.contains("Closed here") => Word::Over,
        () if headline.contains("PAGE") => Word::Page,
        () => Word::Less,
    };
    (alert, word, text)
}

fn of_webhook(payload: &Value) -> (&'static str, Word, String) {
    let label = |name: &str| payload["commonLabels"][name].as_str().unwrap_or_default();
    let alert = SLOS.into_iter().find(|name| label("alertname") == *name).unwrap_or_default();
    let word = match (payload["status"].as_str(), label("severity")) {
        (Some("resolved"), _) => Word::Over,
        (_, "page") => Word::Page,
        _ => Word::Less,
    };
    let [status, version] = ["status", "version"].map(|name| payload[name].as_str().unwrap_or("?"));
    let why = payload["notification_reason"].as_str().unwrap_or("no reason");
    let severity = label("severity");
    let text = format!("version {version}, status {status}: {alert}, severity {severity} ({why})");
    (alert, word, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_is_understood_by_its_headline() {
        let message = |headline: &str| json!({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": headline}}]});
        for (headline, alert, word) in [
            ("🔴 PAGE · shop-availability: burning 21.3x", "shop-availability", Word::Page),
            ("🔴 PAGE (update) · shop-availability: burning", "shop-availability", Word::Page),
            ("🟡 TICKET · shop-latency: burning", "shop-latency", Word::Less),
            ("✅ Resolved · shop-availability after 8s", "shop-availability", Word::Over),
            ("🔴 PAGE · AgentSilent: web-1", "", Word::Page),
        ] {
            let found = of_slack(&message(headline));
            assert_eq!((found.0, found.1), (alert, word), "{headline}");
        }
    }

    #[test]
    fn what_was_opened_is_open_until_its_own_receiver_hears_that_it_is_over() {
        let record = Record::new();
        let tell = |receiver, alert, word| {
            record.take(Told { receiver, at: Instant::now(), alert, word, text: String::new() });
            record.open()
        };
        let [chat, oncall] = Receiver::ALL;
        let slo = SLOS[0];
        for (sentence, receiver, word, open) in [
            ("a ticket opens it", chat, Word::Less, vec![(chat, slo)]),
            ("a page opens it there", oncall, Word::Page, vec![(chat, slo), (oncall, slo)]),
            ("it is over at one", chat, Word::Over, vec![(oncall, slo)]),
            ("and at the other", oncall, Word::Over, vec![]),
        ] {
            assert_eq!(tell(receiver, slo, word), open, "{sentence}");
        }
    }

    #[test]
    fn a_webhook_is_understood_by_status_and_severity() {
        for (status, severity, word) in [
            ("firing", "page", Word::Page),
            ("firing", "ticket", Word::Less),
            ("resolved", "page", Word::Over),
        ] {
            let payload = json!({
                "version": "4",
                "status": status,
                "commonLabels": {"alertname": "shop-availability", "severity": severity},
            });
            let found = of_webhook(&payload);
            assert_eq!((found.0, found.1), ("shop-availability", word), "{status} {severity}");
        }
    }
}

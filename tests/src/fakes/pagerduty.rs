//! PagerDuty's Events API v2 on loopback: opens and resolves incidents as the original does, and refuses what it refuses.
//!
//! Owns what became of each incident. An event of another routing key than the trigger's, or a resolve of what is not
//! open, is taken with 202 and dropped; a trigger after a resolve opens a new incident; so does one without a key.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::receiver::{Receiver, Request, Service};

/// Largest event that is taken.
const MAX_BYTES: usize = 512 * 1024;

/// An incident as a person sees it there.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// The integration it came by.
    pub routing_key: String,
    /// Under which events belong to it.
    pub dedup_key: String,
    /// What it says: the latest trigger, which takes the place of those before.
    pub says: Value,
    /// Triggers that were added to it.
    pub n_more: usize,
    /// Whether it was resolved.
    pub is_resolved: bool,
}

/// A PagerDuty that listens until it is dropped.
#[derive(Debug)]
pub struct PagerDuty {
    /// What it was sent, and its faults.
    pub receiver: Receiver,
    account: Arc<Mutex<Account>>,
}

/// What it knows.
#[derive(Debug, Default)]
struct Account {
    routing_keys: Vec<String>,
    incidents: Vec<Incident>,
    n_dropped: usize,
}

impl PagerDuty {
    /// One with integrations of these keys.
    pub async fn start(routing_keys: &[&str]) -> io::Result<Self> {
        let routing_keys = routing_keys.iter().map(|key| (*key).to_owned()).collect();
        let account = Arc::new(Mutex::new(Account { routing_keys, ..Account::default() }));
        let receiver = Receiver::start_with(Box::new(Desk(account.clone()))).await?;
        Ok(Self { receiver, account })
    }

    /// Every incident there ever was, in the order of opening.
    pub fn incidents(&self) -> Vec<Incident> {
        lock(&self.account).incidents.clone()
    }

    /// Somebody closes what is open under this key, by hand.
    pub fn close_by_hand(&self, dedup_key: &str) {
        let mut account = lock(&self.account);
        let of_key = account.incidents.iter_mut().filter(|it| it.dedup_key == dedup_key);
        of_key.for_each(|incident| incident.is_resolved = true);
    }

    /// Events that were taken and had no effect.
    pub fn n_dropped(&self) -> usize {
        lock(&self.account).n_dropped
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where events arrive.
#[derive(Debug)]
struct Desk(Arc<Mutex<Account>>);

impl Service for Desk {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        let event = request.json();
        let mut account = lock(&self.0);
        let errors = refusals(&event, request.body.len(), &account.routing_keys);
        if !errors.is_empty() {
            let refusal = json!({
                "status": "invalid event", "message": "Event object is invalid", "errors": errors,
            });
            return (400, refusal.to_string());
        }
        let dedup_key = account.take(&event);
        let taken = json!({
            "status": "success", "message": "Event processed", "dedup_key": dedup_key,
        });
        (202, taken.to_string())
    }
}

impl Account {
    /// Gives an event its effect; answers the key it belongs to.
    fn take(&mut self, event: &Value) -> String {
        let routing_key = text(&event["routing_key"]);
        let dedup_key = match text(&event["dedup_key"]) {
            "" => format!("made-up-{}", self.incidents.len()),
            key => key.to_owned(),
        };
        let open = self.incidents.iter_mut().find(|incident| {
            !incident.is_resolved
                && incident.routing_key == routing_key
                && incident.dedup_key == dedup_key
        });
        match (text(&event["event_action"]), open) {
            ("trigger", Some(open)) => {
                open.n_more += 1;
                open.says = event.clone();
            }
            ("trigger", None) => self.incidents.push(Incident {
                routing_key: routing_key.to_owned(),
                dedup_key: dedup_key.clone(),
                says: event.clone(),
                n_more: 0,
                is_resolved: false,
            }),
            ("resolve", Some(open)) => open.is_resolved = true,
            ("acknowledge", Some(_)) => {}
            _ => self.n_dropped += 1,
        }
        dedup_key
    }
}

/// What is wrong with an event, by the documents.
fn refusals(event: &Value, n_bytes: usize, routing_keys: &[String]) -> Vec<String> {
    let mut errors = Vec::new();
    let routing_key = text(&event["routing_key"]);
    if routing_key.chars().count() != 32 {
        errors.push("Length of 'routing_key' is incorrect (should be 32 characters)".to_owned());
    } else if !routing_keys.iter().any(|known| known == routing_key) {
        errors.push("Invalid routing key".to_owned());
    }
    let action = text(&event["event_action"]);
    if !matches!(action, "trigger" | "acknowledge" | "resolve") {
        errors.push("'event_action' is missing or invalid".to_owned());
    }
    let n_key = text(&event["dedup_key"]).chars().count();
    if n_key > 255 || (n_key == 0 && action != "trigger") {
        errors.push("Length of 'dedup_key' is incorrect".to_owned());
    }
    if n_bytes > MAX_BYTES {
        errors.push("Event is larger than 512 KB".to_owned());
    }
    if action == "trigger" {
        errors.extend(payload_refusals(event));
    }
    errors
}

fn payload_refusals(event: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    let payload = &event["payload"];
    for field in ["summary", "source", "severity"] {
        if text(&payload[field]).is_empty() {
            errors.push(format!("'payload.{field}' is missing or blank"));
        }
    }
    if text(&payload["summary"]).chars().count() > 1_024 {
        errors.push("'payload.summary' is too long".to_owned());
    }
    let severity = text(&payload["severity"]);
    if !matches!(severity, "critical" | "error" | "warning" | "info") {
        errors.push("'payload.severity' is invalid (must be one of: 'critical', 'warning', 'error' or 'info')".to_owned());
    }
    let list = |field: &str| event[field].as_array().cloned().unwrap_or_default();
    if list("images").iter().any(|image| !text(&image["src"]).starts_with("https://")) {
        errors.push("'images.src' is no https address".to_owned());
    }
    if list("links").iter().any(|link| !text(&link["href"]).starts_with("http")) {
        errors.push("'links.href' is no address".to_owned());
    }
    errors
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

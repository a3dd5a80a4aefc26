//! What is remembered of an incident between two words: where its message is, and what it said.
//!
//! Owns that text, which the ledger stores. Never holds a token.

use serde::{Deserialize, Serialize};
use watchkeeper_collector_core::notify::{Notification, NotifiedAlert};
use watchkeeper_model::Severity;

/// Alerts that are remembered one by one: with more of them a change is told in numbers.
const MAX_TOLD: usize = 60;

/// Longer ones are none of Slack's.
const MAX_ID_CHARS: usize = 100;

/// The first message of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The channel's id, as Slack answered it.
    pub(super) channel: String,
    /// The message's time, which is its name.
    pub(super) ts: String,
    /// What fired when it was told last: eight digits of its fingerprint, one for its severity. `None`: too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Vec<String>>,
}

impl Memory {
    /// Where a message was posted and what it said; `None` if these are no ids.
    pub(super) fn after(told: &Notification, channel: &str, ts: &str) -> Option<Self> {
        let is_id = |text: &str| !text.is_empty() && text.chars().count() <= MAX_ID_CHARS;
        if !is_id(channel) || !is_id(ts) {
            return None;
        }
        let firing = told.alerts.iter().filter(|alert| alert.firing);
        let marks: Vec<String> =
            firing.map(|alert| format!("{}{}", print(alert), rank(alert.severity()))).collect();
        let is_known = told.n_truncated == 0 && marks.len() <= MAX_TOLD;
        let (channel, ts) = (channel.to_owned(), ts.to_owned());
        Some(Self { channel, ts, told: is_known.then_some(marks) })
    }

    /// What was remembered; `None` at first, and if it is not ours.
    pub(super) fn of(told: &Notification) -> Option<Self> {
        serde_json::from_str(told.memory.as_deref()?).ok()
    }

    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Whether it is remembered what fired.
    pub(super) const fn knows_alerts(&self) -> bool {
        self.told.is_some()
    }

    /// How bad an alert was when it was told last, if it was.
    pub(super) fn before(&self, alert: &NotifiedAlert) -> Option<Severity> {
        let print = print(alert);
        let mark = self.told.iter().flatten().find_map(|mark| mark.strip_prefix(&*print))?;
        Some(match mark {
            "3" => Severity::Critical,
            "2" => Severity::Error,
            "1" => Severity::Warning,
            _ => Severity::Info,
        })
    }
}

fn print(alert: &NotifiedAlert) -> String {
    let digits = &alert.fingerprint;
    let start = digits.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    digits[start..].to_owned()
}

const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
        Severity::Critical => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples;

    #[test]
    fn what_is_stored_comes_back_and_is_bounded() {
        let mut told = samples::group(61);
        let memory = Memory::after(&told, "C0123456789", "1795370839.000100").unwrap();
        let text = memory.to_text().unwrap();
        assert!(text.len() <= 1_024, "{} bytes", text.len());
        told.memory = Some(text);
        assert_eq!(Memory::of(&told), Some(memory.clone()));
        assert!(memory.knows_alerts());
        assert_eq!(memory.before(&told.alerts[0]), Some(Severity::Warning));
        assert_eq!(memory.before(&told.alerts[60]), None, "it was resolved");
        assert!(!Memory::after(&samples::group(62), "C1", "1.2").unwrap().knows_alerts());
    }

    #[test]
    fn what_is_no_memory_of_ours_is_none() {
        for text in ["", "{}", "[]", "nonsense", r#"{"opened_with":["a"]}"#, r#"{"channel":"C1"}"#]
        {
            let told = Notification { memory: Some(text.into()), ..samples::slo_page() };
            assert_eq!(Memory::of(&told), None, "{text}");
        }
        for (channel, ts) in [("", "1.2"), ("C1", ""), (&*"C".repeat(101), "1.2")] {
            assert_eq!(Memory::after(&samples::slo_page(), channel, ts), None);
        }
    }
}

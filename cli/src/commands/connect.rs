//! `check --connect` and `check --definitions`: whether the broker that a file names fits, and what would make it fit.
//!
//! Owns how that looks. What is asked of the broker stands in `watchkeeper-amqp`. Changes nothing there that lasts.

use serde::Serialize;
use watchkeeper_amqp::{BrokerSettings, Finding, Side, check, definitions};

use crate::terminal::{Screen, Tone};

/// The broker that a file names.
pub(super) struct Named {
    pub(super) side: Side,
    pub(super) settings: BrokerSettings,
}

/// What was found out about it.
#[derive(Serialize)]
pub(super) struct Found {
    severity: &'static str,
    text: String,
}

impl Found {
    pub(super) fn is_bad(&self) -> bool {
        self.severity == "error"
    }

    pub(super) fn draw(&self, screen: &Screen) -> String {
        let tone = match self.severity {
            "ok" => Tone::Good,
            "note" => Tone::Warning,
            _ => Tone::Bad,
        };
        format!("  {} {}\n", screen.paint(tone, &format!("{:>5}", self.severity)), self.text)
    }
}

impl Named {
    /// Connects and looks.
    pub(super) fn look(&self) -> anyhow::Result<Vec<Found>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Only has to differ from that of a check that runs at the same time.
        let own = u64::from(std::process::id());
        let found = runtime.block_on(check(&self.settings, self.side, own));
        Ok(found
            .into_iter()
            .map(|finding| match finding {
                Finding::Good(text) => Found { severity: "ok", text },
                Finding::Noted(text) => Found { severity: "note", text },
                Finding::Bad(text) => Found { severity: "error", text },
            })
            .collect())
    }

    /// What would make the broker fit, in the form that it imports.
    pub(super) fn definitions(&self) -> serde_json::Value {
        definitions(&self.settings, self.side)
    }
}

//! Annotations as they are told: with their expressions filled in by what is known now.
//!
//! Owns what happens when one can't be: the text goes out as it was written, with a note, and a fact is told. Texts of
//! Watchkeeper's own are never looked into: they may quote others.

use watchkeeper_model::{Labels, Timestamp};

use super::Engine;
use super::effect::Fact;
use super::view::AlertView;
use crate::alert::{AlertKind, AlertRow};
use crate::notify::{Scene, SloFacts, WordingError, fill_in, is_template};

impl Engine {
    /// An alert's annotations, filled in; with what went wrong.
    pub(super) fn worded(
        &self,
        row: &AlertRow,
        firing: bool,
        slo: Option<&SloFacts>,
        now: Timestamp,
    ) -> (Labels, Vec<Fact>) {
        if !has_expressions(row) {
            return (row.annotations.clone(), Vec::new());
        }
        let events = if firing { self.recent_events(row) } else { Vec::new() };
        let external_url = self.settings.external_url.as_str();
        let url = format!("{external_url}/alerts/{}", row.fingerprint);
        let scene = Scene {
            labels: &row.labels,
            value: row.value,
            reason: &row.reason,
            firing,
            starts_at: row.starts_at,
            url: &url,
            external_url,
            slo,
            is_slo: row.key.kind == AlertKind::Slo,
            events: &events,
        };
        let mut facts = Vec::new();
        let texts = row.annotations.iter().map(|(name, text)| {
            let filled =
                fill_in(text, &scene).unwrap_or_else(|WordingError { message, .. }| {
                    let (alert, annotation) = (row.key.name.clone(), name.to_owned());
                    let told = noted(name, text, &message);
                    facts.push(Fact::WordingFailed { at: now, alert, annotation, error: message });
                    told
                });
            (name.to_owned(), filled)
        });
        (texts.collect(), facts)
    }

    /// The same for answers.
    pub(super) fn word(&self, views: &mut [AlertView], now: Timestamp) {
        for view in views {
            let Some(row) = self.alerts.get(&view.fingerprint) else { continue };
            if has_expressions(row) {
                let slo = match row.key.kind {
                    AlertKind::Slo => self.slo_facts(&row.key.name, now).map(|(facts, _)| facts),
                    AlertKind::Rule | AlertKind::Builtin => None,
                };
                view.annotations = self.worded(row, row.is_firing(), slo.as_ref(), now).0;
            }
        }
    }
}

fn has_expressions(row: &AlertRow) -> bool {
    row.key.kind != AlertKind::Builtin && row.annotations.iter().any(|(_, text)| is_template(text))
}

/// A text that can't be filled in, with the reason; an address is left as it is.
fn noted(name: &str, text: &str, why: &str) -> String {
    if name.ends_with("url") { text.to_owned() } else { format!("{text} (template failed: {why})") }
}

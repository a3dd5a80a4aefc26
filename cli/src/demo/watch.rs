//! Tells what the collector's API says while the story goes on.
//!
//! Owns when something is worth a line: an alert moved, or a budget that matters changed and was not told of for a
//! second. Asks the same questions as `watchkeeper slo` and `watchkeeper alerts`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::files::BREAKING;
use super::stage::Stage;
use super::voice::Voice;
use crate::api::{Alert, Alerts, Slo, Slos};
use crate::commands::slo;
use crate::terminal::{Tone, say};

/// How often the collector is asked.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// How often a budget is told of while it changes.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Tells until it is dropped.
pub(super) async fn follow(stage: &Stage, voice: &Voice) {
    let mut every = tokio::time::interval(EVERY);
    let mut told = Teller::default();
    loop {
        every.tick().await;
        // A question without an answer is asked again soon; if it never is answered, the story ends badly anyway.
        if let Ok(answer) = stage.client.get(&["api", "v1", "alerts"], &[]).await {
            let alerts: Alerts = answer.read().unwrap_or_default();
            alerts.alerts.iter().for_each(|alert| told.alert(alert, voice));
        }
        if let Ok(answer) = stage.client.get(&["api", "v1", "slos", BREAKING], &[]).await {
            let slos: Slos = answer.read().unwrap_or_default();
            slos.slos.iter().for_each(|slo| told.budget(slo, voice));
        }
    }
}

#[derive(Default)]
struct Teller {
    /// State and severity by name.
    alerts: BTreeMap<String, (String, String)>,
    budget: Option<(Instant, String)>,
}

impl Teller {
    fn alert(&mut self, alert: &Alert, voice: &Voice) {
        let name = alert.label("alertname");
        let (state, severity) = (alert.state.clone(), alert.label("severity").to_owned());
        if self.alerts.get(name).is_some_and(|known| *known == (state.clone(), severity.clone())) {
            return;
        }
        let (tone, text) = match state.as_str() {
            "resolved" => (Tone::Good, format!("{name} resolved: {}", alert.reason)),
            _ => (
                Tone::of_severity(&severity),
                format!("{name} {state}, {severity}: {}", alert.reason),
            ),
        };
        voice.say_in(tone, "alert", &text);
        self.alerts.insert(name.to_owned(), (state, severity));
    }

    fn budget(&mut self, slo: &Slo, voice: &Voice) {
        let burning = slo::burn(slo, 2);
        let burning = if burning.is_empty() { burning } else { format!(", burning {burning}") };
        let text = format!("{}{burning}", slo::budget_left(slo, 12));
        let is_due = self.budget.as_ref().is_none_or(|(at, _)| at.elapsed() >= TELL_EVERY);
        let is_new = self.budget.as_ref().is_none_or(|(_, known)| *known != text);
        if is_due && is_new && slo.total > 0 {
            let text_with_counts =
                format!("{text} ({} of {} good)", say::count(slo.good), say::count(slo.total));
            voice.say_in(slo::tone(&slo.state), "budget", &text_with_counts);
            self.budget = Some((Instant::now(), text));
        }
    }
}

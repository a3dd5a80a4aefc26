//! The two pages that messages link to: what is wrong now, and one alert.
//!
//! Owns their HTML. Shows what the API answers, without scripts; everything that comes from outside is escaped.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use watchkeeper_collector_core::alert::AlertState;
use watchkeeper_collector_core::engine::{AlertView, Snapshot};
use watchkeeper_collector_core::slo::budget_words;
use watchkeeper_model::Timestamp;

use super::state::ApiState;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;\
vertical-align:top}.firing{color:#b00020;font-weight:600}.resolved{color:#1b6e3c}code{font-size:.9em}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}th,td{border-color:#333}.firing{color:#ff6b7a}.resolved{color:#6fcf97}a{color:#8ab4f8}}";

/// What is wrong now.
pub(super) async fn home(State(state): State<ApiState>) -> Response {
    match state.engine.snapshot().await {
        Ok(snapshot) => page("Watchkeeper", &overview(&snapshot)).into_response(),
        Err(_) => unavailable(),
    }
}

/// One alert.
pub(super) async fn alert(
    State(state): State<ApiState>,
    Path(fingerprint): Path<String>,
) -> Response {
    let Ok(snapshot) = state.engine.snapshot().await else { return unavailable() };
    match snapshot.alerts.iter().find(|a| a.fingerprint.to_string() == fingerprint) {
        Some(alert) => page(alert.labels.get("alertname"), &details(alert)).into_response(),
        None => {
            let text = "<p>This alert is over, and no longer kept here. <a href=\"/\">What is wrong now</a></p>";
            (StatusCode::NOT_FOUND, page("No such alert", text)).into_response()
        }
    }
}

fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, page("Watchkeeper", "<p>Starting, or stopping.</p>"))
        .into_response()
}

fn page(title: &str, body: &str) -> Html<String> {
    let title = escape(title);
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    ))
}

fn overview(snapshot: &Snapshot) -> String {
    let mut out = String::from(
        "<h2>Alerts</h2><table><tr><th>State<th>Alert<th>Severity<th>Since<th>Why</tr>",
    );
    // The one that is always on says nothing to a person.
    let shown = snapshot.alerts.iter().filter(|a| a.labels.get("severity") != "none");
    for alert in shown {
        let _ = write!(
            out,
            "<tr><td>{}<td><a href=\"/alerts/{}\">{}</a><td>{}<td>{}<td>{}</tr>",
            state(alert),
            alert.fingerprint,
            escape(alert.labels.get("alertname")),
            escape(alert.labels.get("severity")),
            time(alert.starts_at),
            escape(&alert.reason)
        );
    }
    out.push_str("</table><h2>Objectives</h2><table><tr><th>SLO<th>Service<th>Objective<th>Good<th>Budget</tr>");
    for slo in &snapshot.slos {
        let good = slo.sli.map_or("no data".to_owned(), |sli| format!("{:.3} %", sli * 100.0));
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{} % over {}<td>{good}<td>{}</tr>",
            escape(&slo.name),
            escape(&slo.service),
            slo.objective,
            escape(&slo.window),
            budget_words(slo.budget_remaining)
        );
    }
    out.push_str("</table><h2>Agents</h2><table><tr><th>Agent<th>State<th>Last heard</tr>");
    for agent in &snapshot.agents {
        let beat = agent.last_beat.map_or_else(|| "never".to_owned(), time);
        let _ = write!(
            out,
            "<tr><td>{}<td>{:?}<td>{beat}</tr>",
            escape(agent.id.as_str()),
            agent.state
        );
    }
    out.push_str("</table>");
    out
}

fn state(alert: &AlertView) -> String {
    let (class, word) = match alert.state {
        AlertState::Firing => ("firing", "firing"),
        AlertState::Pending => ("pending", "pending"),
        _ => ("resolved", "resolved"),
    };
    let stale = if alert.stale { ", its data have stopped" } else { "" };
    format!("<span class=\"{class}\">{word}</span>{stale}")
}

fn details(alert: &AlertView) -> String {
    let mut out = format!("<p>{}: {}</p><table>", state(alert), escape(&alert.reason));
    let ended = alert.ends_at.map_or_else(|| "goes on".to_owned(), time);
    let _ =
        write!(out, "<tr><th>Since<td>{}</tr><tr><th>Until<td>{ended}</tr>", time(alert.starts_at));
    if let Some(by) = &alert.acknowledged_by {
        let _ = write!(out, "<tr><th>Taken on by<td>{}</tr>", escape(by));
    }
    let _ = write!(out, "<tr><th>Told to<td>{}</tr>", escape(&alert.receivers.join(", ")));
    for (name, value) in alert.annotations.iter() {
        // Only web addresses become links: an annotation is text from a file.
        let is_link = value.starts_with("https://") || value.starts_with("http://");
        let value = escape(value);
        let shown = if is_link { format!("<a href=\"{value}\">{value}</a>") } else { value };
        let _ = write!(out, "<tr><th>{}<td>{shown}</tr>", escape(name));
    }
    for (name, value) in alert.labels.iter() {
        let _ = write!(out, "<tr><th>{}<td><code>{}</code></tr>", escape(name), escape(value));
    }
    out.push_str("</table><p><a href=\"/\">What is wrong now</a></p>");
    out
}

fn time(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Labels;

    #[test]
    fn what_comes_from_outside_cannot_become_markup() {
        let alert = AlertView {
            fingerprint: "0123456789abcdef".parse().unwrap(),
            labels: Labels::new([("alertname", "<script>alert(1)</script>")]),
            annotations: Labels::new([
                ("runbook_url", "https://x/\"onclick=\""),
                ("note", "javascript:alert(1)"),
            ]),
            state: AlertState::Firing,
            stale: true,
            acknowledged_by: None,
            starts_at: Timestamp(0),
            ends_at: None,
            value: None,
            reason: "count > 0 & rising".into(),
            receivers: vec![],
            suppressed_by: vec![],
        };
        let html = details(&alert);
        assert!(!html.contains("<script>") && !html.contains("\"onclick"), "{html}");
        assert!(!html.contains("href=\"javascript"), "{html}");
        assert!(
            html.contains("count &gt; 0 &amp; rising") && html.contains("its data have stopped"),
            "{html}"
        );
    }
}

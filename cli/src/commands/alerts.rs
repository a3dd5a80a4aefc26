//! `alerts`: what is firing, what is about to, what was resolved of late.
//!
//! Owns the order in which alerts are read: firing first, the worst first, the newest first. The Watchdog (severity
//! `none`) is shown, and never counted as something wrong.

use std::cmp::Reverse;

use watchkeeper_model::{Severity, Timestamp};

use crate::api::{self, Alert, Alerts, Pages};
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Labels that are shown otherwise.
const SHOWN_OTHERWISE: [&str; 3] = ["alertname", "service", "severity"];

/// Options of `alerts`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pages: Pages,
    /// Exit with 1 if an alert is firing
    #[arg(long)]
    exit_code: bool,
}

/// Shows alerts.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let answer = api::list(&context.client()?, "alerts", &[], &args.pages).await?;
    let alerts: Alerts = answer.read()?;
    let is_bad = alerts.alerts.iter().any(is_wrong);
    let shown = if context.is_json() { answer.pretty() } else { draw(alerts, &context.screen) };
    context.print(&shown);
    Ok(Outcome::failed_if(args.exit_code && is_bad))
}

/// Whether it says that something is wrong now.
pub(super) fn is_wrong(alert: &Alert) -> bool {
    alert.is_firing() && alert.label("severity") != "none"
}

/// Firing before pending before resolved, the worst first, then the newest.
pub(super) fn sort(alerts: &mut [Alert]) {
    alerts.sort_by_key(|alert| {
        let state = ["firing", "pending"].iter().position(|s| *s == alert.state).unwrap_or(2);
        let rank =
            (alert.label("severity") != "none").then(|| Severity::rank_of(alert.label("severity")));
        (state, Reverse(rank), Reverse(alert.starts_at.map(|at| at.0)))
    });
}

/// Its state with everything that qualifies it: `firing, stale`.
pub(super) fn state(alert: &Alert) -> String {
    let mut words = vec![alert.state.clone()];
    if alert.stale {
        words.push("stale".to_owned());
    }
    if let Some(by) = &alert.acknowledged_by {
        words.push(format!("taken on by {by}"));
    }
    if !alert.suppressed_by.is_empty() {
        words.push("suppressed".to_owned());
    }
    words.join(", ")
}

/// The tone of an alert as it stands.
pub(super) fn tone(alert: &Alert) -> Tone {
    match alert.state.as_str() {
        "firing" => Tone::of_severity(alert.label("severity")),
        "resolved" => Tone::Faint,
        _ => Tone::Plain,
    }
}

fn draw(mut alerts: Alerts, screen: &Screen) -> String {
    if alerts.alerts.is_empty() {
        return "no alerts\n".to_owned();
    }
    sort(&mut alerts.alerts);
    let mut grid = Grid::new([
        Column::left("SEVERITY"),
        Column::left("STATE").wraps(8),
        Column::left("ALERT").wraps(26),
        Column::left("SERVICE").spare(),
        Column::left("SINCE").wraps(8),
        Column::right("VALUE").spare(),
        Column::left("REASON").wraps(22),
    ]);
    for alert in &alerts.alerts {
        let tone = tone(alert);
        grid.row([
            Cell::new(tone, alert.label("severity")),
            Cell::new(tone, state(alert)),
            Cell::new(tone, name(alert)),
            alert.label("service").into(),
            since(alert, screen.now).into(),
            alert.value.map_or_else(String::new, say::number).into(),
            alert.reason.as_str().into(),
        ]);
    }
    let more = alerts.next.0.map_or_else(String::new, |next| more(&next));
    grid.draw(screen) + &more
}

/// The line that says how to go on.
pub(super) fn more(next: &str) -> String {
    format!("more with --after {next}\n")
}

/// Its name, and the labels that tell it from others of that name: `ShopSlow path=/cart`.
pub(super) fn name(alert: &Alert) -> String {
    let others = alert.labels.iter().filter(|(name, _)| !SHOWN_OTHERWISE.contains(&name.as_str()));
    let others = others.map(|(name, value)| format!(" {name}={value}"));
    alert.label("alertname").to_owned() + &others.collect::<String>()
}

/// When it began; when it ended and how long it lasted, if it has.
fn since(alert: &Alert, now: Timestamp) -> String {
    let ended = alert.ends_at.filter(|_| alert.state == "resolved");
    match (alert.starts_at, ended) {
        (Some(from), Some(to)) => {
            format!("ended {} after {}", say::relative(to.0, now), say::span(to.0.since(from.0)))
        }
        (Some(from), None) => say::relative(from.0, now),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_370_829);

    fn alerts() -> Alerts {
        serde_json::from_str(
            r#"{"alerts":[
                {"labels":{"alertname":"Watchdog","severity":"none"},"state":"firing","starts_at":"2026-11-22T10:00:00Z"},
                {"labels":{"alertname":"Old","service":"shop","severity":"page"},"state":"resolved",
                 "starts_at":"2026-11-22T17:00:00Z","ends_at":"2026-11-22T17:10:00Z"},
                {"labels":{"alertname":"Slow","service":"shop","severity":"ticket","host":"a"},"state":"firing",
                 "stale":true,"acknowledged_by":"jo","starts_at":"2026-11-22T18:03:57Z","value":0.412,"reason":"p95 is 412ms"},
                {"labels":{"alertname":"Down","service":"db","severity":"page"},"state":"firing",
                 "starts_at":"2026-11-22T18:07:00Z","reason":"burning 21x"},
                {"labels":{"alertname":"Soon","service":"db","severity":"page"},"state":"pending"}
            ],"next":"abc"}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_worst_stands_first_and_the_watchdog_never_counts() {
        let mut found = alerts().alerts;
        sort(&mut found);
        let names: Vec<&str> = found.iter().map(|alert| alert.label("alertname")).collect();
        assert_eq!(names, ["Down", "Slow", "Watchdog", "Soon", "Old"]);
        let wrong: Vec<bool> = found.iter().map(is_wrong).collect();
        assert_eq!(wrong, [true, true, false, false, false]);
    }

    #[test]
    fn a_table_says_what_when_and_why() {
        let shown = draw(alerts(), &Screen::plain(None, NOW));
        for part in [
            "firing, stale, taken on by jo",
            "3m 12s ago",
            "Slow host=a",
            "0.412",
            "p95 is 412ms",
            "ended 57m 9s ago after 10m",
            "more with --after abc",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(draw(Alerts::default(), &Screen::plain(None, NOW)), "no alerts\n");
    }
}

//! `deliveries`: what receivers were told, why, and what became of it; the newest first.

use crate::api::{self, Deliveries, Delivery, Pages};
use crate::commands::alerts::more;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Deliveries shown if nobody says how many.
const DEFAULT_LIMIT: u32 = 50;

/// Options of `deliveries`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only to this receiver
    #[arg(long)]
    receiver: Option<String>,
    /// Only with this alert, by name or fingerprint
    #[arg(long)]
    alert: Option<String>,
    #[command(flatten)]
    pages: Pages,
    /// Exit with 1 if a delivery shown has failed or is being tried again
    #[arg(long)]
    exit_code: bool,
}

/// Shows deliveries.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let filters = [("receiver", &args.receiver), ("alert", &args.alert)];
    let filters: Vec<_> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let pages = args.pages.or_limit(DEFAULT_LIMIT);
    let answer = api::list(&context.client()?, "deliveries", &filters, &pages).await?;
    let deliveries: Deliveries = answer.read()?;
    let is_bad = deliveries.deliveries.iter().any(is_failing);
    let shown =
        if context.is_json() { answer.pretty() } else { draw(&deliveries, &context.screen) };
    context.print(&shown);
    Ok(Outcome::failed_if(args.exit_code && is_bad))
}

/// Whether it has not reached its receiver, or may not have.
pub(super) fn is_failing(delivery: &Delivery) -> bool {
    matches!(delivery.outcome(), "retry" | "failed")
}

/// `chat/slack[0]`.
pub(super) fn recipient(delivery: &Delivery) -> String {
    let through = [&delivery.integration, &delivery.kind].into_iter().find(|part| !part.is_empty());
    match through {
        Some(through) => format!("{}/{through}", delivery.receiver),
        None => delivery.receiver.clone(),
    }
}

/// `ok 200`, `retry 503, again in 4s: …`.
pub(super) fn outcome(delivery: &Delivery, screen: &Screen) -> String {
    let mut text = delivery.outcome().to_owned();
    if let Some(status) = delivery.status {
        text = format!("{text} {status}");
    }
    if let Some(next) = delivery.next_at.filter(|_| is_failing(delivery)) {
        let when = next.0.max(screen.now);
        text = format!("{text}, again {}", say::relative(when, screen.now));
    }
    match delivery.error.as_deref() {
        Some(error) if !error.is_empty() => format!("{text}: {error}"),
        _ => text,
    }
}

fn draw(deliveries: &Deliveries, screen: &Screen) -> String {
    if deliveries.deliveries.is_empty() {
        return "no deliveries\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("AT").wraps(8),
        Column::left("RECEIVER"),
        Column::left("ACTION"),
        Column::left("ALERTS").wraps(18),
        Column::left("OUTCOME").wraps(16),
        Column::right("TRIES").spare(),
        Column::right("INCIDENT").spare(),
        Column::left("REASON").wraps(12),
    ]);
    for delivery in &deliveries.deliveries {
        let tone = match delivery.outcome() {
            "ok" => Tone::Good,
            "retry" => Tone::Warning,
            "failed" | "unrecorded" => Tone::Bad,
            _ => Tone::Faint,
        };
        grid.row([
            delivery.at.map_or_else(String::new, |at| say::clock(at.0, screen)).into(),
            recipient(delivery).into(),
            delivery.action.as_str().into(),
            alerts(delivery).into(),
            Cell::new(tone, outcome(delivery, screen)),
            say::count(delivery.attempt).into(),
            incident(delivery).into(),
            delivery.reason.as_str().into(),
        ]);
    }
    let more = deliveries.next.0.as_deref().map_or_else(String::new, more);
    grid.draw(screen) + &more
}

/// Their names; several of one name, `ShopSlow (3)`.
fn alerts(delivery: &Delivery) -> String {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for name in &delivery.alerts {
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, n)) => *n += 1,
            None => names.push((name, 1)),
        }
    }
    let names = names.into_iter().map(|(name, n)| match n {
        1 => name.to_owned(),
        n => format!("{name} ({n})"),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn incident(delivery: &Delivery) -> String {
    match &delivery.incident {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    #[test]
    fn a_failing_delivery_says_when_it_is_tried_again_and_why_it_failed() {
        let screen = Screen::plain(None, Timestamp::from_secs(1_795_370_829));
        for (json, text, is_bad) in [
            (r#"{"outcome":"ok","status":200}"#, "ok 200", false),
            (
                r#"{"outcome":"retry","status":503,"next_at":"2026-11-22T18:07:13Z","error":"slack http://h: status 503"}"#,
                "retry 503, again in 4s: slack http://h: status 503",
                true,
            ),
            (r#"{"outcome":"failed","error":"no route"}"#, "failed: no route", true),
            (r#"{"outcome":"","next_at":"2026-11-22T18:07:13Z"}"#, "pending", false),
        ] {
            let delivery: Delivery = serde_json::from_str(json).unwrap();
            assert_eq!(
                (outcome(&delivery, &screen).as_str(), is_failing(&delivery)),
                (text, is_bad)
            );
        }
    }

    #[test]
    fn a_row_names_receiver_action_and_reason() {
        let deliveries: Deliveries = serde_json::from_str(
            r#"{"deliveries":[{"id":3,"incident":12,"receiver":"chat","integration":"slack[0]","kind":"slack",
                "action":"open","reason":"new alert in the group","at":"2026-11-22T18:07:05Z","attempt":1,
                "outcome":"ok","status":200,"next_at":null,"alerts":["shop-availability","Slow","Slow"]}]}"#,
        )
        .unwrap();
        let shown = draw(&deliveries, &Screen::plain(None, Timestamp::from_secs(1_795_370_829)));
        for part in [
            "18:07:05",
            "chat/slack[0]",
            "open",
            "shop-availability, Slow (2)",
            "ok 200",
            "12",
            "new alert in the group",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

//! `slo`: how much of each error budget is left and how fast it burns; one of them in detail.
//!
//! Owns how an SLO reads on one line. The budget's share, the rates and the state are the collector's.

use std::time::Duration;

use watchkeeper_collector::budget_words;

use crate::api::{self, Alert, Alerts, Pages, Slo, Slos};
use crate::commands::alerts;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, bar, hanging, say};

/// Cells of a bar in a table.
const BAR_CELLS: usize = 8;

/// Burn rates in a table; the detail has all of them.
const BURNS_SHOWN: usize = 3;

/// Options of `slo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this one, in detail
    name: Option<String>,
    #[command(flatten)]
    pages: Pages,
    /// Exit with 1 if a budget burns (ticket or page) or an SLO has no data
    #[arg(long)]
    exit_code: bool,
}

/// Shows SLOs.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let client = context.client()?;
    let answer = match &args.name {
        Some(name) => client.get(&["api", "v1", "slos", name], &[]).await?,
        None => api::list(&client, "slos", &[], &args.pages).await?,
    };
    let slos: Slos = answer.read()?;
    let is_bad = slos.slos.iter().any(|slo| slo.state != "ok");
    let shown = match &args.name {
        _ if context.is_json() => answer.pretty(),
        None => draw(&slos, &context.screen),
        Some(_) => {
            let all = api::list(&client, "alerts", &[], &Pages::default()).await?;
            let found: Alerts = all.read()?;
            slos.slos.iter().map(|slo| detail(slo, &found.alerts, &context.screen)).collect()
        }
    };
    context.print(&shown);
    Ok(Outcome::failed_if(args.exit_code && is_bad))
}

/// The tone of a state.
pub(crate) fn tone(state: &str) -> Tone {
    match state {
        "ok" => Tone::Good,
        "page" => Tone::Bad,
        "ticket" => Tone::Warning,
        _ => Tone::Faint,
    }
}

/// `no data`.
pub(super) fn words(state: &str) -> String {
    state.replace('_', " ")
}

/// Below this a budget is said in words: nobody can picture -11011.1%.
const FAR_BELOW: f64 = -1.0;

/// `██████░░ 63.2%`, `░░░░░░░░ spent 110 times over`; nothing without data.
pub(crate) fn budget(slo: &Slo, n_cells: usize) -> String {
    match slo.budget_remaining.filter(|_| slo.total > 0) {
        Some(left) if left < FAR_BELOW => format!("{} {}", bar(left, n_cells), budget_words(left)),
        Some(left) => format!("{} {}", bar(left, n_cells), say::percent(left, 1)),
        None => say::NOTHING.to_owned(),
    }
}

/// The same in a sentence: `██████░░ 63.2% left`, or that it is overspent.
pub(crate) fn budget_left(slo: &Slo, n_cells: usize) -> String {
    let end = match slo.budget_remaining.filter(|_| slo.total > 0) {
        None => "",
        Some(left) if left < FAR_BELOW => "",
        Some(left) if left < 0.0 => ", overspent",
        _ => " left",
    };
    format!("{}{end}", budget(slo, n_cells))
}

/// Burn rates of the shortest windows, `5m 14.2x, 1h 12.0x`; those without data are left out.
pub(crate) fn burn(slo: &Slo, n_windows: usize) -> String {
    let known = slo.burns().into_iter().filter_map(|(window, rate)| Some((window, rate?)));
    let texts = known.take(n_windows).map(|(window, rate)| format!("{window} {}", say::burn(rate)));
    texts.collect::<Vec<_>>().join(", ")
}

/// A table of them.
pub(crate) fn draw(slos: &Slos, screen: &Screen) -> String {
    if slos.slos.is_empty() {
        return "no SLOs: add some under `slos:` in the collector's file\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("SLO"),
        Column::left("SERVICE").spare(),
        Column::left("OBJECTIVE").wraps(9),
        Column::right("SLI"),
        Column::left("BUDGET LEFT").wraps(9),
        Column::left("BURN RATE").wraps(12),
        Column::left("STATE"),
        Column::left("EXHAUSTS").wraps(8).spare(),
    ]);
    for slo in &slos.slos {
        let tone = tone(&slo.state);
        grid.row([
            Cell::new(Tone::Strong, slo.name.as_str()),
            slo.service.as_str().into(),
            format!("{} {}", say::objective(slo.objective), slo.window).into(),
            sli(slo).into(),
            Cell::new(tone, budget(slo, BAR_CELLS)),
            burn(slo, BURNS_SHOWN).into(),
            Cell::new(tone, words(&slo.state)),
            slo.exhausts_at.map_or_else(String::new, |at| say::relative(at.0, screen.now)).into(),
        ]);
    }
    grid.draw(screen)
}

fn sli(slo: &Slo) -> String {
    let about = if slo.approximate.is_some_and(|share| share > 0.0) { "~" } else { "" };
    let sli = slo.sli.map_or_else(|| say::NOTHING.to_owned(), |sli| say::sli(sli, slo.objective));
    format!("{about}{sli}")
}

fn detail(slo: &Slo, alerts: &[Alert], screen: &Screen) -> String {
    let tone = tone(&slo.state);
    let line = |name: &str, tone, head: &str, rest: &str| match (head, rest) {
        ("", "") => String::new(),
        _ => hanging(screen, &format!("{name:<13}"), tone, head, rest),
    };
    let mut text = [
        line("slo", Tone::Strong, &slo.name, &format!(", service {}", slo.service)),
        line("state", tone, &words(&slo.state), ""),
        line(
            "objective",
            Tone::Plain,
            "",
            &format!("{} over {}", say::objective(slo.objective), slo.window),
        ),
        line("sli", Tone::Plain, "", &format!("{}, {}", sli(slo), counts(slo))),
        line("budget", tone, &budget_left(slo, 20), ""),
        line("burn rate", Tone::Plain, "", &burn(slo, usize::MAX)),
    ]
    .concat();
    if let Some(at) = slo.exhausts_at {
        text += &line(
            "exhausts",
            Tone::Plain,
            "",
            &format!("{} at this rate", say::moment(at.0, screen)),
        );
    }
    if let Some(share) = slo.approximate.filter(|share| *share > 0.0) {
        let estimated = format!("{} of what was judged is estimated", say::percent(share, 2));
        text += &line("approximate", Tone::Plain, "", &estimated);
    }
    for part in &slo.composite {
        let sli =
            part.sli.map_or_else(|| say::NOTHING.to_owned(), |sli| say::sli(sli, slo.objective));
        text +=
            &line("part", Tone::Plain, "", &format!("{} {sli}, weight {}", part.slo, part.weight));
    }
    if slo.corrected_seconds > 0.0 || slo.correction.is_some() {
        let out = say::span(Duration::from_secs_f64(slo.corrected_seconds.clamp(0.0, 1e12)));
        let now = slo.correction.as_deref().map_or_else(String::new, |why| format!(", now: {why}"));
        text += &line("corrected", Tone::Warning, "", &format!("{out} left out{now}"));
    }
    for alert in alerts.iter().filter(|a| a.label("alertname") == slo.name && a.state != "resolved")
    {
        let since = alert
            .starts_at
            .map_or_else(String::new, |at| format!(" since {}", say::moment(at.0, screen)));
        let state = format!("{} {}", alert.label("severity"), alerts::state(alert));
        text += &line("alert", alerts::tone(alert), &state, &format!("{since}: {}", alert.reason));
    }
    text
}

fn counts(slo: &Slo) -> String {
    let bad = say::count(slo.total.saturating_sub(slo.good));
    let unjudged = match slo.unjudged {
        0 => String::new(),
        n => format!(", {} not judged", say::count(n)),
    };
    format!("{bad} bad of {}{unjudged}", say::count(slo.total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    fn slos() -> Slos {
        serde_json::from_str(
            r#"{"slos":[
                {"name":"shop-availability","service":"shop","objective":99.9,"window":"30d","good":1998766,"total":2000000,
                 "unjudged":12,"sli":0.999383,"budget_remaining":0.383,"burn":{"1h":12,"5m":14.25,"6h":null},
                 "exhausts_at":"2026-11-22T21:19:19Z","state":"page","approximate":0,
                 "corrected_seconds":3900,"correction":"the database moves",
                 "composite":[{"slo":"web","weight":2,"good":9,"total":10,"sli":0.9}]},
                {"name":"db-latency","service":"db","objective":95,"window":"7d","good":0,"total":0,"unjudged":0,
                 "sli":null,"budget_remaining":1,"burn":{"5m":null},"exhausts_at":null,"state":"no_data","approximate":0.25}
            ]}"#,
        )
        .unwrap()
    }

    fn screen() -> Screen {
        Screen::plain(None, Timestamp::from_secs(1_795_370_829))
    }

    #[test]
    fn a_line_says_what_is_left_and_how_fast_it_goes() {
        let shown = draw(&slos(), &screen());
        let lines: Vec<&str> = shown.lines().collect();
        for part in [
            "shop-availability",
            "99.9% 30d",
            "99.93%",
            "███░░░░░ 38.3%",
            "5m 14.2x, 1h 12.0x",
            "page",
            "in 3h 12m",
        ] {
            assert!(lines[1].contains(part), "{part}: {shown}");
        }
        assert!(lines[2].contains("no data") && !lines[2].contains('█'), "{shown}");
    }

    #[test]
    fn a_budget_far_below_nothing_is_said_in_words() {
        for (left, words) in [
            (0.383, "███░░░░░ 38.3% left"),
            (-0.5, "░░░░░░░░ -50.0%, overspent"),
            (-109.111, "░░░░░░░░ spent 110 times over"),
        ] {
            let slo = Slo { budget_remaining: Some(left), total: 1, ..Slo::default() };
            assert_eq!(budget_left(&slo, 8), words);
        }
        let unknown = Slo { budget_remaining: Some(1.0), ..Slo::default() };
        assert_eq!(budget_left(&unknown, 8), say::NOTHING);
    }

    #[test]
    fn the_detail_has_counts_and_the_alert() {
        let alerts: Alerts = serde_json::from_str(
            r#"{"alerts":[
                {"labels":{"alertname":"shop-availability","severity":"page"},"state":"firing",
                 "starts_at":"2026-11-22T18:03:57Z","reason":"burning 14.2x"},
                {"labels":{"alertname":"shop-availability","severity":"ticket"},"state":"resolved"},
                {"labels":{"alertname":"other","severity":"page"},"state":"firing"}]}"#,
        )
        .unwrap();
        let shown = detail(&slos().slos[0], &alerts.alerts, &screen());
        for part in [
            "1,234 bad of 2,000,000, 12 not judged",
            "21:19:19 (in 3h 12m) at this rate",
            "page firing since 18:03:57 (3m 12s ago): burning 14.2x",
            "1h 5m left out, now: the database moves",
            "web 90.00%, weight 2",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(shown.matches("alert   ").count(), 1, "{shown}");
    }
}

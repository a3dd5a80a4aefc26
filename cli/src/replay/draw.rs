//! How a replay reads: what happened, who would have been told, what is left of the budgets, what was read.
//!
//! Owns the tables. All times are in UTC, as most logs have them; a date stands with each of them.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;
use watchkeeper_agent::history::Progress;
use watchkeeper_model::Timestamp;

use super::against::{Against, Compared};
use super::bar::speed;
use super::report::{Lines, Notified, Report, Transition};
use crate::api::Slos;
use crate::commands::slo;
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// What is said above the tables.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) agent: String,
    pub(super) progress: Progress,
    pub(super) n_files: usize,
    pub(super) spent: Duration,
    pub(super) first: Option<Timestamp>,
    pub(super) end: Timestamp,
    /// Alerts that fired when the time asked for began.
    pub(super) firing_already: Vec<String>,
}

/// Everything.
pub(super) fn all(report: &Report, shown: &Shown, screen: &Screen) -> String {
    // What is relative is meant from where the replay ended.
    let screen = &Screen { now: shown.end, zone: TimeZone::UTC, ..screen.clone() };
    let title = |text: &str| format!("\n{}\n", screen.paint(Tone::Strong, text));
    let mut text = head(shown, report.complete);
    text += &title("What would have happened (times are in UTC)");
    text += &transitions(&report.transitions, &shown.firing_already, screen);
    text += &title("Who would have been told");
    text += &notifications(&report.notifications, screen);
    text += &title(&format!("Budgets at the end, {}", moment(shown.end)));
    let slos: Slos = serde_json::from_value(json!({ "slos": report.slos })).unwrap_or_default();
    text += &slo::draw(&slos, screen);
    text += &title("Lines");
    text += &lines(&report.lines);
    if let Some(against) = &report.against {
        text += &title("Against known faults");
        text += &faults(against, screen);
    }
    text
}

fn head(shown: &Shown, is_complete: bool) -> String {
    let Progress { read_bytes, n_lines, .. } = shown.progress;
    let when = match shown.first {
        Some(first) => format!("{} to {}", moment(first), moment(shown.end)),
        None => "nothing that counts".to_owned(),
    };
    let stopped = if is_complete { "" } else { "stopped before the end: " };
    let speed = match read_bytes {
        0 => String::new(),
        bytes => format!(", {}", speed(bytes, shown.spent)),
    };
    format!(
        "{stopped}agent {}: {} lines of {}, {} in {}{speed}; {when}\n",
        shown.agent,
        say::count(n_lines),
        match shown.n_files {
            0 if read_bytes > 0 => "standard input".to_owned(),
            n => say::things(n, "file"),
        },
        say::bytes(read_bytes),
        say::span(shown.spent),
    )
}

fn transitions(all: &[Transition], firing: &[String], screen: &Screen) -> String {
    let mut text = String::new();
    if !firing.is_empty() {
        text += &format!("firing already when it began: {}\n", firing.join(", "));
    }
    if all.is_empty() {
        return text + "no alert moved\n";
    }
    let mut grid = Grid::new([
        Column::left("TIME"),
        Column::left("ALERT"),
        Column::left("MOVED"),
        Column::left("SEVERITY"),
        Column::left("REASON").wraps(24),
    ]);
    for one in all {
        let severity = one.labels.get("severity");
        let tone = match one.to {
            Some("firing") => Tone::of_severity(severity),
            Some("resolved") => Tone::Good,
            _ => Tone::Plain,
        };
        let stale = if one.stale { " (stale)" } else { "" };
        let (from, to) = (one.from.unwrap_or("-"), one.to.unwrap_or("-"));
        grid.row([
            moment(one.time).into(),
            Cell::new(Tone::Strong, named(one)),
            Cell::new(tone, format!("{from} → {to}{stale}")),
            Cell::new(tone, severity),
            one.reason.as_str().into(),
        ]);
    }
    text + &grid.draw(screen)
}

/// An alert with the labels that tell it from others of its name.
fn named(one: &Transition) -> String {
    let is_own = |name: &str| !["alertname", "severity", "service"].contains(&name);
    let own = one.labels.iter().filter(|(name, _)| is_own(name));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    if own.is_empty() { one.alert.clone() } else { format!("{} {}", one.alert, own.join(" ")) }
}

fn notifications(all: &[Notified], screen: &Screen) -> String {
    if all.is_empty() {
        return "nobody\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("TIME"),
        Column::left("RECEIVER"),
        Column::left("TOLD"),
        Column::left("WHY").wraps(12),
        Column::left("WHAT").wraps(24),
    ]);
    for one in all {
        let tone = if one.action == "close" { Tone::Good } else { Tone::Plain };
        grid.row([
            moment(one.time).into(),
            format!("{} {}", one.receiver, one.integration).into(),
            Cell::new(tone, one.action),
            one.why.as_str().into(),
            one.text.join("; ").into(),
        ]);
    }
    grid.draw(screen)
}

fn lines(lines: &Lines) -> String {
    let skipped = lines
        .skipped
        .iter()
        .map(|(why, n)| format!("  {:<12} {:>15}\n", why.replace('_', " "), say::count(*n)));
    format!(
        "read           {:>15}\ncounted        {:>15}\n{}",
        say::count(lines.read),
        say::count(lines.counted),
        if lines.skipped.is_empty() {
            String::new()
        } else {
            format!("skipped\n{}", skipped.collect::<String>())
        }
    )
}

fn faults(against: &Against, screen: &Screen) -> String {
    let mut grid = Grid::new([
        Column::left("FAULT"),
        Column::left("WHAT").wraps(20),
        Column::left("DATA"),
        Column::left("FOUND"),
        Column::right("DELAY"),
        Column::left("BY"),
        Column::left("SEVERITY"),
    ]);
    for one in &against.faults {
        let (word, tone) = match (one.found, one.firing_already.is_empty()) {
            (true, _) => ("yes", Tone::Good),
            (false, false) => ("fired already", Tone::Warning),
            (false, true) => ("no", Tone::Bad),
        };
        let by = one.alert.clone().unwrap_or_else(|| one.firing_already.join(", "));
        grid.row([
            moment(one.start).into(),
            [one.service.as_deref().unwrap_or_default(), &one.what].join(" ").trim().into(),
            data(one).into(),
            Cell::new(tone, word),
            one.delay_seconds.map_or_else(String::new, delay).into(),
            by.into(),
            one.severity.clone().unwrap_or_default().into(),
        ]);
    }
    let totals = &against.totals;
    let median = totals
        .median_delay_seconds
        .map_or_else(String::new, |secs| format!(", half of them within {}", delay(secs)));
    let already = match totals.firing_already {
        0 => String::new(),
        n => format!(", {n} more began while an alert fired"),
    };
    let text = grid.draw(screen);
    text + &others(against, screen)
        + &format!(
            "{}, {} with data: {} found{median}{already}; {} outside of any fault\n",
            say::things(totals.faults, "fault"),
            totals.with_data,
            totals.found,
            say::things(totals.others, "alert"),
        )
}

/// `yes`, `none`, `71%, gap 84s`.
fn data(one: &Compared) -> String {
    match one.data {
        "gaps" => {
            let gap = say::span(Duration::from_secs(one.longest_gap_seconds));
            format!("{}%, gap {gap}", one.data_covered_percent)
        }
        word => word.to_owned(),
    }
}

fn delay(secs: f64) -> String {
    say::span(Duration::try_from_secs_f64(secs).unwrap_or_default())
}

fn others(against: &Against, screen: &Screen) -> String {
    if against.others.is_empty() {
        return "nothing else fired\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("ELSE FIRED"),
        Column::left("ALERT"),
        Column::left("SEVERITY"),
        Column::right("FOR"),
        Column::left("REASON").wraps(24),
    ]);
    for other in &against.others {
        grid.row([
            moment(other.start).into(),
            other.alert.as_str().into(),
            Cell::new(Tone::of_severity(&other.severity), other.severity.as_str()),
            other.seconds.map_or_else(|| "to the end".to_owned(), delay).into(),
            other.reason.as_str().into(),
        ]);
    }
    format!("\n{}\n", grid.draw(screen))
}

/// `2022-08-22 03:52:19`.
fn moment(at: Timestamp) -> String {
    at.to_jiff().to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

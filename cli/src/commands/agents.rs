//! `agents`: who reports, how far behind they are, and what their sources read and skipped.
//!
//! Owns which numbers of an agent are worth a column. Nothing is derived: what stands there is what the collector says.

use std::collections::BTreeMap;

use crate::api::{self, Agent, Agents, Pages, Source};
use crate::commands::alerts::more;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Options of `agents`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pages: Pages,
    /// Exit with 1 if an agent is silent
    #[arg(long)]
    exit_code: bool,
}

/// Shows agents.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let answer = api::list(&context.client()?, "agents", &[], &args.pages).await?;
    let agents: Agents = answer.read()?;
    let is_bad = agents.agents.iter().any(|agent| agent.state == "silent");
    let shown = if context.is_json() { answer.pretty() } else { draw(&agents, &context.screen) };
    context.print(&shown);
    Ok(Outcome::failed_if(args.exit_code && is_bad))
}

fn draw(agents: &Agents, screen: &Screen) -> String {
    if agents.agents.is_empty() {
        return "no agents yet: start one with `watchkeeper-agent --config FILE`\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("AGENT"),
        Column::left("STATE"),
        Column::left("LAST BEAT").wraps(7),
        Column::right("SKEW"),
        Column::right("SPOOL"),
        Column::right("LAG"),
        Column::left("ROAD"),
        Column::left("VERSION").spare(),
        Column::left("SOURCE").wraps(16),
        Column::right("READ"),
        Column::left("SKIPPED").wraps(14),
        Column::right("REDACTED"),
        Column::right("HELD BACK"),
    ]);
    for agent in &agents.agents {
        let mut head: Vec<Cell> = head(agent, screen);
        let none = [Source::default()];
        let sources = if agent.sources.is_empty() { &none[..] } else { &agent.sources };
        for source in sources {
            head.extend(tail(source));
            grid.row(std::mem::replace(&mut head, vec![Cell::from(""); 8]));
        }
    }
    let more = agents.next.0.as_deref().map_or_else(String::new, more);
    grid.draw(screen) + &more
}

fn head(agent: &Agent, screen: &Screen) -> Vec<Cell> {
    let tone = match agent.state.as_str() {
        "live" => Tone::Good,
        "silent" => Tone::Bad,
        _ => Tone::Faint,
    };
    vec![
        agent.id.as_str().into(),
        Cell::new(tone, agent.state.as_str()),
        agent
            .last_beat
            .map_or_else(|| "never".to_owned(), |at| say::relative(at.0, screen.now))
            .into(),
        unless_zero(say::skew(agent.skew_seconds)).into(),
        say::bytes(agent.spool_bytes).into(),
        unless_zero(say::bytes(agent.lag_bytes)).into(),
        // The usual one goes without saying.
        if agent.road == "grpc" { "" } else { agent.road.as_str() }.into(),
        agent.version.as_str().into(),
    ]
}

/// Numbers that are as they should be are left out, and with them columns that say nothing.
fn unless_zero(text: String) -> String {
    if text == "0" || text == "0 B" { String::new() } else { text }
}

fn tail(source: &Source) -> [Cell; 5] {
    if source.name.is_empty() {
        return ["".into(), "".into(), "".into(), "".into(), "".into()];
    }
    let is_well = matches!(source.state.as_str(), "" | "ok");
    let state = if is_well { String::new() } else { format!(": {}", source.state) };
    let kind = if source.kind.is_empty() { String::new() } else { format!(" ({})", source.kind) };
    [
        Cell::new(
            if is_well { Tone::Plain } else { Tone::Warning },
            format!("{}{kind}{state}", source.name),
        ),
        say::count(source.read).into(),
        skipped(source).into(),
        unless_zero(say::count(source.redacted)).into(),
        unless_zero(say::count(source.events_held_back)).into(),
    ]
}

/// `12 (10 unparsable, 2 too_old)`, and what was given up in bytes.
fn skipped(source: &Source) -> String {
    let reasons: BTreeMap<&String, &u64> = source.skipped.iter().filter(|(_, n)| **n > 0).collect();
    let total: u64 = reasons.values().copied().sum();
    let words: Vec<String> = match reasons.len() {
        0 => Vec::new(),
        1 => reasons.keys().map(|reason| (*reason).clone()).collect(),
        _ => reasons.iter().map(|(reason, n)| format!("{} {reason}", say::count(**n))).collect(),
    };
    let mut text = say::count(total);
    if !words.is_empty() {
        text = format!("{text} ({})", words.join(", "));
    }
    for (n, what) in [(source.bytes_abandoned, "abandoned"), (source.bytes_unknown, "unknown")] {
        if n > 0 {
            text = format!("{text}, {} {what}", say::bytes(n));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    #[test]
    fn each_source_has_a_line_under_its_agent() {
        let agents: Agents = serde_json::from_str(
            r#"{"agents":[
                {"id":"web-1","state":"live","last_beat":"2026-11-22T18:07:05Z","skew_seconds":0.004,"spool_bytes":2048,
                 "lag_bytes":0,"version":"0.1.0","sources":[
                    {"name":"shop-log","kind":"tail","state":"ok","read":12345,"skipped":{"unparsable":3},
                     "redacted":1200,"events_held_back":0},
                    {"name":"home","kind":"probe","state":"failing: refused","read":7,"skipped":{}}]},
                {"id":"web-2","state":"silent","sources":[]}]}"#,
        )
        .unwrap();
        let shown = draw(&agents, &Screen::plain(None, Timestamp::from_secs(1_795_370_829)));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 4, "{shown}");
        for unsaid in ["SKEW", "LAG", "ROAD", "HELD BACK"] {
            assert!(!lines[0].contains(unsaid), "{unsaid}: {shown}");
        }
        for (line, part) in [
            (1, "live"),
            (1, "4s ago"),
            (1, "2.0 KiB"),
            (1, "shop-log (tail)"),
            (1, "12,345"),
            (1, "3 (unparsable)"),
            (0, "REDACTED"),
            (1, "1,200"),
            (2, "home (probe): failing: refused"),
            (3, "never"),
        ] {
            assert!(lines[line].contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn what_was_lost_is_said() {
        let source = Source {
            name: "a".into(),
            skipped: [("too_old".to_owned(), 2), ("unparsable".to_owned(), 1_000)].into(),
            bytes_abandoned: 1536,
            ..Source::default()
        };
        assert_eq!(skipped(&source), "1,002 (2 too_old, 1,000 unparsable), 1.5 KiB abandoned");
    }
}

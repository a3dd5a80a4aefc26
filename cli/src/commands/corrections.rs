//! `corrections`: planned maintenance that no budget pays for; lists it, adds some, takes some back.
//!
//! Owns how a correction reads on one line and how it is typed. What it leaves out, and how its edges are rounded, is the
//! collector's.

use std::time::Duration;

use serde_json::json;
use watchkeeper_expr::duration;

use crate::api::{self, Correction, Corrections, Pages};
use crate::commands::moment::Moment;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Options of `corrections`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// What budgets leave out, ended ones among it
    List(ListArgs),
    /// Leaves a stretch of time out of budgets, past or future; edges are rounded outward to whole buckets
    Add(AddArgs),
    /// Takes a correction back, as if it had never been there; the record stays
    End(EndArgs),
}

#[derive(Debug, Default, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    pages: Pages,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// When it begins: RFC 3339, local time, `now`, `-1h`
    #[arg(long, allow_hyphen_values = true)]
    from: Moment,
    /// When it ends, in the same ways
    #[arg(long, allow_hyphen_values = true, required_unless_present = "lasts")]
    to: Option<Moment>,
    /// How long it lasts, `2h`, in place of --to
    #[arg(long = "for", value_name = "DURATION", value_parser = span, conflicts_with = "to")]
    lasts: Option<Duration>,
    /// Why
    #[arg(long)]
    reason: String,
    /// Only this SLO; may be given again. All without this and --service
    #[arg(long = "slo", conflicts_with = "service")]
    slos: Vec<String>,
    /// Only SLOs of this service
    #[arg(long)]
    service: Option<String>,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
    /// Who adds it
    #[arg(long, env = "USER")]
    by: String,
}

#[derive(Debug, clap::Args)]
struct EndArgs {
    /// Its number, as listed
    id: String,
    /// Who takes it back
    #[arg(long, env = "USER")]
    by: String,
}

/// Lists corrections, adds one or takes one back.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let client = context.client()?;
    let answer = match &args.action {
        None => api::list(&client, "corrections", &[], &Pages::default()).await?,
        Some(Action::List(list)) => api::list(&client, "corrections", &[], &list.pages).await?,
        Some(Action::Add(add)) => {
            let body = body(add, &context.screen);
            client.post(&["api", "v1", "corrections"], body.to_string(), None).await?
        }
        Some(Action::End(end)) => {
            let path = ["api", "v1", "corrections", end.id.as_str()];
            client.delete(&path, &[("by", end.by.clone())]).await?
        }
    };
    let shown = match context.is_json() {
        true => answer.pretty(),
        false => {
            let found: Corrections = answer.read()?;
            match &args.action {
                Some(Action::Add(_) | Action::End(_)) => {
                    found.corrections.iter().map(|c| done(c, &context.screen)).collect()
                }
                None | Some(Action::List(_)) => draw(&found, &context.screen),
            }
        }
    };
    context.print(&shown);
    Ok(Outcome::Done)
}

fn body(add: &AddArgs, screen: &Screen) -> serde_json::Value {
    let from = add.from.resolve(screen);
    let lasts = from + add.lasts.unwrap_or_default();
    let to = add.to.as_ref().map_or(lasts, |to| to.resolve(screen));
    let mut body = json!({
        "from": from.rfc3339(), "to": to.rfc3339(), "reason": add.reason, "by": add.by,
    });
    if !add.slos.is_empty() {
        body["slos"] = json!(add.slos);
    }
    if let Some(service) = &add.service {
        body["service"] = json!(service);
    }
    if let Some(name) = &add.name {
        body["name"] = json!(name);
    }
    body
}

fn span(text: &str) -> Result<Duration, String> {
    let nanos = duration::parse(text).map_err(|error| error.to_string())?;
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

/// What became of one, with what it covers after rounding.
fn done(correction: &Correction, screen: &Screen) -> String {
    let id = &correction.id;
    if correction.state == "ended" {
        let by = correction.ended_by.as_deref().unwrap_or(say::NOTHING);
        return format!("correction {id} ended by {by}: as if it had never been there\n");
    }
    let mut text = format!("correction {id}: {}\n", correction.state.replace('_', " "));
    for covers in &correction.covers {
        let at = |when: Option<api::When>| {
            when.map_or_else(|| say::NOTHING.to_owned(), |at| say::clock(at.0, screen))
        };
        let (from, to) = (at(covers.from), at(covers.to));
        text += &format!("  {} leaves out {from} to {to}\n", covers.slo);
    }
    text
}

fn draw(found: &Corrections, screen: &Screen) -> String {
    if found.corrections.is_empty() {
        return "no corrections: budgets leave nothing out\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("ID"),
        Column::left("STATE"),
        Column::left("WHEN").wraps(16),
        Column::left("SLOS").wraps(16),
        Column::left("REASON").wraps(16),
        Column::left("BY").wraps(8).spare(),
    ]);
    for correction in &found.corrections {
        let tone = match correction.state.as_str() {
            "in_force" => Tone::Warning,
            "planned" => Tone::Plain,
            _ => Tone::Faint,
        };
        grid.row([
            Cell::new(Tone::Strong, correction.id.as_str()),
            Cell::new(tone, correction.state.replace('_', " ")),
            when(correction, screen).into(),
            concerned(correction).into(),
            correction.reason.as_str().into(),
            by(correction).into(),
        ]);
    }
    grid.draw(screen)
}

fn when(correction: &Correction, screen: &Screen) -> String {
    match (&correction.weekly, correction.from, correction.to) {
        (Some(weekly), ..) => weekly.clone(),
        (None, Some(from), Some(to)) => {
            format!("{} to {}", say::clock(from.0, screen), say::clock(to.0, screen))
        }
        _ => say::NOTHING.to_owned(),
    }
}

fn concerned(correction: &Correction) -> String {
    match &correction.service {
        Some(service) => format!("of {service}"),
        None if correction.slos.is_empty() => "all".to_owned(),
        None => correction.slos.join(", "),
    }
}

fn by(correction: &Correction) -> String {
    let by = correction.by.clone().unwrap_or_else(|| "the file".to_owned());
    match &correction.ended_by {
        Some(ended_by) => format!("{by}, ended by {ended_by}"),
        None => by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use watchkeeper_model::Timestamp;

    fn screen() -> Screen {
        Screen::plain(None, Timestamp::from_secs(1_795_370_829))
    }

    #[test]
    fn an_end_is_a_time_or_a_length() {
        for (line, to) in [
            ("--from 2026-12-01T21:00:00Z --for 1h30m", "2026-12-01T22:30:00Z"),
            ("--from 2026-12-01T21:00:00Z --to 2026-12-01T23:00:00+01:00", "2026-12-01T22:00:00Z"),
        ] {
            let line = format!("c add {line} --reason move --by ann --slo a");
            let args = Line::try_parse_from(line.split(' ')).unwrap();
            let Some(Action::Add(add)) = &args.args.action else { panic!("{line}") };
            let body = body(add, &screen());
            assert_eq!(
                body,
                json!({"from": "2026-12-01T21:00:00Z", "to": to, "reason": "move", "by": "ann", "slos": ["a"]})
            );
        }
    }

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_line_says_when_for_what_and_why() {
        let found: Corrections = serde_json::from_str(
            r#"{"corrections":[
                {"id":"3","state":"in_force","slos":["shop"],"from":"2026-11-22T18:00:00Z","to":"2026-11-22T19:00:00Z",
                 "reason":"the database moves","by":"ann","covers":[{"slo":"shop","from":"2026-11-22T18:00:00Z","to":"2026-11-22T19:05:00Z"}]},
                {"id":"4","state":"ended","service":"db","reason":"x","by":"ann","ended_by":"bob"},
                {"id":"file-1","state":"planned","weekly":"Sun 02:00 to 03:00 (UTC)","reason":"backup"}]}"#,
        )
        .unwrap();
        let shown = draw(&found, &screen());
        let lines: Vec<&str> = shown.lines().collect();
        for (line, parts) in [
            (1, vec!["3", "in force", "18:00:00 to 19:00:00", "shop", "the database moves", "ann"]),
            (2, vec!["4", "ended", "of db", "ann, ended by bob"]),
            (3, vec!["file-1", "planned", "Sun 02:00 to 03:00 (UTC)", "all", "backup", "the file"]),
        ] {
            for part in parts {
                assert!(lines[line].contains(part), "{part}: {shown}");
            }
        }
        let said = done(&found.corrections[0], &screen());
        assert_eq!(said, "correction 3: in force\n  shop leaves out 18:00:00 to 19:05:00\n");
        assert!(done(&found.corrections[1], &screen()).contains("4 ended by bob"));
        assert!(draw(&Corrections::default(), &screen()).contains("no corrections"));
    }
}

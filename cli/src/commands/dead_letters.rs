//! `dead-letters`: batches that can't be counted; lists them, opens one, tries them again, drops them.
//!
//! Owns how they are typed and drawn. Who keeps them, and what a retry does, is the business of their keeper.

use serde_json::{Value, json};

use crate::api::{DeadLetter, DeadLetters, Pages, RetriedLetter};
use crate::commands::alerts::more;
use crate::commands::letter_keeper::Keeper;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Options of `dead-letters`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Those of the agent with this data_dir on this machine, running or not, in place of the collector's
    #[arg(long, global = true, value_name = "DATA_DIR")]
    spool: Option<std::path::PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Who sent what, since when, and why it is not counted
    List(ListArgs),
    /// One letter with what can be read of its content
    Show {
        /// Its id, as listed
        id: String,
    },
    /// Leads letters through again; each counts once at most. Exits with 1 if one of them does not count
    Retry(Chosen),
    /// Takes letters away for good; they are not counted
    Drop(Chosen),
}

#[derive(Debug, Default, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    pages: Pages,
    /// Exit with 1 if there is one
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// Their ids, as listed
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All there are
    #[arg(long)]
    all: bool,
}

/// Lists, shows, retries or drops.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let keeper = Keeper::build(args.spool.as_deref(), context)?;
    match &args.action {
        None => list(&keeper, &ListArgs::default(), context).await,
        Some(Action::List(args)) => list(&keeper, args, context).await,
        Some(Action::Show { id }) => {
            let (json, shown) = keeper.show(id).await?;
            context.print(&match context.is_json() {
                true => json,
                false => draw_one(&shown, &context.screen)?,
            });
            Ok(Outcome::Done)
        }
        Some(Action::Retry(chosen)) => {
            let (ids, missed) = keeper.choose(&chosen.ids).await?;
            let mut retried = Vec::new();
            for id in ids {
                retried.push(keeper.retry(&id).await?);
            }
            let failed = retried.iter().any(|letter| !is_fine(letter, chosen.all));
            let json = json!({"retried": retried, "missed": missed});
            context.print(&match context.is_json() {
                true => pretty(&json),
                false => draw_retried(&retried, &context.screen) + &not_all(&missed),
            });
            Ok(Outcome::failed_if(failed || !missed.is_empty()))
        }
        Some(Action::Drop(chosen)) => {
            let (ids, missed) = keeper.choose(&chosen.ids).await?;
            let (mut dropped, mut missing) = (Vec::new(), Vec::new());
            for id in ids {
                let list = if keeper.drop(&id).await? { &mut dropped } else { &mut missing };
                list.push(id);
            }
            let json = json!({"dropped": dropped, "missing": missing, "missed": missed});
            context.print(&match context.is_json() {
                true => pretty(&json),
                false => draw_dropped(&dropped, &missing) + &not_all(&missed),
            });
            // Of all that there were, one that is gone by now is what was wanted.
            Ok(Outcome::failed_if(!missed.is_empty() || !chosen.all && !missing.is_empty()))
        }
    }
}

async fn list(keeper: &Keeper, args: &ListArgs, context: &Context) -> anyhow::Result<Outcome> {
    let (json, found) = keeper.list(&args.pages).await?;
    context.print(&if context.is_json() { json } else { draw(&found, &context.screen) });
    Ok(Outcome::failed_if(args.exit_code && !found.dead_letters.is_empty()))
}

fn is_fine(letter: &RetriedLetter, all: bool) -> bool {
    match letter.outcome.as_str() {
        "counted" | "asked" => true,
        "missing" => all,
        _ => false,
    }
}

/// What was asked for all that there are, and could not be.
fn not_all(missed: &[String]) -> String {
    missed.iter().map(|why| format!("not all: {why}\n")).collect()
}

fn pretty(json: &Value) -> String {
    crate::api::pretty(&json.to_string())
}

fn draw(found: &DeadLetters, screen: &Screen) -> String {
    let unasked = found.unreachable.iter().map(|why| format!("not asked: {why}\n"));
    let unshown = found.left_out.iter().map(|what| format!("not shown: {what}\n"));
    let unasked: String = unasked.chain(unshown).collect();
    if found.dead_letters.is_empty() {
        let all = if unasked.is_empty() { ": everything that came was counted" } else { "" };
        return format!("no dead letters{all}\n{unasked}");
    }
    let mut grid = Grid::new([
        Column::left("ID"),
        Column::left("SINCE").wraps(8),
        Column::left("AGENT").wraps(8),
        Column::left("SERVICE"),
        Column::left("KIND").spare(),
        Column::right("SEQ").spare(),
        Column::right("SIZE").spare(),
        Column::left("REASON").wraps(24),
    ]);
    for letter in &found.dead_letters {
        let tone = if letter.retryable { Tone::Warning } else { Tone::Bad };
        let asked = if letter.asked { "asked for again; " } else { "" };
        grid.row([
            Cell::new(Tone::Strong, letter.id.as_str()),
            letter.at.map_or_else(String::new, |at| say::moment(at.0, screen)).into(),
            letter.agent.as_str().into(),
            letter.service.as_str().into(),
            letter.kind.as_str().into(),
            letter.seq.to_string().into(),
            say::bytes(letter.bytes).into(),
            Cell::new(tone, format!("{asked}{}{}", letter.reason, copies(letter))),
        ]);
    }
    grid.draw(screen) + &found.next.0.as_deref().map_or_else(String::new, more) + &unasked
}

/// How often it is there, if that is more than once.
fn copies(letter: &DeadLetter) -> String {
    if letter.copies > 1 { format!(" ({} copies)", letter.copies) } else { String::new() }
}

fn draw_one(shown: &Value, screen: &Screen) -> anyhow::Result<String> {
    let letter: DeadLetter = serde_json::from_value(shown.clone())?;
    let since = letter.at.map_or_else(|| say::NOTHING.to_owned(), |at| say::moment(at.0, screen));
    let retry = match (letter.retryable, letter.asked) {
        (false, _) => "can't change anything",
        (true, true) => "asked for; no answer yet",
        (true, false) => "possible",
    };
    let mut text = String::new();
    for (name, value) in [
        ("id", letter.id.as_str()),
        ("kept by", &letter.place),
        ("agent", &letter.agent),
        ("epoch", &letter.epoch),
        ("service", &letter.service),
        ("kind", &letter.kind),
        ("number", &letter.seq.to_string()),
        ("digest", &letter.digest),
        ("size", &say::bytes(letter.bytes)),
        ("since", &since),
        ("retry", retry),
        ("reason", &(letter.reason.clone() + &copies(&letter))),
    ] {
        text += &format!("{name:8}  {value}\n");
    }
    Ok(text + "\n" + &pretty(&shown["content"]))
}

fn draw_retried(retried: &[RetriedLetter], screen: &Screen) -> String {
    if retried.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut grid =
        Grid::new([Column::left("ID"), Column::left("OUTCOME"), Column::left("REASON").wraps(24)]);
    for letter in retried {
        let tone = match letter.outcome.as_str() {
            "counted" => Tone::Good,
            "asked" | "not_yet" | "missing" => Tone::Warning,
            _ => Tone::Bad,
        };
        grid.row([
            Cell::new(Tone::Strong, letter.id.as_str()),
            Cell::new(tone, letter.outcome.replace('_', " ")),
            letter.reason.as_str().into(),
        ]);
    }
    grid.draw(screen)
}

fn draw_dropped(dropped: &[String], missing: &[String]) -> String {
    let mut text: String = dropped.iter().map(|id| format!("{id} dropped\n")).collect();
    text.extend(missing.iter().map(|id| format!("{id} is not there\n")));
    if text.is_empty() { "no dead letters\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    fn screen() -> Screen {
        Screen::plain(Some(100), Timestamp::from_secs(1_795_370_829))
    }

    #[test]
    fn letters_are_drawn_with_who_why_and_since_when() {
        let found: DeadLetters = serde_json::from_str(
            r#"{"dead_letters":[{"id":"windows-3","place":"collector","agent":"web-1","epoch":"1-2","service":"shop",
                "kind":"windows","seq":7,"digest":"00","reason":"\"furlong\" is no unit","at":"2026-11-22T18:00:00Z",
                "bytes":2048,"retryable":true},
                {"id":"broker-17","place":"broker","agent":"","epoch":"","service":"","kind":"","seq":0,"digest":"01",
                "reason":"it is empty","at":null,"bytes":0,"copies":3,"retryable":false}],
                "unreachable":["the moon: away"],"left_out":["4 more of the broker"],"next":"x"}"#,
        )
        .unwrap();
        let drawn = draw(&found, &screen());
        for part in [
            "windows-3",
            "18:00:00",
            "web-1",
            "shop",
            "2.0 KiB",
            "furlong",
            "--after x",
            "broker-17",
            "(3 copies)",
            "not asked: the moon",
            "not shown: 4 more",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(draw(&DeadLetters::default(), &screen()).starts_with("no dead letters"));
    }

    #[test]
    fn one_that_does_not_count_fails_the_command_unless_all_were_meant_and_it_is_gone() {
        for (outcome, one, all) in [
            ("counted", true, true),
            ("asked", true, true),
            ("missing", false, true),
            ("refused", false, false),
            ("not_yet", false, false),
            ("what a newer collector says", false, false),
        ] {
            let letter = RetriedLetter { outcome: outcome.to_owned(), ..RetriedLetter::default() };
            assert_eq!((is_fine(&letter, false), is_fine(&letter, true)), (one, all), "{outcome}");
        }
    }
}

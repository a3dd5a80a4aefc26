//! `restore`: puts a backup in place of the data of a collector that is stopped.
//!
//! Owns what the person who restores has to know afterwards: what is not in the backup, and incidents that receivers still
//! have and nobody here knows of. The work is the collector's own code, on this machine's files.

use std::path::PathBuf;

use serde_json::json;
use watchkeeper_collector::backup::{Restored, restore};

use crate::api::pretty;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The collector's data_dir; the collector must be stopped
    #[arg(long, value_name = "DATA_DIR")]
    to: PathBuf,
    /// If there are data, put them aside in a directory beside the restored ones
    #[arg(long)]
    force: bool,
}

/// Restores.
pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let now = Screen::clock();
    let restored = restore(&args.from, &args.to, args.force, now)?;
    context.print(&if context.is_json() {
        as_json(&restored)
    } else {
        told(&restored, args, &context.screen)
    });
    Ok(Outcome::Done)
}

fn as_json(restored: &Restored) -> String {
    let orphans = restored.orphans.iter().map(|orphan| {
        json!({
            "incident": orphan.number, "receiver": orphan.receiver, "integration": orphan.integration,
            "dedup_key": orphan.dedup_key, "opened_at": orphan.opened_at.rfc3339(),
        })
    });
    let json = json!({
        "made_at": restored.manifest.made_at.rfc3339(),
        "set_aside": restored.set_aside,
        "last_incident": restored.manifest.last_incident,
        "next_incident": restored.next_incident,
        "orphans_known": restored.asked_replaced,
        "orphans": orphans.collect::<Vec<_>>(),
    });
    pretty(&json.to_string())
}

fn told(restored: &Restored, args: &Args, screen: &Screen) -> String {
    let made_at = say::moment(restored.manifest.made_at, screen);
    let mut text = format!("{}: restored as of {made_at}\n", args.to.display());
    if let Some(aside) = &restored.set_aside {
        text += &format!("what was there lies in {}\n", aside.display());
    }
    text += "\nStart the collector. Agents offer again what they still keep (spool.keep, 1 h by default); what came before \
             that and after the backup is reported as lost.\n";
    let (last, next) = (restored.manifest.last_incident, restored.next_incident);
    text += &format!(
        "Incidents go on with number {next}; those between {last} and that are not known here any more.\n"
    );
    if !restored.orphans.is_empty() {
        text += "These are open at their receivers, and have to be closed there by hand:\n\n";
        text += &orphans(restored, screen);
    } else if restored.asked_replaced {
        text += "The ledger that was replaced knew of none that is still open.\n";
    } else {
        text += "If a receiver still shows one as open that was opened since the backup, close it there by hand.\n";
    }
    text
}

fn orphans(restored: &Restored, screen: &Screen) -> String {
    let mut grid = Grid::new([
        Column::right("INCIDENT"),
        Column::left("RECEIVER"),
        Column::left("INTEGRATION"),
        Column::left("OPENED"),
        Column::left("DEDUP KEY").wraps(16),
    ]);
    for orphan in &restored.orphans {
        grid.row([
            Cell::new(Tone::Strong, orphan.number.to_string()),
            orphan.receiver.as_str().into(),
            orphan.integration.as_str().into(),
            say::moment(orphan.opened_at, screen).into(),
            orphan.dedup_key.as_str().into(),
        ]);
    }
    grid.draw(screen)
}

//! `backup`: a backup of the running collector, and a look whether one is whole.
//!
//! Owns how it is typed and what is told. The collector writes it on its own host; looking at one needs no collector.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use watchkeeper_collector::backup::{Manifest, verify};

use crate::api::{BackedUp, BackupTaken, pretty};
use crate::context::{Context, Outcome};
use crate::terminal::{Screen, say};

/// As long as the collector takes for one at most, and a little.
const LIMIT: Duration = Duration::from_secs(6 * 3_600 + 10);

/// Options of `backup`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// A directory on the collector's host that does not exist yet, in one that does
    #[arg(long, value_name = "DIR", required = true)]
    to: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Reads a backup from its first to its last byte, and exits with 1 if it is not whole
    Verify {
        /// The backup
        dir: PathBuf,
    },
}

/// Makes one, or looks at one.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    match (&args.action, &args.to) {
        (Some(Action::Verify { dir }), _) => look(dir, context),
        (None, Some(to)) => take(to, context).await,
        (None, None) => Ok(Outcome::Misused),
    }
}

async fn take(to: &Path, context: &Context) -> anyhow::Result<Outcome> {
    // The collector's own directory is none that anybody thinks of.
    let to = std::path::absolute(to)?;
    let Some(to) = to.to_str() else { bail!("{}: is no UTF-8", to.display()) };
    let body = serde_json::json!({"to": to}).to_string();
    let answer = context.client()?.post(&["api", "v1", "backup"], body, Some(LIMIT)).await?;
    let taken: BackupTaken = answer.read()?;
    context.print(&match context.is_json() {
        true => answer.pretty(),
        false => format!(
            "{}: {}",
            taken.directory,
            described(&taken.files, taken.made_at.map(|at| at.0), &context.screen)
        ),
    });
    Ok(Outcome::Done)
}

fn look(dir: &Path, context: &Context) -> anyhow::Result<Outcome> {
    let manifest: Manifest = verify(dir)?;
    context.print(&match context.is_json() {
        true => pretty(&serde_json::to_string(&manifest)?),
        false => {
            let files: Vec<BackedUp> =
                manifest.files.iter().map(|file| BackedUp { bytes: file.bytes }).collect();
            let described = described(&files, Some(manifest.made_at), &context.screen);
            format!("{}: whole; {described}", dir.display())
        }
    });
    Ok(Outcome::Done)
}

fn described(
    files: &[BackedUp],
    made_at: Option<watchkeeper_model::Timestamp>,
    screen: &Screen,
) -> String {
    let n_bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let at = made_at.map_or_else(|| say::NOTHING.to_owned(), |at| say::moment(at, screen));
    format!("{} in {}, as of {at}\n", say::bytes(n_bytes), say::things(files.len(), "file"))
}

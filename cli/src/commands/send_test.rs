//! `send-test`: whether a receiver hears us, by telling it something that is clearly a test.
//!
//! Owns the options and the table. The test itself is made by the collector's code: in the running collector, or here with
//! the channels of its file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use watchkeeper_collector::channels::{Integration, IntegrationSettings};
use watchkeeper_collector::config::load_settings;
use watchkeeper_collector::dispatch::{TRIAL_LIMIT, Trial, try_out};
use watchkeeper_config::ProcessEnv;
use watchkeeper_model::Timestamp;

use crate::api::Tested;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone};

/// Options of `send-test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who is told
    receiver: String,
    /// Only in this way, such as slack[0]
    #[arg(long)]
    integration: Option<String>,
    /// The severity of the test's alert
    #[arg(long, value_enum, default_value_t = Severity::Ticket)]
    severity: Severity,
    /// Test with a collector's file and without a running collector
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Its values explain themselves, which keeps the help short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Severity {
    Ticket,
    Page,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

/// Sends a test.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let (tested, json) = match &args.config {
        Some(file) => {
            let tested = by_file(args, file).await?;
            let json = serde_json::to_string_pretty(&tested)? + "\n";
            (tested, json)
        }
        None => {
            let body = serde_json::json!({
                "integration": args.integration, "severity": args.severity.as_str(),
            });
            let path = ["api", "v1", "receivers", &args.receiver, "test"];
            let limit = TRIAL_LIMIT + Duration::from_secs(12);
            let answer = context.client()?.post(&path, body.to_string(), Some(limit)).await?;
            (answer.read::<Tested>()?, answer.pretty())
        }
    };
    context.print(&if context.is_json() { json } else { draw(&tested, &context.screen) });
    Ok(Outcome::failed_if(!tested.ok))
}

/// The same, by the channels of a file.
async fn by_file(args: &Args, file: &Path) -> anyhow::Result<Tested> {
    // Where it listens is not asked for here, so what is closed there does not matter.
    let (settings, _) = load_settings(file, &ProcessEnv, true)
        .map_err(|problems| anyhow::anyhow!("{}", problems.render().trim_end()))?;
    let receiver = args.receiver.as_str();
    let known: Vec<&str> = settings.engine.receivers.iter().map(|r| r.name.as_str()).collect();
    if !known.contains(&receiver) {
        bail!("there is no receiver {receiver:?}; receivers are: {}", known.join(", "));
    }
    let wanted = |i: &&IntegrationSettings| {
        *i.key.receiver == *receiver
            && args.integration.as_deref().is_none_or(|only| *i.key.integration == *only)
    };
    let chosen: Vec<Integration> = settings
        .integrations
        .iter()
        .filter(wanted)
        .map(|settings| settings.build().map_err(anyhow::Error::msg))
        .collect::<Result<_, _>>()?;
    if chosen.is_empty() {
        match &args.integration {
            Some(only) => bail!("the receiver {receiver:?} has no integration {only:?}"),
            None => bail!("the receiver {receiver:?} has no integrations: it tells nobody"),
        }
    }
    let external_url = settings.engine.external_url.clone();
    let trial = Trial { severity: args.severity.as_str().to_owned(), external_url };
    let now = || Timestamp::from_jiff(jiff::Timestamp::now());
    let trying = try_out(chosen, &trial, now);
    let tried = tokio::time::timeout(TRIAL_LIMIT, trying).await.context("the test did not end")?;
    Ok(Tested::of(receiver, &tried))
}

fn took(seconds: f64) -> String {
    let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    match took.as_secs() {
        0 => format!("{}ms", took.as_millis()),
        _ => format!("{:.1}s", took.as_secs_f64()),
    }
}

fn draw(tested: &Tested, screen: &Screen) -> String {
    let mut grid = Grid::new([
        Column::left("INTEGRATION"),
        Column::left("STEP"),
        Column::left("OUTCOME").wraps(24),
        Column::right("TOOK"),
    ]);
    for integration in &tested.integrations {
        for step in &integration.steps {
            let status = step.status.map_or_else(String::new, |status| format!(" {status}"));
            let (tone, outcome) = match &step.error {
                None if step.ok => (Tone::Good, format!("ok{status}")),
                None => (Tone::Bad, format!("failed{status}")),
                Some(error) => (Tone::Bad, format!("failed{status}: {error}")),
            };
            grid.row([
                format!("{}/{}", tested.receiver, integration.integration).into(),
                step.action.as_str().into(),
                Cell::new(tone, outcome),
                took(step.seconds).into(),
            ]);
        }
    }
    grid.draw(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_says_how_it_went() {
        let tested: Tested = serde_json::from_str(
            r#"{"receiver":"chat","ok":false,"integrations":[
                {"integration":"slack[0]","kind":"slack","ok":true,"steps":[
                    {"action":"open","ok":true,"status":200,"error":null,"seconds":0.21}]},
                {"integration":"webhook[0]","kind":"webhook","ok":false,"steps":[
                    {"action":"open","ok":false,"status":null,"error":"webhook http://h: no answer within 10s","seconds":10.0}]}]}"#,
        )
        .unwrap();
        let shown = draw(&tested, &Screen::plain(None, Timestamp::EPOCH));
        for part in [
            "chat/slack[0]",
            "open",
            "ok 200",
            "failed: webhook http://h: no answer within 10s",
            "10.0s",
            "210ms",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

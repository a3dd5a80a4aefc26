//! What may be typed behind `beat`, and saying it without a command.
//!
//! Owns the options. Never runs anything.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use reqwest::Url;
use watchkeeper_expr::duration;

use super::run::run_command;
use super::voice::{Voice, Word};
use crate::context::{Context, Outcome, parse_url};

/// Options of `beat`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With a command: runs it, passes on its input, output and signals, and ends with its exit code, whether \
    the agent can be reached or not. Without one: says that a run has ended well, unless an option says otherwise; exit \
    code 1 if the agent does not take it.\n\n\
    Examples:\n  watchkeeper beat backup -- /usr/local/bin/backup --all\n  \
    watchkeeper beat backup\n  watchkeeper beat backup --start\n  watchkeeper beat backup --failure 3"
)]
pub(crate) struct Args {
    /// The heartbeat, as it is called in the agent's file
    name: String,
    /// The agent's admin endpoint
    #[arg(long, env = "WATCHKEEPER_AGENT", default_value = "http://127.0.0.1:7701", value_parser = parse_url)]
    agent: Url,
    /// Says that a run begins
    #[arg(long, conflicts_with_all = ["failure", "duration", "command"])]
    start: bool,
    /// Says that a run has failed, with this exit code
    #[arg(long, value_name = "CODE", conflicts_with = "command")]
    failure: Option<u8>,
    /// For how long it ran, such as 90s or 1h30m
    #[arg(long, value_parser = parse_span, conflicts_with = "command")]
    duration: Option<Duration>,
    /// Which run it is, where several may be on: up to 64 letters, digits and -_.:
    #[arg(long, value_name = "ID", conflicts_with = "command")]
    run: Option<String>,
    /// Leaves the command's output alone: it goes where it would go without us, and nothing of it is kept
    #[arg(long, requires = "command")]
    no_output: bool,
    /// The command to run
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Says how a job is, or runs it.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let voice = Voice::new(args.agent.clone(), &args.name)?;
    if !args.command.is_empty() {
        return run_command(&args.command, !args.no_output, voice).await;
    }
    let word = match args.failure {
        _ if args.start => Word::Start,
        Some(code) => Word::Failure { exit_code: Some(code.into()), signal: None },
        None => Word::Success,
    };
    let run = args.run.as_deref().unwrap_or_default();
    let heard = voice.say(word, run, args.duration, Vec::new()).await?;
    if context.is_json() {
        context.print(&heard.text);
    } else if std::io::stdout().is_terminal() {
        // cron sends mails about everything that is written.
        let _ = writeln!(std::io::stdout(), "{}: {}", args.name, heard.result);
    }
    Ok(Outcome::Done)
}

fn parse_span(text: &str) -> Result<Duration, String> {
    let nanos = duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| "a duration is not negative".to_owned())
}

//! What may be typed, and which command it starts.
//!
//! Owns the options that every command knows and the meaning of exit codes: 0 done, 1 the asked thing failed, 2
//! misused (clap's own), or that of a command that was run. Never does a command's work.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args as _, Parser, Subcommand};

use crate::commands::{
    agents, alerts, backup, check, corrections, dead_letters, deliveries, events, query, report,
    restore, send_test, slo, status,
};
use crate::context::{Context, Global, Outcome};
use crate::{beat, demo, replay};

/// Watches services, keeps error budgets, and tells people when one burns.
#[derive(Debug, Parser)]
#[command(name = "watchkeeper", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 the asked thing failed, 2 misused. Commands that only read exit \
                        with 0 whatever they show, unless --exit-code is given."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything in under a minute: a shop breaks, two receivers are paged, it recovers
    #[command(args = without_collector())]
    Demo(demo::Args),
    /// Reads configuration files and tells everything that is wrong with them
    #[command(args = without_collector())]
    Check(check::Args),
    /// Asks the past: which alerts logs would have raised, who would have been told, what is left of the budgets
    #[command(args = without_collector())]
    Replay(replay::Args),
    /// Everything on one screen: the collector, agents, alerts, budgets, receivers
    Status(status::Args),
    /// Error budgets: all of them, or one in detail
    Slo(slo::Args),
    /// Planned maintenance that no budget pays for: lists it, adds some, takes some back
    Corrections(corrections::Args),
    /// What SLOs were worth over a past period: counts, budget, worst days, corrections, incidents
    Report(report::Args),
    /// Alerts: what is firing, pending, or was resolved of late
    Alerts(alerts::Args),
    /// Agents and their sources
    Agents(agents::Args),
    /// Tells the agent on this machine how a job is; with a command behind --, runs it
    #[command(args = without_collector())]
    Beat(beat::Args),
    /// Events: error lines, probes turning, files changing
    Events(events::Args),
    /// Numbers of a signal: counts, rates, percentiles
    Query(query::Args),
    /// What receivers were told, and what became of it
    Deliveries(deliveries::Args),
    /// Batches that can't be counted: lists them, opens one, tries them again, drops them
    DeadLetters(dead_letters::Args),
    /// Makes a backup of the running collector, or looks whether one is whole
    Backup(backup::Args),
    /// Puts a backup in place of the data of a stopped collector
    #[command(args = without_collector())]
    Restore(restore::Args),
    /// Tells a receiver something that is clearly a test, and what became of it
    SendTest(send_test::Args),
}

/// The collector's options for commands that ask none: taken as everywhere, and not offered.
fn without_collector() -> Vec<clap::Arg> {
    let all = Global::augment_args(clap::Command::new("all"));
    let of_collector =
        all.get_arguments().filter(|arg| ["url", "token"].contains(&arg.get_id().as_str()));
    of_collector.map(|arg| arg.clone().hide(true)).collect()
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::Misused) => ExitCode::from(2),
        // As shells count it.
        Ok(Outcome::Stopped) => ExitCode::from(130),
        Ok(Outcome::Exit(code)) => ExitCode::from(code),
        Err(error) => {
            // If nobody reads what went wrong, the exit code still says that it did.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<Outcome> {
    let context = Context::build(&cli.global);
    match cli.command {
        Command::Demo(args) => demo::run(&args, &context),
        Command::Check(args) => check::run(&args, &context),
        Command::Replay(args) => replay::run(&args, &context),
        Command::Restore(args) => restore::run(&args, &context),
        reading => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(read(reading, &context)),
    }
}

async fn read(command: Command, context: &Context) -> anyhow::Result<Outcome> {
    match command {
        Command::Status(args) => status::run(&args, context).await,
        Command::Slo(args) => slo::run(&args, context).await,
        Command::Corrections(args) => corrections::run(&args, context).await,
        Command::Report(args) => report::run(&args, context).await,
        Command::Alerts(args) => alerts::run(&args, context).await,
        Command::Agents(args) => agents::run(&args, context).await,
        Command::Beat(args) => beat::run(&args, context).await,
        Command::Events(args) => events::run(&args, context).await,
        Command::Query(args) => query::run(&args, context).await,
        Command::Deliveries(args) => deliveries::run(&args, context).await,
        Command::DeadLetters(args) => dead_letters::run(&args, context).await,
        Command::Backup(args) => backup::run(&args, context).await,
        Command::SendTest(args) => send_test::run(&args, context).await,
        Command::Demo(_) | Command::Check(_) | Command::Replay(_) | Command::Restore(_) => {
            Ok(Outcome::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_for_all_may_stand_before_and_after_the_command() {
        for line in [
            "watchkeeper --output json alerts",
            "watchkeeper alerts --output json",
            "watchkeeper alerts --url http://h:1 --token t --output json",
            "watchkeeper query requests --from -1h --to now --step 1m --by a,b",
            "watchkeeper slo shop-availability --exit-code",
            "watchkeeper check --strict a.yaml b.yaml",
            "watchkeeper send-test chat --integration slack[0] --severity page --config c.yaml",
            "watchkeeper beat backup",
            "watchkeeper beat backup --failure 3 --duration 1h30m --run a-1",
            "watchkeeper beat backup --start --agent http://127.0.0.1:7701",
            "watchkeeper beat backup --no-output -- tar -c /srv",
            "watchkeeper --url http://h:1 beat backup",
            "watchkeeper beat backup --url http://h:1 --token t",
            "watchkeeper corrections",
            "watchkeeper corrections add --from -1h --to now --reason move --slo a --slo b --by ann",
            "watchkeeper corrections add --from 2026-12-01T22:00 --to 2026-12-01T23:00Z --reason move --service shop --by ann",
            "watchkeeper corrections end 3 --by ann",
            "watchkeeper dead-letters",
            "watchkeeper dead-letters list --limit 5 --exit-code",
            "watchkeeper dead-letters show windows-3 --output json",
            "watchkeeper dead-letters retry windows-3 events-4",
            "watchkeeper dead-letters --spool /var/lib/agent drop --all",
            "watchkeeper dead-letters retry --all --spool /var/lib/agent",
            "watchkeeper backup --to /backup/today",
            "watchkeeper backup verify /backup/today",
            "watchkeeper restore --from /backup/today --to /var/lib/watchkeeper --force",
            "watchkeeper report --output json",
            "watchkeeper report --slo a --from -7d --to now --zone Europe/Berlin --format html",
            "watchkeeper replay --agent a.yaml --collector c.yaml --from -30d --against faults.json",
            "watchkeeper replay --agent a.yaml --collector c.yaml --source shop -",
            "watchkeeper replay --agent a.yaml --collector c.yaml old.log older.log.gz",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_collector_is_offered_only_where_it_is_asked() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_help().to_string();
            let asks = !["demo", "check", "replay", "beat", "restore"].contains(&&*name);
            let is_own = name == "help";
            assert!(is_own || help.contains("--url") == asks, "{name}: {help}");
            assert!(is_own || help.contains("--token") == asks, "{name}: {help}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_misuse() {
        for line in [
            "watchkeeper",
            "watchkeeper nonsense",
            "watchkeeper --output xml alerts",
            "watchkeeper --url not-a-url alerts",
            "watchkeeper --url ftp://h alerts",
            "watchkeeper query",
            "watchkeeper query requests --step 0s",
            "watchkeeper query requests --from yesterday",
            "watchkeeper check",
            "watchkeeper replay --agent a.yaml",
            "watchkeeper events --limit 0",
            "watchkeeper report --slo a --service b",
            "watchkeeper report --period 2026-10 --from -1h",
            "watchkeeper report --zone Mars",
            "watchkeeper report --format pdf",
            "watchkeeper dead-letters show",
            "watchkeeper dead-letters retry",
            "watchkeeper dead-letters drop",
            "watchkeeper dead-letters drop windows-3 --all",
            "watchkeeper beat",
            "watchkeeper beat backup tar",
            "watchkeeper beat backup --start --failure 3",
            "watchkeeper beat backup --start -- tar",
            "watchkeeper beat backup --no-output",
            "watchkeeper beat backup --failure 256",
            "watchkeeper backup",
            "watchkeeper backup verify",
            "watchkeeper backup --to x verify y",
            "watchkeeper restore --from x",
            "watchkeeper send-test",
            "watchkeeper send-test chat --severity loud",
            "watchkeeper corrections add --from now --reason move --by ann",
            "watchkeeper corrections add --from now --to now --reason x --by ann --slo a --service b",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}

//! The `watchkeeper-agent` command.
//!
//! Owns options, signals and the exit code. Everything else is [`watchkeeper_agent::app`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use watchkeeper_agent::app::App;
use watchkeeper_agent::config::{AgentSettings, load_settings};
use watchkeeper_agent::descriptors;
use watchkeeper_config::ProcessEnv;
use watchkeeper_daemon::{crash, log};

/// Tails structured logs and delivers what it counts to a Watchkeeper collector, exactly once.
#[derive(Debug, Parser)]
#[command(name = "watchkeeper-agent", version)]
struct Options {
    /// The agent's YAML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the file and end: 0 if it is good, 1 if not.
    #[arg(long)]
    check: bool,
    /// Allow listening beyond loopback, and sending a token, without TLS.
    #[arg(long)]
    insecure: bool,
    /// Log as JSON lines.
    #[arg(long)]
    log_json: bool,
    /// For tests: die at a named point.
    #[arg(long, hide = true, value_name = "NAME[:N]")]
    crash_at: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let settings = match load_settings(&options.config, &ProcessEnv, options.insecure) {
        Ok((settings, warnings)) => {
            eprint!("{}", warnings.render());
            settings
        }
        Err(problems) => {
            eprint!("{}", problems.render());
            return ExitCode::FAILURE;
        }
    };
    if options.check {
        println!("{}: ok", options.config.display());
        return ExitCode::SUCCESS;
    }
    log::start(options.log_json);
    descriptors::raise_and_tell();
    if let Some(target) = &options.crash_at {
        crash::arm(target);
    }
    // One thread is enough for delivery and the admin endpoint; sources have a thread of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(settings, options)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: AgentSettings, options: Options) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("bug: TLS was set up twice"))?;
    let app = App::build(settings)?;
    tracing::info!(admin = %app.admin_addr()?, version = env!("CARGO_PKG_VERSION"), "agent started");
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let running = app.run(stop.clone());
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            _ = terminate.recv() => stop.cancel(),
            _ = interrupt.recv() => stop.cancel(),
            _ = reload.recv() => check_again(&options),
        }
    }
}

/// Reloading sources without a restart is not there yet: the file is checked, and the running settings stay.
fn check_again(options: &Options) {
    match load_settings(&options.config, &ProcessEnv, options.insecure) {
        Ok(_) => tracing::warn!("the configuration file is good; restart the agent to use it"),
        Err(problems) => {
            tracing::error!("the configuration file is bad, and not used:\n{problems}")
        }
    }
}

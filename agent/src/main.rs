//! The `watchkeeper-agent` command.
//!
//! Owns options, signals and the exit code. Everything else is [`watchkeeper_agent::app`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use watchkeeper_agent::app::App;
use watchkeeper_agent::config::{AgentSettings, load_settings};
use watchkeeper_agent::descriptors;
use watchkeeper_agent::dry_run::{self, DryRunOptions};
use watchkeeper_agent::reload::Reloader;
use watchkeeper_config::ProcessEnv;
use watchkeeper_daemon::{clock, crash, log};

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
    #[command(flatten)]
    dry_run: DryRunOptions,
    /// For tests: die at a named point.
    #[arg(long, hide = true, value_name = "NAME[:N]")]
    crash_at: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // Before anything that takes time: unheard, a hangup would end the process.
    let (runtime, hangup) = match listen() {
        Ok(listening) => listening,
        Err(error) => {
            eprintln!("signals cannot be heard: {error}");
            return ExitCode::FAILURE;
        }
    };
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
    if options.dry_run.dry_run {
        return dry_run::run(settings, &options.config, &options.dry_run);
    }
    log::start(options.log_json);
    descriptors::raise_and_tell();
    if let Some(target) = &options.crash_at {
        crash::arm(target);
    }
    let result = runtime.block_on(run(settings, options, hangup));
    // A configuration that can't be read to its end must not keep a stopped agent alive.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread is enough for delivery and the admin endpoint; sources have a thread of their own.
fn listen() -> std::io::Result<(Runtime, Signal)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hangup = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup())?
    };
    Ok((runtime, hangup))
}

async fn run(settings: AgentSettings, options: Options, hangup: Signal) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("bug: TLS was set up twice"))?;
    let app = App::build(settings)?;
    tracing::info!(admin = %app.admin_addr()?, version = env!("CARGO_PKG_VERSION"), "agent started");
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let reloading = tokio::spawn(reload(hangup, options, app.reloader()));
    let running = app.run(stop.clone());
    tokio::pin!(running);
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            _ = terminate.recv() => stop.cancel(),
            _ = interrupt.recv() => stop.cancel(),
        }
    };
    reloading.abort();
    ended
}

/// Reads the file anew with every SIGHUP, one after the other, so that what was read last holds.
async fn reload(mut hangup: Signal, options: Options, reloader: Reloader) {
    while hangup.recv().await.is_some() {
        let (path, insecure) = (options.config.clone(), options.insecure);
        let reading =
            tokio::task::spawn_blocking(move || load_settings(&path, &ProcessEnv, insecure));
        match reading.await {
            Ok(read) => reloader.reload(read, clock::now()),
            Err(error) => tracing::error!(%error, "bug: reading the configuration panicked"),
        }
    }
}

//! The `watchkeeper-collector` command.
//!
//! Owns options, signals and the exit code. Everything else is [`watchkeeper_collector::app`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use watchkeeper_collector::app::App;
use watchkeeper_collector::config::{CollectorSettings, load_settings};
use watchkeeper_collector::reload::Reloader;
use watchkeeper_config::ProcessEnv;
use watchkeeper_daemon::{crash, log};

/// Intake lives on small pieces of memory: a third of its time, and half of its resident memory, went to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes in what agents count, keeps SLOs and their error budgets, and tells people, once.
#[derive(Clone, Debug, Parser)]
#[command(name = "watchkeeper-collector", version)]
struct Options {
    /// The collector's YAML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the file and end: 0 if it is good, 1 if not.
    #[arg(long)]
    check: bool,
    /// Allow listening beyond loopback without TLS and tokens.
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
    if let Some(target) = &options.crash_at {
        crash::arm(target);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
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

async fn run(settings: CollectorSettings, options: Options) -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("bug: TLS was set up twice"))?;
    let app = App::build(settings).await?;
    tracing::info!(listen = %app.local_addr()?, version = env!("CARGO_PKG_VERSION"), "collector started");
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let reloader = app.reloader();
    let running = app.run(stop.clone());
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            _ = terminate.recv() => stop.cancel(),
            _ = interrupt.recv() => stop.cancel(),
            _ = reload.recv() => { tokio::spawn(reload_from(options.clone(), reloader.clone())); }
        }
    }
}

/// A bad new file keeps the old one running.
async fn reload_from(options: Options, reloader: Reloader) {
    let settings = match load_settings(&options.config, &ProcessEnv, options.insecure) {
        Ok((settings, _)) => settings,
        Err(problems) => {
            tracing::error!(
                "the configuration file is bad and not used; the one before goes on:\n{problems}"
            );
            return;
        }
    };
    match reloader.reload(settings).await {
        Ok(needs_a_start) if needs_a_start.is_empty() => tracing::info!("configuration reloaded"),
        Ok(parts) => {
            tracing::warn!("configuration reloaded; these need a restart: {}", parts.join(", "))
        }
        Err(error) => {
            tracing::error!("configuration not reloaded, the one before goes on: {error:#}")
        }
    }
}

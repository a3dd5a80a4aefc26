//! `demo`: the whole product in one process, in under a minute.
//!
//! A small shop writes its log, an agent tails it, a collector judges it, and two receivers on loopback are told; the
//! shop breaks and recovers. Needs no broker, no internet and no file outside a temporary directory, which is removed.
//!
//! Reading order: `files` are the two configurations, as a user would write them; `shop` writes the log; `receivers`
//! record what they are told; `stage` starts agent and collector; `watch` tells what the collector's API says;
//! `story` is the plot; `ending` says whether all of it happened; `voice` is what people see. Never reaches into agent
//! or collector: they get files and are asked over HTTP.

mod ending;
mod files;
mod memory;
mod receivers;
mod shop;
mod stage;
mod story;
mod voice;
mod watch;

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::{Context, Outcome};
use ending::Ending;
use voice::Voice;

/// How long agent and collector may take to start.
const STARTING: Duration = Duration::from_secs(8);

/// The story ends here, whatever has happened by then. With all other limits it stays below 55 s.
const DEADLINE: Duration = Duration::from_secs(40);

/// How long agent and collector may take to stop.
const STOPPING: Duration = Duration::from_secs(4);

/// How long what still runs then may take to notice.
const LEAVING: Duration = Duration::from_secs(1);

/// Options of `demo`: there are none of its own.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 only if everything happened: both receivers were paged, both were told that it is \
                        over, and every line written was counted once. WATCHKEEPER_LOG=info shows what agent and collector log."
)]
pub(crate) struct Args {}

/// Shows everything.
pub(crate) fn run(_args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    log_if_asked();
    let dir = tempfile::Builder::new()
        .prefix("watchkeeper-demo-")
        .tempdir()
        .context("no temporary directory can be made")?;
    let voice = Voice::new(context.screen.clone(), context.is_json());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ending = runtime.block_on(play(dir.path(), &voice));
    runtime.shutdown_timeout(LEAVING);
    // Only now: nothing writes there any more.
    let closed = dir.close();
    let mut ending = ending?;
    if let Err(error) = closed {
        ending.broke_off(format!("the temporary directory could not be removed: {error}"));
    }
    context.print(&if context.is_json() { ending.json()? } else { ending.words(&context.screen) });
    Ok(Outcome::failed_if(!ending.is_complete()))
}

/// Tells the story, however far it gets.
async fn play(dir: &std::path::Path, voice: &Voice) -> anyhow::Result<Ending> {
    let mut ending = Ending::new();
    let mut terminated = signal(SignalKind::terminate())?;
    voice.title(
        "A shop breaks, two receivers are paged, it recovers. In one process, under a minute.",
    );
    let stage = tokio::time::timeout(STARTING, stage::Stage::set(dir, voice))
        .await
        .context("agent and collector did not start in time")??;
    tokio::select! {
        told = tokio::time::timeout(DEADLINE, story::tell(&stage, voice, &mut ending)) => match told {
            Ok(Ok(())) => {}
            Ok(Err(error)) => ending.broke_off(format!("{error:#}")),
            Err(_) => ending.broke_off(format!("it took longer than {} s", DEADLINE.as_secs())),
        },
        _ = tokio::signal::ctrl_c() => ending.broke_off("interrupted".to_owned()),
        _ = terminated.recv() => ending.broke_off("terminated".to_owned()),
    }
    ending.rss_bytes = memory::resident_bytes();
    if tokio::time::timeout(STOPPING, stage.clear()).await.is_err() {
        voice.say("demo", "agent and collector did not stop in time and are left behind");
    }
    ending.took = voice.elapsed();
    Ok(ending)
}

/// Agent and collector log as they always do, if `WATCHKEEPER_LOG` asks for it; else the story is all there is to see.
fn log_if_asked() {
    if std::env::var_os("WATCHKEEPER_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_env("WATCHKEEPER_LOG");
        // A second subscriber is refused, and the first one does.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .try_init();
    }
}

//! Agent, collector and receivers, started the way the daemons start them and stopped the same way.
//!
//! Owns their tasks. Never looks inside: settings come out of files, and everything else is asked over HTTP.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchkeeper_config::{Problems, ProcessEnv};
use watchkeeper_model::Timestamp;

use super::files::{self, Addresses};
use super::receivers::{self, Receiver, Record};
use super::voice::Voice;
use crate::api::{Agents, Client, Points};

/// How often something that is waited for is asked again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How far before the demo the lines of the log begin, and a little more.
const BEFORE: Duration = Duration::from_secs(660);

/// Everything that runs.
pub(super) struct Stage {
    /// Where everything is.
    pub(super) dir: PathBuf,
    /// Asks the collector.
    pub(super) client: Client,
    /// What the receivers were told.
    pub(super) record: Record,
    began: Timestamp,
    agent: Part,
    collector: Part,
}

/// Something that runs until it is told to stop.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Stage {
    /// Writes the files and starts everything.
    pub(super) async fn set(dir: &Path, voice: &Voice) -> anyhow::Result<Self> {
        let record = Record::new();
        let addresses = Addresses {
            collector: free_address()?,
            chat: receivers::listen(Receiver::Chat, record.clone()).await?.to_string(),
            oncall: receivers::listen(Receiver::Oncall, record.clone()).await?.to_string(),
        };
        let [collector_file, agent_file] =
            ["collector.yaml", "agent.yaml"].map(|name| dir.join(name));
        std::fs::write(&collector_file, files::collector(dir, &addresses))?;
        std::fs::write(&agent_file, files::agent(dir, &addresses))?;
        let base = Url::parse(&format!("http://{}", addresses.collector))?;
        let (client, began) = (Client::build(base, None)?, crate::terminal::Screen::clock());
        let collector = Part::collector(&collector_file).await?;
        let agent = Part::agent(&agent_file)?;
        voice.say(
            "receivers",
            &format!(
                "chat (Slack) at {}, oncall (webhook) at {}",
                addresses.chat, addresses.oncall
            ),
        );
        voice.say(
            "collector",
            &format!("at {}: look at it from another terminal while this runs:", client.address()),
        );
        voice.say("", &format!("watchkeeper status --url {}", client.address()));
        Ok(Self { dir: dir.to_owned(), client, record, began, agent, collector })
    }

    /// Waits until the collector is ready and hears the agent.
    pub(super) async fn is_set(&self) -> anyhow::Result<()> {
        loop {
            self.check()?;
            // While it starts it answers with an error or not at all.
            if let Ok(answer) = self.client.get(&["api", "v1", "agents"], &[]).await {
                let agents: Agents = answer.read()?;
                if agents.agents.iter().any(|agent| agent.state == "live") {
                    return Ok(());
                }
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// An error if agent or collector have ended.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for part in [&self.agent, &self.collector] {
            anyhow::ensure!(
                !part.task.is_finished(),
                "the {} has ended: WATCHKEEPER_LOG=info says more",
                part.name
            );
        }
        Ok(())
    }

    /// What the collector has counted of a signal.
    pub(super) async fn counted(&self, signal: &str) -> anyhow::Result<u64> {
        let to = crate::terminal::Screen::clock() + Duration::from_secs(60);
        let parameters = [
            ("signal", signal.to_owned()),
            ("stat", "count".to_owned()),
            ("from", (self.began - BEFORE).rfc3339()),
            ("to", to.rfc3339()),
        ];
        let answer = self.client.get(&["api", "v1", "query"], &parameters).await?;
        let points: Points = answer.read()?;
        let counts = points.series.iter().flat_map(|series| &series.points);
        Ok(counts.map(|(_, count)| *count as u64).sum())
    }

    /// Stops the agent, which delivers what it has, and then the collector.
    pub(super) async fn clear(self) {
        // An open connection would keep the collector waiting.
        drop(self.client);
        for part in [self.agent, self.collector] {
            part.stop.cancel();
            // The story is over: how a part ended changes nothing about it.
            let _ = part.task.await;
        }
    }
}

impl Part {
    async fn collector(file: &Path) -> anyhow::Result<Self> {
        use watchkeeper_collector::{app, config};
        let settings = config::load_settings(file, &ProcessEnv, false);
        let app = app::App::build(without_warnings(settings)?).await.context("collector")?;
        Ok(Self::start("collector", |stop| app.run(stop)))
    }

    fn agent(file: &Path) -> anyhow::Result<Self> {
        use watchkeeper_agent::{app, config};
        let settings = config::load_settings(file, &ProcessEnv, false);
        let app = app::App::build(without_warnings(settings)?).context("agent")?;
        Ok(Self::start("agent", |stop| app.run(stop)))
    }

    fn start<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        Self { name, stop, task }
    }
}

fn without_warnings<T>(read: Result<(T, Problems), Problems>) -> anyhow::Result<T> {
    read.map(|(settings, _)| settings).map_err(|problems| anyhow::anyhow!("bug: {problems}"))
}

/// A free port of this machine. Never the usual one: a real agent that looks for its collector there would find this
/// one, and what it delivered would be gone with the demo.
fn free_address() -> std::io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

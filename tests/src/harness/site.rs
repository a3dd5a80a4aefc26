//! A site: one collector, an agent, the directory both live in.
//!
//! Owns their configuration files and processes. Starts, kills and asks them; asserts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Process, Rabbit, binary, eventually, free_port, get_json, get_text};

const STARTING: Duration = Duration::from_secs(30);

/// What an agent of a test differs in.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Its id.
    pub id: String,
    /// Where it finds the collector, if not directly.
    pub collector_port: Option<u16>,
    /// Its spool's directory, if not in the site's.
    pub data_dir: Option<PathBuf>,
    /// `start_at`
    pub start_at: &'static str,
    /// Paths it tails.
    pub paths: Vec<String>,
    /// Lines under `agent:`, each indented by two.
    pub extra: String,
    /// Lines under `tail:`, each indented by six.
    pub tail: String,
    /// Lines under `collector:`, each indented by two, instead of the site's own road.
    pub collector: Option<String>,
}

/// How an agent of a site reaches its collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Directly.
    Grpc,
    /// Through a broker that tests share.
    Amqp,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            id: "web-1".to_owned(),
            collector_port: None,
            data_dir: None,
            start_at: "beginning",
            paths: Vec::new(),
            extra: String::new(),
            tail: String::new(),
            collector: None,
        }
    }
}

/// Counts as the collector answers them: by label value.
pub type Totals = BTreeMap<String, u64>;

/// A collector and an agent, and where they live.
#[derive(Debug)]
pub struct Site {
    /// Where the collector listens.
    pub port: u16,
    /// Where the agent's admin endpoint listens.
    pub admin_port: u16,
    /// The collector, if it runs.
    pub collector: Option<Process>,
    /// The agent, if it runs.
    pub agent: Option<Process>,
    /// The broker between them, if there is one, and how the names of their queues begin.
    pub rabbit: Option<(Arc<Rabbit>, String)>,
    /// Last, so that it is still there when the processes end and show their logs.
    directory: TempDir,
}

impl Site {
    /// A site with a collector's file that has `sections` besides `collector:`; nothing runs yet.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(sections: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = free_port();
        let text = format!(
            "collector:\n  listen: 127.0.0.1:{port}\n  data_dir: {}\n{sections}",
            directory.path().join("collector").display()
        );
        std::fs::write(directory.path().join("collector.yaml"), text)?;
        std::fs::create_dir(directory.path().join("logs"))?;
        let admin_port = free_port();
        Ok(Self { port, admin_port, collector: None, agent: None, rabbit: None, directory })
    }

    /// As [`Self::new`], with agent and collector on this road; `None` if a program is missing.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub async fn on(road: Road, sections: &str) -> anyhow::Result<Option<Self>> {
        if road == Road::Grpc {
            return Self::new(sections).map(Some);
        }
        let Some(rabbit) = Rabbit::shared().await else { return Ok(None) };
        Self::with_rabbit(rabbit, sections).map(Some)
    }

    /// As [`Self::new`], with agent and collector on this broker.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn with_rabbit(rabbit: Arc<Rabbit>, sections: &str) -> anyhow::Result<Self> {
        // A free port is nobody else's at present, and so is a name with it.
        let prefix = format!("t{}", free_port());
        let amqp = format!("intake: {{amqp: {{uri: '{}', prefix: {prefix}}}}}\n", rabbit.uri());
        let mut site = Self::new(&format!("{amqp}{sections}"))?;
        site.rabbit = Some((rabbit, prefix));
        Ok(site)
    }

    /// Lines under an agent's `collector:`: the site's own road, by this port if one is given.
    pub fn road(&self, port: Option<u16>) -> String {
        match &self.rabbit {
            None => {
                let port = port.unwrap_or(self.port);
                format!("  grpc: {{endpoint: \"http://127.0.0.1:{port}\"}}\n")
            }
            Some((rabbit, prefix)) => {
                let uri = super::uri(port.unwrap_or(rabbit.port));
                format!("  amqp: {{uri: '{uri}', prefix: {prefix}}}\n")
            }
        }
    }

    /// A site whose collector is ready and whose agent, with default options, has been started.
    ///
    /// # Errors
    /// If either cannot be configured or started.
    pub async fn running(sections: &str) -> anyhow::Result<Self> {
        let mut site = Self::new(sections)?;
        site.configure_agent(&AgentOptions::default())?;
        site.start_collector(&[]).await?;
        site.start_agent(&[])?;
        Ok(site)
    }

    /// As [`Self::running`], on this road; `None` if a program is missing.
    ///
    /// # Errors
    /// If either cannot be configured or started.
    pub async fn running_on(road: Road, sections: &str) -> anyhow::Result<Option<Self>> {
        let Some(mut site) = Self::on(road, sections).await? else { return Ok(None) };
        site.configure_agent(&AgentOptions::default())?;
        site.start_collector(&[]).await?;
        site.start_agent(&[])?;
        Ok(Some(site))
    }

    /// The site's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where logs are written.
    pub fn logs(&self) -> PathBuf {
        self.path().join("logs")
    }

    /// Writes the agent's file: one `tail` of the shop's JSON logs.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn configure_agent(&self, options: &AgentOptions) -> anyhow::Result<()> {
        let own = || self.road(options.collector_port);
        let collector = options.collector.clone().unwrap_or_else(own);
        let data_dir = options.data_dir.clone().unwrap_or_else(|| self.path().join("agent"));
        let default = vec![self.logs().join("*.log").display().to_string()];
        let paths = if options.paths.is_empty() { &default } else { &options.paths };
        let text = format!(
            "agent:\n  id: {}\n  data_dir: {}\n  admin: 127.0.0.1:{}\n  labels: {{env: test}}\n{}\
             collector:\n{collector}\
             sources:\n  - tail:\n      name: shop-log\n      service: shop\n      paths: {}\n      start_at: {}\n{}\
             \x20     format: json\n      signals:\n        - name: requests\n          value: {{field: duration_ms, unit: ms}}\n\
             \x20         labels: {{status: status, method: method}}\n          bounds: [200ms]\n\
             \x20     events:\n        - {{name: error, where: 'level == \"error\"', severity: error, message: msg, correlation: request_id}}\n",
            options.id,
            data_dir.display(),
            self.admin_port,
            options.extra,
            serde_json::to_string(paths)?,
            options.start_at,
            options.tail,
        );
        Ok(std::fs::write(self.path().join("agent.yaml"), text)?)
    }

    /// Writes the agent's file: agent `web-1` with these elements of `sources:`, each indented by two.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn configure_sources(&self, sources: &str) -> anyhow::Result<()> {
        let text = format!(
            "agent: {{id: web-1, data_dir: {}, admin: '127.0.0.1:{}'}}\n\
             collector:\n{}sources:\n{sources}",
            self.path().join("agent").display(),
            self.admin_port,
            self.road(None),
        );
        Ok(std::fs::write(self.path().join("agent.yaml"), text)?)
    }

    /// Starts the collector and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start_collector(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        self.spawn_collector(arguments)?;
        if arguments.is_empty() {
            self.wait_ready(self.port).await;
        }
        Ok(())
    }

    /// Starts the collector and waits for nothing.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn_collector(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        let config = self.path().join("collector.yaml");
        let mut all = vec!["--config", config.to_str().unwrap_or_default()];
        all.extend(arguments);
        let log = self.path().join("collector.log");
        self.collector = Some(Process::start(&binary("watchkeeper-collector"), &all, &log)?);
        Ok(())
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_agent(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(binary("watchkeeper-agent"));
        self.start_agent_by(command.args(arguments))
    }

    /// Starts the agent by a command that leads to it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_agent_by(&mut self, command: &mut Command) -> anyhow::Result<()> {
        command.arg("--config").arg(self.path().join("agent.yaml"));
        let log = self.path().join("agent.log");
        self.agent = Some(Process::start_command(command, &log)?);
        Ok(())
    }

    /// Starts the agent with so many descriptors and no more.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_agent_with_descriptors(&mut self, n: u32) -> anyhow::Result<()> {
        let config = self.path().join("agent.yaml");
        let limited = format!("ulimit -n {n} && exec \"$0\" --config \"$1\"");
        let program = binary("watchkeeper-agent");
        let all = [&*program, &*config].map(|p| p.to_str().unwrap_or_default());
        let log = self.path().join("agent.log");
        let shell = Path::new("/bin/sh");
        self.agent = Some(Process::start(shell, &["-c", &limited, all[0], all[1]], &log)?);
        Ok(())
    }

    async fn wait_ready(&mut self, port: u16) {
        let url = format!("http://127.0.0.1:{port}/readyz");
        eventually(&format!("{url} is ready"), STARTING, || async {
            get_text(&url).await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// Asks the collector.
    ///
    /// # Errors
    /// If it does not answer with JSON.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        get_json(&format!("http://127.0.0.1:{}/api/v1/{path}", self.port)).await
    }

    /// How many observations of `requests` there are in all, by status.
    ///
    /// # Errors
    /// If the collector does not answer.
    pub async fn counted(&self) -> anyhow::Result<Totals> {
        self.counted_by("requests", "status").await
    }

    /// How many observations of a signal there are over the last day, by a label or several, as in [`Self::stat_by`].
    ///
    /// # Errors
    /// If the collector does not answer.
    pub async fn counted_by(&self, signal: &str, label: &str) -> anyhow::Result<Totals> {
        let counts = self.stat_by(signal, "count", label).await?;
        Ok(counts.into_iter().map(|(value, count)| (value, count as u64)).collect())
    }

    /// A statistic of a signal over the last day, by a label's values; by those of several, with a space between them, for
    /// labels with commas between them.
    ///
    /// # Errors
    /// If the collector does not answer.
    pub async fn stat_by(
        &self,
        signal: &str,
        stat: &str,
        labels: &str,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let range = format!("from={}&to={}", now - 86_400, now + 3_600);
        let answer =
            self.api(&format!("query?signal={signal}&stat={stat}&by={labels}&{range}")).await?;
        let mut values = BTreeMap::new();
        for series in answer["series"].as_array().into_iter().flatten() {
            let of = |label: &str| series["labels"][label].as_str().unwrap_or_default().to_owned();
            let key = labels.split(',').map(of).collect::<Vec<_>>().join(" ");
            values.insert(key, series["points"][0][1].as_f64().unwrap_or(0.0));
        }
        Ok(values)
    }

    /// What the collector says of one source of the agent: lines read, skipped by reason, and the like.
    pub async fn source(&self, name: &str) -> Option<Value> {
        let agents = self.api("agents").await.ok()?;
        let sources = agents["agents"][0]["sources"].as_array()?.clone();
        sources.into_iter().find(|s| s["name"] == name)
    }

    /// Waits until the collector has counted exactly this, and says so once more a moment later.
    pub async fn wait_counted(&self, expected: &Totals, limit: Duration) {
        self.wait_counted_once(expected, limit).await;
        // What is counted twice comes late: a second look after two more flushes.
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(self.counted().await.ok().as_ref(), Some(expected), "the count went on");
    }

    /// Waits until the collector has counted exactly this.
    pub async fn wait_counted_once(&self, expected: &Totals, limit: Duration) {
        let mut last = Totals::new();
        let deadline = tokio::time::Instant::now() + limit;
        while last != *expected {
            assert!(
                tokio::time::Instant::now() < deadline,
                "after {limit:?} the collector has counted {last:?}, written were {expected:?}; agents: {}",
                self.api("agents").await.unwrap_or_default()
            );
            if let Ok(counted) = self.counted().await {
                for (status, n) in &counted {
                    let written = expected.get(status).copied().unwrap_or(0);
                    assert!(
                        *n <= written,
                        "{n} lines of status {status} were counted, {written} were written"
                    );
                }
                last = counted;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

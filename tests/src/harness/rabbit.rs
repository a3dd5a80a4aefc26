//! A RabbitMQ of the tests' own: its node, its epmd, its files, its ports.
//!
//! Owns the processes. Tests share one where they can, and tell their queues apart by a prefix: it takes seconds to
//! start, and goes when the last test that uses it is over.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::{Process, eventually, find_program, free_port};

const STARTING: Duration = Duration::from_secs(120);

static SHARED: Mutex<Weak<Rabbit>> = Mutex::const_new(Weak::new());

/// A running broker with the user `guest`.
#[derive(Debug)]
pub struct Rabbit {
    /// The server.
    pub server: Process,
    _epmd: Process,
    /// Where AMQP is spoken.
    pub port: u16,
    /// Its files.
    pub root: PathBuf,
    environment: Vec<(&'static str, String)>,
    program: PathBuf,
    ctl: PathBuf,
    /// Last, so that it is still there when the processes end.
    _directory: Option<TempDir>,
}

impl Rabbit {
    /// One that several tests share; `None` if a program is missing.
    pub async fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(rabbit) = shared.upgrade() {
            return Some(rabbit);
        }
        let rabbit = Arc::new(Self::own("").await?);
        *shared = Arc::downgrade(&rabbit);
        Some(rabbit)
    }

    /// One for a test that does something to it, with further lines of `rabbitmq.conf`.
    pub async fn own(config: &str) -> Option<Self> {
        let directory = tempfile::tempdir().ok()?;
        let mut rabbit = Self::start(&directory.path().join("rabbit"), config).await?;
        rabbit._directory = Some(directory);
        Some(rabbit)
    }

    /// One with its files in `root`.
    pub async fn start(root: &Path, config: &str) -> Option<Self> {
        let [Some(epmd), Some(ctl), Some(server)] =
            ["epmd", "rabbitmqctl", "rabbitmq-server"].map(find_program)
        else {
            return None;
        };
        // What lies in the path is Debian's, which changes user and directory; the server's own lies behind it.
        let own = Path::new("/usr/lib/rabbitmq/bin");
        let of = |name: &str, found: PathBuf| {
            Some(own.join(name)).filter(|p| p.exists()).unwrap_or(found)
        };
        let (program, ctl) = (of("rabbitmq-server", server), of("rabbitmqctl", ctl));
        std::fs::create_dir_all(root.join("log")).ok()?;
        let (port, distribution, epmd_port) = (free_port(), free_port(), free_port());
        // What goes wrong is shown with a test that fails.
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\nlog.console.level = warning\n{config}"
        );
        std::fs::write(root.join("rabbitmq.conf"), config).ok()?;
        std::fs::write(root.join("enabled_plugins"), "[].\n").ok()?;
        let at = |name: &str| root.join(name).display().to_string();
        let environment = vec![
            ("HOME", at("")),
            ("ERL_EPMD_PORT", epmd_port.to_string()),
            ("RABBITMQ_NODENAME", format!("watchkeeper-{port}@localhost")),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", at("mnesia")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", at("generated")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            // The script becomes the server, whose process id it then is.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ];
        let log = root.join("output.log");
        let number = epmd_port.to_string();
        let epmd =
            Process::start(&epmd, &["-port", &number, "-address", "127.0.0.1"], &log).ok()?;
        let mut command = Command::new(&program);
        let server = Process::start_command(command.envs(environment.clone()), &log).ok()?;
        let root = root.to_path_buf();
        let rabbit =
            Self { server, _epmd: epmd, port, root, environment, program, ctl, _directory: None };
        rabbit.listens().await;
        Some(rabbit)
    }

    /// Where it is.
    pub fn uri(&self) -> String {
        uri(self.port)
    }

    /// Asks it to do something, as an operator does.
    ///
    /// # Panics
    /// If the program can't be started.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.ctl);
        command.envs(self.environment.clone()).args(arguments).output().expect("rabbitmqctl")
    }

    /// Stops it as a crash does.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Holds it still: it neither answers nor ends.
    pub fn freeze(&self) {
        self.server.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.server.signal(Signal::CONT);
    }

    /// Stops it as a service is stopped.
    ///
    /// # Errors
    /// If it did not end in time.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.server.stop(limit).map(drop)
    }

    /// Takes away everything it has on disk; it must not run.
    ///
    /// # Errors
    /// If something can't be deleted.
    pub fn lose_data(&self) -> std::io::Result<()> {
        std::fs::remove_dir_all(self.root.join("mnesia"))
    }

    /// Starts it again with what it has on disk.
    ///
    /// # Errors
    /// If it can't be started.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.spawn_again()?;
        self.listens().await;
        Ok(())
    }

    /// As [`Self::start_again`], and waits for nothing.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn spawn_again(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        let log = self.root.join("output.log");
        self.server = Process::start_command(command.envs(self.environment.clone()), &log)?;
        Ok(())
    }

    /// Whether a crash would find these quorum queues again. Their registry is a file that is written half a second after
    /// a queue is made: before that RabbitMQ 3.10 answers for the queue, and has lost it for good once it is killed.
    pub fn would_keep(&self, queues: &[&str]) -> bool {
        let nodes = std::fs::read_dir(self.root.join("mnesia")).into_iter().flatten().flatten();
        let stores = nodes.flat_map(|node| std::fs::read_dir(node.path().join("quorum")));
        let registries = stores.flatten().flatten().map(|store| store.path().join("names.dets"));
        let registries: Vec<Vec<u8>> = registries.filter_map(|at| std::fs::read(at).ok()).collect();
        let holds = |queue: &&str| {
            let of = |bytes: &Vec<u8>| bytes.windows(queue.len()).any(|w| w == queue.as_bytes());
            registries.iter().any(of)
        };
        queues.iter().all(holds)
    }

    /// Waits until it takes connections.
    pub async fn listens(&self) {
        let port = self.port;
        let listening = || async { TcpStream::connect(("127.0.0.1", port)).await.ok() };
        eventually("RabbitMQ listens", STARTING, listening).await;
    }
}

/// The address of a broker, or of a proxy to one, on this machine.
pub fn uri(port: u16) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}")
}

//! A program under test as a process.
//!
//! Owns its life: it is stopped by its process id at the latest when the value is dropped. Its output goes to a file,
//! which is shown when it ends unasked.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A program of this workspace, built before the tests: `cargo build --workspace`. It lies beside the test, or where
/// `WATCHKEEPER_BINARIES` says, such as `target/release`.
pub fn binary(name: &str) -> PathBuf {
    let path = match std::env::var_os("WATCHKEEPER_BINARIES") {
        // Meant from the workspace's directory; a test runs in its crate's.
        Some(given) => Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(given),
        None => {
            let test = std::env::current_exe().expect("a test knows where it lies");
            // target/PROFILE/deps/test-HASH, or target/PROFILE/test for an example or binary.
            let mut above = test.ancestors().skip(1);
            let profile = above.find(|d| !d.ends_with("deps") && !d.ends_with("examples"));
            profile.expect("a test lies in a directory").to_path_buf()
        }
    }
    .join(name);
    assert!(path.exists(), "{} is not there: run `cargo build --workspace` first", path.display());
    path
}

/// A program of this machine, by name; `None` if it is missing, which fails where `CI` is set and is said elsewhere.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where only root's path leads, and those of PostgreSQL and RabbitMQ apart.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let extra = ["/usr/sbin", "/usr/lib/rabbitmq/bin"].into_iter().map(PathBuf::from);
    let extra = extra.chain(versions.map(|version| version.path().join("bin")));
    let all = std::env::split_paths(&path).chain(extra);
    let mut all = all.map(|directory| directory.join(name));
    let found = all.find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing");
        println!("left out: {name} is missing");
    }
    found
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A program as another user, for those that refuse to be root's; as this one if we are not root.
pub fn as_user(user: &str, program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    // It takes the program's place, so that the process id stays the same.
    let mut command = Command::new("setpriv");
    let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
    command.args([uid.as_str(), gid.as_str(), "--clear-groups", "--"]).arg(program);
    command
}

/// A program to which the permissions of files mean something even if we are root.
pub fn without_privileges(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let without = "-dac_override,-dac_read_search";
    command.args([format!("--bounding-set={without}"), format!("--inh-caps={without}")]);
    command.arg("--").arg(program);
    command
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its output is appended to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        Self::start_command(Command::new(program).args(arguments), log)
    }

    /// Starts a command as it is prepared; its output is appended to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_command(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| command.get_program().display().to_string())?;
        Ok(Self { child, log: log.to_path_buf() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGTERM and waits for the end; kills it when `limit` is over.
    ///
    /// # Errors
    /// If it did not end in time.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(rustix::process::Signal::TERM);
        self.wait(limit)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(id, signal);
        }
    }

    /// Waits for the end; kills it when `limit` is over.
    ///
    /// # Errors
    /// If it did not end in time.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.kill();
                anyhow::bail!("it did not end within {limit:?}; its log:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its resident memory in bytes.
    pub fn rss_bytes(&self) -> Option<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most resident memory it ever had, in bytes.
    pub fn peak_rss_bytes(&self) -> Option<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Where its open descriptors lead: files, sockets and the like.
    pub fn descriptors(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        let all = all.into_iter().flatten().filter_map(Result::ok);
        all.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok()).collect()
    }

    /// How many threads it has.
    pub fn n_threads(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?.count())
    }

    fn status_bytes(&self, key: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|l| l.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// The processor time it has used.
    pub fn cpu(&self) -> Option<Duration> {
        // Linux counts in hundredths of a second towards programs, whatever the kernel's own clock is (proc(5)).
        const TICK: Duration = Duration::from_millis(10);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name, in brackets, may hold spaces; utime and stime are the 12th and 13th field behind it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (u32, u32) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(TICK * (user + system))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.log.display(), self.log());
        }
    }
}

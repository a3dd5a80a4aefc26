//! Databases that tests start for themselves, and that end with them.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::scene::testdata;

const LIMIT: Duration = Duration::from_secs(60);

/// A server, and the directory it lives in.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    pub(super) root: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where a program is; `None`, said aloud, if it is missing, which fails where `CI` is set.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let extra = versions.map(|version| version.path().join("bin")).chain(["/usr/sbin".into()]);
    let mut all = std::env::split_paths(&path).chain(extra).map(|place| place.join(name));
    let found = all.find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing");
        println!("left out: {name} is missing");
    }
    found
}

/// PostgreSQL refuses to be root's.
fn as_postgres(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn started(command: &mut Command, port: u16, root: TempDir) -> Server {
    let log = std::fs::File::create(root.path().join("log")).unwrap();
    command.stdout(Stdio::null()).stderr(log).stdin(Stdio::null()).current_dir("/");
    let child = command.spawn().unwrap();
    let mut server = Server { child, port, root };
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = server.child.try_wait().unwrap();
        let log = std::fs::read_to_string(server.root.path().join("log")).unwrap_or_default();
        assert!(ended.is_none() && since.elapsed() < LIMIT, "it does not listen: {log}");
        std::thread::yield_now();
    }
    server
}

/// A Redis server with these arguments.
pub(super) fn redis(arguments: &[&str]) -> Option<Server> {
    let program = program("redis-server")?;
    let (root, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut command = Command::new(program);
    // By TLS there is no other port.
    let key = if arguments.contains(&"--tls-cert-file") { "--tls-port" } else { "--port" };
    command.args(["--port", "0", key, &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.arg("--dir").arg(root.path()).args(arguments);
    Some(started(&mut command, port, root))
}

impl Server {
    /// A PostgreSQL server, where `ann` may log in with the password `hunter2`, and `app` may do all.
    pub(super) fn postgres() -> Option<Self> {
        let initdb = program("initdb")?;
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = root.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&data));
        }
        let mut init = as_postgres(&initdb);
        init.args(["-U", "app", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        run(init.arg(&data).current_dir("/"));
        let rules = "host all app 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n\
                     host replication app 127.0.0.1/32 trust\nlocal all all trust\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        // Others than its owner may not read a key, or it is not used.
        for name in ["server.pem", "server.key"] {
            std::fs::copy(testdata(name), data.join(name)).unwrap();
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(data.join(name), private).unwrap();
            if rustix::process::geteuid().is_root() {
                run(Command::new("chown").arg("postgres").arg(data.join(name)));
            }
        }
        let tls = ["ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key"];
        let server = Self::postgres_in(root, &tls)?;
        server.sql("CREATE ROLE ann LOGIN PASSWORD 'hunter2'");
        server.sql("CREATE DATABASE shop");
        server.sql("CREATE DATABASE app");
        Some(server)
    }

    /// One whose data lie there already.
    pub(super) fn postgres_in(root: TempDir, settings: &[&str]) -> Option<Self> {
        let port = free_port();
        let mut command = as_postgres(&program("postgres")?);
        command.arg("-D").arg(root.path().join("data")).args(["-p", &port.to_string()]);
        let usual = ["unix_socket_directories=", "fsync=off", "max_connections=20"];
        for setting in usual.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let server = started(&mut command, port, root);
        Some(server)
    }

    /// A copy of this one that follows it.
    pub(super) fn replica(&self) -> Option<Self> {
        let copy = program("pg_basebackup")?;
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(root.path()));
        }
        let mut command = as_postgres(&copy);
        let port = self.port.to_string();
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "app",
            "-R",
            "--checkpoint=fast",
            "-D",
        ]);
        run(command.arg(root.path().join("data")).current_dir("/"));
        Self::postgres_in(root, &[])
    }

    /// Says something to a PostgreSQL server as its owner.
    pub(super) fn sql(&self, text: &str) {
        let psql = program("psql").expect("who has a server has its client");
        let port = self.port.to_string();
        let since = Instant::now();
        loop {
            let mut command = Command::new(&psql);
            command.args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "app",
                "-d",
                "postgres",
                "-c",
                text,
            ]);
            let output = command.output().unwrap();
            if output.status.success() {
                return;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let is_starting = said.contains("starting up") || said.contains("not yet accepting");
            assert!(is_starting && since.elapsed() < LIMIT, "{text}: {said}");
        }
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap();
    }
}

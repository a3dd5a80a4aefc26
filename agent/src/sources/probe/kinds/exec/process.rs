//! One run of a program.
//!
//! Owns that nothing is left behind, whatever it does: it has a process group of its own, which is killed when the run ends
//! or is given up. Its output is read to the end, so that it never waits for us, and kept up to a bound.

use std::io::{self, ErrorKind};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use watchkeeper_agent_core::probe::{Failure, Reason, Seen};

use super::config::ExecProbe;

/// Programs of all probes at the same time.
const MAX_AT_ONCE: usize = 16;

/// The room that all probes share, as they share the machine.
static ROOM: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

/// How long what has ended may be read: others may hold its output open for ever.
const REST: Duration = Duration::from_millis(100);

/// What a program finds of our environment; the rest may hold secrets of the agent.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// What came of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) status: ExitStatus,
    pub(super) output: Kept,
    pub(super) errors: Kept,
}

/// The beginning of an output.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    pub(super) is_cut: bool,
}

/// Runs it to its end.
pub(super) async fn run(probe: &ExecProbe, seen: &mut Seen) -> Result<Run, Failure> {
    (seen.waits_for, seen.waits_for_room) = ("other programs of probes to end", true);
    let _room = ROOM.acquire().await;
    (seen.waits_for, seen.waits_for_room) = ("the program to end", false);
    let mut child = command(probe).spawn().map_err(|error| unable(probe, &error))?;
    let _group = Group::of(&child);
    let (mut output, mut errors) = (Kept::default(), Kept::default());
    let max = probe.max_output;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let status = {
        let mut reading = std::pin::pin!(async {
            tokio::join!(output.read(&mut out, max), errors.read(&mut err, max))
        });
        let mut is_read = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                _ = &mut reading, if !is_read => is_read = true,
            }
        };
        if !is_read {
            let _ = tokio::time::timeout(REST, reading).await;
        }
        status
    };
    let lost =
        |error| Failure::new(Reason::Bug, format!("bug: a program can't be awaited: {error}"));
    Ok(Run { status: status.map_err(lost)?, output, errors })
}

fn command(probe: &ExecProbe) -> Command {
    let mut command = Command::new(&probe.command[0]);
    command.args(&probe.command[1..]).env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(probe.env.iter().map(|(name, value)| (name, value.expose())));
    if let Some(dir) = &probe.dir {
        command.current_dir(dir);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

/// That it could not be started is the agent's own fault: of what it would have found nothing is known.
fn unable(probe: &ExecProbe, error: &io::Error) -> Failure {
    let program = &probe.command[0];
    let missing = probe.dir.as_ref().filter(|dir| !dir.is_dir());
    let few = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    let what = match (error.kind(), missing) {
        (_, Some(dir)) => format!("{program} can't be run: there is no folder {}", dir.display()),
        (ErrorKind::NotFound, _) => format!("{program} can't be run: there is no such program"),
        _ => format!("{program} can't be run: {error}"),
    };
    let is_few = Errno::from_io_error(error).is_some_and(|errno| few.contains(&errno));
    Failure::new(if is_few { Reason::Resources } else { Reason::Unable }, what)
}

impl Kept {
    async fn read(&mut self, from: &mut Option<impl AsyncRead + Unpin>, max: usize) {
        let Some(from) = from else { return };
        let mut part = Vec::with_capacity(8 << 10);
        loop {
            part.clear();
            // An output that breaks off has ended.
            let Ok(n @ 1..) = from.read_buf(&mut part).await else { return };
            let room = max - self.bytes.len();
            self.bytes.extend_from_slice(&part[..n.min(room)]);
            self.is_cut |= n > room;
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A program with all it has started.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails if none of it is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

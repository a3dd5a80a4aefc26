//! Asking a program, and not for ever.
//!
//! Owns the call: without a terminal, a pager or another language, for at most [`PATIENCE`], and no more of its output than
//! [`MAX_BYTES`]. Never says what the answer means.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// A supervisor that takes longer is told to be silent.
const PATIENCE: Duration = Duration::from_secs(5);

const MAX_BYTES: u64 = 256 << 10;

/// What a program has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) output: String,
    /// The first line of what it complained about.
    pub(super) complaint: String,
}

/// Calls a program; what went wrong, in words.
pub(super) async fn ask(program: &str, arguments: &[String]) -> Result<Said, String> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").env("SYSTEMD_PAGER", "").env("SYSTEMD_COLORS", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{program} is not on this machine"),
        _ => format!("{program} can't be started: {error}"),
    })?;
    let (output, complaint) = (child.stdout.take(), child.stderr.take());
    let talking = async {
        let (output, complaint) = tokio::join!(text(output), text(complaint));
        let complaint = complaint.lines().next().unwrap_or_default().trim().to_owned();
        // Reaps it.
        let _ = child.wait().await;
        Said { output, complaint }
    };
    let silent = |_| format!("{program} did not answer within {} s", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, talking).await.map_err(silent)
}

async fn text(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read before an error is what there is.
        let _ = from.take(MAX_BYTES).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

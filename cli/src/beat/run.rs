//! Running a command and saying how it was.
//!
//! Owns that the command comes first: it is started before anybody is told, no agent delays or stops it, signals reach it, and
//! its exit code is ours.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::output::{Tail, copy};
use super::signals::Signals;
use super::voice::{NotHeard, Voice, Word};
use crate::context::Outcome;

/// An agent that is being started again is waited for so long, from the end of the command at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// So long after the other it is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// So long is waited for the last of the output, where what the command left behind still holds it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// As shells have it (sh(1), "Exit Status").
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Runs it.
pub(super) async fn run_command(
    command: &[OsString],
    keeps_output: bool,
    voice: Voice,
) -> anyhow::Result<Outcome> {
    let run = run_id();
    let mut signals = Signals::listen()?;
    let began = Instant::now();
    let mut child = match spawn(command, keeps_output) {
        Ok(child) => child,
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            };
            let program = command.first().map(|c| c.to_string_lossy().into_owned());
            let said = format!("{}: {error}\n", program.unwrap_or_default());
            tell(&said);
            let word = Word::Failure { exit_code: Some(code.into()), signal: None };
            let until = Instant::now() + PATIENCE;
            say_end(&voice, word, &run, began.elapsed(), said.into_bytes(), until).await;
            return Ok(Outcome::Exit(code));
        }
    };
    let beginning = tokio::spawn(say_start(voice.clone(), run.clone()));
    let tail = Tail::default();
    let copying = copy_output(&mut child, &tail)?;
    let id = child.id();
    let status = tokio::select! {
        status = child.wait() => status?,
        never = signals.pass_on(id) => match never {},
    };
    let lasted = began.elapsed();
    tokio::pin!(copying);
    let until = Instant::now() + PATIENCE;
    let is_copied = tokio::time::timeout(LAST_WORDS, &mut copying).await.is_ok();
    // The end must not overtake the beginning.
    let _ = beginning.await;
    let (word, code) = word_of(status);
    say_end(&voice, word, &run, lasted, tail.bytes(), until).await;
    if !is_copied {
        // What the command left behind goes on writing, as it would without us.
        tokio::select! {
            () = copying => {}
            () = signals.end() => {}
        }
    }
    Ok(Outcome::Exit(code))
}

/// Names a run of this machine.
fn run_id() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", since.as_nanos(), std::process::id())
}

fn spawn(command: &[OsString], keeps_output: bool) -> std::io::Result<Child> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))?;
    let mut command = Command::new(program);
    command.args(arguments);
    if keeps_output {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    command.spawn()
}

/// Passes on what it writes, on threads of their own, which don't delay the end of ours; waits for the end of both.
fn copy_output(
    child: &mut Child,
    tail: &Tail,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let mut copies = Vec::new();
    if let Some(from) = child.stdout.take() {
        copies.push(copy_beside(File::from(from.into_owned_fd()?), std::io::stdout(), tail)?);
    }
    if let Some(from) = child.stderr.take() {
        copies.push(copy_beside(File::from(from.into_owned_fd()?), std::io::stderr(), tail)?);
    }
    Ok(async move {
        for copied in copies {
            let _ = copied.await;
        }
    })
}

/// What is returned is closed when the copy ends.
fn copy_beside(
    from: File,
    to: impl Write + Send + 'static,
    tail: &Tail,
) -> std::io::Result<oneshot::Receiver<()>> {
    let (copying, copied) = oneshot::channel::<()>();
    let tail = tail.clone();
    std::thread::Builder::new().spawn(move || {
        copy(from, to, &tail);
        drop(copying);
    })?;
    Ok(copied)
}

fn word_of(status: ExitStatus) -> (Word, u8) {
    match (status.code(), status.signal()) {
        (Some(0), _) => (Word::Success, 0),
        (Some(code), _) => {
            (Word::Failure { exit_code: Some(code), signal: None }, u8::try_from(code).unwrap_or(1))
        }
        (None, signal) => {
            let code = signal.and_then(|n| u8::try_from(128 + n).ok()).unwrap_or(1);
            (Word::Failure { exit_code: None, signal }, code)
        }
    }
}

async fn say_start(voice: Voice, run: String) {
    let said = voice.within(PATIENCE).say(Word::Start, &run, None, Vec::new()).await;
    if let Err(error) = said {
        warn(&error.to_string(), "the command runs all the same");
    }
}

/// Says it until the agent takes it or the time is over.
async fn say_end(
    voice: &Voice,
    word: Word,
    run: &str,
    lasted: Duration,
    output: Vec<u8>,
    until: Instant,
) {
    loop {
        let voice = voice.within(until.saturating_duration_since(Instant::now()));
        match voice.say(word, run, Some(lasted), output.clone()).await {
            Ok(_) => return,
            Err(error) if NotHeard::may_pass(&error) && Instant::now() + AGAIN < until => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                return warn(&error.to_string(), "how the command ended is not known there");
            }
        }
    }
}

fn warn(what: &str, so: &str) {
    tell(&format!("watchkeeper: warning: {what}; {so}\n"));
}

/// To those who read what goes wrong, if anybody does.
fn tell(said: &str) {
    let _ = std::io::stderr().write_all(said.as_bytes());
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::*;

    #[tokio::test]
    async fn an_agent_that_takes_connections_and_says_nothing_is_waited_for_no_longer() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let agent = format!("http://{}", silent.local_addr().unwrap());
        let voice = Voice::new(Url::parse(&agent).unwrap(), "backup").unwrap();
        let began = Instant::now();
        let until = began + Duration::from_millis(700);
        say_end(&voice, Word::Success, "", Duration::ZERO, Vec::new(), until).await;
        let waited = began.elapsed();
        assert!(waited < PATIENCE && Instant::now() >= until, "{waited:?}");
    }
}

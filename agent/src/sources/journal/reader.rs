//! One `journalctl` as a process.
//!
//! Owns its life, its two pipes and the threads that read them. It is killed and reaped when the value is dropped. If the
//! agent itself is killed, the pipe breaks and it ends by itself: while it writes by the signal, while it waits because
//! it looks (`journalctl` polls its output for that). Never decides whether to start another.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use watchkeeper_agent_core::journal::{Begin, Entry, Splitter};
use watchkeeper_daemon::machine;

use super::command;
use super::config::JournalSourceSettings;
use super::queue::{End, Queue};
use crate::sources::Waker;

/// How much of the output is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// How much of what it complains about is kept: the last lines.
const MAX_SAID_LINES: usize = 4;
const MAX_SAID_BYTES: usize = 512;

/// What it has said on its standard error.
#[derive(Debug, Default)]
struct Said {
    last: VecDeque<String>,
    n_lines: u64,
    /// It will say nothing more.
    is_over: bool,
}

/// A running `journalctl`.
#[derive(Debug)]
pub(super) struct Reader {
    child: Child,
    queue: Arc<Queue>,
    said: Arc<Mutex<Said>>,
}

impl Reader {
    /// Starts it where `begin` says.
    ///
    /// # Errors
    /// If it, or a thread for it, can't be started.
    pub(super) fn start(
        settings: &JournalSourceSettings,
        begin: Begin<'_>,
        waker: Waker,
    ) -> io::Result<Self> {
        let mut child = command::of(settings, begin, &machine::id())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: what it may have started ends with it, and a key pressed at our terminal is not for it.
            .process_group(0)
            .spawn()?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        let reader = Self { child, queue: Arc::default(), said: Arc::default() };
        let (out, err) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
        let (queue, splitter) = (reader.queue.clone(), Splitter::new(settings.max_line_bytes));
        let thread = || std::thread::Builder::new().name("journal".to_owned());
        let (said, ear) = (reader.said.clone(), waker.clone());
        thread().spawn(move || listen(err, &said, &ear))?;
        thread().spawn(move || {
            let read = || read_entries(out, splitter, &queue, &waker);
            // Without an end the source would wait for more for ever.
            let bug = |_| Some(End::Broken("bug: the thread that reads it panicked".to_owned()));
            if let Some(end) = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(bug) {
                queue.end(end);
                waker.wake();
            }
        })?;
        Ok(reader)
    }

    /// Everything it has written so far and that was not taken yet.
    pub(super) fn take(&self) -> VecDeque<Entry> {
        self.queue.take()
    }

    /// How many bytes of that there are.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Why nothing more will come, when everything was taken.
    pub(super) fn ended(&self) -> Option<End> {
        self.queue.ended()
    }

    /// How it ended, once it has and has said why: its status, and its last words.
    pub(super) fn status(&mut self) -> Option<String> {
        let how = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said = self.said();
        said.is_over.then(|| format!("({how}){}", last_words(&said)))
    }

    /// What it said last.
    pub(super) fn last_words(&self) -> String {
        last_words(&self.said())
    }

    /// How many lines it has complained in, and the last of them.
    pub(super) fn complained(&self) -> (u64, Option<String>) {
        let said = self.said();
        (said.n_lines, said.last.back().cloned())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its process id.
    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

fn last_words(said: &Said) -> String {
    let last: Vec<&str> = said.last.iter().map(String::as_str).collect();
    if last.is_empty() { String::new() } else { format!(": {}", last.join("; ")) }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.queue.close();
        // Not reaped yet, or the id might be another's by now.
        if let Ok(None) = self.child.try_wait() {
            let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            // It may end by itself meanwhile.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Fills the queue to the end of the output. `None` if nobody takes anything any more.
fn read_entries(
    mut out: ChildStdout,
    mut splitter: Splitter,
    queue: &Queue,
    waker: &Waker,
) -> Option<End> {
    let (mut piece, mut entries) = (vec![0; PIECE_BYTES], Vec::new());
    loop {
        let broken = match out.read(&mut piece) {
            Ok(0) => return Some(End::Closed),
            Ok(n) => splitter.split(&piece[..n], &mut entries).err().map(|e| e.to_string()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => Some(error.to_string()),
        };
        // Whoever has not taken yet what was there has been woken for it.
        if !entries.is_empty() && queue.add(&mut entries)? {
            waker.wake();
        }
        if let Some(broken) = broken {
            return Some(End::Broken(broken));
        }
    }
}

fn listen(mut err: ChildStderr, said: &Mutex<Said>, waker: &Waker) {
    let (mut piece, mut line) = ([0; 1024], Vec::new());
    loop {
        let n = match err.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for &byte in &piece[..n] {
            if byte == b'\n' || line.len() >= MAX_SAID_BYTES {
                hear(&mut line, said);
            } else {
                line.push(byte);
            }
        }
    }
    hear(&mut line, said);
    said.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
    waker.wake();
}

fn hear(line: &mut Vec<u8>, said: &Mutex<Said>) {
    let text = String::from_utf8_lossy(line).trim().to_owned();
    line.clear();
    if text.is_empty() {
        return;
    }
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    said.n_lines += 1;
    if said.last.len() == MAX_SAID_LINES {
        said.last.pop_front();
    }
    said.last.push_back(text);
}

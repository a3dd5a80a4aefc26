//! One line per attempt: to the log, and to a file if there is one.
//!
//! Owns the file: it is opened for each line, so that it may be moved away by others, and put aside as `PATH.1` when it is
//! full, in the place of the one before. Never decides what to send or when to try again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::fs::OFlags;
use std::os::unix::fs::OpenOptionsExt as _;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use watchkeeper_collector_core::notify::Notification;

use super::config::LogSettings;
use super::facts::NotificationTold;
use super::payload;
use crate::channels::{Cause, Channel, Delivered, DeliveryError, Pace};

/// One at a time writes, whichever receiver it is for: two may share a file, and putting it aside takes two steps. Who
/// waits for a disk that hangs waits here, and not in threads.
static TURN: std::sync::LazyLock<Arc<Mutex<()>>> = std::sync::LazyLock::new(Arc::default);

/// A log, ready to be written.
#[derive(Debug)]
pub struct Log {
    path: Option<PathBuf>,
    max_bytes: u64,
    send_resolved: bool,
}

impl Log {
    /// Builds it from its settings.
    pub fn build(settings: &LogSettings) -> Self {
        let LogSettings { path, max_bytes, send_resolved } = settings.clone();
        Self { path, max_bytes, send_resolved }
    }

    async fn write(&self, told: &Notification, at: Instant) -> Result<Delivered, DeliveryError> {
        if let Some(path) = &self.path {
            let line = payload::line(told).map_err(|error| {
                DeliveryError::new(Cause::Bug, format!("log: bug: line: {error}"))
            })?;
            self.append(path.clone(), line, at).await?;
        }
        let (action, alerts) = (payload::action(told), payload::names(told));
        NotificationTold { told, action, alerts }.emit();
        Ok(Delivered::default())
    }

    async fn append(&self, path: PathBuf, line: Vec<u8>, at: Instant) -> Result<(), DeliveryError> {
        let max_bytes = self.max_bytes;
        let shown = path.display().to_string();
        let late = |_| DeliveryError::new(Cause::TimedOut, format!("log {shown}: the disk hangs"));
        let turn = timeout_at(at, TURN.clone().lock_owned()).await.map_err(late)?;
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            append(&path, &line, max_bytes)
        });
        let error = match timeout_at(at, written).await.map_err(late)? {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        Err(DeliveryError::new(cause(&error), format!("log {shown}: {error}")))
    }
}

/// Appends a line in one write; a file that would be too large is put aside first.
fn append(path: &Path, line: &[u8], max_bytes: u64) -> io::Result<()> {
    let about = fs::metadata(path);
    if let Ok(about) = &about
        && about.is_file()
        && about.len() > 0
        && about.len() + line.len() as u64 > max_bytes
    {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        fs::rename(path, aside)?;
    }
    // A pipe that nobody reads must not hold the thread: opening it fails instead.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o640).custom_flags(nonblocking);
    options.open(path)?.write_all(line)
}

/// What may pass: a directory may be mounted again, a disk get room.
fn cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::InvalidInput => Cause::Refused,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::ServerError,
        _ => Cause::Unreachable,
    }
}

impl Channel for Log {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        0
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn pace(&self) -> Pace {
        Pace { interval: Duration::from_millis(10), burst: 100 }
    }

    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Delivered, DeliveryError>> {
        self.write(notification, deadline).boxed()
    }
}

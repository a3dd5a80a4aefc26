//! A small shop and its database, as far as their logs go.
//!
//! Owns every line that is written, and how many. Nothing is random: the story is the same each time.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use watchkeeper_model::Timestamp;

use crate::terminal::Screen;

/// Requests a second on a good day.
pub(super) const USUAL_RATE: u64 = 20;

/// Requests a second when checkouts fail and everybody tries again.
pub(super) const BROKEN_RATE: u64 = 200;

/// How much of the log is there before the story begins.
const HISTORY: Duration = Duration::from_secs(600);

/// In how many parts it gets there: a log that old would have been read as it grew, and not at once.
const HISTORY_PARTS: u64 = 20;

/// Requests of the past come in gusts: a window for each second would take more memory than all the rest of the demo.
const GUST: Duration = Duration::from_secs(5);

/// How often lines are written.
const BEAT: Duration = Duration::from_millis(50);

/// How the shop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Well.
    Well,
    /// Payments are down.
    Broken,
    /// Nobody comes any more.
    Closed,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// Lines of the shop.
    pub(super) n_requests: u64,
    /// Error lines among them.
    pub(super) n_errors: u64,
    /// Lines of the database.
    pub(super) n_queries: u64,
    /// When the first error was written.
    pub(super) first_error: Option<Instant>,
    /// When the last one was.
    pub(super) last_error: Option<Instant>,
}

/// The shop.
#[derive(Debug)]
pub(super) struct Shop {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    written: Written,
    failed: Option<std::io::Error>,
}

impl Shop {
    /// Opens it, once ten quiet minutes are in its logs.
    pub(super) async fn open(dir: &Path) -> std::io::Result<Self> {
        let mut logs = Logs::open(dir)?;
        let mut written = Written::default();
        let now = Screen::clock();
        let n_past = HISTORY.as_secs() * USUAL_RATE;
        for i in 0..n_past {
            let ago = HISTORY.mul_f64((n_past - i) as f64 / n_past as f64);
            logs.write(Mood::Well, (now - ago).floor(GUST), &mut written);
            if (i + 1).is_multiple_of(n_past / HISTORY_PARTS) {
                logs.flush()?;
                tokio::time::sleep(BEAT).await;
            }
        }
        let state = State { mood: Mood::Well, written, failed: None };
        let state = Arc::new(Mutex::new(state));
        let task = tokio::spawn(trade(logs, state.clone()));
        Ok(Self { state, task })
    }

    /// From now on it does so.
    pub(super) fn turn(&self, mood: Mood) {
        locked(&self.state).mood = mood;
    }

    /// What was written so far.
    pub(super) fn written(&self) -> Written {
        locked(&self.state).written
    }

    /// Closes it; what was written, or why not everything could be.
    pub(super) async fn close(self) -> std::io::Result<Written> {
        self.turn(Mood::Closed);
        self.task.await.map_err(std::io::Error::other)?;
        let mut state = locked(&self.state);
        state.failed.take().map_or(Ok(state.written), Err)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes lines until the shop is closed.
async fn trade(mut logs: Logs, state: Arc<Mutex<State>>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let mut state = locked(&state);
        let rate = match state.mood {
            Mood::Well => USUAL_RATE,
            Mood::Broken => BROKEN_RATE,
            Mood::Closed => return,
        };
        let now = Screen::clock();
        for _ in 0..rate * BEAT.as_millis() as u64 / 1_000 {
            let mood = state.mood;
            logs.write(mood, now, &mut state.written);
        }
        if let Err(error) = logs.flush() {
            state.failed = Some(error);
            return;
        }
    }
}

/// The two log files, and what is to be written next.
struct Logs {
    shop: File,
    db: File,
    shop_lines: String,
    db_lines: String,
}

impl Logs {
    fn open(dir: &Path) -> std::io::Result<Self> {
        let open = |name| OpenOptions::new().create(true).append(true).open(dir.join(name));
        let (shop_lines, db_lines) = (String::new(), String::new());
        Ok(Self { shop: open("shop.log")?, db: open("db.log")?, shop_lines, db_lines })
    }

    /// One request, and the query it needs, unless payments fail before it comes to that.
    fn write(&mut self, mood: Mood, at: Timestamp, written: &mut Written) {
        let request = Request::number(written.n_requests, mood);
        written.n_requests += 1;
        request.line(at, &mut self.shop_lines);
        if request.status >= 500 {
            written.n_errors += 1;
            let now = Instant::now();
            written.first_error.get_or_insert(now);
            written.last_error = Some(now);
        } else {
            written.n_queries += 1;
            let (ts, took_us) = (at.nanos() / 1_000_000, 900 + request.number * 37 % 4_000);
            let table = request.table();
            self.db_lines +=
                &format!("{{\"ts\":{ts},\"table\":\"{table}\",\"took_us\":{took_us}}}\n");
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.shop.write_all(self.shop_lines.as_bytes())?;
        self.db.write_all(self.db_lines.as_bytes())?;
        self.shop_lines.clear();
        self.db_lines.clear();
        Ok(())
    }
}

struct Request {
    number: u64,
    path: &'static str,
    status: u16,
    duration_ms: f64,
}

impl Request {
    /// The n-th one: of ten six are checkouts; when payments are down eight are, they all fail, and the rest is slow.
    fn number(number: u64, mood: Mood) -> Self {
        let is_broken = mood == Mood::Broken;
        let path = match (number % 10, is_broken) {
            (0..6, _) | (6..8, true) => "/checkout",
            (6 | 7, false) => "/cart",
            _ => "/products",
        };
        let usual_ms = 18.0 + (number * 7_919 % 1_000) as f64 / 12.0;
        match (is_broken, path) {
            (true, "/checkout") => Self { number, path, status: 500, duration_ms: usual_ms / 4.0 },
            (true, _) => Self { number, path, status: 200, duration_ms: usual_ms + 900.0 },
            (false, _) => Self { number, path, status: 200, duration_ms: usual_ms },
        }
    }

    fn table(&self) -> &'static str {
        match self.path {
            "/checkout" => "orders",
            "/cart" => "carts",
            _ => "products",
        }
    }

    fn line(&self, at: Timestamp, into: &mut String) {
        let Self { number, path, status, duration_ms } = self;
        let (level, msg) = match status {
            500.. => ("error", "checkout failed: payment gateway refused the connection"),
            _ => ("info", "ok"),
        };
        *into += &format!(
            "{{\"time\":\"{at}\",\"level\":\"{level}\",\"path\":\"{path}\",\"status\":{status},\
             \"duration_ms\":{duration_ms:.2},\"request_id\":\"req-{number:06}\",\"msg\":\"{msg}\"}}\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_payments_are_down_eight_of_ten_fail_and_the_rest_is_slow() {
        for (mood, n_failed, n_slow) in [(Mood::Well, 0, 0), (Mood::Broken, 80, 20)] {
            let requests: Vec<Request> = (0..100).map(|n| Request::number(n, mood)).collect();
            let failed = requests.iter().filter(|r| r.status >= 500).count();
            let slow = requests.iter().filter(|r| r.duration_ms > 250.0).count();
            assert_eq!((failed, slow), (n_failed, n_slow), "{mood:?}");
        }
    }

    #[test]
    fn lines_are_json() {
        let mut text = String::new();
        Request::number(7, Mood::Broken).line(Timestamp::from_secs(1_795_370_829), &mut text);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["status"], &line["request_id"]), (&500.into(), &"req-000007".into()));
        assert_eq!(line["time"], "2026-11-22T18:07:09Z");
    }
}

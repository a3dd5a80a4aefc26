//! The log: to standard error, for people or as JSON lines.
//!
//! Owns the subscriber. `WATCHKEEPER_LOG` holds its filter (`info`, `watchkeeper_agent=debug`, …).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged unless `WATCHKEEPER_LOG` says otherwise. lapin calls a broker that goes away an error, three times, and
/// shows whole messages that come back; what matters of that is told in our own words.
const DEFAULT: &str = "info,lapin=off";

/// Starts logging; called once by `main`.
pub fn start(json: bool) {
    let filter =
        EnvFilter::try_from_env("WATCHKEEPER_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let is_terminal = std::io::stderr().is_terminal();
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    if json { logging.json().init() } else { logging.init() }
}

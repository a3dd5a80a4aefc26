//! What every command gets: how to ask the collector, how to print, and what it may answer.
//!
//! Owns the options that all commands share. Never asks or prints by itself.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use reqwest::Url;
use watchkeeper_config::Secret;

use crate::api::Client;
use crate::terminal::Screen;

/// Where a collector listens if nobody says otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:7700";

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// How answers are written: tables for people, or the collector's JSON unchanged
    #[arg(long, value_enum, global = true, default_value_t = Output::Table)]
    output: Output,
    /// The collector to ask
    #[arg(long, global = true, env = "WATCHKEEPER_URL", default_value = DEFAULT_URL, value_parser = parse_url)]
    url: Url,
    /// A token, if the collector wants one
    #[arg(long, global = true, env = "WATCHKEEPER_TOKEN", hide_env_values = true, value_parser = parse_token)]
    token: Option<Secret>,
}

/// How answers are written. Its values explain themselves, which keeps every command's help short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What was asked for was done.
    Done,
    /// It was not, or something was found that the caller wants to hear of.
    Failed,
    /// It was ended by a signal before it was done.
    Stopped,
    /// What was typed makes no sense together.
    Misused,
    /// A command that was run has ended with this exit code.
    Exit(u8),
}

impl Outcome {
    /// Failed if so.
    pub(crate) const fn failed_if(failed: bool) -> Self {
        if failed { Self::Failed } else { Self::Done }
    }
}

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// How answers are written.
    pub(crate) output: Output,
    /// What the terminal can show.
    pub(crate) screen: Screen,
    url: Url,
    token: Option<Secret>,
}

impl Context {
    /// From the options.
    pub(crate) fn build(global: &Global) -> Self {
        let Global { output, url, token } = global.clone();
        Self { output, screen: Screen::of_stdout(), url, token }
    }

    /// A client for the collector that was named.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::build(self.url.clone(), self.token.clone())
    }

    /// Whether programs read the answer.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Writes to standard output. That the reader has gone away (`| head`) is its own business.
    pub(crate) fn print(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// An address of a program that is asked over HTTP.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let hint = "write http://HOST:PORT or https://HOST:PORT";
    let url = Url::parse(text).map_err(|error| format!("{error}: {hint}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(hint.to_owned()),
    }
}

fn parse_token(text: &str) -> Result<Secret, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| Secret::new(text))
        .ok_or_else(|| "a token is printable ASCII without spaces".to_owned())
}

//! Speaking to the agent.
//!
//! Owns the form of `POST /api/v1/heartbeats/NAME/WORD`, and which failures may pass. Never retries by itself.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

/// The agent answers when what is said is on its disk, or after 10 s that it is not yet.
const TIMEOUT: Duration = Duration::from_secs(12);

/// What can be said of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It begins.
    Start,
    /// It has ended well.
    Success,
    /// It has not.
    Failure { exit_code: Option<i32>, signal: Option<i32> },
}

/// The way to the agent, for one job.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    http: reqwest::Client,
    agent: Url,
    name: String,
    patience: Duration,
}

/// What the agent made of it.
#[derive(Debug)]
pub(super) struct Heard {
    /// In one word.
    pub(super) result: String,
    /// The whole answer.
    pub(super) text: String,
}

/// The agent did not take it.
#[derive(Debug)]
pub(super) enum NotHeard {
    /// Nobody answers, or not yet.
    Absent {
        /// The agent's address.
        at: String,
        /// Why.
        why: String,
    },
    /// It refuses.
    Refused {
        /// The agent's address.
        at: String,
        /// What it says.
        said: String,
    },
}

impl NotHeard {
    /// Whether it may be otherwise in a moment.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

impl fmt::Display for NotHeard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { at, why } => write!(f, "the agent at {at} can't be told: {why}"),
            Self::Refused { at, said } => write!(f, "the agent at {at} says: {said}"),
        }
    }
}

impl std::error::Error for NotHeard {}

/// The fields of its answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    result: String,
    error: Option<String>,
}

impl Voice {
    /// A way to the agent at this address.
    pub(super) fn new(agent: Url, name: &str) -> anyhow::Result<Self> {
        // An error only says that a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy();
        let http = builder.redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, agent, name: name.to_owned(), patience: TIMEOUT })
    }

    /// The same, but it waits for each answer no longer than that.
    pub(super) fn within(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Says it.
    pub(super) async fn say(
        &self,
        word: Word,
        run: &str,
        duration: Option<Duration>,
        output: Vec<u8>,
    ) -> Result<Heard, NotHeard> {
        let request =
            self.http.post(self.url(word, run, duration)).timeout(self.patience).body(output);
        let answer = request.send().await.map_err(|error| self.absent(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| self.absent(&error))?;
        let Answer { result, error } = serde_json::from_str(&text).unwrap_or_default();
        let at = self.agent.to_string();
        match error {
            None if status.is_success() => Ok(Heard { result, text }),
            Some(why) if status.is_server_error() => Err(NotHeard::Absent { at, why }),
            Some(said) => Err(NotHeard::Refused { at, said }),
            None => Err(NotHeard::Refused { at, said: format!("status {}", status.as_u16()) }),
        }
    }

    fn url(&self, word: Word, run: &str, duration: Option<Duration>) -> Url {
        let mut url = self.agent.clone();
        let (last, exit_code, signal) = match word {
            Word::Start => ("start", None, None),
            Word::Success => ("success", None, None),
            Word::Failure { exit_code, signal } => ("failure", exit_code, signal),
        };
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1", "heartbeats", &self.name, last]);
        }
        let parameters = [
            ("run", (!run.is_empty()).then(|| run.to_owned())),
            ("duration", duration.map(|span| span.as_secs_f64().to_string())),
            ("exit_code", exit_code.map(|n| n.to_string())),
            ("signal", signal.map(|n| n.to_string())),
        ];
        url.set_query(None);
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        url
    }

    fn absent(&self, error: &reqwest::Error) -> NotHeard {
        let mut root: &dyn std::error::Error = error;
        while let Some(deeper) = root.source() {
            root = deeper;
        }
        let why = if error.is_timeout() {
            "it did not answer in time".to_owned()
        } else {
            root.to_string()
        };
        NotHeard::Absent { at: self.agent.to_string(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stands_in_the_url() {
        let voice = |agent: &str| Voice::new(Url::parse(agent).unwrap(), "a b").unwrap();
        let base = "http://127.0.0.1:7701/api/v1/heartbeats/a%20b";
        let span = Some(Duration::from_millis(1_500));
        for (word, run, duration, url) in [
            (Word::Start, "", None, format!("{base}/start")),
            (Word::Success, "x-1", span, format!("{base}/success?run=x-1&duration=1.5")),
            (
                Word::Failure { exit_code: Some(3), signal: None },
                "",
                None,
                format!("{base}/failure?exit_code=3"),
            ),
            (
                Word::Failure { exit_code: None, signal: Some(9) },
                "",
                None,
                format!("{base}/failure?signal=9"),
            ),
        ] {
            let voice = voice("http://127.0.0.1:7701");
            assert_eq!(voice.url(word, run, duration).as_str(), url);
        }
        let below = voice("http://127.0.0.1:7701/agent/").url(Word::Start, "", None);
        assert_eq!(below.path(), "/agent/api/v1/heartbeats/a%20b/start");
    }
}

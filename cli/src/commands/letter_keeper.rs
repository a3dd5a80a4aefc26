//! Who keeps dead letters: a collector, asked over its API, or an agent's spool on this machine.
//!
//! Owns asking both the same questions. Of a spool whoever may write it may ask; the agent's admin endpoint knows no
//! passwords, and so neither shows content nor changes anything.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use watchkeeper_agent::letters::{ID_PREFIX, LetterJson, LettersJson};
use watchkeeper_agent::spool::{LetterFile, SpooledLetter};
use watchkeeper_collector::letters::content;

use crate::api::{self, ApiError, Client, DeadLetters, Pages, RetriedLetter};
use crate::context::Context;
use crate::terminal::Screen;

/// An agent that runs looks every 5 s for what somebody asked of it.
const AGENT_ANSWERS_WITHIN: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who keeps them.
pub(super) enum Keeper {
    Collector(Box<Client>),
    Spool(LetterFile),
}

impl Keeper {
    pub(super) fn build(spool: Option<&Path>, context: &Context) -> anyhow::Result<Self> {
        Ok(match spool {
            None => Self::Collector(Box::new(context.client()?)),
            Some(directory) => Self::Spool(LetterFile::open(directory)?),
        })
    }

    /// A list as JSON and as what it says.
    pub(super) async fn list(&self, pages: &Pages) -> anyhow::Result<(String, DeadLetters)> {
        match self {
            Self::Collector(client) => {
                let answer = api::list(client, "dead-letters", &[], pages).await?;
                Ok((answer.pretty(), answer.read()?))
            }
            Self::Spool(file) => {
                let json = serde_json::to_string(&LettersJson::of(&file.letters()?))?;
                let found = serde_json::from_str(&json)?;
                Ok((api::pretty(&json), found))
            }
        }
    }

    /// These, or all there are if none are named; then also what is not among them, and why.
    pub(super) async fn choose(
        &self,
        ids: &[String],
    ) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        if !ids.is_empty() {
            return Ok((ids.to_vec(), Vec::new()));
        }
        let (_, found) = self.list(&Pages::default()).await?;
        let missed = [found.unreachable, found.left_out].concat();
        Ok((found.dead_letters.into_iter().map(|letter| letter.id).collect(), missed))
    }

    /// One letter as JSON text and as a value, content and all.
    pub(super) async fn show(&self, id: &str) -> anyhow::Result<(String, Value)> {
        match self {
            Self::Collector(client) => {
                let answer = client.get(&["api", "v1", "dead-letters", id], &[]).await?;
                Ok((answer.pretty(), answer.read()?))
            }
            Self::Spool(file) => {
                let missing = || format!("there is no dead letter {id} in this spool");
                let letter = find(file, id)?.with_context(missing)?;
                let body = file.body(letter.id)?.with_context(missing)?;
                let mut shown = serde_json::to_value(LetterJson::from(&letter))?;
                shown["content"] = content(Some(letter.key.stream.kind), &body);
                Ok((api::pretty(&shown.to_string()), shown))
            }
        }
    }

    /// Leads one through again and says what became of it.
    pub(super) async fn retry(&self, id: &str) -> anyhow::Result<RetriedLetter> {
        match self {
            Self::Collector(client) => {
                let path = ["api", "v1", "dead-letters", id, "retry"];
                match client.post(&path, String::new(), None).await {
                    Ok(answer) => Ok(answer.read()?),
                    Err(ApiError::NotFound { said }) => Ok(retried(id, "missing", said)),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Spool(file) => ask_the_agent(file, id).await,
        }
    }

    /// Takes one away; whether it was there.
    pub(super) async fn drop(&self, id: &str) -> anyhow::Result<bool> {
        match self {
            Self::Collector(client) => {
                match client.delete(&["api", "v1", "dead-letters", id], &[]).await {
                    Ok(_) => Ok(true),
                    Err(ApiError::NotFound { .. }) => Ok(false),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Spool(file) => match number(id) {
                None => Ok(false),
                Some(number) => Ok(file.discard(number)?),
            },
        }
    }
}

/// Asks for a letter of a spool, and waits a little for what comes of it: the agent may not run, or not reach its collector.
async fn ask_the_agent(file: &LetterFile, id: &str) -> anyhow::Result<RetriedLetter> {
    let Some(letter) = find(file, id)? else {
        return Ok(retried(id, "missing", "there is no such dead letter in this spool".to_owned()));
    };
    if letter.broken || !file.ask(letter.id, Screen::clock())? {
        return Ok(retried(id, "damaged", letter.reason));
    }
    let deadline = tokio::time::Instant::now() + AGENT_ANSWERS_WITHIN;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        match find(file, id)? {
            None => return Ok(retried(id, "counted", String::new())),
            Some(letter) if !letter.asked => return Ok(retried(id, "refused", letter.reason)),
            Some(_) => {}
        }
    }
    let later = "the agent offers it when it runs and has a collector; look at the list later";
    Ok(retried(id, "asked", later.to_owned()))
}

fn find(file: &LetterFile, id: &str) -> anyhow::Result<Option<SpooledLetter>> {
    let Some(number) = number(id) else { return Ok(None) };
    Ok(file.letters()?.into_iter().find(|letter| letter.id == number))
}

fn number(id: &str) -> Option<u64> {
    id.strip_prefix(ID_PREFIX)?.parse().ok()
}

fn retried(id: &str, outcome: &str, reason: String) -> RetriedLetter {
    let retried = json!({"id": id, "outcome": outcome, "reason": reason});
    serde_json::from_value(retried).unwrap_or_default()
}

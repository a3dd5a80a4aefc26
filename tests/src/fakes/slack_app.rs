//! Slack's Web API on loopback, as far as an app posts there: `chat.postMessage` and `chat.update`.
//!
//! Owns channels, messages by channel and time, and their threads. Answers 200 with the truth in the body, as the
//! original does, and refuses what is beyond the original's limits.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::receiver::{Receiver, Request, Service, slack_refusal};

/// A message as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The channel's id.
    pub channel: String,
    /// Its time, by which it is known.
    pub ts: String,
    /// The message in whose thread it stands.
    pub thread_ts: Option<String>,
    /// Whether an answer shows in the channel too.
    pub is_broadcast: bool,
    /// What it says now.
    pub content: Value,
    /// How often it was changed.
    pub n_edits: usize,
}

/// A workspace that listens until it is dropped.
#[derive(Debug)]
pub struct SlackApp {
    /// What it was sent, and its faults.
    pub receiver: Receiver,
    workspace: Arc<Mutex<Workspace>>,
}

#[derive(Debug)]
struct Workspace {
    token: String,
    channels: Vec<Channel>,
    messages: Vec<Message>,
    n_posted: u64,
}

#[derive(Debug)]
struct Channel {
    name: String,
    id: String,
    is_archived: bool,
}

impl SlackApp {
    /// A workspace with one app, which has this token, and these channels by name. Their ids are `C0`, `C1` and so on.
    pub async fn start(token: &str, channels: &[&str]) -> io::Result<Self> {
        let channel = |(n, name): (usize, &&str)| Channel {
            name: (*name).to_owned(),
            id: format!("C{n}"),
            is_archived: false,
        };
        let workspace = Workspace {
            token: token.to_owned(),
            channels: channels.iter().enumerate().map(channel).collect(),
            messages: Vec::new(),
            n_posted: 0,
        };
        let workspace = Arc::new(Mutex::new(workspace));
        let receiver = Receiver::start_with(Box::new(Desk(workspace.clone()))).await?;
        Ok(Self { receiver, workspace })
    }

    /// Where an app posts.
    pub fn url(&self) -> String {
        self.receiver.url("/api/chat.postMessage")
    }

    /// What stands in the channels, answers in threads not among it.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages = lock(&self.workspace).messages.clone();
        messages.retain(|message| message.thread_ts.is_none());
        messages
    }

    /// What stands in the thread of a message.
    pub fn thread(&self, ts: &str) -> Vec<Message> {
        let mut messages = lock(&self.workspace).messages.clone();
        messages.retain(|message| message.thread_ts.as_deref() == Some(ts));
        messages
    }

    /// Somebody deletes a message.
    pub fn delete(&self, ts: &str) {
        lock(&self.workspace).messages.retain(|message| message.ts != ts);
    }

    /// Somebody archives a channel.
    pub fn archive(&self, id: &str) {
        for channel in &mut lock(&self.workspace).channels {
            channel.is_archived |= channel.id == id;
        }
    }

    /// The app is installed again: the old token is no good any more.
    pub fn change_token(&self, token: &str) {
        lock(&self.workspace).token = token.to_owned();
    }
}

fn lock(workspace: &Mutex<Workspace>) -> MutexGuard<'_, Workspace> {
    workspace.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where calls arrive.
#[derive(Debug)]
struct Desk(Arc<Mutex<Workspace>>);

impl Service for Desk {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        let mut workspace = lock(&self.0);
        let answer =
            workspace.call(request).unwrap_or_else(|word| json!({"ok": false, "error": word}));
        (200, answer.to_string())
    }
}

impl Workspace {
    fn call(&mut self, request: &Request) -> Result<Value, &'static str> {
        match request.header("authorization") {
            "" => return Err("not_authed"),
            given if given != format!("Bearer {}", self.token) => return Err("invalid_auth"),
            _ => {}
        }
        let content = request.json();
        let path = request.path.split('?').next().unwrap_or_default();
        match path.rsplit('/').next() {
            Some("chat.postMessage") => self.post(content),
            Some("chat.update") => self.update(content),
            _ => Err("unknown_method"),
        }
    }

    fn post(&mut self, content: Value) -> Result<Value, &'static str> {
        let asked = text(&content["channel"]);
        let channel = self
            .channels
            .iter()
            .find(|channel| asked == channel.id || asked.trim_start_matches('#') == channel.name)
            .ok_or("channel_not_found")?;
        if channel.is_archived {
            return Err("is_archived");
        }
        let channel = channel.id.clone();
        let thread_ts = content["thread_ts"].as_str().map(str::to_owned);
        if let Some(thread_ts) = &thread_ts {
            self.find(&channel, thread_ts).ok_or("thread_not_found")?;
        }
        if let Some(word) = slack_refusal(&content) {
            return Err(word);
        }
        self.n_posted += 1;
        let ts = format!("{}.{:06}", 1_795_370_839 + self.n_posted, self.n_posted);
        let is_broadcast = content["reply_broadcast"] == true;
        let answer = json!({"ok": true, "channel": channel, "ts": ts, "message": content});
        self.messages.push(Message { channel, ts, thread_ts, is_broadcast, content, n_edits: 0 });
        Ok(answer)
    }

    fn update(&mut self, content: Value) -> Result<Value, &'static str> {
        let (channel, ts) = (text(&content["channel"]), text(&content["ts"]));
        // A name is good enough for posting only.
        let known = self.channels.iter().find(|known| known.id == channel);
        if known.ok_or("channel_not_found")?.is_archived {
            return Err("is_inactive");
        }
        if let Some(word) = slack_refusal(&content) {
            return Err(word);
        }
        let message = self.find(channel, ts).ok_or("message_not_found")?;
        let answer = json!({"ok": true, "channel": channel, "ts": ts, "text": content["text"]});
        message.n_edits += 1;
        message.content = content;
        Ok(answer)
    }

    fn find(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        self.messages.iter_mut().find(|known| known.channel == channel && known.ts == ts)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

//! A receiver of notifications on loopback: records every request and answers as told.
//!
//! Owns two manners of speaking (Slack's incoming webhook, a webhook of any make) and the faults of real ones: statuses,
//! silence, resets, half-closed connections, garbage, endless bodies. It speaks HTTP/1.1 by hand because a proper
//! server can't misbehave. Never sleeps: who waits for a request is woken by it. Depends on nothing but tokio and
//! serde_json: the collector's own conformance suite includes this file.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Largest request that is taken.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// What it calls success, and what it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Slack's incoming webhook: `200 ok`, and a word with a status for a payload beyond its limits.
    Slack,
    /// Anything that takes JSON.
    Webhook,
}

/// How a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As the flavour does when all is well, or when the payload is not.
    Proper,
    /// With this status and body.
    Status(u16, String),
    /// With this status and this Retry-After.
    RetryAfter(u16, String),
    /// With a redirect to there.
    Redirect(String),
    /// With 400 and a body that repeats the request, secrets included.
    Echo,
    /// Never: the request is read, the connection stays open.
    Hang,
    /// With a status and the beginning of a body that never ends.
    SlowBody,
    /// By a reset of the connection.
    Reset,
    /// By closing its sending side without a word.
    HalfClose,
    /// With bytes that are no HTTP.
    Garbage,
    /// With 200 and a body of this many bytes.
    Huge(usize),
    /// By a reset of the connection after the request has had its effect: the answer is lost.
    Lost,
}

/// What a healthy receiver does with a request: its effect, if it has one, and a status with a body.
pub trait Service: Send + fmt::Debug {
    /// Takes a request.
    fn answer(&mut self, request: &Request) -> (u16, String);
}

/// One recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its last byte had arrived.
    pub at: Instant,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it was answered.
    pub answer: Answer,
}

impl Request {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text, broken parts marked.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; "" if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A receiver that listens until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    service: Mutex<Box<dyn Service>>,
    state: Mutex<State>,
    n_requests: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Answer>,
    otherwise: Answer,
    requests: Vec<Request>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(flavour: Flavour) -> io::Result<Self> {
        Self::start_with(Box::new(flavour)).await
    }

    /// One of another make.
    pub async fn start_with(service: Box<dyn Service>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (script, otherwise) = (VecDeque::new(), Answer::Proper);
        let state = Mutex::new(State { script, otherwise, requests: Vec::new() });
        let (service, n_requests) = (Mutex::new(service), watch::Sender::new(0));
        let shared = Arc::new(Shared { service, state, n_requests });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Its address with that path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next requests so, one each, and all later ones as before.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.state().script.extend(answers);
    }

    /// Answers every request so that the script does not answer.
    pub fn always(&self, answer: Answer) {
        self.shared.state().otherwise = answer;
    }

    /// Everything recorded so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The requests as soon as `enough` says so; `Err` with what there is if that takes longer than `limit`.
    pub async fn wait_for(
        &self,
        enough: impl Fn(&[Request]) -> bool,
        limit: Duration,
    ) -> Result<Vec<Request>, Vec<Request>> {
        let mut changes = self.shared.n_requests.subscribe();
        let reached = async {
            while !enough(&self.shared.state().requests) {
                // The sender lives as long as `self`.
                let _ = changes.changed().await;
            }
        };
        match tokio::time::timeout(limit, reached).await {
            Ok(()) => Ok(self.requests()),
            Err(_) => Err(self.requests()),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request and decides its answer; what a healthy one would say comes with it.
    fn take(&self, mut request: Request) -> (Answer, (u16, String)) {
        let mut state = self.state();
        let answer = state.script.pop_front().unwrap_or_else(|| state.otherwise.clone());
        request.answer = answer.clone();
        let proper = match answer {
            Answer::Proper | Answer::Lost => {
                let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
                service.answer(&request)
            }
            _ => (500, String::new()),
        };
        state.requests.push(request);
        let n_requests = state.requests.len();
        drop(state);
        self.n_requests.send_replace(n_requests);
        (answer, proper)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        // A connection that breaks off is the other side's business.
        connections.spawn(async move { serve(stream, &shared).await.unwrap_or_default() });
    }
}

/// One connection: a request after the other until an answer ends it.
async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        let (answer, proper) = shared.take(request.clone());
        if !give(&mut stream, proper, &request, answer).await? {
            break;
        }
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection, or when the other side speaks TLS.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, n_used)) = parse(buffer) {
            buffer.drain(..n_used);
            return Ok(Some(request));
        }
        let is_http = buffer.first().is_none_or(u8::is_ascii_uppercase);
        if !is_http || buffer.len() > MAX_REQUEST_BYTES || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A whole request at the beginning of `buffer`, and its length.
fn parse(buffer: &[u8]) -> Option<(Request, usize)> {
    let n_head = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..n_head]);
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let n_body = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    let body = buffer.get(n_head..n_head + n_body)?.to_vec();
    let (at, answer) = (Instant::now(), Answer::Proper);
    Some((Request { at, path, headers, body, answer }, n_head + n_body))
}

/// Gives the answer; says whether the connection goes on.
async fn give(
    stream: &mut TcpStream,
    proper: (u16, String),
    request: &Request,
    answer: Answer,
) -> io::Result<bool> {
    match answer {
        Answer::Proper => {
            let (status, body) = proper;
            respond(stream, status, "", body.as_bytes()).await?;
        }
        Answer::Status(status, body) => respond(stream, status, "", body.as_bytes()).await?,
        Answer::RetryAfter(status, after) => {
            respond(stream, status, &format!("Retry-After: {after}\r\n"), b"").await?;
        }
        Answer::Redirect(to) => {
            respond(stream, 302, &format!("Location: {to}\r\n"), b"").await?;
        }
        Answer::Echo => {
            let echo = format!("you sent {} with {:?}", request.path, request.headers);
            respond(stream, 400, "", echo.as_bytes()).await?;
        }
        Answer::Hang => std::future::pending().await,
        Answer::SlowBody => {
            let head = "HTTP/1.1 503 Unavailable\r\nContent-Length: 100\r\n\r\nwait";
            stream.write_all(head.as_bytes()).await?;
            std::future::pending().await
        }
        Answer::Reset | Answer::Lost => {
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Answer::HalfClose => {
            stream.shutdown().await?;
            std::future::pending().await
        }
        Answer::Garbage => {
            stream.write_all(b"\x00\xff\x13 this is no HTTP\r\n\r\n").await?;
            return Ok(false);
        }
        Answer::Huge(n_bytes) => respond(stream, 200, "", &vec![b'x'; n_bytes]).await?,
    }
    Ok(true)
}

async fn respond(stream: &mut TcpStream, status: u16, extra: &str, body: &[u8]) -> io::Result<()> {
    let n_bytes = body.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nContent-Length: {n_bytes}\r\n{extra}\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

/// A flavour has no memory: it only looks at the payload.
impl Service for Flavour {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        let (status, body) = match self {
            Self::Webhook if request.json().is_object() => (200, ""),
            Self::Webhook => (400, "not JSON"),
            Self::Slack => match slack_refusal(&request.json()) {
                Some(word) => (400, word),
                None => (200, "ok"),
            },
        };
        (status, body.to_owned())
    }
}

/// The word with which Slack refuses a payload, by its documented limits.
pub(super) fn slack_refusal(payload: &Value) -> Option<&'static str> {
    if !payload.is_object() {
        return Some("invalid_payload");
    }
    let attachments = list(&payload["attachments"]).iter();
    let nested = attachments.flat_map(|attachment| list(&attachment["blocks"]));
    let blocks: Vec<&Value> = list(&payload["blocks"]).iter().chain(nested).collect();
    let text = &payload["text"];
    if blocks.is_empty() && n_chars(text) == 0 {
        return Some("no_text");
    }
    if n_chars(text) > 40_000 || blocks.len() > 50 || blocks.iter().any(|block| !is_valid(block)) {
        return Some("invalid_blocks");
    }
    let total: usize = blocks.iter().flat_map(|block| texts(block)).map(n_chars).sum();
    (total > 9_600).then_some("msg_blocks_too_long")
}

fn is_valid(block: &Value) -> bool {
    let fits = |texts: &[Value], max_texts: usize, max_chars: usize| {
        texts.len() <= max_texts
            && texts.iter().all(|text| (1..=max_chars).contains(&n_chars(&text["text"])))
    };
    let text = std::slice::from_ref(&block["text"]);
    let (fields, elements) = (list(&block["fields"]), list(&block["elements"]));
    match block["type"].as_str() {
        Some("header") => fits(text, 1, 150) && text[0]["type"] == "plain_text",
        Some("section") if fields.is_empty() => fits(text, 1, 3_000),
        Some("section") => fits(fields, 10, 2_000) && (text[0].is_null() || fits(text, 1, 3_000)),
        Some("context") => !elements.is_empty() && fits(elements, 10, 3_000),
        Some("divider") => true,
        _ => false,
    }
}

/// Every text of a block.
fn texts(block: &Value) -> impl Iterator<Item = &Value> {
    let several = list(&block["fields"]).iter().chain(list(&block["elements"]));
    std::iter::once(&block["text"]).chain(several).map(|text| &text["text"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn n_chars(text: &Value) -> usize {
    text.as_str().map_or(0, |text| text.chars().count())
}

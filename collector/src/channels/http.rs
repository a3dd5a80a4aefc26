//! One POST to a receiver: deadlines, bounded answers, Retry-After, and no secret in what comes back.
//!
//! Owns the client settings all HTTP channels share (no redirects, rustls, connect deadline) and the meaning of
//! statuses. Never builds a body, never tries twice.

use std::error::Error as _;
use std::fmt;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, NoProxy, Proxy, Response, Url, redirect};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use watchkeeper_config::{Secret, is_loopback};
use watchkeeper_model::Masks;

use super::error::{Cause, Delivered, DeliveryError};
use super::text;
use super::tls::Tls;

/// How we introduce ourselves.
const USER_AGENT: &str = concat!("Watchkeeper/", env!("CARGO_PKG_VERSION"));

/// Longest wait for a connection, within the deadline of the whole attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer is read unless a channel needs more; the rest is left on the wire and the connection closed.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// How much of an answer is shown.
const MAX_EXCERPT_CHARS: usize = 256;

/// Longest Retry-After that is believed: a mistaken header must not silence a receiver for a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The address of a receiver. Shows only scheme, host and port: the rest may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    url: Url,
    masks: Masks,
}

impl Endpoint {
    /// The endpoint of that URL, or what is wrong with it (without quoting it).
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let url = Url::parse(url.trim()).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("not a URL this channel can use: neither http nor https".into());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("not a URL: no host".into());
        }
        let masks = masks_of(&url);
        Ok(Self { url, masks })
    }

    /// The last part of its path: the method, where an API names methods so.
    pub(super) fn method(&self) -> &str {
        self.url.path().rsplit('/').next().unwrap_or_default()
    }

    /// The same address with another last part of its path.
    pub(super) fn with_method(&self, method: &str) -> Self {
        let mut other = self.clone();
        let path = self.url.path();
        let parent = &path[..path.len() - self.method().len()];
        other.url.set_path(&format!("{parent}{method}"));
        let own = masks_of(&other.url);
        other.masks.extend(&own);
        other
    }

    /// Keeps a secret that is sent in bodies out of everything that is shown.
    pub(super) fn hide(&mut self, secret: &Secret) {
        self.masks.add(secret.expose(), 3);
    }

    /// Whether it never leaves this machine.
    fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        is_loopback(host) || host.ends_with(".localhost")
    }
}

/// Scheme, host and port.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())?;
        self.url.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// How a request proves who it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authorization {
    /// `Authorization: <scheme> <credentials>`.
    Scheme { scheme: String, credentials: Secret },
    /// User and password.
    Basic { username: String, password: Secret },
}

/// How a receiver is spoken to, beside its address.
#[derive(Clone, Debug, Default)]
pub(super) struct HttpSettings {
    /// How we say who we are.
    pub(super) authorization: Option<Authorization>,
    /// More headers.
    pub(super) headers: Vec<Header>,
    /// How TLS is done, if it is written.
    pub(super) tls: Option<Tls>,
    /// Through whom.
    pub(super) proxy: Option<ProxySettings>,
    /// `HTTPS_PROXY` and the like are not followed.
    pub(super) ignores_environment: bool,
}

/// One more header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: Secret,
    pub(super) is_secret: bool,
}

/// A proxy.
#[derive(Clone, Debug)]
pub(super) struct ProxySettings {
    pub(super) url: Secret,
    /// Hosts and networks that are reached without it, as in `NO_PROXY`.
    pub(super) except: Option<String>,
}

impl HttpSettings {
    /// The client, and the headers it adds to every request. What must not be shown is added to `masks`.
    fn client(&self, is_loopback: bool, masks: &mut Masks) -> Result<Client, String> {
        install_tls_provider();
        let mut client = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
            .default_headers(self.headers(masks)?);
        if is_loopback || self.ignores_environment {
            client = client.no_proxy();
        }
        if let Some(tls) = &self.tls {
            client = client.tls_backend_preconfigured(ClientConfig::clone(&tls.config));
        }
        if let Some(ProxySettings { url, except }) = &self.proxy {
            let unfit = |_| "proxy_url: not a proxy's address".to_owned();
            let parsed = Url::parse(url.expose()).map_err(|_| "proxy_url: not a URL".to_owned())?;
            masks.add(parsed.username(), 3);
            masks.add(parsed.password().unwrap_or_default(), 3);
            let except = except.as_deref().and_then(NoProxy::from_string);
            client = client.proxy(Proxy::all(url.expose()).map_err(unfit)?.no_proxy(except));
        }
        client.build().map_err(|error| format!("HTTP client: {}", chain(error)))
    }

    fn headers(&self, masks: &mut Masks) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for Header { name, value, is_secret } in &self.headers {
            let unfit = |_| format!("header {name}: characters that no header can carry");
            let mut text = HeaderValue::from_str(value.expose()).map_err(unfit)?;
            if *is_secret {
                masks.add(value.expose(), 3);
                text.set_sensitive(true);
            }
            headers.append(name.clone(), text);
        }
        Ok(headers)
    }
}

/// The header that authorizes, if any: as configured, or else by the user info of the URL. Marks all forms of it that an
/// answer might repeat.
fn authorize(
    client: &Client,
    endpoint: &mut Endpoint,
    configured: Option<&Authorization>,
) -> Result<Option<HeaderValue>, String> {
    let mut request = client.post(endpoint.url.clone());
    // From now on the header stands for it; the URL would add a second one.
    let _ = endpoint.url.set_username("").and_then(|()| endpoint.url.set_password(None));
    match configured {
        Some(Authorization::Scheme { scheme, credentials }) => {
            endpoint.masks.add(credentials.expose(), 3);
            let value = format!("{scheme} {}", credentials.expose());
            request = client.post(endpoint.url.clone()).header(AUTHORIZATION, value);
        }
        Some(Authorization::Basic { username, password }) => {
            endpoint.masks.add(password.expose(), 3);
            let to = client.post(endpoint.url.clone());
            request = to.basic_auth(username, Some(password.expose()));
        }
        None => {}
    }
    let unfit = |_| "credentials: characters that no header can carry".to_owned();
    let request = request.build().map_err(unfit)?;
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok(None) };
    let text = String::from_utf8_lossy(header.as_bytes());
    let credentials = text.split_once(' ').map_or("", |(_, credentials)| credentials);
    endpoint.masks.add(&text, 3);
    endpoint.masks.add(credentials, 3);
    let mut header = header.clone();
    header.set_sensitive(true);
    Ok(Some(header))
}

/// The parts of a URL that may be secret: user info, path, longer path segments, query values.
fn masks_of(url: &Url) -> Masks {
    let mut masks = Masks::default();
    masks.add(url.as_str(), 1);
    masks.add(url.path(), 5);
    masks.add(url.username(), 3);
    masks.add(url.password().unwrap_or_default(), 3);
    masks.add(url.query().unwrap_or_default(), 3);
    for segment in url.path_segments().into_iter().flatten() {
        masks.add(segment, 8);
    }
    for (_, value) in url.query_pairs() {
        masks.add(&value, 3);
    }
    masks
}

/// A receiver's address with a client of its own: no receiver waits for another's connections.
pub(super) struct Poster {
    kind: &'static str,
    client: Client,
    endpoint: Endpoint,
    authorization: Option<HeaderValue>,
    max_answer_bytes: usize,
}

/// Kind and host only: the client holds nothing else worth seeing.
impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Poster({})", self.subject())
    }
}

impl Poster {
    /// A client for one receiver.
    pub(super) fn build(
        kind: &'static str,
        mut endpoint: Endpoint,
        settings: &HttpSettings,
    ) -> Result<Self, String> {
        let is_loopback = endpoint.is_loopback();
        let client = settings.client(is_loopback, &mut endpoint.masks)?;
        let authorization = authorize(&client, &mut endpoint, settings.authorization.as_ref())?;
        Ok(Self { kind, client, endpoint, authorization, max_answer_bytes: MAX_ANSWER_BYTES })
    }

    /// One that reads longer answers.
    pub(super) const fn reading(mut self, max_answer_bytes: usize) -> Self {
        self.max_answer_bytes = max_answer_bytes;
        self
    }

    /// Sends a JSON body and reads the beginning of the answer, all before `deadline`.
    pub(super) async fn post(
        &self,
        body: Vec<u8>,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Answer, DeliveryError> {
        let started = Instant::now();
        let mut request = self
            .client
            .post(self.endpoint.url.clone())
            .headers(headers)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let late = |what| {
            let waited = text::span(started.elapsed());
            self.failure(Cause::TimedOut, &format!("{what} within {waited}"))
        };
        let response = match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_timeout() => return Err(late("no connection")),
            Ok(Err(error)) => {
                return Err(self.failure(Cause::Unreachable, &chain(error)));
            }
            Err(_) => return Err(late("no answer")),
        };
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
        let (body, ending) = read_start(response, self.max_answer_bytes, deadline).await;
        Ok(Answer { status, retry_after, body, ending })
    }

    /// A failure without a status, told with the receiver as its subject.
    pub(super) fn failure(&self, cause: Cause, what: &str) -> DeliveryError {
        let what = text::line(&self.endpoint.masks.apply(what), 2 * MAX_EXCERPT_CHARS);
        DeliveryError::new(cause, format!("{}: {what}", self.subject()))
    }

    /// What an answer by status alone means: the table for channels without rules of their own.
    pub(super) fn judge(&self, answer: &Answer) -> Result<Delivered, DeliveryError> {
        match answer.status {
            200..=299 => Ok(Delivered::with_status(answer.status)),
            status => Err(self.refusal(answer, Cause::of_status(status))),
        }
    }

    /// The error for an answer, with an excerpt of its body.
    pub(super) fn refusal(&self, answer: &Answer, cause: Cause) -> DeliveryError {
        self.refusal_saying(answer, cause, &answer.text())
    }

    /// The error for an answer, with what it says, in the part of its body that is for people.
    pub(super) fn refusal_saying(
        &self,
        answer: &Answer,
        cause: Cause,
        says: &str,
    ) -> DeliveryError {
        let mut what = format!("status {}", answer.status);
        if matches!(answer.status, 300..=399) {
            what.push_str(" (redirects are not followed: configure the final address)");
        }
        let excerpt = text::line(&self.endpoint.masks.apply(says), MAX_EXCERPT_CHARS);
        if !excerpt.is_empty() {
            what = format!("{what}: {excerpt}");
        }
        let error = DeliveryError::new(cause, format!("{}: {what}", self.subject()));
        let retry_after = answer.retry_after.filter(|_| error.retryable);
        DeliveryError { status: Some(answer.status), retry_after, ..error }
    }

    fn subject(&self) -> String {
        format!("{} {}", self.kind, self.endpoint)
    }
}

/// The beginning of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// When to come back, if it said so.
    pub(super) retry_after: Option<Duration>,
    /// How the body ended.
    pub(super) ending: Ending,
    body: Vec<u8>,
}

impl Answer {
    #[cfg(test)]
    pub(super) fn for_test(status: u16, body: &str, ending: Ending) -> Self {
        Self { status, retry_after: None, body: body.into(), ending }
    }

    /// What was read of the body, with anything that is no text replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How far an answer's body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// To its end.
    Whole,
    /// To our limit.
    TooLong,
    /// Until it broke off or the deadline came.
    BrokenOff,
}

/// Reads at most `max_bytes` of a body.
async fn read_start(
    mut response: Response,
    max_bytes: usize,
    deadline: Instant,
) -> (Vec<u8>, Ending) {
    let mut body = Vec::new();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = max_bytes - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return (body, Ending::TooLong);
                }
            }
            Ok(Ok(None)) => return (body, Ending::Whole),
            Ok(Err(_)) | Err(_) => return (body, Ending::BrokenOff),
        }
    }
}

/// Retry-After in seconds or as a date; a date is taken relative to the answer's own `Date`, so that a clock that is
/// off, theirs or ours, does not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(secs) => Duration::try_from_secs_f64(secs).unwrap_or_default(),
        Err(_) => {
            let at = http_date(text)?;
            let now = headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?));
            at.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<SystemTime> {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    Some(PARSER.parse_timestamp(text).ok()?.into())
}

/// An error and its causes, without the URL.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = cause.source();
    }
    text
}

/// Programs install a provider at start; this covers those that forgot, and tests.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_shows_scheme_and_host_only() {
        let endpoint =
            Endpoint::parse("https://user:pass@hooks.slack.com:8443/services/T0/B0/xyz?token=1")
                .unwrap();
        assert_eq!(endpoint.to_string(), "https://hooks.slack.com:8443");
        assert_eq!(format!("{endpoint:?}"), "Endpoint(https://hooks.slack.com:8443)");
    }

    #[test]
    fn another_method_of_the_same_api_keeps_the_rest() {
        let url = "https://u:pass@slack.example/api/T012345678/chat.postMessage?key=abcdef";
        let post = Endpoint::parse(url).unwrap();
        let update = post.with_method("chat.update");
        assert_eq!((post.method(), update.method()), ("chat.postMessage", "chat.update"));
        assert_eq!(update.url.as_str(), url.replace("chat.postMessage", "chat.update"));
        assert_eq!(update.masks.apply("T012345678 /api/T012345678/chat.update"), "*** ***");
        assert_eq!(
            Endpoint::parse("http://h").unwrap().with_method("x").url.as_str(),
            "http://h/x"
        );
    }

    #[test]
    fn what_is_no_http_address_is_refused_without_being_quoted() {
        for text in ["", "hooks.slack.com/secret", "ftp://host/secret", "https:///", "http://"] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(error.starts_with("not a URL"), "{text:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, secs) in [
            ("1", Some(1.0)),
            ("0.5", Some(0.5)),
            ("86400", Some(3600.0)),
            ("-5", Some(0.0)),
            ("NaN", Some(0.0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60.0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            headers.insert(DATE, HeaderValue::from_static(date));
            assert_eq!(retry_after(&headers).map(|wait| wait.as_secs_f64()), secs, "{value:?}");
        }
    }

    #[test]
    fn secrets_are_masked_longest_first() {
        let endpoint =
            Endpoint::parse("https://h.example/services/T012345678?key=abcdef&x=1").unwrap();
        assert_eq!(
            endpoint.masks.apply("no /services/T012345678 or T012345678 with abcdef, id 1"),
            "no *** or *** with ***, id 1"
        );
    }
}

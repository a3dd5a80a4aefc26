//! One request, and why it failed: what, where, and what to do about it.
//!
//! Owns deadlines and the bound on answers. Never tries twice: whoever types a command sees the first failure.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use watchkeeper_config::Secret;

use super::pretty::pretty;

/// How we introduce ourselves.
const USER_AGENT: &str = concat!("watchkeeper/", env!("CARGO_PKG_VERSION"));

/// Longest wait for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// How much of a strange answer is shown.
const MAX_EXCERPT_CHARS: usize = 120;

/// A collector to ask.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    text: String,
    from: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Nobody is there.
    Unreachable { at: String, cause: String },
    /// Somebody is, and says nothing.
    TimedOut { at: String },
    /// The collector wants to know who asks.
    Unauthorized { at: String, said: String },
    /// What was asked for does not exist.
    NotFound { said: String },
    /// The question was wrong.
    Refused { parameter: String, said: String },
    /// The collector could not answer.
    Failed { at: String, status: u16, said: String },
    /// It is no collector that answers there, or one we don't understand.
    Strange { at: String, what: String },
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { at, cause } => write!(
                f,
                "no collector at {at}: {cause}\nstart one with `watchkeeper-collector --config FILE`, or say where it \
                 is with --url or WATCHKEEPER_URL"
            ),
            Self::TimedOut { at } => write!(
                f,
                "the collector at {at} did not answer within {} s\n{at}/readyz and its log may say what keeps it busy",
                TIMEOUT.as_secs()
            ),
            Self::Unauthorized { at, said } => write!(
                f,
                "the collector at {at} does not let you in: {said}\ngive a token with --token or WATCHKEEPER_TOKEN"
            ),
            Self::NotFound { said } => f.write_str(said),
            Self::Refused { parameter, said } if said.starts_with(parameter) => f.write_str(said),
            Self::Refused { parameter, said } => write!(f, "{parameter}: {said}"),
            Self::Failed { at, status, said } => {
                write!(f, "the collector at {at} failed with status {status}: {said}")
            }
            Self::Strange { at, what } => write!(
                f,
                "what answers at {at} does not speak like a collector: {what}\nlook at --url or WATCHKEEPER_URL"
            ),
        }
    }
}

impl std::error::Error for ApiError {}

impl Client {
    /// A client for the collector at `base`.
    pub(crate) fn build(base: Url, token: Option<Secret>) -> anyhow::Result<Self> {
        // An error only says that a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { http, base, token })
    }

    /// The collector's address, as a person would write it, without what may be secret in it.
    pub(crate) fn address(&self) -> String {
        let mut shown = self.base.clone();
        // Both refuse only URLs without a host, and ours has one.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.to_string().trim_end_matches('/').to_owned()
    }

    /// Asks for `path`, segments below the base, and takes success only.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<Answer, ApiError> {
        let answer = self.get_any(path, parameters).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(answer.refusal()) }
    }

    /// Asks for `path` and takes what comes, whatever its status.
    pub(crate) async fn get_any(
        &self,
        path: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<Answer, ApiError> {
        self.send(self.http.get(self.url(path, parameters))).await
    }

    /// Posts a body of JSON to `path` and takes success only, within `limit` where the usual one is too short.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: String,
        limit: Option<Duration>,
    ) -> Result<Answer, ApiError> {
        let request = self.http.post(self.url(path, &[])).body(body);
        let request = request.header("content-type", "application/json");
        let request = match limit {
            Some(limit) => request.timeout(limit),
            None => request,
        };
        let answer = self.send(request).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(answer.refusal()) }
    }

    /// Takes `path` away, and takes success only.
    pub(crate) async fn delete(
        &self,
        path: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<Answer, ApiError> {
        let answer = self.send(self.http.delete(self.url(path, parameters))).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(answer.refusal()) }
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Answer, ApiError> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await.map_err(|error| self.failure(error))?;
        let status = response.status();
        let text = self.body(response).await?;
        Ok(Answer { status, text, from: self.address() })
    }

    fn url(&self, path: &[&str], parameters: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.set_query(None);
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url
    }

    async fn body(&self, mut response: Response) -> Result<String, ApiError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let what = format!("its answer is larger than {} MiB", MAX_ANSWER_BYTES >> 20);
                return Err(ApiError::Strange { at: self.address(), what });
            }
            body.extend_from_slice(&chunk);
        }
        let strange = || ApiError::Strange { at: self.address(), what: "not UTF-8".to_owned() };
        String::from_utf8(body).map_err(|_| strange())
    }

    fn failure(&self, error: reqwest::Error) -> ApiError {
        let at = self.address();
        if error.is_timeout() {
            return ApiError::TimedOut { at };
        }
        let error = error.without_url();
        let mut root: &dyn std::error::Error = &error;
        while let Some(deeper) = root.source() {
            root = deeper;
        }
        ApiError::Unreachable { at, cause: root.to_string() }
    }
}

/// What the API says when it refuses.
#[derive(Default, Deserialize)]
struct Said {
    error: Option<String>,
    parameter: Option<String>,
}

impl Answer {
    /// Whether it is the answer to a question that went well.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The text as it came.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The JSON, one value per line, nothing else changed.
    pub(crate) fn pretty(&self) -> String {
        pretty(&self.text)
    }

    /// The answer as what it should be.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_str(&self.text).map_err(|error| {
            let what = format!("{error} in: {}", self.excerpt());
            ApiError::Strange { at: self.from.clone(), what }
        })
    }

    /// The same with another text.
    pub(super) fn with_text(&self, text: String) -> Self {
        Self { text, ..self.clone() }
    }

    fn refusal(&self) -> ApiError {
        let Said { error, parameter } = serde_json::from_str(&self.text).unwrap_or_default();
        let at = self.from.clone();
        let reason = self.status.canonical_reason().unwrap_or("no reason given");
        let is_ours = error.is_some();
        let parameter = parameter.unwrap_or_default();
        let said = error.unwrap_or_else(|| reason.to_lowercase());
        match self.status.as_u16() {
            401 | 403 => ApiError::Unauthorized { at, said },
            404 if is_ours => ApiError::NotFound { said },
            400 | 422 if is_ours => ApiError::Refused { parameter, said },
            status @ 500.. => ApiError::Failed { at, status, said },
            status => {
                let what = format!("status {status}: {}", self.excerpt());
                ApiError::Strange { at, what }
            }
        }
    }

    fn excerpt(&self) -> String {
        let line: String = self.text.chars().take(MAX_EXCERPT_CHARS).collect();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.len() < self.text.trim().len() { format!("{line}…") } else { line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, text: text.to_owned(), from: "http://h:1".to_owned() }
    }

    #[test]
    fn refusals_say_what_and_what_to_do() {
        for (status, text, said) in [
            (400, r#"{"error":"stat is missing","parameter":"stat"}"#, "stat is missing"),
            (400, r#"{"error":"at byte 3: x","parameter":"where"}"#, "where: at byte 3: x"),
            (400, r#"{"error":"no","parameter":null}"#, "no"),
            (404, r#"{"error":"there is no SLO x"}"#, "there is no SLO x"),
            (404, "<html>", "does not speak like a collector: status 404: <html>"),
            (401, "", "give a token with --token"),
            (403, r#"{"error":"role viewer"}"#, "does not let you in: role viewer"),
            (503, r#"{"error":"starting"}"#, "failed with status 503: starting"),
            (302, "", "does not speak like a collector"),
        ] {
            let shown = answer(status, text).refusal().to_string();
            assert!(shown.contains(said), "{status} {text}: {shown}");
        }
    }

    #[test]
    fn addresses_are_put_together_below_the_base() {
        for (base, expected) in [
            ("http://h:1", "http://h:1/api/v1/slos/a%20b%2Fc?text=x+%26+y"),
            ("https://u:p@h/deep/?q=1", "https://u:p@h/deep/api/v1/slos/a%20b%2Fc?text=x+%26+y"),
        ] {
            let client = Client::build(Url::parse(base).unwrap(), None).unwrap();
            let parameters = [("text", "x & y".to_owned())];
            let url = client.url(&["api", "v1", "slos", "a b/c"], &parameters);
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn the_address_shown_keeps_secrets() {
        let base = Url::parse("https://user:secret@h/deep/?token=secret").unwrap();
        assert_eq!(Client::build(base, None).unwrap().address(), "https://h/deep");
    }
}

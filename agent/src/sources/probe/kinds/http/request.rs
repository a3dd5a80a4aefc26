//! One request, and where a redirect leads.
//!
//! Owns what follows a redirect: the method as browsers have it (RFC 9110, 15.4), and that nothing secret goes to another
//! origin. Never sends anything.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderValue, LOCATION,
    USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use url::{Position, Url};
use watchkeeper_agent_core::probe::{Failure, Reason};

use super::config::{HttpProbe, OPEN_HEADERS};

/// Who asks.
const AGENT: &str = concat!("watchkeeper/", env!("CARGO_PKG_VERSION"));

/// What is asked next.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) url: Url,
    pub(super) method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    /// The first request.
    pub(super) fn of(probe: &HttpProbe) -> Self {
        let mut headers = probe.header_map();
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let body = probe.body.as_ref().map(|body| Bytes::from(body.expose().to_owned()));
        Self {
            url: probe.url.clone(),
            method: probe.method.clone(),
            headers,
            body: body.unwrap_or_default(),
        }
    }

    /// Host and port, without brackets.
    pub(super) fn host(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        (host, self.url.port_or_known_default().unwrap_or(80))
    }

    /// Whether it goes to where the other one goes.
    pub(super) fn is_beside(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    /// As it is sent in this version.
    pub(super) fn message(&self, version: Version) -> Result<Request<Full<Bytes>>, Failure> {
        let unfit = || {
            let what = "the URL can't be sent: it holds what no request line can";
            Failure::new(Reason::Unable, what)
        };
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        let own = &self.url[Position::BeforeHost..Position::AfterPort];
        let given = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = given.unwrap_or(own);
        let is_two = version == Version::HTTP_2;
        let uri = Uri::builder().path_and_query(path);
        // Version 2 has the host in the target, and no header for it.
        let uri = if is_two { uri.scheme(self.url.scheme()).authority(authority) } else { uri };
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.build().map_err(|_| unfit())?;
        *request.version_mut() = version;
        let host = HeaderValue::from_str(authority).map_err(|_| unfit())?;
        *request.headers_mut() = self.headers.clone();
        if is_two {
            request.headers_mut().remove(HOST);
        } else {
            request.headers_mut().insert(HOST, host);
        }
        Ok(request)
    }

    /// Goes on to where the answer says; `None` if it is no redirect.
    pub(super) fn follow(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Result<(), Failure>> {
        let leads = [301, 302, 303, 307, 308].contains(&status.as_u16());
        let location = headers.get(LOCATION).filter(|_| leads)?;
        let wrong =
            || Failure::new(Reason::Protocol, "it redirects to what is no http:// or https:// URL");
        let url = location.to_str().ok().and_then(|text| self.url.join(text).ok());
        let Some(url) = url.filter(|url| ["http", "https"].contains(&url.scheme())) else {
            return Some(Err(wrong()));
        };
        let becomes_get = match status.as_u16() {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            self.headers.remove(CONTENT_TYPE);
            self.headers.remove(CONTENT_LENGTH);
        }
        if !self.is_beside(&url) {
            if !self.body.is_empty() {
                let to = url.origin().ascii_serialization();
                let what = format!(
                    "it redirects to {to}, where no body is sent: probe that URL, or set `redirects: 0`"
                );
                return Some(Err(Failure::new(Reason::Unable, what)));
            }
            self.leave_secrets();
        }
        self.url = url;
        Some(Ok(()))
    }

    /// Another origin gets no password, no cookie, and no header whose value may be either.
    fn leave_secrets(&mut self) {
        let kept: HeaderMap = self
            .headers
            .iter()
            .filter(|(name, _)| OPEN_HEADERS.contains(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        debug_assert!(!kept.contains_key(AUTHORIZATION) && !kept.contains_key(COOKIE));
        self.headers = kept;
    }
}

//! The `http:` section of a probe.
//!
//! Owns its keys, and the names its conditions know. Never asks.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{HeaderMap, Method};
use url::Url;
use watchkeeper_agent_core::probe::{Carried, Expectations, Failure, Fill, Reason};
use watchkeeper_config::{Fields, Located, Node, Reader, Secret, read};
use watchkeeper_expr::Type;
use watchkeeper_model::Masks;

use super::prober::HttpProber;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober, SHORTEST_SECRET};
use crate::sources::probe::net::{Tls, read_address, read_tls, warn_of_clear_text};

/// Headers whose values are no secrets; they go with a redirect to another origin, and may be told.
pub(super) const OPEN_HEADERS: [HeaderName; 3] = [USER_AGENT, ACCEPT, CONTENT_TYPE];

/// How much of a body is read if nothing else is said.
const MAX_BODY: u64 = 1 << 20;

/// The most that may be asked for: it lies in memory, and other probes wait while it is looked through.
const MOST_BODY: u64 = 16 << 20;

/// Redirects that are followed if nothing else is said.
const REDIRECTS: i64 = 5;

/// An HTTP request, and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct HttpProbe {
    pub(super) url: Url,
    /// As it is written, for what is carried into it.
    pub(super) url_text: String,
    pub(super) method: Method,
    pub(super) headers: Vec<(HeaderName, Secret)>,
    pub(super) body: Option<Secret>,
    pub(super) version: Version,
    pub(super) redirects: u32,
    /// Bytes of the answer's body that are read.
    pub(super) max_body: usize,
    /// Where to connect instead of where the name leads.
    pub(super) address: Option<IpAddr>,
    pub(super) tls: Tls,
    /// Whether a connection is kept for the next attempt.
    pub(super) reuse: bool,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Version {
    /// 2 if the other side offers it with TLS, else 1.1.
    #[default]
    Best,
    /// 1.1.
    One,
    /// 2, also without TLS.
    Two,
}

impl ProbeKind for HttpProbe {
    const TAG: &'static str = "http";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("status", Type::Int),
        ("body", Type::String),
        ("json", Type::Json),
        ("headers", Type::Json),
        ("version", Type::String),
        ("url", Type::String),
        ("redirects", Type::Int),
        ("tls", Type::String),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
        ("certificate.chain_expires_in", Type::Duration),
    ];

    const USUAL: &'static [(&'static str, &'static str)] =
        &[("status", "status >= 200 && status < 400")];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let keys = [
            "url",
            "method",
            "headers",
            "auth",
            "body",
            "version",
            "redirects",
            "max_body",
            "address",
            "tls",
            "reuse",
        ];
        node.fields(reader, &keys, |f| {
            let url = f.required("url", read_url);
            let url_node = f.node("url").filter(|_| url.is_some());
            let url_text = url_node.and_then(|node| read::string(node, f.reader()));
            let body = f.optional("body", read::secret);
            let usual = if body.is_some() { Method::POST } else { Method::GET };
            let method = f.or("method", usual, read_method);
            let headers = read_headers(f);
            let versions = [("1.1", Version::One), ("2", Version::Two)];
            let version = f.or("version", Version::Best, read::choice(&versions));
            let redirects = f.or("redirects", REDIRECTS, read::integer(0..=20));
            let max_body = f.or("max_body", MAX_BODY, read::size_in(1..=MOST_BODY));
            let address = f.optional("address", read_address);
            let has_tls = f.has("tls");
            let tls = f.or("tls", Tls::default(), read_tls);
            let reuse = f.or("reuse", false, read::bool);
            let url = url?;
            if let ("http", Some(host)) = (url.value.scheme(), url.value.host_str()) {
                let host = address.map_or_else(|| host.to_owned(), |a: IpAddr| a.to_string());
                warn_of_clear_text(f, "auth", &host, "write https:// if the server speaks TLS");
            }
            if has_tls && url.value.scheme() == "http" {
                f.reader()
                    .error(&url.place, "`tls` is given, but the URL begins with http://")
                    .help("write https://, or leave `tls` out");
            }
            Some(Self {
                url: url.value,
                url_text: url_text?,
                method,
                headers: headers?,
                body,
                version,
                redirects: u32::try_from(redirects).ok()?,
                max_body: usize::try_from(max_body).ok()?,
                address,
                tls,
                reuse,
            })
        })
    }

    fn target(&self) -> String {
        shown(&self.url)
    }

    fn secrets(&self) -> Masks {
        let mut masks = Masks::default();
        let is_open = |name: &HeaderName| OPEN_HEADERS.contains(name) || name == HOST;
        for (_, value) in self.headers.iter().filter(|(name, _)| !is_open(name)) {
            let value = value.expose();
            masks.add(value, SHORTEST_SECRET);
            // `Bearer SECRET`
            masks.add(value.rsplit(' ').next().unwrap_or_default(), SHORTEST_SECRET);
        }
        self.body.iter().for_each(|body| masks.add(body.expose(), SHORTEST_SECRET));
        masks.add(self.url.query().unwrap_or_default(), SHORTEST_SECRET);
        for (_, value) in self.url.query_pairs() {
            // Short ones are words rather than secrets.
            masks.add(&value, 2 * SHORTEST_SECRET);
        }
        masks
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(HttpProber::new(self.clone(), expectations))
    }
}

/// A URL as it may be told: what stands behind `?` may be a secret.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    if shown.query().is_some() {
        shown.set_query(Some("…"));
        return shown.as_str().replace("?%E2%80%A6", "?…");
    }
    shown.into()
}

fn read_url(node: &Node, reader: &mut Reader<'_>) -> Option<Located<Url>> {
    let text = read::url(node, reader)?;
    let problem = match Url::parse(&text) {
        Ok(url) if !["http", "https"].contains(&url.scheme()) => {
            "the URL is no http:// or https://"
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            reader.hide(node.place());
            reader
                .error(node.place(), "the URL holds a user or a password")
                .help("write auth: {user: NAME, password: {env: NAME}}");
            return None;
        }
        Ok(value) => return Some(Located { value, place: node.place().clone() }),
        Err(_) => "this is no URL",
    };
    reader.error(node.place(), problem).help("such as https://shop.example/health");
    None
}

fn read_method(node: &Node, reader: &mut Reader<'_>) -> Option<Method> {
    let text = read::string(node, reader)?;
    let parsed = Method::from_bytes(text.as_bytes());
    match parsed {
        Ok(method) if method != Method::CONNECT => Some(method),
        _ => {
            reader
                .error(node.place(), "this is no method that can be asked with")
                .help("such as GET, HEAD, POST; they are written in capitals");
            None
        }
    }
}

/// `headers:` and `auth:`.
fn read_headers(f: &mut Fields<'_, '_, '_>) -> Option<Vec<(HeaderName, Secret)>> {
    let given = f.optional("headers", read::map_of(read::secret)).unwrap_or_default();
    let mut headers = Vec::new();
    for (name, value) in given {
        let parsed = HeaderName::from_bytes(name.value.as_bytes());
        let fits = HeaderValue::from_str(value.expose()).is_ok();
        match parsed {
            Ok(name) if fits => headers.push((name, value)),
            _ => {
                let reader = f.reader();
                reader
                    .error(&name.place, "this is no header that can be sent")
                    .help("names have letters, digits and `-`; values have no line ends");
                return None;
            }
        }
    }
    if let Some(auth) = f.optional("auth", read_auth) {
        headers.push((AUTHORIZATION, auth));
    }
    Some(headers)
}

/// `{bearer: SECRET}` or `{user: NAME, password: SECRET}`.
fn read_auth(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    node.fields(reader, &["bearer", "user", "password"], |f| {
        let bearer = f.optional("bearer", read::secret);
        let user = f.optional("user", read::string);
        let password = f.optional("password", read::secret);
        let value = match (bearer, user, password) {
            (Some(token), None, None) => format!("Bearer {}", token.expose()),
            (None, Some(user), Some(password)) => {
                let both = format!("{user}:{}", password.expose());
                format!("Basic {}", STANDARD.encode(both))
            }
            _ => {
                let place = f.place().clone();
                f.reader()
                    .error(&place, "it is not said how to log in")
                    .help("write {bearer: {env: NAME}}, or {user: NAME, password: {env: NAME}}");
                return None;
            }
        };
        if HeaderValue::from_str(&value).is_err() {
            let place = f.place().clone();
            f.reader().error(&place, "the token or password holds what no header can");
            return None;
        }
        Some(Secret::new(value))
    })
}

impl HttpProbe {
    /// What of it is sent: places for what is carried may be in each.
    pub(in super::super) fn texts(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().map(|(_, value)| value.expose());
        let body = self.body.iter().map(Secret::expose);
        std::iter::once(self.url_text.as_str()).chain(headers).chain(body)
    }

    /// Scheme, host and port.
    pub(in super::super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The same with what an earlier step carries.
    pub(super) fn carrying(&self, carried: &Carried) -> Result<Self, Failure> {
        let unfit = |what: &str| Failure::new(Reason::Expect, what.to_owned());
        let url = Url::parse(&carried.fill(&self.url_text, Fill::Encoded))
            .map_err(|_| unfit("what is carried makes no URL"))?;
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let value = carried.fill(value.expose(), Fill::AsItIs);
            HeaderValue::from_str(&value).map_err(|_| unfit("what is carried fits no header"))?;
            headers.push((name.clone(), Secret::new(value)));
        }
        let body = self.body.as_ref().map(|body| carried.fill(body.expose(), Fill::AsItIs));
        Ok(Self { url, headers, body: body.map(Secret::new), ..self.clone() })
    }

    /// What is sent with each request to where it was meant for.
    pub(super) fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_str(value.expose())
                .expect("a header that can't be sent was refused when it was read");
            value.set_sensitive(true);
            map.append(name.clone(), value);
        }
        map
    }
}

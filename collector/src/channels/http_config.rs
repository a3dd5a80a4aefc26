//! What HTTP channels have in common in configuration: an address that is a secret, credentials, headers, TLS, a proxy, a
//! timeout.
//!
//! Owns the reading of these keys of Alertmanager's schema. Never opens a connection.

use std::time::Duration;

use reqwest::Proxy;
use reqwest::header::{HeaderName, HeaderValue};
use watchkeeper_config::{Fields, Located, Node, Reader, Secret, read};

use super::http::{Authorization, Endpoint, Header, HttpSettings, ProxySettings};
use super::tls::Tls;

/// How long one attempt may take unless configured.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest timeout: a receiver that needs more is down.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// A secret that stands under `key`, or in the file that `file_key` names.
pub(super) fn secret_or_file(
    f: &mut Fields<'_, '_, '_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<Located<Secret>> {
    let direct = f.optional(key, read::located(read::secret));
    let from_file = f.optional(file_key, read::located(read::secret_file));
    if let (Some(_), Some(file)) = (&direct, &from_file) {
        f.reader()
            .error(&file.place, format!("`{key}` and `{file_key}` are both given"))
            .help("leave one of them out");
    }
    direct.or(from_file)
}

/// `timeout`, where 0 stands for the default as in Alertmanager.
pub(super) fn timeout(f: &mut Fields<'_, '_, '_>) -> Duration {
    let given = f.or("timeout", DEFAULT_TIMEOUT, read::duration_in(Duration::ZERO..=MAX_TIMEOUT));
    if given.is_zero() { DEFAULT_TIMEOUT } else { given }
}

/// The endpoint behind a secret URL; a problem names where it stands and never quotes it.
pub(super) fn endpoint(url: &Located<Secret>, reader: &mut Reader<'_>) -> Option<Endpoint> {
    Endpoint::parse(url.value.expose())
        .map_err(|problem| {
            reader.error(&url.place, problem).help("such as https://hooks.example.com/path");
        })
        .ok()
}

/// Headers that are ours or the connection's to set.
const OUR_HEADERS: [&str; 8] = [
    "authorization",
    "content-length",
    "content-type",
    "host",
    "connection",
    "transfer-encoding",
    "webhook-id",
    "webhook-signature",
];

/// Most headers of one receiver, and values of one header.
const MAX_HEADERS: usize = 50;

/// `http_config`: the part of it that makes sense here.
pub(super) fn http_config(node: &Node, reader: &mut Reader<'_>) -> Option<HttpSettings> {
    const KEYS: &[&str] = &[
        "authorization",
        "basic_auth",
        "bearer_token",
        "bearer_token_file",
        "http_headers",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "follow_redirects",
        "enable_http2",
    ];
    node.fields(reader, KEYS, |f| {
        let scheme = f.optional("authorization", authorization);
        let basic = f.optional("basic_auth", basic_auth);
        let bearer = secret_or_file(f, "bearer_token", "bearer_token_file").map(|token| {
            Authorization::Scheme { scheme: "Bearer".into(), credentials: token.value }
        });
        let _ = f.optional("follow_redirects", read::bool);
        let _ = f.optional("enable_http2", read::bool);
        let given: Vec<Authorization> = [scheme, basic, bearer].into_iter().flatten().collect();
        if given.len() > 1 {
            let place = f.place().clone();
            f.reader()
                .error(&place, "more than one way to authorize")
                .help("leave one of `authorization`, `basic_auth` and `bearer_token`");
        }
        Some(HttpSettings {
            authorization: given.into_iter().next(),
            headers: f.or("http_headers", Vec::new(), headers),
            tls: f.optional("tls_config", tls),
            proxy: proxy(f),
            ignores_environment: !f.or("proxy_from_environment", true, read::bool),
        })
    })
}

/// `http_headers` of Prometheus' HTTP clients: `{NAME: {values: […], secrets: […], files: […]}}`.
fn headers(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Header>> {
    let entries = read::map_of(header)(node, reader)?;
    let mut headers = Vec::new();
    for (Located { value: name, place }, values) in entries {
        match HeaderName::try_from(name.as_str()) {
            Ok(known) if OUR_HEADERS.contains(&known.as_str()) => {
                reader
                    .error(&place, format!("the header `{name}` can't be set here"))
                    .help("for credentials use `authorization`; the others are set by Watchkeeper");
            }
            Ok(name) => headers.extend(values.into_iter().map(|(value, is_secret)| Header {
                name: name.clone(),
                value,
                is_secret,
            })),
            Err(_) => {
                reader.error(&place, format!("`{name}` can't be the name of a header"));
            }
        }
    }
    if headers.len() > MAX_HEADERS {
        reader.error(node.place(), format!("more than {MAX_HEADERS} headers"));
    }
    Some(headers)
}

/// The values of one header, each with whether it is secret.
fn header(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<(Secret, bool)>> {
    let plain = |node: &Node, reader: &mut Reader<'_>| read::text(node, reader).map(Secret::new);
    node.fields(reader, &["values", "secrets", "files"], |f| {
        let values = f.list("values", read::located(plain));
        let mut secrets = f.list("secrets", read::located(read::secret));
        secrets.extend(f.list("files", read::located(read::secret_file)));
        if values.is_empty()
            && secrets.is_empty()
            && !["values", "secrets", "files"].iter().any(|key| f.has(key))
        {
            let place = f.place().clone();
            f.reader()
                .error(&place, "the header has no value")
                .help("such as {values: [text]}, {secrets: [{env: NAME}]} or {files: [PATH]}");
        }
        for value in values.iter().chain(&secrets) {
            if HeaderValue::from_str(value.value.expose()).is_err() {
                f.reader().error(&value.place, "characters that no header can carry");
            }
        }
        let values = values.into_iter().map(|value| (value.value, false));
        Some(values.chain(secrets.into_iter().map(|value| (value.value, true))).collect())
    })
}

fn tls(node: &Node, reader: &mut Reader<'_>) -> Option<Tls> {
    let tls = Tls::read(node, reader)?;
    if let (Some(_), Some(name)) = (&tls.server_name, node.get("server_name")) {
        reader
            .error(name.place(), "`server_name` is not followed for HTTP")
            .help("put the name of the certificate into the address");
    }
    Some(tls)
}

/// `proxy_url`, and in `no_proxy` who is reached without it.
fn proxy(f: &mut Fields<'_, '_, '_>) -> Option<ProxySettings> {
    let url = f.optional("proxy_url", read::located(read::secret));
    let except = f.optional("no_proxy", read::located(read::string));
    if let (Some(except), false) = (&except, f.has("proxy_url")) {
        f.reader().error(&except.place, "`no_proxy` is useless without `proxy_url`");
    }
    let (url, except) = (url?, except.map(|except| except.value));
    if Endpoint::parse(url.value.expose()).is_err() || Proxy::all(url.value.expose()).is_err() {
        f.reader().error(&url.place, "not a proxy's address").help("such as http://proxy:3128");
        return None;
    }
    Some(ProxySettings { url: url.value, except })
}

fn authorization(node: &Node, reader: &mut Reader<'_>) -> Option<Authorization> {
    node.fields(reader, &["type", "credentials", "credentials_file"], |f| {
        let scheme = f.or("type", "Bearer".to_owned(), read::string);
        let credentials = secret_or_file(f, "credentials", "credentials_file");
        if credentials.is_none() {
            let place = f.place().clone();
            f.reader().error(&place, "`credentials` is missing").help("or `credentials_file`");
        }
        Some(Authorization::Scheme { scheme, credentials: credentials?.value })
    })
}

fn basic_auth(node: &Node, reader: &mut Reader<'_>) -> Option<Authorization> {
    node.fields(reader, &["username", "password", "password_file"], |f| {
        let username = f.required("username", read::string);
        let password = secret_or_file(f, "password", "password_file");
        let password = password.map_or_else(|| Secret::new(""), |secret| secret.value);
        Some(Authorization::Basic { username: username?, password })
    })
}

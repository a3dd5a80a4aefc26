//! What HTTP channels have in common in configuration: an address that is a secret, credentials, a timeout.
//!
//! Owns the reading of these keys of Alertmanager's schema. Never opens a connection.

use std::time::Duration;

use watchkeeper_config::{Fields, Located, Node, Reader, Secret, read};

use super::http::{Authorization, Endpoint};

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
    let from_file = f.optional(file_key, read::located(secret_in_file));
    if let (Some(_), Some(file)) = (&direct, &from_file) {
        f.reader()
            .error(&file.place, format!("`{key}` and `{file_key}` are both given"))
            .help("leave one of them out");
    }
    direct.or(from_file)
}

/// The content of the file that is named here, without the line break at its end.
fn secret_in_file(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    let path = read::path(node, reader)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => {
            reader.error(node.place(), format!("{}: {error}", path.display()));
            None
        }
    }
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

/// `http_config`: the part of it that makes sense here.
pub(super) fn http_config(node: &Node, reader: &mut Reader<'_>) -> Option<Option<Authorization>> {
    const KEYS: &[&str] = &[
        "authorization",
        "basic_auth",
        "bearer_token",
        "bearer_token_file",
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
        Some(given.into_iter().next())
    })
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

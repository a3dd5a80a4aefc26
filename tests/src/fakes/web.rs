//! A web server whose paths say how it behaves: `/status/404`, `/chain/7`, `/endless`, `/hang/body` and so on.
//!
//! Owns those paths, in clear and by TLS. A connection carries one request. Remembers nothing.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::loopback::{read_to_end, serve};

/// How fast a server drips that never comes to an end: often enough that nobody can call it silent.
const DRIP: Duration = Duration::from_millis(50);

/// Between two pieces of what is endless: fast, and still not all of a processor.
const POUR: Duration = Duration::from_millis(1);

/// What `/json` answers.
pub const HEALTHY: &str = "{\"status\":\"healthy\"}";

/// `ann:hunter2`, as a login says it (RFC 7617).
const LOGIN: &str = "authorization: basic yw5uomh1bnrlcji=";

/// Starts one, which takes TLS if something to take it with is given.
///
/// # Errors
/// If nothing can listen.
pub async fn web(tls: Option<TlsAcceptor>) -> anyhow::Result<SocketAddr> {
    serve(move |stream| {
        let tls = tls.clone();
        async move {
            // Who goes away in the middle has got what it came for.
            let _ = match tls {
                None => answer(stream).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream).await,
                    Err(error) => Err(error),
                },
            };
        }
    })
    .await
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<()> {
    let head = head(&mut stream).await?;
    let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (kind, rest) = path.split_once('/').unwrap_or((path, ""));
    let whole = match (kind, rest) {
        ("status", status) => said(status, "", "ok"),
        ("json", _) => said("200", "X-Shop: open\r\n", HEALTHY),
        ("to", path) => moved(path),
        ("loop", _) => moved("loop"),
        ("chain", "0") => said("200", "", "ok"),
        ("chain", n) => moved(&format!("chain/{}", n.parse::<u32>().unwrap_or(1) - 1)),
        ("login", _) if head.to_lowercase().contains(LOGIN) => said("200", "", "ok"),
        ("login", _) => said("401", "WWW-Authenticate: Basic realm=\"shop\"\r\n", "who is it?"),
        ("slow", ms) => {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or_default())).await;
            said("200", "", "ok")
        }
        ("cut", _) => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_owned(),
        ("banner", _) => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        ("close", _) => String::new(),
        ("endless" | "hang", how) => return without_end(stream, kind, how).await,
        _ => said("404", "", "no such path"),
    };
    stream.write_all(whole.as_bytes()).await?;
    stream.shutdown().await?;
    // What was not read would turn the end into a reset.
    read_to_end(&mut stream).await;
    Ok(())
}

/// `/endless`, `/hang/first_byte`, `/hang/head`, `/hang/body`.
async fn without_end<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    kind: &str,
    how: &str,
) -> std::io::Result<()> {
    if kind == "endless" {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'z'; 16 << 10]).await?;
            tokio::time::sleep(POUR).await;
        }
    }
    let (begun, drop) = match how {
        "head" => ("HTTP/1.1 200 OK\r\n", "X-More: to come\r\n"),
        "body" => ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x"),
        _ => {
            read_to_end(&mut stream).await;
            return Ok(());
        }
    };
    stream.write_all(begun.as_bytes()).await?;
    loop {
        stream.write_all(drop.as_bytes()).await?;
        tokio::time::sleep(DRIP).await;
    }
}

/// A request's head, up to the empty line.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

fn moved(path: &str) -> String {
    said("302", &format!("Location: /{path}\r\n"), "")
}

fn said(status: &str, headers: &str, body: &str) -> String {
    // These have no body, whatever is said of its length (RFC 9112, 6.3).
    let body = if matches!(status, "204" | "304") { "" } else { body };
    let length =
        if status == "204" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} X\r\n{headers}{length}Connection: close\r\n\r\n{body}")
}

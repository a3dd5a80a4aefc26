//! Servers of protocols made of lines: one with a banner, one that answers `PING`, a mail server that goes over to TLS or not.
//!
//! Owns what they say. Remembers nothing.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_rustls::TlsAcceptor;

use super::loopback::{read_to_end, serve};

/// Says what it is and waits, as SSH does.
///
/// # Errors
/// If nothing can listen.
pub async fn ssh() -> anyhow::Result<SocketAddr> {
    serve(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        read_to_end(&mut stream).await;
    })
    .await
}

/// Answers `PING` as Redis does, and anything else with an error; closes after `QUIT`.
///
/// # Errors
/// If nothing can listen.
pub async fn redis() -> anyhow::Result<SocketAddr> {
    serve(|mut stream| async move {
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = if line == "PING" { "+PONG\r\n" } else { "-ERR unknown\r\n" };
            if writer.write_all(answer.as_bytes()).await.is_err() || line == "QUIT" {
                break;
            }
        }
    })
    .await
}

/// A mail server that answers `STARTTLS` with `consent`, and takes TLS if that begins with 220 (RFC 3207).
///
/// # Errors
/// If nothing can listen.
pub async fn smtp(consent: &'static str, tls: TlsAcceptor) -> anyhow::Result<SocketAddr> {
    serve(move |mut stream| {
        let tls = tls.clone();
        async move {
            let (reader, mut writer) = stream.split();
            let mut lines = BufReader::new(reader).lines();
            let _ = writer.write_all(b"220 mail.test ESMTP\r\n").await;
            let _ = lines.next_line().await;
            let _ = writer.write_all(b"250-mail.test\r\n250 STARTTLS\r\n").await;
            let _ = lines.next_line().await;
            let _ = writer.write_all(consent.as_bytes()).await;
            if !consent.starts_with("220") {
                return read_to_end(&mut stream).await;
            }
            if let Ok(mut stream) = tls.accept(stream).await {
                read_to_end(&mut stream).await;
            }
        }
    })
    .await
}

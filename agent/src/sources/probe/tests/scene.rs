//! What tests of probes share: settings out of YAML, one attempt, and servers that do what a test says.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use watchkeeper_agent_core::probe::{Finding, Reason, Schedule};
use watchkeeper_config::{Reader, load_str};

use super::super::config::ProbeSourceSettings;
use super::super::kinds::Prober;
use super::super::run::Asker;
use crate::sources::{Beside, Wakes, read};

/// Settings of a probe, or all that is wrong with them.
pub(super) fn settings(yaml: &str) -> Result<ProbeSourceSettings, String> {
    settings_and_warnings(yaml).map(|(settings, _)| settings)
}

/// The same, and what it is warned of.
pub(super) fn settings_and_warnings(yaml: &str) -> Result<(ProbeSourceSettings, String), String> {
    let mut reader = Reader::new(&|name: &str| (name == "TOKEN").then(|| "hunter2".to_owned()));
    let config = load_str("probe", yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (config, warnings) = reader.finish(config).map_err(|problems| problems.render())?;
    let settings = config.settings.as_kind::<ProbeSourceSettings>().unwrap().clone();
    Ok((settings, warnings.render()))
}

/// Somebody who asks, for one attempt after the other.
pub(super) struct Attempts {
    asker: Asker,
    prober: Box<dyn Prober>,
}

impl Attempts {
    /// Of a probe whose keys, besides name and service, are these. Without a `timeout` it has patience: tests run beside others.
    pub(super) fn of(keys: &str) -> Self {
        let patient = if keys.contains("timeout:") { "" } else { "timeout: 10s, " };
        let keys = format!("{patient}{keys}");
        let settings = settings(&format!("probe: {{name: home, service: shop, {keys}}}")).unwrap();
        let head = &settings.head;
        let asker = Asker {
            name: head.name.clone(),
            schedule: Schedule::new(&head.name, "", head.every),
            target: settings.target.clone(),
            expectations: settings.expectations.clone(),
            masks: settings.target.secrets(),
            findings: mpsc::channel(1).0,
            soon: Beside::new(Wakes::new().waker()).soon(),
        };
        let prober = settings.target.open(&settings.expectations);
        Self { asker, prober }
    }

    pub(super) async fn next(&mut self) -> Finding {
        self.asker.attempt(&mut self.prober).await.finding
    }
}

/// One attempt.
pub(super) async fn attempt(keys: &str) -> Finding {
    Attempts::of(keys).next().await
}

/// One attempt's reason and what is told of it.
pub(super) async fn told(keys: &str) -> (Reason, String) {
    let judged = attempt(keys).await.judged;
    (judged.reason, judged.why)
}

/// A server that does this with each connection, as long as the test runs.
pub(super) async fn serve<F, W>(with: F) -> SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(with(stream));
        }
    });
    address
}

/// A server that reads a request's head and then says just this, and closes.
pub(super) async fn saying(answer: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        // What was not read would turn the end into a reset.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Reads up to an empty line; what it was.
pub(super) async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A file of the tests' certificates, made for 100 years but `expired`, all by `ca`.
pub(super) fn testdata(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sources/probe/testdata")).join(name)
}

/// Takes TLS with this certificate; speaks these protocols.
pub(super) fn acceptor(name: &str, protocols: &[&str]) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(testdata(&format!("{name}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(testdata(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

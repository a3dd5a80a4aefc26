//! Asking the programs over HTTP.
//!
//! Owns one client. Never retries: [`super::eventually`] does.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy();
        builder.build().expect("a client without certificates of its own can be built")
    })
}

/// A page as text, whatever its status.
///
/// # Errors
/// If nobody answers.
pub async fn get_text(url: &str) -> anyhow::Result<(u16, String)> {
    let answer = client().get(url).send().await.with_context(|| url.to_owned())?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// A page as JSON.
///
/// # Errors
/// If nobody answers, the status is not 200, or it is no JSON.
pub async fn get_json(url: &str) -> anyhow::Result<Value> {
    let (status, text) = get_text(url).await?;
    anyhow::ensure!(status == 200, "{url}: status {status}: {text}");
    serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))
}

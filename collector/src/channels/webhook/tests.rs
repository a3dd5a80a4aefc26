//! The webhook against those who check what they are sent.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::channels::email::fake::{CERTIFICATE, acceptor};
use crate::channels::fakes::receiver::{Answer, Flavour, Receiver};
use crate::channels::fakes::signed::Signed;
use crate::channels::registry::tests::receiver;
use crate::channels::{Cause, Channel, Delivered, DeliveryError, samples};

/// 32 bytes, in base64.
const KEY: &str = "c2lnbmluZy1zZWNyZXQtc2lnbmluZy1zZWNyZXQtMTI=";
const OLD_KEY: &str = "b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ=";

fn webhook(keys: &str) -> std::sync::Arc<dyn Channel> {
    let settings = receiver(&format!("name: hook\nwebhook_configs: [{{{keys}}}]\n"), Some(true));
    assert!(!format!("{settings:?}").contains(KEY), "{settings:?}");
    settings.integrations[0].build().unwrap().channel
}

async fn tell(channel: &dyn Channel) -> Result<Delivered, DeliveryError> {
    channel.deliver(&samples::slo_page(), Instant::now() + Duration::from_secs(20)).await
}

#[tokio::test]
async fn a_listener_that_checks_takes_what_is_signed_with_one_of_several_secrets() {
    let signed = Signed::start(KEY).await.unwrap();
    let url = signed.receiver.url("/hook");
    for (sentence, secrets, status) in [
        ("its secret", format!("signing_secrets: [whsec_{KEY}]"), Ok(Some(204))),
        ("among others", format!("signing_secrets: [whsec_{OLD_KEY}, whsec_{KEY}]"), Ok(Some(204))),
        ("another secret", format!("signing_secrets: [whsec_{OLD_KEY}]"), Err(Some(401))),
        ("no secret", String::new(), Err(Some(401))),
    ] {
        let channel = webhook(&format!("url: '{url}', {secrets}"));
        let result = tell(&*channel).await;
        let result = result.map(|taken| taken.status).map_err(|error| error.status);
        assert_eq!(result, status, "{sentence}");
    }
}

#[tokio::test]
async fn the_id_stays_the_same_over_retries_and_differs_between_deliveries() {
    let signed = Signed::start(KEY).await.unwrap();
    let url = signed.receiver.url("/hook");
    let channel = webhook(&format!("url: '{url}', signing_secrets: [whsec_{KEY}]"));
    signed.receiver.script([Answer::Status(503, "later".into()), Answer::Lost]);
    for is_taken in [false, false, true] {
        assert_eq!(tell(&*channel).await.is_ok(), is_taken);
    }
    let ids: std::collections::BTreeSet<String> = signed
        .receiver
        .requests()
        .iter()
        .map(|request| request.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let deadline = Instant::now() + Duration::from_secs(20);
    channel.deliver(&samples::slo_close(), deadline).await.unwrap();
    assert_eq!(signed.taken.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn headers_of_ones_own_are_sent_and_the_secret_ones_are_masked() {
    let hook = Receiver::start(Flavour::Webhook).await.unwrap();
    let channel = webhook(&format!(
        "url: '{}', http_config: {{http_headers: \
         {{X-Scope-OrgID: {{values: [shop]}}, X-Api-Key: {{secrets: [KEYSECRET]}}}}}}",
        hook.url("/hook")
    ));
    tell(&*channel).await.unwrap();
    let request = hook.requests().remove(0);
    assert_eq!(
        (request.header("x-scope-orgid"), request.header("x-api-key")),
        ("shop", "KEYSECRET")
    );
    hook.always(Answer::Echo);
    let error = tell(&*channel).await.unwrap_err();
    assert!(!error.message.contains("KEYSECRET"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_named_is_used_and_its_password_never_shown() {
    let (proxy, hook) = (
        Receiver::start(Flavour::Webhook).await.unwrap(),
        Receiver::start(Flavour::Webhook).await.unwrap(),
    );
    let through = proxy.url("").replace("http://", "http://user:PROXYSECRET@");
    let channel =
        webhook(&format!("url: '{}', http_config: {{proxy_url: '{through}'}}", hook.url("/hook")));
    tell(&*channel).await.unwrap();
    assert_eq!((proxy.requests().len(), hook.requests().len()), (1, 0));
    proxy.always(Answer::Echo);
    let error = tell(&*channel).await.unwrap_err();
    assert!(!error.message.contains("PROXYSECRET"), "{error}");
    let except = format!(
        "url: '{}', http_config: {{proxy_url: '{through}', no_proxy: '127.0.0.1'}}",
        hook.url("/hook")
    );
    tell(&*webhook(&except)).await.unwrap();
    assert_eq!(hook.requests().len(), 1);
}

/// Answers 200 to whoever gets through TLS.
async fn secure() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor().accept(stream).await else { continue };
            let mut request = [0; 64 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let url = secure().await;
    for (sentence, tls, is_taken) in [
        ("the system does not know it", String::new(), false),
        ("it is named", format!("ca_file: {CERTIFICATE}"), true),
        ("nothing is checked", "insecure_skip_verify: true".to_owned(), true),
    ] {
        let channel = webhook(&format!("url: '{url}', http_config: {{tls_config: {{{tls}}}}}"));
        let result = tell(&*channel).await;
        assert_eq!(result.is_ok(), is_taken, "{sentence}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.cause, Cause::Unreachable, "{error}");
            assert!(error.message.contains("certificate"), "{error}");
        }
    }
}

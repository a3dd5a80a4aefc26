//! Probing a broker that is none; a real one is probed end to end.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use watchkeeper_agent_core::probe::Reason;

use super::scene::{serve, settings, told};
use super::servers::free_port;

#[tokio::test]
async fn what_is_no_broker_is_told_as_what_it_is() {
    let keys = |port: u16| {
        format!("amqp: {{uri: 'amqp://ann:hunter2@127.0.0.1:{port}/%2f'}}, timeout: 1s")
    };
    let (reason, why) = told(&keys(free_port())).await;
    assert!(reason == Reason::Connect && why.contains("nobody listens there"), "{why}");
    for (answer, wanted) in [
        (&b""[..], Reason::Reset),
        // What it would speak instead (AMQP 0-9-1, 4.2.2).
        (b"AMQP\x00\x01\x00\x00", Reason::Protocol),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason::Protocol),
    ] {
        let address = serve(move |mut stream| async move {
            let mut some = [0; 64];
            let _ = stream.read(&mut some).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let (reason, why) = told(&keys(address.port())).await;
        assert!(reason == wanted && !why.contains("hunter2"), "{wanted}: {reason} {why}");
    }
    let silent = serve(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (reason, why) = told(&keys(silent.port())).await;
    assert!(reason == Reason::Timeout && why.contains("user and password"), "{why}");
}

#[test]
fn keys_are_checked_and_secrets_hidden() {
    let uri = "uri: 'amqp://ann:hunter2@mq/%2f'";
    let given = settings(&format!("probe: {{service: s, amqp: {{{uri}, queue: jobs}}}}")).unwrap();
    assert_eq!(given.target.to_string(), "amqp://mq:5672 queue \"jobs\"");
    assert!(!format!("{given:?}").contains("hunter2"));
    for (keys, said) in [
        ("amqp: {}", "`uri` is missing"),
        ("amqp: {uri: 'http://ann:hunter2@mq/'}", "begins with amqp://"),
        (&format!("amqp: {{{uri}, queue: ''}}"), "can't be the name of a queue"),
        (&format!("amqp: {{{uri}, tls: {{}}}}"), "begins with amqp://"),
        (&format!("amqp: {{{uri}}}, expect: ['mesages < 5']"), "did you mean `messages`?"),
    ] {
        let problems = settings(&format!("probe: {{service: s, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

//! Probing Redis: a real server, and peers that are none.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use watchkeeper_agent_core::probe::Reason;

use super::scene::{attempt, serve, settings, testdata, told};
use super::servers::{free_port, redis};

#[tokio::test]
async fn a_real_server_is_asked_and_tells_of_itself() {
    let Some(server) = redis(&["--requirepass", "hunter2"]) else { return };
    let host = format!("127.0.0.1:{}", server.port);
    let keys = format!(
        "redis: {{host: '{host}', password: hunter2, database: 3, command: [LLEN, jobs]}}, timeout: 10s, \
         expect: ['info.role == \"master\"', 'info.connected_clients >= 1', 'value == 0', 'info.uptime_in_seconds < 3600']"
    );
    let found = attempt(&keys).await;
    assert_eq!(found.judged.reason, Reason::Ok, "{}", found.judged.why);
    let phases: Vec<_> = found.phases.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases, ["connect", "ping"]);
    for (keys, reason, said) in [
        ("", Reason::Auth, "wants a password: NOAUTH"),
        (", password: wrong", Reason::Auth, "refuses user or password: WRONGPASS"),
        (", username: ann, password: hunter2", Reason::Auth, "refuses user or password"),
        (
            ", password: hunter2, database: 99",
            Reason::Status,
            "refuses: ERR DB index is out of range",
        ),
        (
            ", password: hunter2, command: [NO, SUCH]",
            Reason::Status,
            "refuses: ERR unknown command",
        ),
        (", password: hunter2, command: [KEYS, '*']", Reason::Protocol, "it is a list"),
    ] {
        let (told, why) = told(&format!("redis: {{host: '{host}'{keys}}}, timeout: 10s")).await;
        assert!(told == reason && why.contains(said), "{keys}: {told} {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    let failing = format!(
        "redis: {{host: '{host}', password: hunter2}}, timeout: 10s, expect: ['info.role == \"slave\"']"
    );
    let (reason, why) = told(&failing).await;
    assert_eq!((reason, why.contains("info.role = \"master\"")), (Reason::Expect, true), "{why}");
}

#[tokio::test]
async fn a_user_may_be_let_in_and_not_be_allowed_to_look() {
    let Some(server) = redis(&["--user", "ann", "on", ">hunter2", "~*", "-@all", "+ping"]) else {
        return;
    };
    let keys = |expect: &str| {
        let host = format!("127.0.0.1:{}", server.port);
        format!("redis: {{host: '{host}', username: ann, password: hunter2}}, timeout: 10s{expect}")
    };
    assert_eq!(told(&keys("")).await.0, Reason::Ok);
    let (reason, why) = told(&keys(", expect: ['info.role == \"master\"']")).await;
    assert_eq!(reason, Reason::Auth, "{why}");
    assert!(why.contains("does not let this user do that: NOPERM"), "{why}");
}

#[tokio::test]
async fn a_server_is_asked_by_tls() {
    let file = |name: &str| testdata(name).display().to_string();
    let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let arguments = [
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ];
    let Some(server) = redis(&arguments) else { return };
    let keys = format!(
        "redis: {{host: 'localhost:{}', address: 127.0.0.1, tls: {{ca: {ca}}}}}, timeout: 10s, \
         expect: ['tls == \"1.3\"', 'certificate.days > 365.0']",
        server.port
    );
    assert_eq!(told(&keys).await, (Reason::Ok, "it answers as expected".to_owned()));
    let (reason, why) = told(&keys.replace(&format!("{{ca: {ca}}}"), "{}")).await;
    assert_eq!(reason, Reason::Certificate, "{why}");
}

#[tokio::test]
async fn a_replica_that_has_lost_its_master_is_told() {
    let gone = free_port().to_string();
    let Some(server) = redis(&["--replicaof", "127.0.0.1", &gone]) else { return };
    let host = format!("127.0.0.1:{}", server.port);
    let keys = format!(
        "redis: {{host: '{host}'}}, timeout: 10s, expect: ['info.master_link_status == \"up\"']"
    );
    let (reason, why) = told(&keys).await;
    assert_eq!(
        (reason, why.contains("info.master_link_status = \"down\"")),
        (Reason::Expect, true)
    );
}

/// A server that reads something and says just this.
async fn answering(answer: &'static [u8]) -> String {
    let address = serve(move |mut stream| async move {
        let mut some = [0; 64];
        let _ = stream.read(&mut some).await;
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    address.to_string()
}

#[tokio::test]
async fn every_way_to_say_no_has_its_word() {
    let loading = b"-LOADING Redis is loading the dataset in memory\r\n";
    for (answer, reason, said) in [
        (&b"+PONG\r\n"[..], Reason::Ok, "as expected"),
        (loading, Reason::Status, "is starting up and still loads its data"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", Reason::Status, "lost its master"),
        (b"-ERR max number of clients reached\r\n", Reason::Status, "max number of clients"),
        (b"-DENIED Redis is running in protected mode\r\n", Reason::Auth, "lets nobody in"),
        (b"+OK\r\n", Reason::Protocol, "answers PING with"),
        (b"HTTP/1.1 400 Bad Request\r\n", Reason::Protocol, "no sign of the protocol"),
        (b"$99999999\r\n", Reason::Protocol, "longer than is read"),
        (b"+PON", Reason::Reset, "closed the connection before"),
        (b"", Reason::Reset, "closed the connection before"),
    ] {
        let host = answering(answer).await;
        let (told, why) = told(&format!("redis: {{host: '{host}'}}, timeout: 10s")).await;
        assert!(told == reason && why.contains(said), "{told}: {why}");
    }
    let endless = serve(|mut stream| async move {
        let _ = stream.write_all(b"+").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let (reason, why) = told(&format!("redis: {{host: '{endless}'}}, timeout: 10s")).await;
    assert!(reason == Reason::Protocol && why.contains("a line has no end"), "{why}");
    let port = free_port();
    let (reason, _) = told(&format!("redis: {{host: '127.0.0.1:{port}'}}")).await;
    assert_eq!(reason, Reason::Connect);
}

#[test]
fn keys_are_checked_and_secrets_hidden() {
    let given = settings("probe: {service: s, redis: {host: a, password: hunter2}}").unwrap();
    assert_eq!(given.target.to_string(), "a:6379");
    assert!(!format!("{given:?}").contains("hunter2"));
    for (keys, said) in [
        ("redis: {}", "`host` is missing"),
        ("redis: {host: a, username: ann}", "without `password`"),
        ("redis: {host: a, database: -1}", "out of range"),
        ("redis: {host: a, command: []}", "at least one"),
        ("redis: {host: a}, expect: ['role == 1']", "unknown name `role`"),
    ] {
        let problems = settings(&format!("probe: {{service: s, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
    }
}

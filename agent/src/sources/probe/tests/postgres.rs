//! Probing PostgreSQL: a real server, its replica, and peers that are none.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use watchkeeper_agent_core::probe::Reason;

use super::scene::{attempt, serve, settings, testdata, told};
use super::servers::{Server, free_port};

fn keys(port: u16, more: &str, expect: &str) -> String {
    let host = format!("127.0.0.1:{port}");
    format!("postgres: {{host: '{host}', {more}}}, every: 60s, timeout: 30s, expect: [{expect}]")
}

const ANN: &str = "user: ann, password: hunter2, database: shop";

#[tokio::test]
async fn a_real_server_is_asked_and_tells_of_itself() {
    let Some(server) = Server::postgres() else { return };
    let query = "query: \"SELECT 7 AS n, 'x' AS text, 1.5 AS half, NULL AS none FROM generate_series(1, 3)\"";
    let expect = "'rows == 3', 'value == 7', 'row.text == \"x\"', 'row.half > 1.0', '!replica', 'lag < duration(\"1s\")', \
                  'connections >= 1', 'max_connections == 17', 'connections_ratio < 0.8', 'version.startsWith(\"1\")'";
    let found = attempt(&keys(server.port, &format!("{ANN}, {query}"), expect)).await;
    assert_eq!(found.judged.reason, Reason::Ok, "{}", found.judged.why);
    let phases: Vec<_> = found.phases.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases, ["connect", "login", "query"]);
    server.sql("CREATE TABLE orders (n int)");
    for (more, expect, reason, said) in [
        (ANN, "", Reason::Ok, "as expected"),
        (
            "user: ann, password: wrong",
            "",
            Reason::Auth,
            "refuses user or password: password authentication failed",
        ),
        ("user: ann", "", Reason::Auth, "password missing"),
        ("user: nobody, password: x", "", Reason::Auth, "refuses user or password"),
        ("user: app, database: none", "", Reason::Status, "has no such database"),
        ("user: app, query: 'SELECT 1 FROM nothing'", "", Reason::Status, "(42P01)"),
        (
            "user: app, query: 'DROP DATABASE shop'",
            "",
            Reason::Status,
            "lets a probe change nothing: cannot execute DROP DATABASE",
        ),
        (
            "user: app, query: 'CREATE TABLE x (n int)'",
            "",
            Reason::Status,
            "lets a probe change nothing",
        ),
        (
            "user: app, query: 'COMMIT; CREATE TABLE x (n int)'",
            "",
            Reason::Status,
            "cannot insert multiple commands",
        ),
        (
            "user: ann, password: hunter2, database: postgres, query: 'SELECT n FROM orders'",
            "",
            Reason::Auth,
            "does not let this user do that",
        ),
        ("user: app, query: 'SELECT 1'", "'rows == 2'", Reason::Expect, "rows = 1"),
        (
            "user: app, query: 'SELECT generate_series(1, 5000)'",
            "'rows < 2000'",
            Reason::TooLarge,
            "longer than is read",
        ),
        (
            "user: app, query: \"SELECT repeat('x', 5000000)\"",
            "",
            Reason::Protocol,
            "longer than 1048576 bytes",
        ),
    ] {
        let (told, why) = told(&keys(server.port, more, expect)).await;
        assert!(told == reason && why.contains(said), "{more}: {told} {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    let tls = format!("{ANN}, address: 127.0.0.1, tls: {{ca: {}}}", testdata("ca.pem").display());
    let by_tls =
        keys(server.port, &tls, "'tls == \"1.3\"'").replace("host: '127.0.0.1", "host: 'localhost");
    assert_eq!(told(&by_tls).await, (Reason::Ok, "it answers as expected".to_owned()));
    let slow = format!(
        "postgres: {{host: '127.0.0.1:{}', user: app, query: 'SELECT pg_sleep(60)'}}, timeout: 300ms",
        server.port
    );
    let (reason, why) = told(&slow).await;
    assert!(
        reason == Reason::Timeout && why.ends_with("it waited for its answer to the query"),
        "{why}"
    );
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = ''active'' AND query LIKE ''SELECT pg_sleep%''";
    let none = keys(server.port, &format!("user: app, query: '{running}'"), "'value == 0'");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while super::scene::told(&none).await.0 != Reason::Ok {
        assert!(std::time::Instant::now() < deadline, "the query goes on, and nobody waits for it");
    }
}

#[tokio::test]
async fn a_replica_is_one_and_falls_behind_when_it_is_alone() {
    let Some(mut server) = Server::postgres() else { return };
    let Some(replica) = server.replica() else { return };
    server.sql("CREATE TABLE orders (n int)");
    // It says so only when it has replayed a transaction.
    let follows = keys(replica.port, "user: app", "'replica', 'lag < duration(\"10s\")'");
    let mut found = attempt(&follows).await;
    for _ in 0..200 {
        if found.judged.reason == Reason::Ok {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = attempt(&follows).await;
    }
    assert_eq!(found.judged.reason, Reason::Ok, "{}", found.judged.why);
    server.stop();
    let behind = keys(replica.port, "user: app", "'lag == duration(\"0s\")'");
    let mut told = told(&behind).await;
    for _ in 0..200 {
        if told.0 == Reason::Expect {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        told = super::scene::told(&behind).await;
    }
    assert_eq!(told.0, Reason::Expect, "{}", told.1);
}

#[tokio::test]
async fn a_server_without_connections_left_says_so() {
    let Some(server) = Server::postgres() else { return };
    server.sql("ALTER DATABASE shop CONNECTION LIMIT 0");
    let (reason, why) = told(&keys(server.port, ANN, "")).await;
    assert!(reason == Reason::Status && why.contains("has no connection left"), "{why}");
}

/// An error as a server says it (protocol, "Message Formats": `ErrorResponse`).
fn error(code: &str, text: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    [&b"E"[..], &length, fields.as_bytes()].concat()
}

#[tokio::test]
async fn what_is_starting_and_what_is_no_database_are_told_apart() {
    let starting = error("57P03", "the database system is starting up");
    let huge = [&b"R"[..], &0x7fff_ffff_u32.to_be_bytes()].concat();
    for (answer, reason, said) in [
        (starting, Reason::Status, "is not ready: the database system is starting up (57P03)"),
        (error("57P01", "terminating connection"), Reason::Status, "is being stopped"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Reason::Protocol, "PostgreSQL"),
        (huge, Reason::Protocol, "longer than 1048576 bytes"),
        (Vec::new(), Reason::Reset, "closed the connection"),
    ] {
        let address = serve(move |mut stream| {
            let answer = answer.clone();
            async move {
                let mut some = [0; 64];
                let _ = stream.read(&mut some).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let (told, why) = told(&keys(address.port(), "user: app", "")).await;
        assert!(told == reason && why.contains(said), "{told}: {why}");
    }
    let plain = serve(|mut stream| async move {
        let mut some = [0; 64];
        let _ = stream.read(&mut some).await;
        let _ = stream.write_all(b"N").await;
    })
    .await;
    let (reason, why) = told(&keys(plain.port(), "user: app, tls: {}", "")).await;
    assert!(reason == Reason::Tls && why.contains("speaks no TLS"), "{why}");
    let (reason, _) = told(&keys(free_port(), "user: app", "")).await;
    assert_eq!(reason, Reason::Connect);
}

#[test]
fn keys_are_checked_and_secrets_hidden() {
    let given =
        settings("probe: {service: s, postgres: {host: a, user: ann, password: hunter2}}").unwrap();
    assert_eq!(given.target.to_string(), "a:5432/ann");
    assert!(!format!("{given:?}").contains("hunter2"));
    for (keys, said) in [
        ("postgres: {host: a}", "`user` is missing"),
        ("postgres: {host: a, user: b, pasword: c}", "unknown key `pasword`"),
        ("postgres: {host: a, user: b}, expect: ['lag < 5']", "duration"),
    ] {
        let problems = settings(&format!("probe: {{service: s, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
    }
}

//! Probing by a journey through a small shop of our own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use watchkeeper_agent_core::probe::Reason;

use super::scene::{Attempts, attempt, head, serve, settings};

/// Registers, logs in and takes orders; never takes a name twice.
async fn shop(order: &'static str) -> SocketAddr {
    let users = Arc::new(Mutex::new(BTreeSet::new()));
    serve(move |mut stream| {
        let users = users.clone();
        async move {
            let head = head(&mut stream).await;
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned)
            });
            let mut body = vec![0; length.and_then(|n| n.parse().ok()).unwrap_or(0)];
            let _ = stream.read_exact(&mut body).await;
            let body = String::from_utf8_lossy(&body).into_owned();
            let line = head.lines().next().unwrap_or_default();
            let answer = match line {
                "POST /register HTTP/1.1" if users.lock().unwrap().insert(body) => {
                    "201 Created\r\nLocation: /users/7%2F8".to_owned()
                }
                "POST /register HTTP/1.1" => "409 Conflict".to_owned(),
                "POST /login HTTP/1.1" => "200 OK\r\nX-Kept: token=abc123;".to_owned(),
                "GET /users/%2Fusers%2F7%252F8 HTTP/1.1" => "200 OK".to_owned(),
                "GET /order HTTP/1.1" if head.contains("authorization: Bearer abc123") => {
                    order.to_owned()
                }
                _ => "401 Unauthorized".to_owned(),
            };
            if answer == "silence" {
                let _ = stream.read_u8().await;
                return;
            }
            let text = r#"{"id": 7}"#;
            let answer =
                format!("HTTP/1.1 {answer}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

fn journey(at: SocketAddr, timeout: &str) -> String {
    format!(
        r#"timeout: {timeout}, steps: [
            {{name: register, http: {{url: 'http://{at}/register', body: 'name={{{{unique}}}}'}}, expect: ['status == 201'], carry: {{where: headers.location}}}},
            {{name: look, http: {{url: 'http://{at}/users/{{{{where}}}}'}}, expect: ['latency < duration("10s")']}},
            {{name: log in, http: {{url: 'http://{at}/login', method: POST}}, carry: {{token: {{from: headers.x-kept, match: 'token=(\w+)'}}}}}},
            {{name: order, http: {{url: 'http://{at}/order', headers: {{authorization: 'Bearer {{{{token}}}}'}}}}, expect: ['status == 200', 'json.id == 7']}}]"#
    )
}

#[tokio::test]
async fn a_journey_carries_on_what_it_is_told_each_time_anew() {
    let at = shop("200 OK").await;
    let mut attempts = Attempts::of(&journey(at, "10s"));
    for _ in 0..3 {
        let found = attempts.next().await;
        assert_eq!(found.judged.reason, Reason::Ok, "{}", found.judged.why);
        let steps: Vec<_> =
            found.parts.iter().map(|part| (part.name.as_str(), part.reason)).collect();
        let ok = ["register", "look", "log in", "order"].map(|name| (name, Reason::Ok));
        assert_eq!(steps, ok);
        assert!(found.parts.iter().map(|part| part.took).sum::<Duration>() <= found.took);
    }
}

#[tokio::test]
async fn the_step_that_fails_is_named_and_ends_it() {
    for (answer, reason, why) in [
        ("500 No", Reason::Status, "step order: `status == 200` does not hold: status = 500"),
        (
            "silence",
            Reason::Timeout,
            "step order: no answer within 1 s: it waited for the first byte",
        ),
    ] {
        let timeout = if answer == "silence" { "1s" } else { "10s" };
        let found = attempt(&journey(shop(answer).await, timeout)).await;
        assert_eq!((found.judged.reason, found.judged.why.as_str()), (reason, why));
        let last = found.parts.last().unwrap();
        assert_eq!((last.name.as_str(), last.reason), ("order", reason));
        assert!(last.took > Duration::ZERO);
        assert_eq!(found.judged.condition.is_some(), reason == Reason::Status);
    }
    let at = shop("200 OK").await;
    let keys = format!(
        "steps: [{{http: {{url: 'http://{at}/login', method: POST}}, carry: {{a: json.token}}}}]"
    );
    let found = attempt(&keys).await;
    assert_eq!(
        found.judged.why,
        "step 1: `a` can't be carried on: json.token is no text, or absent"
    );
}

#[test]
fn what_is_wrong_is_told() {
    let step = "http: {url: 'http://a/'}";
    for (steps, said) in [
        ("[]".to_owned(), "empty"),
        (format!("[{{name: a, {step}}}, {{name: a, {step}}}]"), "another step is called"),
        ("[{http: {url: 'http://a/{{id}}'}}]".to_owned(), "`{{id}}` is carried by no step before"),
        (format!("[{{{step}, carry: {{id: jsn.id}}}}]"), "an answer has nothing of this name"),
        (format!("[{{{step}, carry: {{'a-b': json.id}}}}]"), "nothing can be carried"),
        (format!("[{{{step}, expect: ['exit == 0']}}]"), "unknown name `exit`"),
    ] {
        let problems = settings(&format!("probe: {{service: shop, steps: {steps}}}")).unwrap_err();
        assert!(problems.contains(said), "{steps}: {problems}");
    }
}

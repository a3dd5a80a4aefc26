//! Real loopback servers that stand for the outside world and record what they are told.
//!
//! Owns their behaviour and their faults. Knows nothing of Watchkeeper's own types, so a fake can't repeat a mistake
//! of ours.

pub mod grpc;
pub mod loopback;
pub mod name_server;
pub mod pagerduty;
pub mod receiver;
pub mod signed;
pub mod slack_app;
pub mod talkers;
pub mod web;

pub use grpc::grpc;
pub use name_server::name_server;
pub use pagerduty::PagerDuty;
pub use receiver::{Answer, Flavour, Receiver, Request};
pub use signed::Signed;
pub use slack_app::SlackApp;
pub use web::web;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Posts as the simplest of clients: the fake must not depend on one of ours.
    async fn post(receiver: &Receiver, body: &Value) -> (u16, String) {
        post_to(receiver, "/hook", "", body).await
    }

    async fn post_to(receiver: &Receiver, path: &str, header: &str, body: &Value) -> (u16, String) {
        let address = receiver.url("").replace("http://", "");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = body.to_string();
        let n_bytes = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {n_bytes}\r\n{header}\r\n");
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    #[tokio::test]
    async fn slack_refuses_what_is_beyond_its_limits() {
        let receiver = Receiver::start(Flavour::Slack).await.unwrap();
        let section = |n: usize| json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(n)}});
        for (body, status, word) in [
            (json!({"text": "hello"}), 200, "ok"),
            (json!({}), 400, "no_text"),
            (json!([]), 400, "invalid_payload"),
            (json!({"blocks": [section(3_000)]}), 200, "ok"),
            (json!({"blocks": [section(3_001)]}), 400, "invalid_blocks"),
            (json!({"blocks": vec![section(1); 51]}), 400, "invalid_blocks"),
            (json!({"blocks": vec![section(2_500); 4]}), 400, "msg_blocks_too_long"),
        ] {
            assert_eq!(post(&receiver, &body).await, (status, word.to_owned()));
        }
    }

    #[tokio::test]
    async fn answers_follow_the_script_and_waiting_is_woken() {
        let receiver = Receiver::start(Flavour::Webhook).await.unwrap();
        receiver.script([Answer::Status(503, "later".into())]);
        let both = receiver.wait_for(|requests| requests.len() == 2, Duration::from_secs(20));
        let (one, two) = (json!({"n": 1}), json!({"n": 2}));
        let posts = async { (post(&receiver, &one).await.0, post(&receiver, &two).await.0) };
        let (both, statuses) = tokio::join!(both, posts);
        assert_eq!(statuses, (503, 200));
        let both = both.unwrap();
        assert_eq!((both[0].json(), both[1].json()), (one, two));
        assert!(both[0].at <= both[1].at && both[0].path == "/hook");
    }

    #[tokio::test]
    async fn pagerduty_keeps_one_incident_for_each_key_and_drops_what_it_does_not_know() {
        let (ours, theirs) = ("a".repeat(32), "b".repeat(32));
        let pagerduty = PagerDuty::start(&[&ours, &theirs]).await.unwrap();
        let event = |action: &str, routing_key: &str, dedup_key: &str| {
            json!({
                "routing_key": routing_key, "event_action": action, "dedup_key": dedup_key,
                "payload": {"summary": "s", "source": "h", "severity": "error"},
            })
        };
        // What is sent, the status, and which incidents there are then; those that are open with a `!`.
        for (sent, status, incidents) in [
            (event("resolve", &ours, "k"), 202, ""),
            (event("trigger", &ours, "k"), 202, "k!"),
            (event("trigger", &ours, "k"), 202, "k!"),
            (event("resolve", &theirs, "k"), 202, "k!"),
            (event("resolve", &ours, "other"), 202, "k!"),
            (event("trigger", "c", "k"), 400, "k!"),
            (event("trigger", &"c".repeat(32), "k"), 400, "k!"),
            (event("close", &ours, "k"), 400, "k!"),
            (event("trigger", &ours, &"k".repeat(256)), 400, "k!"),
            (json!({"routing_key": ours, "event_action": "trigger"}), 400, "k!"),
            (event("resolve", &ours, "k"), 202, "k"),
            (event("trigger", &ours, "k"), 202, "k k!"),
            (event("trigger", &theirs, "k"), 202, "k k! k!"),
        ] {
            assert_eq!(post(&pagerduty.receiver, &sent).await.0, status, "{sent}");
            let shown: Vec<String> = pagerduty
                .incidents()
                .iter()
                .map(|it| format!("{}{}", it.dedup_key, if it.is_resolved { "" } else { "!" }))
                .collect();
            assert_eq!(shown.join(" "), incidents, "{sent}");
        }
        assert_eq!((pagerduty.n_dropped(), pagerduty.incidents()[0].n_more), (3, 1));
    }

    #[tokio::test]
    async fn slack_says_200_and_the_truth_in_the_body() {
        let slack = SlackApp::start("t", &["alerts"]).await.unwrap();
        let auth = "Authorization: Bearer t\r\n";
        let ts = "1795370840.000001";
        let name = |channel: &str| json!({"channel": channel, "text": "x"});
        let thread = |ts: &str| json!({"channel": "C0", "text": "x", "thread_ts": ts});
        let update =
            |channel: &str, ts: &str| json!({"channel": channel, "ts": ts, "text": "changed"});
        for (method, header, sent, want) in [
            ("chat.postMessage", "", name("alerts"), "not_authed"),
            ("chat.postMessage", "Authorization: Bearer u\r\n", name("alerts"), "invalid_auth"),
            ("chat.postMessage", auth, name("#nowhere"), "channel_not_found"),
            ("chat.postMessage", auth, json!({"channel": "C0"}), "no_text"),
            ("chat.postMessage", auth, name("#alerts"), ts),
            ("chat.postMessage", auth, thread("1.2"), "thread_not_found"),
            ("chat.postMessage", auth, thread(ts), "1795370841.000002"),
            ("chat.update", auth, update("#alerts", ts), "channel_not_found"),
            ("chat.update", auth, update("C0", "1.2"), "message_not_found"),
            ("chat.update", auth, update("C0", ts), ts),
            ("chat.delete", auth, update("C0", ts), "unknown_method"),
        ] {
            let (status, body) =
                post_to(&slack.receiver, &format!("/api/{method}?x=1"), header, &sent).await;
            let body: Value = serde_json::from_str(&body).unwrap();
            let said = if body["ok"] == true { &body["ts"] } else { &body["error"] };
            assert_eq!((status, said), (200, &json!(want)), "{method} {sent}");
        }
        let messages = slack.messages();
        assert_eq!((messages.len(), slack.thread(ts).len()), (1, 1));
        assert_eq!((messages[0].n_edits, &messages[0].content["text"]), (1, &json!("changed")));
    }
}

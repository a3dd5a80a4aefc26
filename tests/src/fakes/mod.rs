//! Real loopback servers that stand for the outside world and record what they are told.
//!
//! Owns their behaviour and their faults. Knows nothing of Watchkeeper's own types, so a fake can't repeat a mistake
//! of ours.

pub mod pagerduty;
pub mod receiver;
pub mod slack_app;

pub use pagerduty::PagerDuty;
pub use receiver::{Answer, Flavour, Receiver, Request};
pub use slack_app::SlackApp;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Posts as the simplest of clients: the fake must not depend on one of ours.
    async fn post(receiver: &Receiver, body: &Value) -> (u16, String) {
        let address = receiver.url("").replace("http://", "");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = body.to_string();
        let head = format!("POST /hook HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
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
}

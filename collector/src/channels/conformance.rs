//! One suite over every channel that speaks HTTP, against receivers that misbehave.
//!
//! Owns what they promise beyond the [`promises`](super::promises) of all channels: which statuses are retried,
//! Retry-After, redirects, headers.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;
use watchkeeper_config::{ProcessEnv, Reader, load_str};

use super::fakes::pagerduty::PagerDuty;
use super::fakes::receiver::{Answer, Flavour, Receiver};
use super::fakes::slack_app::SlackApp;
use super::{
    Cause, ChannelDefaults, Delivered, DeliveryError, Integration, ReceiverSettings, samples,
};

/// Texts that must never come back.
pub(super) const SECRETS: [&str; 6] = [
    "T0PATHSECRET",
    "QUERYSECRET",
    "BEARERSECRET",
    "PASSWORDSECRET",
    ROUTING_KEY,
    // Base64 of `alice:PASSWORDSECRET`.
    "YWxpY2U6UEFTU1dPUkRTRUNSRVQ",
];

/// Credentials beside the address.
const BEARER: &str = ", http_config: {authorization: {credentials: BEARERSECRET}}";

/// PagerDuty's secret, which is sent in the body.
const ROUTING_KEY: &str = "0123456789ROUTINGSECRET456789abc";

/// What stands at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fake {
    Webhook,
    Slack,
    SlackApp,
    PagerDuty,
}

/// A kind and how to configure it for an address.
pub(super) struct Case {
    pub(super) key: &'static str,
    fake: Fake,
    url_key: &'static str,
    /// Keys it can't do without, each followed by a comma.
    more: &'static str,
    /// The last part of its path, if that has a meaning.
    method: &'static str,
    /// How it is authorized.
    pub(super) auth: &'static str,
    /// The status that says it was taken.
    taken: u16,
}

pub(super) const CASES: [Case; 4] = [
    Case {
        key: "webhook_configs",
        fake: Fake::Webhook,
        url_key: "url",
        more: "",
        method: "x",
        auth: BEARER,
        taken: 200,
    },
    Case {
        key: "slack_configs",
        fake: Fake::Slack,
        url_key: "api_url",
        more: "",
        method: "x",
        auth: BEARER,
        taken: 200,
    },
    Case {
        key: "slack_configs",
        fake: Fake::SlackApp,
        url_key: "app_url",
        more: "channel: '#alerts', ",
        method: "chat.postMessage",
        auth: ", app_token: BEARERSECRET",
        taken: 200,
    },
    Case {
        key: "pagerduty_configs",
        fake: Fake::PagerDuty,
        url_key: "url",
        more: "routing_key: 0123456789ROUTINGSECRET456789abc, ",
        method: "x",
        auth: BEARER,
        taken: 202,
    },
];

/// A fake that listens.
pub(super) enum Listening {
    Receiver(Receiver),
    SlackApp(SlackApp),
    PagerDuty(PagerDuty),
}

impl std::ops::Deref for Listening {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        match self {
            Self::Receiver(receiver) => receiver,
            Self::SlackApp(app) => &app.receiver,
            Self::PagerDuty(pagerduty) => &pagerduty.receiver,
        }
    }
}

impl Case {
    /// With secrets wherever there may be some; `more` is laid beside the address.
    pub(super) fn integration(&self, url: &str, more: &str) -> Integration {
        let Self { key, url_key, more: needed, method, .. } = self;
        let url = url.replace("://", "://alice:PASSWORDSECRET@");
        let url = format!("{url}/T0PATHSECRET/{method}?token=QUERYSECRET");
        let text = format!("name: chat\n{key}:\n  - {{{needed}{url_key}: '{url}'{more}}}\n");
        let mut reader = Reader::new(&ProcessEnv);
        let receiver = load_str("receiver.yml", &text, &mut reader).and_then(|document| {
            ReceiverSettings::read(document.root(), &ChannelDefaults::default(), &mut reader)
        });
        let (receiver, _) = reader.finish(receiver).unwrap();
        assert!(!format!("{receiver:?}").contains("SECRET"), "{receiver:?}");
        receiver.integrations[0].build().unwrap()
    }

    pub(super) async fn start(&self) -> Listening {
        match self.fake {
            Fake::Webhook => Listening::Receiver(Receiver::start(Flavour::Webhook).await.unwrap()),
            Fake::Slack => Listening::Receiver(Receiver::start(Flavour::Slack).await.unwrap()),
            Fake::SlackApp => {
                Listening::SlackApp(SlackApp::start("BEARERSECRET", &["alerts"]).await.unwrap())
            }
            Fake::PagerDuty => {
                Listening::PagerDuty(PagerDuty::start(&[ROUTING_KEY]).await.unwrap())
            }
        }
    }

    /// A receiver that answers so, and what an attempt makes of it.
    async fn attempt(&self, answer: Answer) -> Result<Delivered, DeliveryError> {
        let receiver = self.start().await;
        receiver.always(answer);
        self.deliver(&receiver.url(""), &samples::slo_page(), Duration::from_secs(20)).await
    }

    async fn deliver(
        &self,
        url: &str,
        told: &Notification,
        limit: Duration,
    ) -> Result<Delivered, DeliveryError> {
        let channel = self.integration(url, self.auth).channel;
        let shown = format!("{channel:?}");
        assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
        let result = channel.deliver(told, Instant::now() + limit).await;
        if let Err(error) = &result {
            let shown = format!("{error} {error:?}");
            assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
            assert!(error.message.starts_with(channel.kind()), "subject first: {shown}");
            assert!(error.message.chars().count() < 700, "{shown}");
            assert!(!error.message.contains(char::is_control), "{shown}");
        }
        result
    }
}

#[tokio::test]
async fn a_healthy_receiver_takes_every_sample() {
    for case in CASES {
        let receiver = case.start().await;
        for told in [
            samples::slo_page(),
            samples::slo_update(),
            samples::slo_close(),
            samples::rule_page(),
            samples::group(1),
            samples::group(60),
        ] {
            let limit = Duration::from_secs(20);
            let result = case.deliver(&receiver.url(""), &told, limit).await;
            assert_eq!(result.unwrap().status, Some(case.taken), "{}", case.key);
        }
        let request = &receiver.requests()[0];
        assert_eq!(request.header("content-type"), "application/json");
        assert!(request.header("user-agent").starts_with("Watchkeeper/"));
        assert_eq!(request.header("authorization"), "Bearer BEARERSECRET");
    }
}

#[tokio::test]
async fn statuses_are_retried_or_not_as_the_table_says() {
    for case in CASES {
        for (status, retryable) in [
            (301, false),
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (408, true),
            (410, false),
            (413, false),
            (425, true),
            (429, true),
            (500, true),
            (502, true),
            (503, true),
            (504, true),
            (599, true),
        ] {
            let error =
                case.attempt(Answer::Status(status, "why\u{0}\nnot".into())).await.unwrap_err();
            assert_eq!(error.is_retryable(), retryable, "{} {status}: {error}", case.key);
            assert_eq!(error.status, Some(status));
            assert!(error.message.ends_with(": why not"), "{error}");
        }
    }
}

#[tokio::test]
async fn retry_after_is_honoured_wherever_a_retry_makes_sense() {
    for case in CASES {
        for (status, value, secs) in [
            (429, "1", Some(1)),
            (503, "120", Some(120)),
            (429, "Tue, 31 Dec 2999 23:59:59 GMT", Some(3_600)),
            (429, "Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            (429, "whenever", None),
            (404, "1", None),
        ] {
            let error = case.attempt(Answer::RetryAfter(status, value.into())).await.unwrap_err();
            let want = secs.map(Duration::from_secs);
            assert_eq!(error.retry_after(), want, "{} {status} {value}", case.key);
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_said_to_be_wrong() {
    for case in CASES {
        let elsewhere = case.start().await;
        let error = case.attempt(Answer::Redirect(elsewhere.url("/"))).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message.contains("redirects are not followed"), "{error}");
        assert!(elsewhere.requests().is_empty());
    }
}

#[tokio::test]
async fn broken_connections_and_nonsense_are_retried() {
    for case in CASES {
        for answer in [Answer::Reset, Answer::HalfClose, Answer::Garbage] {
            let error = case.attempt(answer.clone()).await.unwrap_err();
            assert!(error.is_retryable(), "{} {answer:?}: {error}", case.key);
            assert_eq!(error.cause, Cause::Unreachable, "{} {answer:?}: {error}", case.key);
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for case in CASES {
        let limit = Duration::from_secs(20);
        let error = case.deliver(&url, &samples::slo_page(), limit).await.unwrap_err();
        assert!(error.is_retryable() && error.cause == Cause::Unreachable, "{error}");
        assert!(error.message.contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_is_retried() {
    for case in CASES {
        let receiver = case.start().await;
        let url = receiver.url("").replace("http://", "https://");
        let limit = Duration::from_secs(20);
        let error = case.deliver(&url, &samples::slo_page(), limit).await.unwrap_err();
        assert!(error.is_retryable() && error.cause != Cause::Bug, "{error}");
        assert!(receiver.requests().is_empty());
    }
}

#[tokio::test]
async fn an_attempt_ends_by_its_deadline_whatever_the_other_side_does() {
    for case in CASES {
        for (answer, status) in [(Answer::Hang, None), (Answer::SlowBody, Some(503))] {
            let receiver = case.start().await;
            receiver.always(answer);
            let (started, limit) = (Instant::now(), Duration::from_millis(300));
            let error =
                case.deliver(&receiver.url(""), &samples::slo_page(), limit).await.unwrap_err();
            assert!(error.is_retryable(), "{error}");
            assert_eq!(error.status, status, "{error}");
            assert!(started.elapsed() < Duration::from_secs(10));
        }
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    for case in CASES {
        let result = case.attempt(Answer::Huge(64 * 1024 * 1024)).await;
        match case.fake {
            Fake::Webhook => assert!(result.is_ok()),
            Fake::Slack | Fake::SlackApp | Fake::PagerDuty => {
                let error = result.unwrap_err();
                assert_eq!((error.cause, error.is_retryable()), (Cause::BadAnswer, true));
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_request_leaks_nothing() {
    for case in CASES {
        let error = case.attempt(Answer::Echo).await.unwrap_err();
        assert!(error.message.contains("you sent ***"), "{error}");
    }
}

#[tokio::test]
async fn each_way_to_authorize_sends_one_header_and_is_masked() {
    let basic = ", http_config: {basic_auth: {username: alice, password: PASSWORDSECRET}}";
    for case in CASES {
        for (more, header) in [
            ("", "Basic YWxpY2U6UEFTU1dPUkRTRUNSRVQ="),
            (basic, "Basic YWxpY2U6UEFTU1dPUkRTRUNSRVQ="),
            (BEARER, "Bearer BEARERSECRET"),
        ] {
            if more.is_empty() && case.fake == Fake::SlackApp {
                // Slack knows nothing but tokens: `check` asks for one.
                continue;
            }
            let receiver = case.start().await;
            receiver.always(Answer::Echo);
            let channel = case.integration(&receiver.url(""), more).channel;
            let (told, deadline) = (samples::slo_page(), Instant::now() + Duration::from_secs(20));
            let error = channel.deliver(&told, deadline).await.unwrap_err();
            assert!(SECRETS.iter().all(|secret| !error.message.contains(secret)), "{error}");
            let request = receiver.requests().remove(0);
            let sent: Vec<&str> = request
                .headers
                .iter()
                .filter(|(name, _)| name == "authorization")
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(sent, [header]);
        }
    }
}

#[tokio::test]
async fn what_means_harm_is_told_within_limits() {
    for case in CASES {
        let receiver = case.start().await;
        let limit = Duration::from_secs(60);
        let result = case.deliver(&receiver.url(""), &samples::hostile(1_000), limit).await;
        assert_eq!(result.unwrap().status, Some(case.taken), "{}", case.key);
        let request = receiver.requests().remove(0);
        assert!(request.body.len() <= 4 * 1024 * 1024);
        if matches!(case.fake, Fake::Slack | Fake::SlackApp) {
            let body = String::from_utf8(request.body).unwrap();
            for markup in
                ["<!channel", "<https://evil.example|", "javascript:", "\\u0007", "\u{202e}"]
            {
                assert!(!body.contains(markup), "{markup} in {body}");
            }
            assert!(body.contains(" more: "), "{body}");
        }
        let alone = case.deliver(&receiver.url(""), &samples::hostile(1), limit).await;
        assert_eq!(alone.unwrap().status, Some(case.taken), "{}", case.key);
    }
}

//! What every channel promises, whatever it speaks: one suite over all registered kinds.
//!
//! Owns these promises: it tells whatever it is given, every attempt ends by its deadline, what may pass is retried and
//! what can't is not, no secret comes back. Each kind brings a peer that can be in every mood; what only HTTP has is
//! in `conformance`.

use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;
use watchkeeper_model::Labels;

use super::conformance::{CASES, Case, Listening, SECRETS};
use super::email::fake::{CERTIFICATE, MailServer, Manner, PASSWORD, SECRET, Step, TlsMode, USER};
use super::fakes::receiver::Answer;
use super::registry::{kind_keys, tests::receiver};
use super::{Cause, Channel, Delivered, DeliveryError, samples};
use std::sync::Arc;

/// Every kind: those that speak HTTP, and those that don't.
fn kinds() -> Vec<Kind> {
    CASES.iter().map(Kind::Http).chain([Kind::Mail, Kind::Log]).collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Http(&'static Case),
    Mail,
    Log,
}

/// How the other side feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// Takes the connection and says nothing.
    Silent,
    /// Closes the connection instead of answering.
    Broken,
    /// Answers what is not of its protocol.
    Garbage,
    /// Says no for good.
    Refusing,
    /// Says not now.
    Busy,
    /// Says no and repeats what it was sent.
    Telltale,
}

/// The other side; keeps what keeps it alive.
enum Peer {
    Http(Listening),
    Mail(MailServer),
    Log(TempDir),
}

impl Kind {
    const fn key(self) -> &'static str {
        match self {
            Self::Http(case) => case.key,
            Self::Mail => "email_configs",
            Self::Log => "log_configs",
        }
    }

    /// Whether the other side can be in that mood: a file neither speaks nor waits.
    const fn knows(self, mood: Mood) -> bool {
        match self {
            Self::Http(_) | Self::Mail => true,
            Self::Log if matches!(mood, Mood::Busy) => cfg!(target_os = "linux"),
            Self::Log => matches!(mood, Mood::Well | Mood::Broken | Mood::Refusing),
        }
    }

    async fn peer(self, mood: Mood) -> Peer {
        match self {
            Self::Http(case) => {
                let receiver = case.start().await;
                receiver.always(match mood {
                    Mood::Well => Answer::Proper,
                    Mood::Silent => Answer::Hang,
                    Mood::Broken => Answer::Reset,
                    Mood::Garbage => Answer::Garbage,
                    Mood::Refusing => Answer::Status(404, "no".into()),
                    Mood::Busy => Answer::Status(503, "later".into()),
                    Mood::Telltale => Answer::Echo,
                });
                Peer::Http(receiver)
            }
            Self::Mail => {
                let server = MailServer::start(TlsMode::StartTls).await;
                let say = |text: &str| Manner::Say(text.into());
                let echo = format!(
                    "535 you sent {PASSWORD} {SECRET} UEFTU1dPUkRTRUNSRVQ= AGFsaWNlAFBBU1NXT1JEU0VDUkVU"
                );
                match mood {
                    Mood::Well => {}
                    Mood::Silent => drop(server.manner(Step::Greeting, Manner::Silent)),
                    Mood::Broken => drop(server.manner(Step::Data, Manner::Drop)),
                    Mood::Garbage => drop(server.manner(Step::Hello, Manner::Garbage)),
                    Mood::Refusing => drop(server.manner(Step::Recipient, say("550 no"))),
                    Mood::Busy => drop(server.manner(Step::Greeting, say("421 later"))),
                    Mood::Telltale => drop(server.manner(Step::Auth, say(&echo))),
                }
                Peer::Mail(server)
            }
            Self::Log => {
                let directory = tempfile::tempdir().unwrap();
                match mood {
                    Mood::Broken => std::fs::remove_dir(directory.path()).unwrap(),
                    Mood::Refusing => std::fs::create_dir(directory.path().join("log")).unwrap(),
                    Mood::Busy => {
                        std::os::unix::fs::symlink("/dev/full", directory.path().join("log"))
                            .unwrap();
                    }
                    _ => {}
                }
                Peer::Log(directory)
            }
        }
    }

    /// A channel to an address, with secrets wherever there may be some.
    fn channel(self, at: &str) -> Arc<dyn Channel> {
        let channel = match self {
            Self::Http(case) => case.integration(&format!("http://{at}"), case.auth).channel,
            Self::Mail => {
                let text = format!(
                    "name: chat\nemail_configs:\n  - {{to: a@x.test, from: w@x.test, smarthost: '{at}', \
                     auth_username: {USER}, auth_password: {PASSWORD}, auth_secret: {SECRET}, \
                     tls_config: {{ca_file: {CERTIFICATE}}}}}\n"
                );
                let settings = receiver(&text, Some(true));
                assert!(!format!("{settings:?}").contains("SECRET"), "{settings:?}");
                settings.integrations[0].build().unwrap().channel
            }
            Self::Log => {
                let text = format!("name: chat\nlog_configs: [{{path: '{at}'}}]\n");
                receiver(&text, Some(true)).integrations[0].build().unwrap().channel
            }
        };
        assert!(is_clean(&format!("{channel:?}")), "{channel:?}");
        channel
    }

    async fn attempt(self, mood: Mood, told: &Notification) -> Result<Delivered, DeliveryError> {
        let peer = self.peer(mood).await;
        let limit = if mood == Mood::Silent { 300 } else { 20_000 };
        deliver(&*self.channel(&peer.at()), told, Duration::from_millis(limit)).await
    }
}

impl Peer {
    /// `host:port`, or a path.
    fn at(&self) -> String {
        match self {
            Self::Http(receiver) => receiver.url("").replace("http://", ""),
            Self::Mail(server) => server.address.to_string(),
            Self::Log(directory) => directory.path().join("log").display().to_string(),
        }
    }
}

fn is_clean(shown: &str) -> bool {
    let mail = [PASSWORD, SECRET, "UEFTU1dPUkRTRUNSRVQ", "AGFsaWNlAFBBU1NXT1JEU0VDUkVU"];
    SECRETS.iter().chain(&mail).all(|secret| !shown.contains(secret))
}

async fn deliver(
    channel: &dyn Channel,
    told: &Notification,
    limit: Duration,
) -> Result<Delivered, DeliveryError> {
    let started = Instant::now();
    let result = channel.deliver(told, started + limit).await;
    let took = started.elapsed();
    assert!(took < limit + Duration::from_secs(5), "{}: {took:?}", channel.kind());
    if let Err(error) = &result {
        let shown = format!("{error} {error:?}");
        assert!(is_clean(&shown), "{shown}");
        assert!(error.message.starts_with(channel.kind()), "subject first: {shown}");
        assert!(error.message.chars().count() < 700, "{shown}");
        assert!(!error.message.contains(char::is_control), "{shown}");
    }
    if let Ok(Delivered { memory: Some(memory), .. }) = &result {
        assert!(memory.len() <= 1_024 && is_clean(memory), "{memory}");
    }
    result
}

#[test]
fn every_registered_kind_is_under_test() {
    let mut tested: Vec<&str> = kinds().into_iter().map(Kind::key).collect();
    let mut registered: Vec<&str> = kind_keys().collect();
    tested.sort_unstable();
    tested.dedup();
    registered.sort_unstable();
    assert_eq!(registered, tested);
}

#[tokio::test]
async fn whatever_is_told_is_taken_by_a_healthy_receiver() {
    for kind in kinds() {
        let peer = kind.peer(Mood::Well).await;
        let channel = kind.channel(&peer.at());
        for told in [
            samples::slo_page(),
            samples::slo_update(),
            samples::slo_close(),
            samples::rule_page(),
            samples::group(1),
            samples::group(60),
            samples::hostile(1),
            samples::hostile(1_000),
        ] {
            let result = deliver(&*channel, &told, Duration::from_secs(60)).await;
            assert!(result.is_ok(), "{}: {result:?}", kind.key());
        }
    }
}

#[tokio::test]
async fn many_are_told_together_only_where_nothing_stays_open() {
    let mut flood = samples::group(100);
    (flood.incident, flood.n_truncated, flood.group_labels) = (0, 400, Labels::default());
    flood.reason = "500 incidents in one message: too many at once for one each".into();
    for kind in kinds() {
        let peer = kind.peer(Mood::Well).await;
        let channel = kind.channel(&peer.at());
        let opening = samples::slo_page();
        let wants = ["slack", "email"].contains(&channel.kind());
        assert_eq!(channel.may_digest(&opening), wants, "{}", kind.key());
        if wants {
            let result = deliver(&*channel, &flood, Duration::from_secs(20)).await;
            assert!(result.is_ok(), "{}: {result:?}", kind.key());
        }
        // What has a place over there that has to be changed or closed is never told elsewhere.
        let told = deliver(&*channel, &opening, Duration::from_secs(20)).await.unwrap();
        let keeps = matches!(channel.kind(), "slack" | "pagerduty") && told.memory.is_some();
        let closing = Notification { memory: told.memory, ..samples::slo_close() };
        assert!(!keeps || !channel.may_digest(&closing), "{}", kind.key());
    }
}

#[tokio::test]
async fn what_may_pass_is_retried_and_what_cannot_is_not() {
    for kind in kinds() {
        for (mood, cause) in [
            (Mood::Silent, Cause::TimedOut),
            (Mood::Broken, Cause::Unreachable),
            (Mood::Refusing, Cause::Refused),
            (Mood::Busy, Cause::ServerError),
            (Mood::Telltale, Cause::Refused),
        ] {
            if !kind.knows(mood) {
                continue;
            }
            let error = kind.attempt(mood, &samples::slo_page()).await.unwrap_err();
            assert_eq!(error.cause, cause, "{} {mood:?}: {error}", kind.key());
            assert_eq!(error.is_retryable(), cause != Cause::Refused, "{mood:?}: {error}");
        }
        if !kind.knows(Mood::Garbage) {
            continue;
        }
        let error = kind.attempt(Mood::Garbage, &samples::slo_page()).await.unwrap_err();
        assert!(error.is_retryable() && error.cause != Cause::Bug, "{}: {error}", kind.key());
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    drop(listener);
    for kind in kinds() {
        let channel = kind.channel(&if matches!(kind, Kind::Log) {
            "/nowhere/log".to_owned()
        } else {
            at.clone()
        });
        let limit = Duration::from_secs(20);
        let error = deliver(&*channel, &samples::slo_page(), limit).await.unwrap_err();
        assert!(error.is_retryable() && error.cause == Cause::Unreachable, "{error}");
        let why = if matches!(kind, Kind::Log) { "No such file" } else { "refused" };
        assert!(error.message.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_failure_leaves_nothing_behind() {
    for kind in kinds() {
        for mood in [Mood::Silent, Mood::Broken, Mood::Garbage, Mood::Busy] {
            if !kind.knows(mood) {
                continue;
            }
            let bad = kind.peer(mood).await;
            let channel = kind.channel(&bad.at());
            let limit = Duration::from_millis(300);
            for _ in 0..2 {
                assert!(deliver(&*channel, &samples::slo_page(), limit).await.is_err());
            }
            match &bad {
                Peer::Http(receiver) => receiver.always(Answer::Proper),
                Peer::Mail(server) => server.behave(),
                Peer::Log(directory) => {
                    std::fs::create_dir_all(directory.path()).unwrap();
                    let _ = std::fs::remove_file(directory.path().join("log"));
                }
            }
            let result = deliver(&*channel, &samples::slo_page(), Duration::from_secs(20)).await;
            assert!(result.is_ok(), "{} after {mood:?}: {result:?}", kind.key());
        }
    }
}

//! E-mail against a server that misbehaves at every step.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use watchkeeper_collector_core::notify::Notification;

use super::fake::{CERTIFICATE, MailServer, Manner, PASSWORD, SECRET, STEPS, Step, TlsMode, USER};
use super::look::header;
use crate::channels::registry::tests::receiver;
use crate::channels::{Cause, Channel, Delivered, DeliveryError, samples};

/// A channel to a server; `more` goes beside the address, `{TLS}` stands for trust in the fake.
fn channel(at: &str, more: &str) -> Box<dyn Channel> {
    let more = more.replace("{TLS}", &format!("tls_config: {{ca_file: {CERTIFICATE}}}"));
    let text = format!(
        "name: r\nemail_configs:\n  - {{to: 'a@x.test, b@x.test', from: w@x.test, smarthost: '{at}', {more}}}\n"
    );
    receiver(&text, Some(true)).integrations[0].settings.build().unwrap()
}

/// With every secret there may be.
fn with_secrets() -> String {
    format!("auth_username: {USER}, auth_password: {PASSWORD}, auth_secret: {SECRET}, {{TLS}}")
}

async fn deliver(
    channel: &dyn Channel,
    told: &Notification,
    limit: Duration,
) -> Result<Delivered, DeliveryError> {
    let started = Instant::now();
    let result = channel.deliver(told, started + limit).await;
    assert!(started.elapsed() < limit + Duration::from_secs(2), "{:?}", started.elapsed());
    if let Err(error) = &result {
        let shown = format!("{error} {error:?} {channel:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(error.message.starts_with("email 127.0.0.1:"), "{error}");
        assert!(error.message.chars().count() < 700, "{error}");
        assert!(!error.message.contains(char::is_control), "{error}");
    }
    result
}

async fn attempt(server: &MailServer, more: &str) -> Result<Delivered, DeliveryError> {
    let channel = channel(&server.address.to_string(), more);
    deliver(&*channel, &samples::slo_page(), Duration::from_secs(20)).await
}

const LOGGED_IN: [&str; 2] = ["a@x.test", "b@x.test"];

#[tokio::test]
async fn each_way_to_authenticate_over_each_way_into_tls() {
    let user = format!("auth_username: {USER}");
    let password = format!("auth_password: {PASSWORD}");
    let secret = format!("auth_secret: {SECRET}");
    for (mode, tls) in [
        (TlsMode::StartTls, "{TLS}"),
        (TlsMode::Implicit, "force_implicit_tls: true, {TLS}"),
        (TlsMode::Off, "require_tls: false"),
    ] {
        for (offer, with, way) in [
            ("PLAIN LOGIN CRAM-MD5", &[&password][..], "PLAIN"),
            ("LOGIN PLAIN", &[&password], "LOGIN"),
            ("XOAUTH2 CRAM-MD5 PLAIN", &[&password], "PLAIN"),
            ("XOAUTH2 CRAM-MD5 PLAIN", &[&password, &secret], "CRAM-MD5"),
            ("PLAIN CRAM-MD5", &[&password, &secret], "PLAIN"),
            ("PLAIN CRAM-MD5", &[&secret], "CRAM-MD5"),
        ] {
            let server = MailServer::start(mode).await;
            server.offer(offer);
            let with: Vec<&str> = with.iter().map(|text| text.as_str()).collect();
            let more = format!("{user}, {}, {tls}", with.join(", "));
            let told = attempt(&server, &more).await.unwrap();
            assert_eq!(told.status, Some(250));
            let mails = server.mails();
            assert_eq!(mails.len(), 1, "{mode:?} {offer}");
            assert_eq!(mails[0].authenticated, way, "{mode:?} {offer}");
            assert_eq!(mails[0].is_secure, mode != TlsMode::Off);
            assert_eq!(
                (mails[0].from.as_str(), &mails[0].to[..]),
                ("<w@x.test>", &LOGGED_IN.map(str::to_owned)[..])
            );
            assert_eq!(told.memory, Some(header(&mails[0].content, "message-id")));
        }
    }
}

#[tokio::test]
async fn what_a_server_says_is_retried_or_not_as_the_table_says() {
    use Step::*;
    for (step, says, cause, word) in [
        (Greeting, "421 4.3.2 too busy", Cause::ServerError, "greeting: 421"),
        (Greeting, "554 5.3.2 no mail here", Cause::Refused, "greeting: 554"),
        (Hello, "421 closing", Cause::ServerError, "EHLO: 421"),
        (Hello, "501 bad name", Cause::Refused, "EHLO: 501"),
        (Hello, "502 what is EHLO", Cause::Refused, "EHLO: 502"),
        (Hello, "250 mail.test", Cause::Refused, "does not offer STARTTLS"),
        (StartTls, "454 4.7.0 TLS not available", Cause::ServerError, "STARTTLS: 454"),
        (StartTls, "501 5.5.4 no", Cause::Refused, "require_tls"),
        (StartTls, "220 ok\r\n250 injected", Cause::BadAnswer, "in clear after"),
        (Auth, "454 4.7.0 try later", Cause::ServerError, "AUTH: 454"),
        (Auth, "535 5.7.8 no PASSWORDSECRET", Cause::Refused, "auth_username"),
        (Auth, "530 5.7.0 no", Cause::Refused, "AUTH: 530"),
        (Auth, "534 5.7.9 too weak", Cause::Refused, "AUTH: 534"),
        (Auth, "334 bm9uc2Vuc2U=", Cause::BadAnswer, "no answer"),
        (Sender, "421 4.7.0 slow down", Cause::ServerError, "MAIL FROM: 421"),
        (Sender, "450 4.1.8 later", Cause::ServerError, "MAIL FROM: 450"),
        (Sender, "553 5.7.1 not yours", Cause::Refused, "check `from`"),
        (Recipient, "421 4.7.0 enough", Cause::ServerError, "RCPT TO: 421"),
        (Recipient, "450 4.2.0 greylisted", Cause::PutOff, "recipient a@x.test: 450"),
        (Recipient, "452 4.2.2 full", Cause::PutOff, "(and 1 more)"),
        (Recipient, "550 5.1.1 unknown", Cause::Refused, "recipient a@x.test: 550"),
        (Recipient, "354 what", Cause::ServerError, "RCPT TO: 354"),
        (Data, "451 4.3.0 later", Cause::ServerError, "DATA: 451"),
        (Data, "554 5.5.1 no", Cause::Refused, "DATA: 554"),
        (Data, "250 what", Cause::ServerError, "DATA: 250"),
        (Content, "451 4.3.0 later", Cause::ServerError, "end of the mail: 451"),
        (Content, "552 5.3.4 too big", Cause::Refused, "end of the mail: 552"),
        (Content, "554-5.7.1\r\n554 spam", Cause::Refused, "554 5.7.1 spam"),
        (Content, "354 go on", Cause::ServerError, "end of the mail: 354"),
    ] {
        let server = MailServer::start(TlsMode::StartTls).await;
        server.manner(step, Manner::Say(says.into()));
        let error = attempt(&server, &with_secrets()).await.unwrap_err();
        assert_eq!(error.cause, cause, "{step:?} {says}: {error}");
        assert_eq!(error.is_retryable(), cause != Cause::Refused, "{step:?} {says}: {error}");
        assert!(error.message.contains(word), "{step:?} {says}: {error}");
        assert!(server.mails().is_empty(), "{step:?} {says}");
        let code: u16 = says[..3].parse().unwrap();
        let has_code = error.message.contains(&format!("{code} "));
        assert!(!has_code || error.status == Some(code), "{error:?}");
        // It is not broken for good: the next attempt tells.
        server.behave();
        assert!(attempt(&server, &with_secrets()).await.is_ok(), "{step:?} {says}");
    }
}

#[tokio::test]
async fn an_attempt_ends_by_its_deadline_at_every_step() {
    let limit = Duration::from_millis(700);
    for step in STEPS {
        for manner in [Manner::Silent, Manner::Drip] {
            let server = MailServer::start(TlsMode::StartTls).await;
            server.manner(step, manner.clone());
            let channel = channel(&server.address.to_string(), &with_secrets());
            let error = deliver(&*channel, &samples::slo_page(), limit).await.unwrap_err();
            assert_eq!(error.cause, Cause::TimedOut, "{step:?} {manner:?}: {error}");
            assert!(error.is_retryable());
        }
    }
    // A handshake that is never answered.
    let server = MailServer::start(TlsMode::Off).await;
    server.manner(Step::Greeting, Manner::Silent);
    let mute = channel(&server.address.to_string(), "force_implicit_tls: true, {TLS}");
    let error = deliver(&*mute, &samples::slo_page(), limit).await.unwrap_err();
    assert!(error.cause == Cause::TimedOut && error.message.contains(": TLS: "), "{error}");
    let server = MailServer::start(TlsMode::Implicit).await;
    // A server with TLS from the first byte that is spoken to in clear says nothing.
    let clear = channel(&server.address.to_string(), "require_tls: false");
    let error = deliver(&*clear, &samples::slo_page(), limit).await.unwrap_err();
    assert_eq!(error.cause, Cause::TimedOut, "{error}");
}

#[tokio::test]
async fn what_is_no_smtp_and_what_has_no_end_is_given_up_at_once() {
    for step in STEPS {
        for (manner, cause) in [
            (Manner::Drop, Cause::Unreachable),
            (Manner::Garbage, Cause::BadAnswer),
            (Manner::Endless, Cause::BadAnswer),
            (Manner::Lines, Cause::BadAnswer),
        ] {
            let server = MailServer::start(TlsMode::StartTls).await;
            server.manner(step, manner.clone());
            let started = Instant::now();
            let error = attempt(&server, &with_secrets()).await.unwrap_err();
            assert_eq!(error.cause, cause, "{step:?} {manner:?}: {error}");
            assert!(error.is_retryable());
            assert!(started.elapsed() < Duration::from_secs(10), "{step:?} {manner:?}");
        }
    }
}

#[tokio::test]
async fn a_mail_that_was_taken_is_told_even_if_the_goodbye_fails() {
    for manner in [Manner::Silent, Manner::Drop, Manner::Garbage, Manner::Say("554 no".into())] {
        let server = MailServer::start(TlsMode::StartTls).await;
        server.manner(Step::Quit, manner.clone());
        assert!(attempt(&server, &with_secrets()).await.is_ok(), "{manner:?}");
        assert_eq!(server.mails().len(), 1);
    }
}

#[tokio::test]
async fn tls_that_is_not_as_asked_for_is_refused_with_advice() {
    let wrong_name = format!("tls_config: {{ca_file: {CERTIFICATE}, server_name: other.test}}");
    let right_name = format!("tls_config: {{ca_file: {CERTIFICATE}, server_name: mail.test}}");
    let skip = "tls_config: {insecure_skip_verify: true}";
    for mode in [TlsMode::StartTls, TlsMode::Implicit] {
        let force = format!("force_implicit_tls: {}", mode == TlsMode::Implicit);
        for (tls, word) in [
            ("hello: me.test", Some("ca_file")),
            (wrong_name.as_str(), Some("not valid for name")),
            (right_name.as_str(), None),
            (skip, None),
        ] {
            let server = MailServer::start(mode).await;
            let result = attempt(&server, &format!("{force}, {tls}")).await;
            let Some(word) = word else {
                assert!(result.is_ok(), "{mode:?} {tls}: {result:?}");
                continue;
            };
            let error = result.unwrap_err();
            assert!(!error.is_retryable() && error.message.contains(word), "{mode:?}: {error}");
            assert!(error.message.contains("tls_config"), "{error}");
            assert!(server.mails().is_empty());
        }
    }
    // TLS from the first byte where there is none: perhaps the wrong port, perhaps trouble.
    let server = MailServer::start(TlsMode::StartTls).await;
    let error = attempt(&server, "force_implicit_tls: true, {TLS}").await.unwrap_err();
    assert!(error.is_retryable() && error.message.contains("no TLS"), "{error}");
}

#[tokio::test]
async fn no_password_goes_out_without_tls_where_it_was_asked_for() {
    let server = MailServer::start(TlsMode::Off).await;
    let error = attempt(&server, &with_secrets()).await.unwrap_err();
    assert!(!error.is_retryable() && error.message.contains("require_tls"), "{error}");
    assert!(server.commands().iter().all(|command| !command.starts_with("AUTH")));
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_server_without_a_way_to_authenticate_is_refused_with_advice() {
    for (offer, word) in [("", "it has none"), ("XOAUTH2 GSSAPI", "it has XOAUTH2 GSSAPI")] {
        let server = MailServer::start(TlsMode::StartTls).await;
        server.offer(offer);
        let error = attempt(&server, &with_secrets()).await.unwrap_err();
        assert!(!error.is_retryable() && error.message.contains(word), "{error}");
        assert!(error.message.contains("auth_secret"), "{error}");
    }
    // Nothing is asked of a server that wants nothing.
    let server = MailServer::start(TlsMode::StartTls).await;
    server.offer("");
    assert!(attempt(&server, "{TLS}").await.is_ok());
}

#[tokio::test]
async fn a_recipient_who_is_refused_keeps_no_other_from_being_told() {
    let server = MailServer::start(TlsMode::StartTls).await;
    server.answer("a@x.test", "550 5.1.1 no such user");
    let channel = channel(&server.address.to_string(), &with_secrets());
    let (told, limit) = (samples::slo_page(), Duration::from_secs(20));
    let delivered = deliver(&*channel, &told, limit).await.unwrap();
    assert_eq!(delivered.status, Some(250));
    let note = delivered.note.unwrap();
    assert!(note.starts_with("email 127.0.0.1:"), "{note}");
    let says = "1 of 2 recipients were not told: a@x.test: 550 5.1.1 no such user";
    assert!(note.ends_with(says), "{note}");
    let mails = server.mails();
    assert_eq!((mails.len(), &mails[0].to[..]), (1, &["b@x.test".to_owned()][..]));
    assert!(mails[0].content.contains("refused this mail for a@x.test"), "{}", mails[0].content);
}

#[tokio::test]
async fn a_recipient_who_is_put_off_is_told_later_and_the_others_once() {
    let server = MailServer::start(TlsMode::StartTls).await;
    server.answer("a@x.test", "450 4.2.0 greylisted");
    let channel = channel(&server.address.to_string(), &with_secrets());
    let (told, limit) = (samples::slo_page(), Duration::from_secs(20));
    for _ in 0..3 {
        let error = deliver(&*channel, &told, limit).await.unwrap_err();
        assert_eq!((error.cause, error.is_retryable()), (Cause::PutOff, true));
        assert!(error.message.contains("a@x.test was put off: 450"), "{error}");
        assert!(error.message.contains("1 of 2 are done"), "{error}");
    }
    assert_eq!(server.mails().len(), 1, "b was told once");
    server.behave();
    deliver(&*channel, &told, limit).await.unwrap();
    let mails = server.mails();
    assert_eq!((mails.len(), &mails[1].to[..]), (2, &["a@x.test".to_owned()][..]));
    let ids = [0, 1].map(|n: usize| header(&mails[n].content, "message-id"));
    assert_eq!(ids[0], ids[1], "it is the same mail");
    // The next word goes to both again.
    deliver(&*channel, &samples::slo_close(), limit).await.unwrap();
    assert_eq!(server.mails()[2].to.len(), 2);
}

#[tokio::test]
async fn a_mailbox_that_stays_full_does_not_make_a_delivery_fail() {
    let server = MailServer::start(TlsMode::Off).await;
    server.answer("a@x.test", "452 4.2.2 mailbox full");
    let channel = channel(&server.address.to_string(), "require_tls: false");
    let (told, limit) = (samples::slo_page(), Duration::from_secs(20));
    assert!(deliver(&*channel, &told, limit).await.is_err());
    tokio::time::pause();
    tokio::time::advance(super::recipients::PATIENCE).await;
    tokio::time::resume();
    let delivered = deliver(&*channel, &told, limit).await.unwrap();
    assert_eq!(delivered.status, Some(250));
    assert!(delivered.note.unwrap().contains("a@x.test: 452"));
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    drop(listener);
    let limit = Duration::from_secs(20);
    let error = deliver(&*channel(&at, "{TLS}"), &samples::slo_page(), limit).await.unwrap_err();
    assert!(error.is_retryable() && error.cause == Cause::Unreachable, "{error}");
    assert!(error.message.contains("connection: ") && error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_with_several_addresses_is_tried_through() {
    // Mostly ::1 comes first, where nobody listens.
    let server = MailServer::start(TlsMode::Off).await;
    let at = format!("localhost:{}", server.address.port());
    let channel = channel(&at, "require_tls: false");
    assert!(deliver(&*channel, &samples::slo_page(), Duration::from_secs(20)).await.is_ok());
    let nowhere = self::channel("nowhere.invalid:25", "require_tls: false");
    let limit = Instant::now() + Duration::from_secs(20);
    let error = nowhere.deliver(&samples::slo_page(), limit).await.unwrap_err();
    assert!(
        error.is_retryable() && error.message.contains("nowhere.invalid:25: connection"),
        "{error}"
    );
}

#[tokio::test]
async fn who_is_refused_and_who_is_put_off_at_once_are_both_settled() {
    let server = MailServer::start(TlsMode::Off).await;
    let channel = channel(&server.address.to_string(), "require_tls: false");
    server.answer("a@x.test", "550 gone").answer("b@x.test", "450 later");
    let (told, limit) = (samples::slo_page(), Duration::from_secs(20));
    let error = deliver(&*channel, &told, limit).await.unwrap_err();
    assert_eq!((error.cause, error.status), (Cause::PutOff, Some(450)), "{error}");
    server.answer("b@x.test", "250 ok");
    let note = deliver(&*channel, &told, limit).await.unwrap().note.unwrap();
    assert!(note.ends_with("1 of 2 recipients were not told: a@x.test: 550 gone"), "{note}");
    assert_eq!(server.mails()[0].to, ["b@x.test"]);
    server.answer("b@x.test", "550 gone too");
    let error = deliver(&*channel, &samples::slo_close(), limit).await.unwrap_err();
    assert!(!error.is_retryable() && error.message.contains("and 1 more"), "{error}");
}

#[tokio::test]
async fn many_mails_at_once_each_have_a_session_of_their_own() {
    let server = MailServer::start(TlsMode::StartTls).await;
    let channel = channel(&server.address.to_string(), &with_secrets());
    let notifications: Vec<Notification> = (0..8).map(|n| samples::group(n + 2)).collect();
    let sent = notifications.iter().map(|told| deliver(&*channel, told, Duration::from_secs(30)));
    let results = futures_util::future::join_all(sent).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((server.mails().len(), server.n_sessions()), (8, 8));
}

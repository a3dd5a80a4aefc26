//! The app against a Slack that keeps messages and threads.

use std::time::Duration;

use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification, NotifiedAlert};
use watchkeeper_config::{ProcessEnv, Reader, load_str};

use super::preview::preview;
use crate::channels::fakes::receiver::Answer;
use crate::channels::fakes::slack_app::SlackApp;
use crate::channels::{
    Cause, Channel, ChannelDefaults, Delivered, DeliveryError, ReceiverSettings, samples,
};

const TOKEN: &str = "xoxb-1234-SECRET";

fn channel_with(fake: &SlackApp, more: &str) -> Box<dyn Channel> {
    let text = format!(
        "name: chat\nslack_configs: [{{app_token: {TOKEN}, app_url: '{}', channel: '#alerts'{more}}}]\n",
        fake.url()
    );
    let mut reader = Reader::new(&ProcessEnv);
    let receiver = load_str("receiver.yml", &text, &mut reader).and_then(|document| {
        ReceiverSettings::read(document.root(), &ChannelDefaults::default(), &mut reader)
    });
    let (receiver, _) = reader.finish(receiver).unwrap();
    receiver.integrations[0].settings.build().unwrap()
}

async fn start() -> (SlackApp, Box<dyn Channel>) {
    let fake = SlackApp::start(TOKEN, &["alerts", "other"]).await.unwrap();
    let channel = channel_with(&fake, "");
    (fake, channel)
}

async fn tell(channel: &dyn Channel, told: &Notification) -> Result<Delivered, DeliveryError> {
    let result = channel.deliver(told, Instant::now() + Duration::from_secs(20)).await;
    if let Err(error) = &result {
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    }
    result
}

/// The next word of an incident, with what was remembered of it.
fn next(told: Notification, before: &Delivered) -> Notification {
    Notification { memory: before.memory.clone(), ..told }
}

fn refuse(word: &str) -> Answer {
    Answer::Status(200, format!(r#"{{"ok":false,"error":"{word}"}}"#))
}

/// The lines of all answers in a thread; those that show in the channel too are marked with `!`.
fn thread(fake: &SlackApp, ts: &str) -> String {
    let shown = fake.thread(ts).into_iter().map(|message| {
        let mark = if message.is_broadcast { "! " } else { "" };
        format!("{mark}{}", preview(&message.content))
    });
    shown.collect()
}

#[tokio::test]
async fn an_incident_is_one_message_that_changes_and_a_thread_that_says_what() {
    let (fake, channel) = start().await;
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    let first = fake.messages().remove(0);
    assert_eq!((&*first.channel, first.n_edits), ("C0", 0));
    assert_eq!(first.content["attachments"][0]["color"], "#d32f2f");
    let updated = tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap();
    assert_eq!(updated.memory, opened.memory);
    let kept = fake.messages().remove(0);
    assert_eq!(preview(&kept.content), include_str!("golden/kept_update.txt"));
    tell(&*channel, &next(samples::slo_close(), &updated)).await.unwrap();
    let messages = fake.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].n_edits, 2);
    assert_eq!(messages[0].content["attachments"][0]["color"], "#2e7d32");
    assert!(messages[0].content["text"].as_str().unwrap().starts_with("✅ Resolved"));
    assert_eq!(thread(&fake, &messages[0].ts), include_str!("golden/thread.txt"));
}

fn with_severity(mut told: Notification, alert: usize, severity: &str) -> Notification {
    let alert: &mut NotifiedAlert = &mut told.alerts[alert];
    alert.labels = alert.labels.with_one("severity", severity);
    told
}

#[tokio::test]
async fn the_thread_says_what_has_changed() {
    let (fake, channel) = start().await;
    let update = |told: Notification| Notification { action: Action::Update, ..told };
    let again = |told: Notification| Notification { reason: "fired_again".into(), ..told };
    let rerouted = |told: Notification| {
        let (action, reason) = (Action::Close, "rerouted".into());
        Notification { action, reason, ..told }
    };
    let steps = [
        samples::group(3),
        // Two more fire, and the third fires now.
        update(samples::group(6)),
        // The fourth and fifth are over.
        {
            let mut told = update(samples::group(6));
            told.alerts.iter_mut().skip(3).for_each(|alert| {
                alert.firing = false;
                alert.ends_at = Some(samples::AT);
            });
            told
        },
        with_severity(update(samples::group(4)), 0, "critical"),
        with_severity(update(samples::group(4)), 0, "info"),
        again(with_severity(update(samples::group(4)), 0, "info")),
        update(samples::group(40)),
        update(samples::group(90)),
        Notification { reason: "new_alerts".into(), ..update(samples::group(95)) },
        Notification { reason: "resolved_some".into(), ..update(samples::group(94)) },
        rerouted(samples::group(94)),
    ];
    let mut before = Delivered::default();
    for told in steps {
        before = tell(&*channel, &next(told, &before)).await.unwrap();
        assert!(before.memory.as_ref().unwrap().len() <= 1_024);
    }
    let messages = fake.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(thread(&fake, &messages[0].ts), include_str!("golden/changes.txt"));
}

#[tokio::test]
async fn a_severity_that_moves_is_told_in_the_words_of_its_slo() {
    let (fake, channel) = start().await;
    let ticket = with_severity(samples::slo_page(), 0, "ticket");
    let mut before = tell(&*channel, &ticket).await.unwrap();
    for severity in ["page", "ticket"] {
        let told = with_severity(samples::slo_update(), 0, severity);
        before = tell(&*channel, &next(told, &before)).await.unwrap();
    }
    let thread = thread(&fake, &fake.messages()[0].ts);
    let lines: Vec<&str> = thread.lines().collect();
    assert!(lines[0].starts_with("! 🔴 Worse · shop-availability"), "{thread}");
    assert!(lines[0].contains("is PAGE now, it was TICKET: burning 14.6x"), "{thread}");
    assert!(lines[1].starts_with("🟡 Better · shop-availability"), "{thread}");
    assert!(lines[1].contains("is TICKET now, it was PAGE"), "{thread}");
}

#[tokio::test]
async fn what_was_never_confirmed_is_told_as_the_first_word() {
    for told in [samples::slo_update(), samples::slo_close()] {
        let (fake, channel) = start().await;
        let delivered = tell(&*channel, &told).await.unwrap();
        let messages = fake.messages();
        assert_eq!((messages.len(), fake.thread(&messages[0].ts).len()), (1, 0));
        assert!(delivered.memory.is_some());
    }
}

#[tokio::test]
async fn a_memory_of_another_kind_of_channel_is_the_first_word() {
    for memory in [r#"{"opened_with":["abc"]}"#, "nonsense", ""] {
        let (fake, channel) = start().await;
        let told = Notification { memory: Some(memory.into()), ..samples::slo_update() };
        tell(&*channel, &told).await.unwrap();
        assert_eq!(fake.messages().len(), 1);
    }
}

#[tokio::test]
async fn the_end_of_what_was_deleted_is_told_though_nothing_is_known_of_it() {
    let (fake, channel) = start().await;
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    let mut told = next(samples::slo_close(), &opened);
    told.alerts.clear();
    told.reason = "deleted".into();
    tell(&*channel, &told).await.unwrap();
    let thread = thread(&fake, &fake.messages()[0].ts);
    assert_eq!(thread, "⚪ Closed here: what it was about was deleted\n");
    let shown = preview(&fake.messages()[0].content);
    let lines: Vec<&str> = shown.lines().take(2).collect();
    let want = "No longer told here: what it was about was deleted";
    assert_eq!(lines, ["# ⚪ Closed here · alertname=shop-availability service=shop", want]);
}

#[tokio::test]
async fn a_message_that_is_gone_is_replaced_by_a_new_one() {
    let (fake, channel) = start().await;
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    let first = fake.messages().remove(0);
    fake.delete(&first.ts);
    let updated = tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap();
    let second = fake.messages().remove(0);
    assert_ne!(first.ts, second.ts);
    assert_ne!(opened.memory, updated.memory);
    assert_eq!(fake.thread(&second.ts).len(), 0, "there is nothing to compare it with");
    tell(&*channel, &next(samples::slo_close(), &updated)).await.unwrap();
    let messages = fake.messages();
    assert_eq!((messages.len(), messages[0].n_edits), (1, 1));
}

#[tokio::test]
async fn every_word_that_says_the_message_is_gone_makes_a_new_one() {
    for word in ["message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"] {
        let (fake, channel) = start().await;
        let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
        fake.receiver.script([refuse(word)]);
        let updated = tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap();
        assert_ne!(updated.memory, opened.memory, "{word}");
        assert_eq!(fake.messages().len(), 2, "{word}");
    }
}

#[tokio::test]
async fn a_thread_that_is_locked_is_no_reason_for_silence() {
    let (fake, channel) = start().await;
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    fake.receiver.script([Answer::Proper, refuse("restricted_action_thread_locked")]);
    tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap();
    let edits: Vec<usize> = fake.messages().iter().map(|message| message.n_edits).collect();
    assert_eq!(edits, [1, 0]);
}

#[tokio::test]
async fn an_incident_goes_on_where_it_was_told_though_the_channel_was_changed() {
    let (fake, channel) = start().await;
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    let other = {
        let text = format!(
            "name: chat\nslack_configs: [{{app_token: {TOKEN}, app_url: '{}', channel: other}}]\n",
            fake.url()
        );
        let receiver = crate::channels::registry::tests::receiver(&text, None);
        receiver.integrations[0].settings.build().unwrap()
    };
    let updated = tell(&*other, &next(samples::slo_update(), &opened)).await.unwrap();
    assert_eq!(fake.messages().len(), 1);
    // Its channel is archived: the rest is told in the new one.
    fake.archive("C0");
    tell(&*other, &next(samples::slo_close(), &updated)).await.unwrap();
    let channels: Vec<String> =
        fake.messages().into_iter().map(|message| message.channel).collect();
    assert_eq!(channels, ["C0", "C1"]);
}

#[tokio::test]
async fn an_archived_channel_is_an_error_that_says_so() {
    let (fake, channel) = start().await;
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    fake.archive("C0");
    let error = tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(
        error.message.ends_with("status 200: is_archived (the channel is archived)"),
        "{error}"
    );
}

#[tokio::test]
async fn refusals_are_retried_or_not_as_their_words_say() {
    let cause = |word: &str| match word {
        "ratelimited" => Cause::RateLimited,
        "internal_error" => Cause::ServerError,
        _ => Cause::Refused,
    };
    for word in ["ratelimited", "internal_error", "invalid_auth", "channel_not_found", "new_word"] {
        let (fake, channel) = start().await;
        fake.receiver.script([refuse(word)]);
        let error = tell(&*channel, &samples::slo_page()).await.unwrap_err();
        assert_eq!((error.cause, error.status), (cause(word), Some(200)), "{word}");
        assert!(error.message.contains(word), "{error}");
        // The same for the second word, at either call.
        let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
        for script in [vec![refuse(word)], vec![Answer::Proper, refuse(word)]] {
            let is_lost = word == "channel_not_found";
            fake.receiver.script(script);
            let result = tell(&*channel, &next(samples::slo_update(), &opened)).await;
            assert_eq!(result.map_err(|error| error.cause).err(), (!is_lost).then(|| cause(word)));
        }
    }
}

#[tokio::test]
async fn a_limit_says_when_to_come_back() {
    let (fake, channel) = start().await;
    fake.receiver.script([Answer::RetryAfter(429, "7".into())]);
    let error = tell(&*channel, &samples::slo_page()).await.unwrap_err();
    assert_eq!(
        (error.cause, error.retry_after),
        (Cause::RateLimited, Some(Duration::from_secs(7)))
    );
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    fake.receiver.script([Answer::Proper, Answer::RetryAfter(429, "3".into())]);
    let error = tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
    // The attempt after it says the line once.
    tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap();
    assert_eq!(fake.thread(&fake.messages()[0].ts).len(), 1);
}

#[tokio::test]
async fn trouble_at_either_call_is_retried_and_ends_in_time() {
    for fault in [Answer::Status(500, String::new()), Answer::Reset, Answer::Garbage, Answer::Hang]
    {
        let (fake, channel) = start().await;
        let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
        for script in [vec![fault.clone()], vec![Answer::Proper, fault.clone()]] {
            fake.receiver.script(script);
            let told = next(samples::slo_update(), &opened);
            let started = Instant::now();
            let limit = if fault == Answer::Hang { 300 } else { 20_000 };
            let deadline = started + Duration::from_millis(limit);
            let error = channel.deliver(&told, deadline).await.unwrap_err();
            assert!(error.is_retryable(), "{fault:?}: {error}");
            assert!(started.elapsed() < Duration::from_secs(10));
        }
        assert_eq!(fake.messages().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_told_and_never_shown() {
    let (fake, channel) = start().await;
    fake.change_token("xoxb-new");
    let error = tell(&*channel, &samples::slo_page()).await.unwrap_err();
    assert!(error.message.ends_with("invalid_auth (is the token right?)"), "{error}");
    assert!(!format!("{channel:?}").contains("SECRET"));
    let echo = format!(r#"{{"ok":false,"error":"no {TOKEN}"}}"#);
    fake.receiver.script([Answer::Status(200, echo)]);
    let error = tell(&*channel, &samples::slo_page()).await.unwrap_err();
    assert!(error.message.ends_with("no ***"), "{error}");
}

#[tokio::test]
async fn an_ok_without_a_place_is_taken_and_remembered_as_nothing() {
    let (fake, channel) = start().await;
    fake.receiver.script([Answer::Status(200, r#"{"ok":true}"#.into())]);
    let delivered = tell(&*channel, &samples::slo_page()).await.unwrap();
    assert_eq!(delivered, Delivered::with_status(200));
}

#[tokio::test]
async fn without_update_message_every_word_is_a_message() {
    let (fake, _) = start().await;
    let channel =
        channel_with(&fake, ", update_message: false, username: Wally, icon_url: 'https://i/x'");
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    assert_eq!(opened.memory, None);
    tell(&*channel, &samples::slo_update()).await.unwrap();
    let messages = fake.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1].content["username"], "Wally");
    assert_eq!(messages[1].content["icon_url"], "https://i/x");
    let text = messages[1].content["text"].as_str().unwrap();
    assert!(text.starts_with("🔴 PAGE (update)"), "{text}");
}

#[tokio::test]
async fn what_means_harm_changes_a_message_within_limits() {
    let (fake, channel) = start().await;
    let mut before = tell(&*channel, &samples::hostile(2)).await.unwrap();
    for n in [40, 1_000] {
        let told = Notification { action: Action::Update, ..samples::hostile(n) };
        before = tell(&*channel, &next(told, &before)).await.unwrap();
    }
    let ts = fake.messages()[0].ts.clone();
    for message in fake.thread(&ts) {
        let body = message.content.to_string();
        for markup in ["<!channel", "<https://evil.example|", "javascript:", "\\u0007", "\u{202e}"]
        {
            assert!(!body.contains(markup), "{markup} in {body}");
        }
    }
    assert_eq!(fake.thread(&ts).len(), 2);
}

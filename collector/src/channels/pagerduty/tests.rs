//! The channel against a PagerDuty that keeps incidents.

use std::time::Duration;

use tokio::time::Instant;
use watchkeeper_collector_core::notify::{Action, Notification};
use watchkeeper_config::{ProcessEnv, Reader, load_str};

use crate::channels::fakes::pagerduty::PagerDuty;
use crate::channels::fakes::receiver::Answer;
use crate::channels::{
    Cause, Channel, ChannelDefaults, Delivered, DeliveryError, ReceiverSettings, samples,
};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn channel(fake: &PagerDuty, key: &str) -> Box<dyn Channel> {
    let url = fake.receiver.url("/v2/enqueue");
    let text = format!("name: oncall\npagerduty_configs: [{{routing_key: {key}, url: '{url}'}}]\n");
    let mut reader = Reader::new(&ProcessEnv);
    let receiver = load_str("receiver.yml", &text, &mut reader).and_then(|document| {
        ReceiverSettings::read(document.root(), &ChannelDefaults::default(), &mut reader)
    });
    let (receiver, _) = reader.finish(receiver).unwrap();
    receiver.integrations[0].settings.build().unwrap()
}

async fn tell(channel: &dyn Channel, told: &Notification) -> Result<Delivered, DeliveryError> {
    channel.deliver(told, Instant::now() + Duration::from_secs(20)).await
}

/// The next word of an incident, with what was remembered of it.
fn next(told: Notification, before: &Delivered) -> Notification {
    Notification { memory: before.memory.clone(), ..told }
}

#[tokio::test]
async fn an_incident_is_opened_once_and_resolved() {
    let fake = PagerDuty::start(&[KEY]).await.unwrap();
    let channel = channel(&fake, KEY);
    let opened = tell(&*channel, &samples::slo_page()).await.unwrap();
    assert_eq!(opened.status, Some(202));
    let updated = tell(&*channel, &next(samples::slo_update(), &opened)).await.unwrap();
    assert_eq!(updated.memory, opened.memory);
    tell(&*channel, &next(samples::slo_close(), &updated)).await.unwrap();
    let incidents = fake.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].n_more, incidents[0].is_resolved), (1, true));
    assert_eq!(incidents[0].dedup_key, samples::slo_page().dedup_key);
    assert_eq!(fake.n_dropped(), 0);
}

#[tokio::test]
async fn an_answer_that_was_lost_opens_no_second_incident() {
    let fake = PagerDuty::start(&[KEY]).await.unwrap();
    let channel = channel(&fake, KEY);
    fake.receiver.script([Answer::Lost]);
    let lost = tell(&*channel, &samples::slo_page()).await.unwrap_err();
    assert!(lost.is_retryable(), "{lost}");
    tell(&*channel, &samples::slo_page()).await.unwrap();
    assert_eq!(fake.incidents().len(), 1);
    // Nobody knows whether it was opened: the close is told all the same.
    tell(&*channel, &samples::slo_close()).await.unwrap();
    assert!(fake.incidents()[0].is_resolved);
}

#[tokio::test]
async fn another_incident_of_the_same_group_is_another_one_there() {
    let fake = PagerDuty::start(&[KEY]).await.unwrap();
    let channel = channel(&fake, KEY);
    let again = Notification { dedup_key: "6e20".repeat(16), incident: 13, ..samples::slo_page() };
    for told in [samples::slo_page(), samples::slo_close(), again] {
        tell(&*channel, &told).await.unwrap();
    }
    let open: Vec<bool> = fake.incidents().iter().map(|it| !it.is_resolved).collect();
    assert_eq!(open, [false, true]);
}

#[tokio::test]
async fn what_is_closed_here_but_goes_on_is_resolved_there() {
    let fake = PagerDuty::start(&[KEY]).await.unwrap();
    let channel = channel(&fake, KEY);
    tell(&*channel, &samples::slo_page()).await.unwrap();
    let moved =
        Notification { action: Action::Close, reason: "rerouted".into(), ..samples::slo_page() };
    tell(&*channel, &moved).await.unwrap();
    assert!(fake.incidents()[0].is_resolved);
}

#[tokio::test]
async fn a_close_that_pagerduty_would_drop_is_refused_aloud() {
    let fake = PagerDuty::start(&[KEY, OTHER]).await.unwrap();
    let opened = tell(&*channel(&fake, KEY), &samples::slo_page()).await.unwrap();
    let changed = channel(&fake, OTHER);
    let close = next(samples::slo_close(), &opened);
    let error = tell(&*changed, &close).await.unwrap_err();
    assert_eq!((error.cause, error.is_retryable()), (Cause::Refused, false));
    assert!(error.message.contains("opened with another routing key"), "{error}");
    assert!(!error.message.contains(KEY) && !error.message.contains(OTHER), "{error}");
    assert_eq!((fake.receiver.requests().len(), fake.n_dropped()), (1, 0));
    // The key is given back.
    tell(&*channel(&fake, KEY), &close).await.unwrap();
    assert!(fake.incidents()[0].is_resolved);
}

#[tokio::test]
async fn an_incident_that_goes_on_under_a_new_key_is_opened_and_resolved_there() {
    let fake = PagerDuty::start(&[KEY, OTHER]).await.unwrap();
    let opened = tell(&*channel(&fake, KEY), &samples::slo_page()).await.unwrap();
    let changed = channel(&fake, OTHER);
    let updated = tell(&*changed, &next(samples::slo_update(), &opened)).await.unwrap();
    tell(&*changed, &next(samples::slo_close(), &updated)).await.unwrap();
    let states: Vec<(String, bool)> =
        fake.incidents().into_iter().map(|it| (it.routing_key, it.is_resolved)).collect();
    assert_eq!(states, [(KEY.to_owned(), false), (OTHER.to_owned(), true)]);
    // The first one waits for whoever gives its key back.
    let memory = updated.memory.unwrap();
    assert!(memory.len() < 1_024 && !memory.contains(KEY) && !memory.contains(OTHER), "{memory}");
}

#[tokio::test]
async fn a_refusal_is_told_in_pagerduty_s_words_and_without_the_key() {
    let fake = PagerDuty::start(&[OTHER]).await.unwrap();
    let error = tell(&*channel(&fake, KEY), &samples::slo_page()).await.unwrap_err();
    assert_eq!((error.status, error.is_retryable()), (Some(400), false));
    assert!(error.message.ends_with("status 400: Event object is invalid: Invalid routing key"));
    let echo = format!(r#"{{"message":"no","errors":["unknown key {KEY}"]}}"#);
    fake.receiver.script([Answer::Status(400, echo)]);
    let error = tell(&*channel(&fake, KEY), &samples::slo_page()).await.unwrap_err();
    assert!(error.message.ends_with("status 400: no: unknown key ***"), "{error}");
    assert!(!format!("{error:?}").contains(KEY));
}

#[tokio::test]
async fn a_memory_of_another_kind_of_channel_does_no_harm() {
    let fake = PagerDuty::start(&[KEY]).await.unwrap();
    let channel = channel(&fake, KEY);
    tell(&*channel, &samples::slo_page()).await.unwrap();
    for memory in [r#"{"channel":"C1","ts":"1.2"}"#, "nonsense", "", "[]"] {
        let told = Notification { memory: Some(memory.into()), ..samples::slo_close() };
        tell(&*channel, &told).await.unwrap();
    }
    assert!(fake.incidents()[0].is_resolved);
}

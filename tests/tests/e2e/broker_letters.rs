//! Dead letters in the broker's queue: shown with their reason, tried again, dropped, and never lost by looking.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use serde_json::Value;
use watchkeeper_tests::harness::{
    LogWriter, Rabbit, Road, Site, binary, eventually, free_port, get_text,
};

use super::rabbitmq::{LIMIT, client, has_alert, n_messages, ours, publish, readyz, running};
use super::wire;

fn watchkeeper(port: u16, arguments: &[&str]) -> Output {
    Command::new(binary("watchkeeper"))
        .args(["dead-letters", "--output", "json"])
        .args(arguments)
        .env("WATCHKEEPER_URL", format!("http://127.0.0.1:{port}"))
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn letters(site: &Site) -> Vec<Value> {
    json(&watchkeeper(site.port, &["list"]))["dead_letters"].as_array().unwrap().clone()
}

pub(super) async fn listens(site: &Site) {
    let url = format!("http://127.0.0.1:{}/metrics", site.port);
    eventually("it listens", LIMIT, || async {
        let (_, text) = get_text(&url).await.ok()?;
        text.contains("\nwatchkeeper_intake_amqp_connected 1\n").then_some(())
    })
    .await;
}

/// Moves what comes with this key into a queue of the test's own, and gives the first one.
pub(super) struct Tap(Channel, String);

impl Tap {
    pub(super) async fn open(channel: &Channel, prefix: &str) -> Self {
        let queue = format!("{prefix}-tap");
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let none = FieldTable::default;
        channel.queue_declare(queue.as_str().into(), options, none()).await.unwrap();
        let (name, exchange) = (queue.as_str().into(), prefix.into());
        let bind = QueueBindOptions::default();
        channel.queue_bind(name, exchange, "windows".into(), bind, none()).await.unwrap();
        Self(channel.clone(), queue)
    }

    /// Properties and body of a batch of windows that has counts.
    pub(super) async fn batch(&self) -> (BasicProperties, Vec<u8>) {
        eventually("a batch came by", LIMIT, || async {
            let get = BasicGetOptions { no_ack: true };
            let message = self.0.basic_get(self.1.as_str().into(), get).await.unwrap()?;
            Some((message.delivery.properties.clone(), message.delivery.data.clone()))
        })
        .await
    }
}

/// Takes the next message of a queue as another program does that can't read it.
async fn reject(port: u16, queue: &str) {
    let (connection, channel) = client(port).await;
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await.unwrap();
    let message = tokio::time::timeout(LIMIT, consumer.next()).await.unwrap().unwrap().unwrap();
    message.acker.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

fn of<'a>(letters: &'a [Value], reason: &str) -> &'a Value {
    let is = |l: &&Value| l["reason"].as_str().unwrap().contains(reason);
    letters.iter().find(is).unwrap_or_else(|| panic!("{reason}: {letters:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_gave_up_is_shown_with_its_reason_tried_again_once_and_dropped() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    running(&mut site).await;
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    listens(&site).await;
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let tap = Tap::open(&channel, &prefix).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    let (properties, batch) = tap.batch().await;
    site.wait_counted(&log.written, LIMIT).await;

    // Nobody listens: everything below dies as it does where a collector is down, or another program reads along.
    site.agent.as_mut().unwrap().stop(Duration::from_secs(20)).unwrap();
    site.collector.as_mut().unwrap().kill();
    let (queue, dead) = (format!("{prefix}.windows"), format!("{prefix}.dead"));
    let other = wire::of_epoch(&batch, 1, 77);
    let foreign = || BasicProperties::default().with_content_type("application/json".into());
    for _ in 0..2 {
        publish(&channel, ("", &queue), properties.clone(), &other).await;
        reject(rabbit.port, &queue).await;
    }
    publish(&channel, ("", &queue), foreign(), b"{\"order\": 1}").await;
    reject(rabbit.port, &queue).await;
    publish(&channel, ("", &queue), foreign().with_expiration("1".into()), b"{\"order\": 2}").await;
    // Straight there, by somebody's mistake.
    publish(&channel, (&dead, ""), BasicProperties::default(), b"").await;
    let large = vec![b'x'; 10 << 20];
    publish(&channel, (&dead, ""), foreign(), &large).await;
    eventually("all of them died", LIMIT, || async {
        (n_messages(&channel, &dead).await == 6).then_some(())
    })
    .await;

    site.start_collector(&[]).await.unwrap();
    listens(&site).await;
    eventually("somebody is told, and where", LIMIT, || async {
        let alerts = site.api("alerts").await.ok()?;
        let mut all = alerts["alerts"].as_array()?.iter();
        let found = all.find(|a| a["labels"]["alertname"] == "DeadLetters")?;
        (found["state"] == "firing" && found["reason"].as_str()?.contains("6 at the broker"))
            .then_some(())
    })
    .await;
    let all = letters(&site);
    assert_eq!(all.len(), 5, "{all:#?}");
    let mine = format!("who read queue {queue} rejected it");
    let ids = |all: &[Value]| all.iter().map(|l| l["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&letters(&site)), ids(&all), "names stay");
    let twice = all.iter().find(|l| l["copies"] == 2).expect("one is there twice");
    assert_eq!((&twice["agent"], &twice["service"]), (&"web-1".into(), &"shop".into()));
    assert!(twice["reason"].as_str().unwrap().contains(&mine), "{twice}");
    assert_eq!((&twice["place"], &twice["retryable"]), (&"broker".into(), &true.into()));
    let late = of(&all, &format!("longer than it may in queue {queue}"));
    assert!(late["at"].as_str().unwrap().starts_with("20"), "{late}");
    let ours = of(&all, "nothing says why");
    assert!(ours["at"].is_null(), "{ours}");
    let huge = all.iter().find(|l| l["bytes"] == 10 << 20).expect("the large one");
    assert_eq!(huge["retryable"], false);

    let id = twice["id"].as_str().unwrap();
    let shown = json(&watchkeeper(site.port, &["show", id]));
    assert_eq!(shown["content"]["counted"], 1, "{shown}");
    let shown = json(&watchkeeper(site.port, &["show", huge["id"].as_str().unwrap()]));
    assert!(shown["content"]["first_bytes"].as_str().unwrap().starts_with("7878"), "{shown}");
    let retried = watchkeeper(site.port, &["retry", id, late["id"].as_str().unwrap()]);
    assert_eq!(retried.status.code(), Some(1), "one of them is nobody's batch");
    let retried = json(&retried);
    assert_eq!(retried["retried"][0]["outcome"], "counted", "{retried}");
    assert_eq!(retried["retried"][1]["outcome"], "refused", "{retried}");
    *log.written.get_mut("200").unwrap() += 1;
    site.wait_counted(&log.written, LIMIT).await;
    // Both copies are gone, and one more of them later is told from one that never counted.
    assert_eq!(letters(&site).len(), 4);
    publish(&channel, (&dead, ""), properties.clone(), &other).await;
    let again = json(&watchkeeper(site.port, &["retry", id]));
    assert_eq!(again["retried"][0]["outcome"], "counted", "{again}");
    site.wait_counted(&log.written, LIMIT).await;

    let id = late["id"].as_str().unwrap();
    assert!(watchkeeper(site.port, &["drop", id]).status.success());
    assert_eq!(watchkeeper(site.port, &["drop", id]).status.code(), Some(1), "it is gone");
    // Somebody stopped it in the middle: what it had in hand is not lost.
    site.collector.as_mut().unwrap().kill();
    eventually("the broker has them back", LIMIT, || async {
        (n_messages(&channel, &dead).await == 3).then_some(())
    })
    .await;
    site.start_collector(&[]).await.unwrap();
    listens(&site).await;
    let dropped = json(&watchkeeper(site.port, &["drop", "--all"]));
    assert_eq!(dropped["dropped"].as_array().unwrap().len(), 3, "{dropped}");
    eventually("the alert ends with the last letter", LIMIT, || async {
        (!has_alert(&site, "DeadLetters").await?).then_some(())
    })
    .await;
    assert_eq!(n_messages(&channel, &dead).await, 0);
}

/// Takes all messages of a queue in hand and gives them back, as those do who know nothing of limits; how often each came
/// back before.
async fn look(channel: &Channel, queue: &str) -> Vec<i64> {
    let mut all = Vec::new();
    let get = BasicGetOptions { no_ack: false };
    while let Some(message) = channel.basic_get(queue.into(), get).await.unwrap() {
        let headers = message.delivery.properties.headers().clone().unwrap_or_default();
        all.push(match headers.inner().get("x-delivery-count") {
            Some(AMQPValue::LongLongInt(n)) => *n,
            other => panic!("{other:?}"),
        });
    }
    channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_not_worn_out_by_looking_at_them() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    site.start_collector(&[]).await.unwrap();
    listens(&site).await;
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    let dead = format!("{prefix}.dead");
    // As RabbitMQ 4 does by itself, with 20.
    let (pattern, policy) = (format!("^{prefix}\\.dead$"), r#"{"delivery-limit": 9}"#);
    let set = ["set_policy", &prefix, &pattern, policy, "--apply-to", "queues"];
    assert!(rabbit.ctl(&set).status.success());
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert("x-of-theirs".into(), AMQPValue::LongString("kept".into()));
    // What a broker would obey or refuse if it were published again as it is.
    let properties = BasicProperties::default()
        .with_user_id("guest".into())
        .with_content_type("text/plain".into())
        .with_headers(headers);
    for body in [&b"one"[..], &[b'x'; 1 << 20]] {
        publish(&channel, (&dead, ""), properties.clone(), body).await;
    }
    let before = letters(&site);
    let is_back = || async {
        eventually("nobody has them in hand", LIMIT, || async {
            (n_messages(&channel, &dead).await == 2).then_some(())
        })
        .await;
    };
    is_back().await;
    for round in 0..3 {
        for n in 1..6 {
            let counts = look(&channel, &dead).await;
            // One look was ours.
            let n_before = if round == 0 { n } else { n - 1 };
            assert_eq!(counts, [n_before, n_before], "round {round}");
            is_back().await;
        }
        assert_eq!(letters(&site).len(), 2);
        is_back().await;
    }
    assert_eq!(letters(&site), before, "what was renewed is what it was");
    is_back().await;
    let get = BasicGetOptions { no_ack: false };
    let copy = channel.basic_get(dead.as_str().into(), get).await.unwrap().unwrap();
    let headers = copy.delivery.properties.headers().clone().unwrap();
    assert!(headers.inner().contains_key("x-of-theirs"), "{headers:?}");
    copy.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
    assert!(rabbit.ctl(&["clear_policy", &prefix]).status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_at_once_drop_each_letter_once_and_many_are_a_matter_of_seconds() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    site.start_collector(&[]).await.unwrap();
    listens(&site).await;
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    let dead = format!("{prefix}.dead");
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for n in 0..1_200 {
        let id = format!("{n}");
        let properties = BasicProperties::default().with_message_id(id.as_str().into());
        publish(&channel, (&dead, ""), properties, b"x").await;
    }
    let began = Instant::now();
    let listed = json(&watchkeeper(site.port, &["list"]));
    println!("listed 1000 of 1200 in {:?}", began.elapsed());
    assert_eq!(listed["dead_letters"].as_array().unwrap().len(), 1_000);
    let left_out = listed["left_out"][0].as_str().unwrap();
    assert!(left_out.starts_with("200 more of the broker"), "{left_out}");
    let port = site.port;
    let operator = || std::thread::spawn(move || json(&watchkeeper(port, &["drop", "--all"])));
    let both = [operator(), operator()].map(|operator| operator.join().unwrap());
    println!("two operators dropped them in {:?}", began.elapsed());
    let mut dropped: Vec<String> = Vec::new();
    for said in &both {
        let ids = said["dropped"].as_array().unwrap().iter();
        dropped.extend(ids.map(|id| id.as_str().unwrap().to_owned()));
    }
    let n_dropped = dropped.len();
    dropped.sort();
    dropped.dedup();
    assert_eq!(dropped.len(), n_dropped, "one was dropped twice");
    assert!((1_000..=1_200).contains(&n_dropped), "{n_dropped}");
    eventually("the rest is there", LIMIT, || async {
        (n_messages(&channel, &dead).await as usize == 1_200 - n_dropped).then_some(())
    })
    .await;
    assert_eq!(letters(&site).len(), 1_200 - n_dropped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_hangs_or_takes_in_nothing_hides_no_other_letters() {
    let amqp =
        format!("intake: {{amqp: {{uri: 'amqp://guest:guest@127.0.0.1:{}'}}}}\n", free_port());
    let mut away = Site::new(&amqp).unwrap();
    away.start_collector(&[]).await.unwrap();
    readyz(&away, "nobody listens there").await;
    let listed = watchkeeper(away.port, &["list"]);
    assert!(listed.status.success());
    let said = json(&listed)["unreachable"][0].as_str().unwrap().to_owned();
    assert!(said.starts_with("dead letters of the broker: amqp://127.0.0.1:"), "{said}");
    assert!(said.contains("nobody listens there") && !said.contains("guest"), "{said}");
    let all = watchkeeper(away.port, &["retry", "--all"]);
    assert_eq!(all.status.code(), Some(1), "that was not all");
    assert_eq!(json(&all)["missed"][0].as_str(), Some(&*said));
    let one = watchkeeper(away.port, &["show", "broker-1"]);
    let why = String::from_utf8_lossy(&one.stderr);
    assert!(!one.status.success() && why.contains("nobody listens there"), "{why}");

    let Some(rabbit) = Rabbit::own("").await else { return };
    let rabbit = Arc::new(rabbit);
    let mut site = Site::with_rabbit(rabbit.clone(), "").unwrap();
    site.start_collector(&[]).await.unwrap();
    listens(&site).await;
    let dead = format!("{}.dead", site.rabbit.as_ref().unwrap().1);
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for body in [b"one", b"two"] {
        publish(&channel, (&dead, ""), ours("order"), body).await;
    }
    for _ in 0..5 {
        assert_eq!(look(&channel, &dead).await.len(), 2);
        eventually("nobody has them in hand", LIMIT, || async {
            (n_messages(&channel, &dead).await == 2).then_some(())
        })
        .await;
    }
    // With the alarm on nothing can be published; what is there can be looked at and dropped.
    assert!(rabbit.ctl(&["set_vm_memory_high_watermark", "0.00001"]).status.success());
    let all = letters(&site);
    assert_eq!(all.len(), 2);
    assert!(watchkeeper(site.port, &["drop", all[0]["id"].as_str().unwrap()]).status.success());
    // What was looked at too often is left alone until it can be published anew.
    eventually("it could not be renewed", LIMIT, || async {
        site.collector.as_ref()?.log().contains("could not be renewed").then_some(())
    })
    .await;
    let listed = json(&watchkeeper(site.port, &["list"]));
    let said = listed["unreachable"][0].as_str().unwrap_or_default();
    assert!(said.contains("takes in nothing at present"), "{listed}");
    assert!(rabbit.ctl(&["set_vm_memory_high_watermark", "0.4"]).status.success());
    eventually("it is listed when the alarm is over", LIMIT, || async {
        let listed = json(&watchkeeper(site.port, &["list"]));
        (listed["dead_letters"].as_array()?.len() == 1).then_some(())
    })
    .await;
    // What was published during the alarm the broker may take in after it, from a connection that is gone: a second copy.
    let counts = eventually("nobody has it in hand", LIMIT, || async {
        Some(look(&channel, &dead).await).filter(|all| !all.is_empty())
    })
    .await;
    assert!(counts.iter().all(|n| *n < 5), "it is renewed: {counts:?}");

    rabbit.freeze();
    let began = Instant::now();
    let listed = watchkeeper(site.port, &["list"]);
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let said = json(&listed)["unreachable"][0].as_str().unwrap().to_owned();
    assert!(said.starts_with("dead letters of the broker: "), "{said}");
    rabbit.thaw();
    eventually("it is listed again", LIMIT, || async {
        let listed = json(&watchkeeper(site.port, &["list"]));
        let is_all = listed["unreachable"].as_array()?.is_empty();
        (is_all && listed["dead_letters"].as_array()?.len() == 1).then_some(())
    })
    .await;
}

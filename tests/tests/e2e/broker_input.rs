//! What comes by the broker and is not what an agent meant to send, and brokers that are not as we need them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use watchkeeper_tests::harness::{
    AgentOptions, LogWriter, Rabbit, Road, Site, eventually, free_port,
};

use super::broker_letters::{Tap, listens};
use super::rabbitmq::{
    LIMIT, agent_says, check, client, n_messages, ours, publish, readyz, running,
};
use super::wire;

/// A queue for answers, as an agent has one.
struct Replies(Channel, String);

/// What the collector answers.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Receipt(u64),
    Refusal(String),
}

impl Replies {
    async fn open(channel: &Channel, name: &str) -> Self {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let none = FieldTable::default();
        channel.queue_declare(name.into(), options, none).await.unwrap();
        Self(channel.clone(), name.to_owned())
    }

    /// The next receipt or refusal; that it asks for a hello is passed over.
    async fn next(&self) -> Said {
        let get = BasicGetOptions { no_ack: true };
        eventually("the collector answers", LIMIT, || async {
            let message = self.0.basic_get(self.1.as_str().into(), get).await.unwrap()?.delivery;
            if message.properties.kind().as_ref().is_some_and(|k| k.as_str() == "refusal") {
                return Some(Said::Refusal(String::from_utf8(message.data.clone()).unwrap()));
            }
            wire::outcome_of(&message.data).map(Said::Receipt)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_that_is_not_as_it_was_sealed_has_its_answer() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    running(&mut site).await;
    listens(&site).await;
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let tap = Tap::open(&channel, &prefix).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    let (properties, batch) = tap.batch().await;
    site.wait_counted(&log.written, LIMIT).await;
    let name = format!("{prefix}.reply.test");
    let replies = Replies::open(&channel, &name).await;
    let properties = properties.with_reply_to(name.as_str().into());
    let (queue, dead) = (format!("{prefix}.windows"), format!("{prefix}.dead"));
    let send = |properties: BasicProperties, body: Vec<u8>| {
        let (channel, queue) = (&channel, &queue);
        async move { publish(channel, ("", queue), properties, &body).await }
    };

    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 4;
    let last_week = SystemTime::now() - Duration::from_secs(7 * 86_400);
    let last_week = last_week.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let older = wire::of_epoch(&batch, last_week, 5);
    let newer = wire::with_batch(&older, |b| b.change(wire::FORMAT, |n| *n = vec![99]));
    for (sentence, body, outcome) in [
        ("again", batch.clone(), wire::DURABLE),
        ("a flipped bit", wire::with_batch(&batch, |b| b.change(wire::BODY, flip)), wire::DAMAGED),
        (
            "another's number",
            wire::with_batch(&batch, |b| b.change(wire::SEQ, flip)),
            wire::DAMAGED,
        ),
        (
            "by an agent without a check",
            wire::with_batch(&older, |b| b.change(wire::BODY, flip)),
            wire::DAMAGED,
        ),
        ("of a newer format", newer, wire::NOT_YET),
        // What was damaged, or too new, has taken no number.
        ("of another epoch", older.clone(), wire::DURABLE),
        ("and again", older.clone(), wire::DURABLE),
    ] {
        send(properties.clone(), body).await;
        assert_eq!(replies.next().await, Said::Receipt(outcome), "{sentence}");
    }
    // The line, and the same line as another epoch has it.
    *log.written.get_mut("200").unwrap() += 1;
    site.wait_counted(&log.written, LIMIT).await;

    // An agent of a later version is told, and keeps what it has: none of its attempts is parked.
    let mut headers = properties.headers().clone().unwrap();
    headers.insert("x-watchkeeper-wire".into(), AMQPValue::LongUInt(9));
    for _ in 0..3 {
        send(properties.clone().with_headers(headers.clone()), batch.clone()).await;
        let Said::Refusal(why) = replies.next().await else { panic!("a refusal") };
        assert!(why.contains("form 9 of a message is newer than this collector"), "{why}");
    }
    assert_eq!(n_messages(&channel, &dead).await, 0);

    // A good one waits for none of a crowd of others before it.
    let huge = vec![b'x'; 10 << 20];
    let foreign = || BasicProperties::default().with_content_type("application/json".into());
    let good = wire::of_epoch(&batch, last_week, 6);
    let began = Instant::now();
    for n in 0..100 {
        let (properties, body) = match n % 4 {
            0 => (foreign(), b"{}".to_vec()),
            1 => (ours("batch"), Vec::new()),
            2 => (ours("batch"), b"\xff\xff\xff".to_vec()),
            _ if n % 50 == 3 => (ours("batch"), huge.clone()),
            _ => (ours("order"), b"x".to_vec()),
        };
        // Without waiting for the broker's word: so that they stand before the good one.
        let options = BasicPublishOptions::default();
        let (exchange, key) = ("".into(), queue.as_str().into());
        channel.basic_publish(exchange, key, options, &body, properties).await.unwrap();
    }
    send(properties.clone(), good).await;
    let sent = Instant::now();
    assert_eq!(replies.next().await, Said::Receipt(wire::DURABLE));
    println!("sent in {:?}, counted {:?} later", sent - began, sent.elapsed());
    assert!(sent.elapsed() < Duration::from_secs(2), "it took {:?}", sent.elapsed());
    *log.written.get_mut("200").unwrap() += 1;
    site.wait_counted(&log.written, LIMIT).await;
    eventually("all others are parked", LIMIT, || async {
        (n_messages(&channel, &dead).await == 100).then_some(())
    })
    .await;

    // A week later, to a collector that has been started again since.
    site.collector.as_mut().unwrap().kill();
    site.start_collector(&[]).await.unwrap();
    for body in [batch, older] {
        send(properties.clone(), body).await;
        assert_eq!(replies.next().await, Said::Receipt(wire::DURABLE));
    }
    site.wait_counted(&log.written, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_at_the_broker_is_said_with_what_would_be_right() {
    let Some(rabbit) = Rabbit::shared().await else { return };
    let port = rabbit.port;
    let user = format!("u{}", free_port());
    assert!(rabbit.ctl(&["add_user", &user, "hunter2"]).status.success());
    let other = format!("o{}", free_port());
    let (_connection, channel) = client(port).await;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let queue = format!("{other}.windows");
    channel.queue_declare(queue.as_str().into(), durable, FieldTable::default()).await.unwrap();
    for (amqp, said) in [
        (format!("{{uri: 'amqp://guest:hunter2@127.0.0.1:{port}'}}"), "its password is wrong"),
        (format!("{{uri: 'amqp://guest:guest@127.0.0.1:{port}/none'}}"), "add_vhost none"),
        (format!("{{uri: 'amqp://{user}:hunter2@127.0.0.1:{port}'}}"), "set_permissions"),
        (
            format!("{{uri: 'amqp://guest:guest@127.0.0.1:{port}', prefix: {other}}}"),
            "other arguments",
        ),
        (
            format!("{{uri: 'amqp://guest:guest@127.0.0.1:{}'}}", free_port()),
            "nobody listens there",
        ),
    ] {
        let mut site = Site::new(&format!("intake: {{amqp: {amqp}}}\n")).unwrap();
        site.start_collector(&[]).await.unwrap();
        readyz(&site, said).await;
        let log = site.collector.as_ref().unwrap().log();
        assert!(log.contains(said) && !log.contains("hunter2"), "{said}: {log}");
        // With this one everything is there that an agent asks for, except for a collector.
        let is_for_agents = !amqp.contains("prefix");
        let said_of_agent = if is_for_agents { said } else { "no collector listens" };
        let collector = Some(format!("  amqp: {amqp}\n"));
        site.configure_agent(&AgentOptions { collector, ..AgentOptions::default() }).unwrap();
        site.start_agent(&[]).unwrap();
        agent_says(&site, said_of_agent).await;
        let log = site.agent.as_ref().unwrap().log();
        assert!(!log.contains("hunter2"), "{log}");
        for file in ["collector.yaml", "agent.yaml"] {
            let path = site.path().join(file);
            let (ok, checked) = check(&["check", "--connect", path.to_str().unwrap()]);
            let is_for_it = is_for_agents || file == "collector.yaml";
            let said = if is_for_it { said } else { said_of_agent };
            assert!(ok != is_for_it && checked.contains(said), "{file}: {said}: {checked}");
            assert!(!checked.contains("hunter2"), "{file}: {checked}");
        }
    }
    // May connect, and nothing else.
    assert!(rabbit.ctl(&["set_permissions", &user, "^$", "^$", "^$"]).status.success());
    let amqp = format!("{{uri: 'amqp://{user}:hunter2@127.0.0.1:{port}', prefix: {user}}}");
    let mut site = Site::new(&format!("intake: {{amqp: {amqp}}}\n")).unwrap();
    site.start_collector(&[]).await.unwrap();
    readyz(&site, &format!("configure, write and read \"^{user}")).await;
    let collector = Some(format!("  amqp: {amqp}\n"));
    site.configure_agent(&AgentOptions { collector, ..AgentOptions::default() }).unwrap();
    site.start_agent(&[]).unwrap();
    agent_says(&site, "permissions that fit").await;
    // Nobody has made anything there.
    let mut site = Site::new("").unwrap();
    let amqp = format!("{{uri: 'amqp://guest:guest@127.0.0.1:{port}', prefix: n{}}}", free_port());
    let collector = Some(format!("  amqp: {amqp}\n"));
    site.configure_agent(&AgentOptions { collector, ..AgentOptions::default() }).unwrap();
    site.start_agent(&[]).unwrap();
    agent_says(&site, "makes it when it starts").await;
    let path = site.path().join("agent.yaml");
    let (ok, checked) = check(&["check", "--connect", path.to_str().unwrap()]);
    assert!(!ok && checked.contains("is missing (a collector whose user may"), "{checked}");
}

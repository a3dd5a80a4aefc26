//! What a broker does to us: it dies, hangs, loses its data, has no memory, is another's, or is not as we need it.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use watchkeeper_tests::harness::{
    AgentOptions, LogWriter, Process, Proxy, Rabbit, Road, Site, binary, eventually, free_port,
    get_text, uri,
};

use super::security::certificate;

pub(super) const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn client(port: u16) -> (Connection, Channel) {
    let connection =
        Connection::connect(&uri(port), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

pub(super) async fn publish(
    channel: &Channel,
    (exchange, key): (&str, &str),
    properties: BasicProperties,
    body: &[u8],
) {
    let options = BasicPublishOptions::default();
    let published =
        channel.basic_publish(exchange.into(), key.into(), options, body, properties).await;
    published.unwrap().await.unwrap();
}

/// Messages of a queue without taking them: how many there are.
pub(super) async fn n_messages(channel: &Channel, queue: &str) -> u32 {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
    queue.map_or(0, |q| q.message_count())
}

pub(super) fn ours(kind: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("x-watchkeeper-wire".into(), AMQPValue::LongUInt(1));
    BasicProperties::default()
        .with_content_type("application/x-watchkeeper+protobuf".into())
        .with_type(kind.into())
        .with_headers(headers)
}

pub(super) async fn readyz(site: &Site, text: &str) {
    let url = format!("http://127.0.0.1:{}/readyz", site.port);
    eventually(&format!("{url} says {text}"), LIMIT, || async {
        let (_, said) = get_text(&url).await.ok()?;
        said.contains(text).then_some(())
    })
    .await;
}

pub(super) async fn agent_says(site: &Site, text: &str) {
    eventually(&format!("the agent's log says {text}"), LIMIT, || async {
        site.agent.as_ref()?.log().contains(text).then_some(())
    })
    .await;
}

pub(super) async fn has_alert(site: &Site, name: &str) -> Option<bool> {
    let alerts = site.api("alerts").await.ok()?;
    let is = |a: &serde_json::Value| a["labels"]["alertname"] == name && a["state"] == "firing";
    Some(alerts["alerts"].as_array()?.iter().any(is))
}

pub(super) async fn running(site: &mut Site) {
    site.configure_agent(&AgentOptions::default()).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_others_are_parked_with_their_reason_and_delay_nothing() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    running(&mut site).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted_once(&log.written, LIMIT).await;

    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut newer = FieldTable::default();
    newer.insert("x-watchkeeper-wire".into(), AMQPValue::LongUInt(9));
    let huge = vec![b'x'; 10 << 20];
    let batch = || ours("batch");
    let odd: [(BasicProperties, &[u8], &str); 8] = [
        (BasicProperties::default(), b"hello", "no content type"),
        (batch().with_content_type("application/json".into()), b"{}", "application/json"),
        (batch().with_headers(newer), b"x", "newer than this collector"),
        (batch(), b"", "it is empty"),
        (batch(), &huge, "10485760 bytes"),
        (batch(), b"\xff\xff\xff\xff", "no message of ours"),
        (ours("order"), b"x", "its type is \"order\""),
        // Whole, and nobody's: an empty batch without a header that says whose it is.
        (batch(), b"\x12\x00", "which agent sent it"),
    ];
    let dead = format!("{prefix}.dead");
    for (properties, body, _) in &odd {
        publish(&channel, (&prefix, "windows"), properties.clone(), body).await;
    }
    publish(&channel, (&prefix, "events"), BasicProperties::default(), b"x").await;
    for n in 0..100 {
        log.line(404, f64::from(n)).unwrap();
    }
    site.wait_counted(&log.written, LIMIT).await;
    eventually("all are parked", LIMIT, || async {
        (n_messages(&channel, &dead).await == 9).then_some(())
    })
    .await;
    eventually("somebody is told", LIMIT, || async {
        has_alert(&site, "DeadLetters").await?.then_some(())
    })
    .await;
    let mut reasons = Vec::new();
    while let Some(message) =
        channel.basic_get(dead.as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap()
    {
        let headers = message.delivery.properties.headers().clone().unwrap();
        let reason = match headers.inner().get("x-watchkeeper-reason") {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            other => panic!("{other:?}"),
        };
        let is_huge = reason.contains("10485760");
        assert!(!is_huge || message.delivery.data.len() == 4096, "a huge body is kept whole");
        reasons.push(reason);
    }
    for (_, _, said) in &odd {
        assert!(reasons.iter().any(|r| r.contains(said)), "{said}: {reasons:#?}");
    }
    // Taken out of the queue: nothing to be told of any more.
    eventually("the alert ends", LIMIT, || async {
        (!has_alert(&site, "DeadLetters").await?).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_again_days_later_counts_once() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    site.configure_agent(&AgentOptions::default()).unwrap();
    site.start_collector(&[]).await.unwrap();
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    readyz(&site, "ready").await;
    let (_connection, channel) = client(rabbit.port).await;
    // A shovel of somebody's, say.
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let none = FieldTable::default;
    channel.queue_declare("copies".into(), options, none()).await.ok();
    eventually("the exchange is there", LIMIT, || async {
        let (_c, channel) = client(rabbit.port).await;
        let name = prefix.as_str().into();
        let passive =
            lapin::options::ExchangeDeclareOptions { passive: true, ..Default::default() };
        let kind = lapin::ExchangeKind::Direct;
        channel.exchange_declare(name, kind, passive, none()).await.ok()
    })
    .await;
    for key in ["windows", "events"] {
        let bind = QueueBindOptions::default();
        let exchange = prefix.as_str().into();
        channel.queue_bind("copies".into(), exchange, key.into(), bind, none()).await.unwrap();
    }
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    for n in 0..300 {
        log.line([200, 500][n % 2], n as f64).unwrap();
    }
    site.wait_counted_once(&log.written, LIMIT).await;
    // The agent is gone, and with it the queue that answers would go to.
    site.agent.as_mut().unwrap().stop(Duration::from_secs(20)).unwrap();
    let mut n_copies = 0;
    let get = BasicGetOptions { no_ack: true };
    while let Some(copy) = channel.basic_get("copies".into(), get).await.unwrap() {
        let delivery = copy.delivery;
        // To the queue itself, so that no copy is made of the copy.
        let queue = format!("{prefix}.{}", delivery.routing_key);
        publish(&channel, ("", &queue), delivery.properties.clone(), &delivery.data).await;
        n_copies += 1;
    }
    assert!(n_copies > 1, "nothing was copied");
    let (windows, events) = (format!("{prefix}.windows"), format!("{prefix}.events"));
    eventually("all copies are taken in", LIMIT, || async {
        let left = n_messages(&channel, &windows).await + n_messages(&channel, &events).await;
        (left == 0).then_some(())
    })
    .await;
    site.wait_counted(&log.written, LIMIT).await;
    assert_eq!(n_messages(&channel, &format!("{prefix}.dead")).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_hangs_or_loses_its_data_costs_no_line() {
    let Some(mut rabbit) = Rabbit::own("").await else { return };
    // The site's own broker belongs to nobody else: it is killed.
    let mut site = Site::new(&format!("intake: {{amqp: {{uri: '{}'}}}}\n", rabbit.uri())).unwrap();
    let collector = Some(format!("  amqp: {{uri: '{}'}}\n", rabbit.uri()));
    site.configure_agent(&AgentOptions { collector, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted_once(&log.written, LIMIT).await;
    for round in 0..4 {
        for n in 0..500 {
            log.line([200, 500][n % 2], n as f64).unwrap();
        }
        match round {
            // First: a quorum queue whose broker is killed in the very second it was made may never come back.
            0 => {
                rabbit.freeze();
                for n in 0..500 {
                    log.line(404, f64::from(n)).unwrap();
                }
                // Three missed signs of life.
                readyz(&site, "intake.amqp: ").await;
                rabbit.thaw();
            }
            _ => {
                rabbit.kill();
                if round == 3 {
                    std::fs::remove_dir_all(rabbit.root.join("mnesia")).unwrap();
                }
                for n in 0..500 {
                    log.line(404, f64::from(n)).unwrap();
                }
                readyz(&site, "intake.amqp: ").await;
                rabbit.start_again().await.unwrap();
            }
        }
        site.wait_counted_once(&log.written, Duration::from_secs(120)).await;
    }
    site.wait_counted(&log.written, LIMIT).await;
}

/// Welcomes agents as a collector with empty hands does, and does nothing else.
async fn pretend_to_listen(channel: Channel, prefix: String) {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let none = FieldTable::default;
    let control = format!("{prefix}.control");
    let queue = || control.as_str().into();
    // The queue of the collector that was killed may still be there for a moment.
    channel.queue_declare(queue(), options, none()).await.unwrap();
    let bind = QueueBindOptions::default();
    let exchange = prefix.as_str().into();
    channel.queue_bind(queue(), exchange, "control".into(), bind, none()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut messages = channel.basic_consume(queue(), "".into(), options, none()).await.unwrap();
    while let Some(Ok(message)) = messages.next().await {
        let kind = message.properties.kind().clone();
        if let (Some("hello"), Some(reply_to)) =
            (kind.as_ref().map(|k| k.as_str()), message.properties.reply_to())
        {
            // `ToAgent { welcome: {} }`
            publish(&channel, ("", reply_to.as_str()), ours("answer"), &[0x0a, 0]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_memory_or_with_a_full_queue_is_waited_for_in_the_spool() {
    let Some(rabbit) = Rabbit::own("").await else { return };
    let rabbit = std::sync::Arc::new(rabbit);
    let mut site = Site::with_rabbit(rabbit.clone(), "").unwrap();
    running(&mut site).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted_once(&log.written, LIMIT).await;
    assert!(rabbit.ctl(&["set_vm_memory_high_watermark", "0.00001"]).status.success());
    for n in 0..500 {
        log.line([404, 500][n % 2], n as f64).unwrap();
    }
    agent_says(&site, "the broker takes in nothing at present").await;
    assert!(rabbit.ctl(&["set_vm_memory_high_watermark", "0.4"]).status.success());
    site.wait_counted_once(&log.written, LIMIT).await;

    // A policy may be stricter than our arguments: nothing more fits.
    let prefix = &site.rabbit.as_ref().unwrap().1;
    let windows = format!("^{prefix}\\.windows$");
    let policy = r#"{"max-length-bytes": 1}"#;
    site.collector.as_mut().unwrap().kill();
    let set = ["set_policy", "full", &windows, policy, "--apply-to", "queues"];
    assert!(rabbit.ctl(&set).status.success());
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let full = || async {
        let queue = format!("{prefix}.windows");
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent =
            channel.basic_publish("".into(), queue.as_str().into(), options, b"x", properties);
        sent.await.unwrap().await.unwrap().is_nack().then_some(())
    };
    eventually("the queue is full", LIMIT, full).await;
    let (pretending, pretender) = client(rabbit.port).await;
    let pretender = tokio::spawn(pretend_to_listen(pretender, prefix.clone()));
    for n in 0..500 {
        log.line([404, 500][n % 2], n as f64).unwrap();
    }
    agent_says(&site, "the broker refuses batches").await;
    pretender.abort();
    pretending.close(200, "gone".into()).await.unwrap();
    assert!(rabbit.ctl(&["clear_policy", "full"]).status.success());
    site.start_collector(&[]).await.unwrap();
    site.wait_counted(&log.written, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_collector_waits_until_the_first_is_gone() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    running(&mut site).await;
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    log.line(200, 1.0).unwrap();
    site.wait_counted_once(&log.written, LIMIT).await;
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    let (port, directory) = (free_port(), site.path().join("second"));
    let text = format!(
        "collector:\n  listen: 127.0.0.1:{port}\n  data_dir: {}\nintake: {{amqp: {{uri: '{}', prefix: {prefix}}}}}\n",
        directory.display(),
        rabbit.uri()
    );
    let file = site.path().join("second.yaml");
    std::fs::write(&file, text).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let log_file = site.path().join("second.log");
    let _second = Process::start(&binary("watchkeeper-collector"), &arguments, &log_file).unwrap();
    let url = format!("http://127.0.0.1:{port}/readyz");
    let says = |text: &'static str| {
        let url = url.clone();
        async move {
            eventually(text, LIMIT, || async {
                let (_, said) = get_text(&url).await.ok()?;
                said.contains(text).then_some(())
            })
            .await;
        }
    };
    says("another collector listens").await;
    for n in 0..100 {
        log.line(404, f64::from(n)).unwrap();
    }
    site.wait_counted(&log.written, LIMIT).await;
    site.collector.as_mut().unwrap().kill();
    eventually("the second one listens", LIMIT, || async {
        let (_, said) = get_text(&url).await.ok()?;
        (said == "ready\n").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_both_roads_uses_the_one_that_works_and_returns() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    let direct = free_port();
    let collector =
        Some(format!("  grpc: {{endpoint: 'http://127.0.0.1:{direct}'}}\n{}", site.road(None)));
    site.configure_agent(&AgentOptions { collector, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    let uses = |word: &'static str| {
        let url = format!("http://127.0.0.1:{}/metrics", site.admin_port);
        async move {
            let line = format!("watchkeeper_road_connected{{road=\"{word}\"}} 1");
            eventually(&line, Duration::from_secs(90), || async {
                let (_, text) = get_text(&url).await.ok()?;
                text.contains(&line).then_some(())
            })
            .await;
        }
    };
    for round in 0..3 {
        // Nobody listens on the direct road.
        for n in 0..300 {
            log.line([200, 500][n % 2], n as f64).unwrap();
        }
        uses("amqp").await;
        site.wait_counted_once(&log.written, LIMIT).await;
        let proxy = Proxy::start_at(direct, site.port).await.unwrap();
        for n in 0..300 {
            log.line([200, 404][n % 2], n as f64).unwrap();
        }
        if round == 0 {
            // It returns by itself.
            uses("grpc").await;
        }
        for n in 0..300 {
            log.line([200, 500][n % 2], n as f64).unwrap();
        }
        proxy.cut();
        drop(proxy);
    }
    site.wait_counted(&log.written, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_kills_its_collector_is_parked_in_the_end() {
    let Some(mut site) = Site::on(Road::Amqp, "").await.unwrap() else { return };
    site.start_collector(&[]).await.unwrap();
    let (rabbit, prefix) = site.rabbit.clone().unwrap();
    let url = format!("http://127.0.0.1:{}/metrics", site.port);
    eventually("it listens", LIMIT, || async {
        let (_, text) = get_text(&url).await.ok()?;
        text.contains("\nwatchkeeper_intake_amqp_connected 1\n").then_some(())
    })
    .await;
    site.collector.as_mut().unwrap().kill();
    let (_connection, channel) = client(rabbit.port).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    publish(&channel, (&prefix, "windows"), ours("batch"), b"x").await;
    // A collector that takes it and dies, more often than a queue allows.
    for _ in 0..22 {
        let (connection, channel) = client(rabbit.port).await;
        channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
        let queue = format!("{prefix}.windows");
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let mut consumer = consumer.await.unwrap();
        // The last time there is none any more.
        let _ = tokio::time::timeout(Duration::from_millis(500), consumer.next()).await;
        connection.close(200, "gone".into()).await.unwrap();
    }
    let dead = format!("{prefix}.dead");
    eventually("it is parked", LIMIT, || async {
        (n_messages(&channel, &dead).await == 1).then_some(())
    })
    .await;
    channel.queue_purge(dead.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
}

pub(super) fn check(arguments: &[&str]) -> (bool, String) {
    let output =
        std::process::Command::new(binary("watchkeeper")).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_what_does_not_fit_and_its_definitions_make_it_fit() {
    let Some(rabbit) = Rabbit::shared().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let prefix = format!("c{}", free_port());
    let user = format!("u{}", free_port());
    assert!(rabbit.ctl(&["add_user", &user, "hunter2"]).status.success());
    let amqp =
        format!("{{uri: 'amqp://{user}:hunter2@127.0.0.1:{}', prefix: {prefix}}}", rabbit.port);
    let collector = file(
        "collector.yaml",
        &format!("collector: {{listen: '127.0.0.1:7700'}}\nintake: {{amqp: {amqp}}}\n"),
    );
    let agent = file("agent.yaml", &format!("sources: []\ncollector: {{amqp: {amqp}}}\n"));
    // Nothing is there, and nothing is allowed: not even the virtual host.
    let (ok, said) = check(&["check", "--connect", &collector]);
    assert!(!ok && said.contains("set_permissions"), "{said}");
    // May connect, and nothing else.
    assert!(rabbit.ctl(&["set_permissions", &user, "^$", "^$", "^$"]).status.success());
    let (ok, said) = check(&["check", "--connect", &collector]);
    assert!(!ok && said.contains("is missing"), "{said}");
    assert!(said.contains(&format!("configure, write and read \"^{prefix}(\\\\.|$)\"")), "{said}");
    // What it prints makes it fit, for the collector's user and then for the agent's.
    for (whose, own) in [(&collector, "as a collector"), (&agent, "as an agent")] {
        let (ok, definitions) = check(&["check", "--definitions", whose]);
        assert!(ok && !definitions.contains("hunter2"), "{definitions}");
        let imported = file("definitions.json", &definitions);
        let imported = rabbit.ctl(&["import_definitions", &imported]);
        assert!(imported.status.success(), "{own}: {}", String::from_utf8_lossy(&imported.stderr));
        let (ok, said) = check(&["check", "--connect", whose]);
        assert!(ok, "{own}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let (ok, said) = check(&["check", "--connect", "--output", "json", &agent]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(ok);
    let found = said["files"][0]["broker"].as_array().unwrap();
    let listens = found.iter().find(|f| f["text"] == "no collector listens at present").unwrap();
    assert_eq!(listens["severity"], "note");
    // Somebody else's queue of that name.
    let (_connection, channel) = client(rabbit.port).await;
    let queue = format!("{prefix}.windows");
    let options = lapin::options::QueueDeleteOptions::default();
    channel.queue_delete(queue.as_str().into(), options).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.as_str().into(), durable, FieldTable::default()).await.unwrap();
    let root = amqp.replace(&format!("{user}:hunter2"), "guest:guest");
    let root = file(
        "root.yaml",
        &format!("collector: {{listen: '127.0.0.1:7700'}}\nintake: {{amqp: {root}}}\n"),
    );
    let (ok, said) = check(&["check", "--connect", &root]);
    assert!(!ok && said.contains("inequivalent arg"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_are_reached_by_tls_and_the_first_that_answers_is_used() {
    let mut site = Site::new("").unwrap();
    assert!(certificate(&site), "openssl is needed to make a certificate");
    let at = |name: &str| site.path().join(name).display().to_string();
    let port = free_port();
    let config = format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {0}\nssl_options.certfile = {0}\n\
         ssl_options.keyfile = {1}\nssl_options.verify = verify_none\n",
        at("cert.pem"),
        at("key.pem")
    );
    let Some(_rabbit) = Rabbit::own(&config).await else { return };
    let dead = free_port();
    let amqp = |tls: &str| {
        format!(
            "amqp: {{uris: ['amqps://guest:guest@127.0.0.1:{dead}', 'amqps://guest:guest@127.0.0.1:{port}']{tls}}}"
        )
    };
    let trusting = amqp(&format!(", tls: {{ca: '{}'}}", at("cert.pem")));
    let file = site.path().join("collector.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    // Whoever does not trust the broker does not send it a password.
    std::fs::write(&file, format!("{text}intake: {{{}}}\n", amqp(""))).unwrap();
    site.start_collector(&[]).await.unwrap();
    readyz(&site, "invalid peer certificate").await;
    site.collector.as_mut().unwrap().kill();
    std::fs::write(&file, format!("{text}intake: {{{trusting}}}\n")).unwrap();
    let collector = Some(format!("  {trusting}\n"));
    site.configure_agent(&AgentOptions { collector, ..AgentOptions::default() }).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut log = LogWriter::open(&site.logs().join("a.log")).unwrap();
    for n in 0..100 {
        log.line(200, f64::from(n)).unwrap();
    }
    site.wait_counted(&log.written, LIMIT).await;
}

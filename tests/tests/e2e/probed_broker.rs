//! Probes of a real RabbitMQ: what it says comes to the collector, and why it does not answer has its word there.

use std::time::Duration;

use watchkeeper_tests::harness::{Rabbit, Site, eventually};

use super::amqp_client::{AmqpClient, DECLARED};

const LIMIT: Duration = Duration::from_secs(90);

fn probe(name: &str, amqp: &str, expect: &str) -> String {
    format!(
        "  - probe: {{name: {name}, service: mq, every: 1s, timeout: 1s, confirm: {{down: 1, up: 1}}, \
         amqp: {{{amqp}}}, expect: [{expect}]}}\n"
    )
}

async fn seen(site: &Site, wanted: &str) {
    eventually(wanted, LIMIT, || async {
        let counted = site.counted_by("probe", "probe,result,reason").await.ok()?;
        counted.contains_key(wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broker_is_probed_and_each_way_to_fail_is_told_apart() {
    let Some(mut rabbit) = Rabbit::own("").await else { return };
    let ctl = |arguments: &[&str]| {
        let output = rabbit.ctl(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ctl(&["add_user", "ann", "hunter2"]);
    ctl(&["set_permissions", "-p", "/", "ann", "^$", "^$", "^$"]);
    let mut client = AmqpClient::log_in(rabbit.port, "guest", "guest").unwrap();
    assert_eq!(client.declare("jobs", false).unwrap(), DECLARED);
    for _ in 0..2 {
        client.publish("jobs", b"a job").unwrap();
    }
    let mut site = Site::new("").unwrap();
    let (port, uri) = (rabbit.port, rabbit.uri());
    let ann = format!("amqp://ann:hunter2@127.0.0.1:{port}/%2f");
    let wrong = format!("amqp://ann:wrong@127.0.0.1:{port}/%2f");
    let all = "'messages == 2', 'consumers == 0', 'round_trip < duration(\"1s\")'";
    let sources: String = [
        probe("whole", &format!("uri: '{uri}', queue: jobs, round_trip: true"), all),
        probe("idle", &format!("uri: '{uri}', queue: jobs"), "'consumers > 0'"),
        probe("none", &format!("uri: '{uri}', queue: no-such"), ""),
        probe("stranger", &format!("uri: '{wrong}'"), ""),
        probe("guest", &format!("uri: '{ann}', round_trip: true"), ""),
        probe("vhost", &format!("uri: 'amqp://guest:guest@127.0.0.1:{port}/none'"), ""),
    ]
    .concat();
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    for wanted in [
        "whole up ok",
        "idle down expect",
        "none down status",
        "stranger down auth",
        "guest down auth",
        "vhost down auth",
    ] {
        seen(&site, wanted).await;
    }
    let events = site.api("events?service=mq").await.unwrap().to_string();
    assert!(!events.contains("hunter2") && !events.contains("wrong@"), "{events}");
    rabbit.kill();
    seen(&site, "whole down connect").await;
}

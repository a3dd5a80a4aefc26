//! What it costs to take in distributions durably: CPU time and memory of a real collector process under load.
//!
//! Owns a benchmark. It starts the `watchkeeper-collector` that lies beside it, with many SLOs, and delivers batches of
//! many agents that were sealed before, over gRPC, or through the RabbitMQ on this machine whose port is given (`amqp=5672`,
//! as `guest`): 4 labels and 50 values a distribution, 500 of them a batch
//! (`batch=20` for fewer). Every one must
//! be receipted and counted. Run it as
//! `cargo build --release -p watchkeeper-collector && cargo run --release -p watchkeeper-collector --example intake_load -- agents=100 slos=100 seconds=10`
//! (`rate=0` as fast as it goes; `age=1200` makes windows that are folded at once, `span=2592000` spreads them over a
//! month).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use watchkeeper_amqp::lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use watchkeeper_amqp::lapin::types::FieldTable;
use watchkeeper_amqp::lapin::{Confirmation, Connection, ConnectionProperties};
use watchkeeper_amqp::{MessageKind, Names, properties};
use watchkeeper_model::{Digest, Histogram, Timestamp};
use watchkeeper_proto::v1;
use watchkeeper_proto::v1::intake_client::IntakeClient;

const VALUES: usize = 50;
/// As many as an agent has in flight.
const IN_FLIGHT: usize = 32;
/// How long a collector is left alone before its memory is read.
const AT_REST: Duration = Duration::from_secs(5);

struct Load {
    agents: usize,
    slos: usize,
    seconds: usize,
    /// Distributions a second; 0 for as many as go.
    rate: usize,
    /// Distributions in a batch.
    batch: usize,
    /// How old the windows are, in seconds.
    age: i64,
    /// Over how many seconds the windows are spread.
    span: i64,
    /// The broker's port; 0 for gRPC.
    amqp: usize,
}

impl Load {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut given = BTreeMap::from([
            ("agents".to_owned(), 100),
            ("slos".to_owned(), 100),
            ("seconds".to_owned(), 10),
            ("rate".to_owned(), 100_000),
            ("age".to_owned(), 0),
            ("batch".to_owned(), 500),
            ("span".to_owned(), 0),
            ("amqp".to_owned(), 0),
        ]);
        for argument in arguments {
            let (name, value) = argument.split_once('=').context("write name=number")?;
            *given.get_mut(name).with_context(|| format!("{name} is not known"))? =
                value.parse()?;
        }
        let of = |name: &str| given.get(name).copied().unwrap_or(0);
        Ok(Self {
            agents: of("agents"),
            slos: of("slos"),
            seconds: of("seconds"),
            rate: of("rate"),
            batch: of("batch").max(1),
            span: i64::try_from(of("span").max(of("seconds")))?,
            age: i64::try_from(of("age"))?,
            amqp: of("amqp"),
        })
    }

    /// Batches of one agent.
    fn batches(&self) -> usize {
        let a_second = if self.rate == 0 { 200_000 } else { self.rate };
        (a_second * self.seconds / self.batch).div_ceil(self.agents)
    }
}

/// A collector of its own, killed when it is dropped.
struct Collector {
    child: Child,
    address: String,
    directory: Option<tempfile::TempDir>,
}

impl Collector {
    async fn start(load: &Load) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, load).await
    }

    async fn start_in(directory: tempfile::TempDir, load: &Load) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = directory.path().join("collector.yaml");
        std::fs::write(&file, configuration(load, port, directory.path())?)?;
        let program = std::env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .context("an example lies in target/PROFILE/examples")?
            .join("watchkeeper-collector");
        let log = std::fs::File::create(directory.path().join("collector.log"))?;
        let child = Command::new(&program)
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let started =
            Self { child, address: format!("127.0.0.1:{port}"), directory: Some(directory) };
        let limit = Instant::now() + Duration::from_secs(120);
        while tokio::net::TcpStream::connect(&started.address).await.is_err() {
            ensure!(Instant::now() < limit, "the collector does not listen: {}", started.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(started)
    }

    fn log(&self) -> String {
        let path = self.directory.as_ref().map(|directory| directory.path().join("collector.log"));
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    }

    /// Kills it, and starts another over its data; how long that takes until it listens.
    async fn again(mut self, load: &Load) -> Result<(Self, Duration)> {
        let directory = self.directory.take().context("it has a directory")?;
        drop(self);
        let begun = Instant::now();
        Ok((Self::start_in(directory, load).await?, begun.elapsed()))
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    /// CPU time so far, of all its threads.
    fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        let fields = stat.rsplit_once(')').context("no process name")?.1.split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    fn mib(&self, key: &str) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find(|l| l.starts_with(key)).context("no such line")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Waits until it takes in batches from the broker.
    async fn listens_to_the_broker(&self) -> Result<()> {
        let url = format!("http://{}/metrics", self.address);
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let text = reqwest::get(&url).await?.text().await?;
            if text.contains("\nwatchkeeper_intake_amqp_connected 1\n") {
                return Ok(());
            }
            ensure!(Instant::now() < limit, "the broker is not there: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many observations it says it has of the signal, over all time.
    async fn counted(&self) -> Result<u64> {
        let address = &self.address;
        let url = format!(
            "http://{address}/api/v1/query?signal=requests&stat=count&from=1&to=4000000000"
        );
        let answer: serde_json::Value =
            serde_json::from_str(&reqwest::get(url).await?.error_for_status()?.text().await?)?;
        let count = answer.pointer("/series/0/points/0/1").and_then(serde_json::Value::as_f64);
        Ok(count.unwrap_or(0.0) as u64)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself; its data go with the directory.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(load: &Load, port: u16, directory: &Path) -> Result<String> {
    let mut text = format!(
        "collector: {{listen: \"127.0.0.1:{port}\", data_dir: {}}}\nalerting:\n  route: {{receiver: nobody}}\n  receivers: [{{name: nobody}}]\nslos:\n",
        directory.join("data").display()
    );
    if load.amqp > 0 {
        text =
            format!("intake: {{amqp: {{uri: '{}', prefix: intake_load}}}}\n{text}", uri(load.amqp));
    }
    for i in 0..load.slos {
        writeln!(
            text,
            "  - {{name: slo-{i}, service: shop, signal: requests, where: 'route == \"/r{}\"', below: 200ms, objective: 99.9, window: 30d}}",
            i % 100
        )?;
    }
    Ok(text)
}

/// Everything one agent sends, sealed.
fn seal(load: &Load, agent: usize, epoch: v1::Epoch) -> Result<Vec<v1::Batch>> {
    let now = Timestamp::from_jiff(jiff::Timestamp::now()).secs() - load.age;
    let (batches, spread) = (load.batches(), load.span);
    let mut sealed = Vec::new();
    for seq in 0..batches {
        let second = now - spread + i64::try_from(seq)? * spread / i64::try_from(batches)?;
        let start_ns = second * 1_000_000_000;
        let series = (0..load.batch).map(|i| series(agent, i, seq, start_ns));
        let windows = v1::Windows {
            sealed_at_ns: start_ns,
            series: series.collect(),
            ..v1::Windows::default()
        };
        let body = zstd::bulk::compress(&windows.encode_to_vec(), 3)?;
        sealed.push(v1::Batch {
            traceparent: String::new(),
            epoch: Some(epoch),
            service: "shop".to_owned(),
            kind: v1::Kind::Windows.into(),
            seq: seq as u64 + 1,
            digest: Digest::of(&body).0.to_vec(),
            settled_below: 0,
            format: watchkeeper_proto::FORMAT,
            body: body.into(),
            check: 0,
        });
    }
    Ok(sealed)
}

fn series(agent: usize, i: usize, seq: usize, start_ns: i64) -> v1::Series {
    let label = |name: &str, value: String| v1::Label { name: name.to_owned(), value };
    // Latencies between 20 and 320 ms, no two windows alike.
    let value = |n: usize| {
        20_000_000 + ((n * 7919 + i * 104_729 + seq * 31 + agent * 17) % 300_000) as i64 * 1000
    };
    let mut histogram = Histogram::default();
    let (mut sum, mut min, mut max) = (0_i128, i64::MAX, i64::MIN);
    for n in 0..VALUES {
        let value = value(n);
        histogram.record(value, 1);
        sum += i128::from(value);
        (min, max) = (min.min(value), max.max(value));
    }
    let within = (0..VALUES).filter(|n| value(*n) <= 200_000_000).count() as u64;
    let (mut before, mut index_deltas, mut counts) = (0, Vec::new(), Vec::new());
    for &(index, count) in histogram.buckets() {
        index_deltas.push(i32::from(index) - before);
        before = i32::from(index);
        counts.push(count);
    }
    v1::Series {
        signal: "requests".to_owned(),
        unit: "ms".to_owned(),
        labels: vec![
            label("method", ["GET", "POST"][i % 2].to_owned()),
            label("route", format!("/r{}", i / 5)),
            label("status", ["200", "201", "404", "500", "503"][i % 5].to_owned()),
            label("pod", format!("pod-{agent}")),
        ],
        agent_time: false,
        windows: vec![v1::WindowPart {
            start_ns,
            width_secs: 1,
            count: VALUES as u64,
            values: Some(v1::Values {
                count: VALUES as u64,
                sum: sum.to_le_bytes()[..9].to_vec(),
                min,
                max,
                last: Some(v1::Last { at_ns: start_ns, index: 0, value: value(VALUES - 1) }),
                bounds: vec![v1::Bound { at: 200_000_000, within, covered: VALUES as u64 }],
                index_deltas,
                counts,
            }),
        }],
    }
}

/// Delivers everything of one agent, at most so many in flight and as often as is wanted; until all is receipted.
async fn deliver(
    address: &str,
    agent: usize,
    epoch: v1::Epoch,
    batches: Vec<v1::Batch>,
    every: Duration,
) -> Result<()> {
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let (say, said) = mpsc::channel(IN_FLIGHT);
    let hello = v1::Hello {
        agent: format!("load-{agent}"),
        epoch: Some(epoch),
        instance: 1,
        version: "load".to_owned(),
        held: vec![epoch],
        spool_is_new: false,
        check: 0,
    };
    say.send(v1::ToCollector { message: Some(v1::to_collector::Message::Hello(hello)) }).await?;
    let mut answers =
        IntakeClient::new(channel).deliver(ReceiverStream::new(said)).await?.into_inner();
    let (mut flying, mut left, mut waiting) = (0, batches.len(), batches.into_iter());
    let mut pace = tokio::time::interval(every.max(Duration::from_micros(1)));
    while left > 0 {
        tokio::select! {
            _ = pace.tick(), if flying < IN_FLIGHT && waiting.len() > 0 => {
                if let Some(batch) = waiting.next() {
                    say.send(v1::ToCollector { message: Some(v1::to_collector::Message::Batch(batch)) }).await?;
                    flying += 1;
                }
            }
            answer = answers.message() => {
                let answer = answer?.context("the collector ended the stream")?;
                if let Some(v1::to_agent::Message::Receipt(receipt)) = answer.message {
                    ensure!(receipt.outcome() == v1::Outcome::Durable, "{receipt:?}");
                    (flying, left) = (flying - 1, left - 1);
                }
            }
        }
    }
    Ok(())
}

fn uri(port: usize) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}")
}

/// As [`deliver`], through a broker.
async fn deliver_by_amqp(
    port: usize,
    agent: usize,
    epoch: v1::Epoch,
    batches: Vec<v1::Batch>,
    every: Duration,
) -> Result<()> {
    let connection = Connection::connect(&uri(port), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (reply_to, id) = (format!("intake_load.reply.{agent}"), format!("load-{agent}"));
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    channel.queue_declare(reply_to.as_str().into(), own, FieldTable::default()).await?;
    let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut answers = channel
        .basic_consume(reply_to.as_str().into(), "".into(), no_ack, FieldTable::default())
        .await?;
    let publish = |kind: MessageKind, key: &'static str, message: v1::to_collector::Message| {
        let body = v1::ToCollector { message: Some(message) }.encode_to_vec();
        let properties =
            properties(kind, &[("agent", id.as_str())]).with_reply_to(reply_to.as_str().into());
        let channel = channel.clone();
        async move {
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let exchange = "intake_load".into();
            channel.basic_publish(exchange, key.into(), options, &body, properties).await?.await
        }
    };
    let hello = v1::Hello {
        agent: id.clone(),
        epoch: Some(epoch),
        instance: 1,
        version: "load".to_owned(),
        held: vec![epoch],
        spool_is_new: false,
        check: 0,
    };
    let hello = v1::to_collector::Message::Hello(hello);
    publish(MessageKind::Hello, Names::CONTROL, hello).await?;
    let (mut flying, mut left, mut waiting) = (0, batches.len(), batches.into_iter());
    let mut unconfirmed = FuturesUnordered::new();
    let mut pace = tokio::time::interval(every.max(Duration::from_micros(1)));
    while left > 0 {
        tokio::select! {
            _ = pace.tick(), if flying < IN_FLIGHT && waiting.len() > 0 => {
                if let Some(batch) = waiting.next() {
                    let batch = v1::to_collector::Message::Batch(batch);
                    unconfirmed.push(publish(MessageKind::Batch, Names::WINDOWS, batch));
                    flying += 1;
                }
            }
            Some(confirmed) = unconfirmed.next() => {
                let confirmed: Confirmation = confirmed?;
                ensure!(confirmed == Confirmation::Ack(None), "{confirmed:?}");
            }
            answer = answers.next() => {
                let answer = answer.context("the broker ended the queue of answers")??;
                let answer = v1::ToAgent::decode(&*answer.data)?;
                if let Some(v1::to_agent::Message::Receipt(receipt)) = answer.message {
                    ensure!(receipt.outcome() == v1::Outcome::Durable, "{receipt:?}");
                    (flying, left) = (flying - 1, left - 1);
                }
            }
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let load = Load::parse(std::env::args().skip(1))?;
    // For the question at the end.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let epoch = |agent: usize| v1::Epoch { created_at_ns: 1, random: agent as u64 + 1 };
    let sealed: Vec<_> =
        (0..load.agents).map(|agent| seal(&load, agent, epoch(agent))).collect::<Result<_>>()?;
    let n_batches: usize = sealed.iter().map(Vec::len).sum();
    let n = n_batches * load.batch;
    let n_bytes: usize = sealed.iter().flatten().map(|batch| batch.body.len()).sum();
    let collector = Collector::start(&load).await?;
    if load.amqp > 0 {
        collector.listens_to_the_broker().await?;
    }
    let (before, begun) = (collector.cpu()?, Instant::now());
    let every = match load.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64((load.batch * load.agents) as f64 / rate as f64),
    };
    let mut tasks = tokio::task::JoinSet::new();
    for (agent, batches) in sealed.into_iter().enumerate() {
        let address = collector.address.clone();
        let amqp = load.amqp;
        tasks.spawn(async move {
            if amqp > 0 {
                return deliver_by_amqp(amqp, agent, epoch(agent), batches, every).await;
            }
            deliver(&address, agent, epoch(agent), batches, every).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let (took, spent) = (begun.elapsed().as_secs_f64(), (collector.cpu()? - before).as_secs_f64());
    println!(
        "{n} distributions of {} agents in {n_batches} batches ({:.0} bytes each), {} SLOs: {:.0} a second, \
         {:.2} µs of CPU each, {:.0} a second on 2 cores; {:.0} MiB resident, {:.0} MiB at most",
        load.agents,
        n_bytes as f64 / n_batches as f64,
        load.slos,
        n as f64 / took,
        1e6 * spent / n as f64,
        2.0 * n as f64 / spent,
        collector.mib("VmRSS:")?,
        collector.mib("VmHWM:")?,
    );
    let counted = collector.counted().await?;
    ensure!(
        counted == (n * VALUES) as u64,
        "{counted} observations were counted, {} sent",
        n * VALUES
    );
    println!(
        "all {counted} observations are there; resident after the question: {:.0} MiB",
        collector.mib("VmRSS:")?
    );
    let (collector, took) = collector.again(&load).await?;
    let at_first = collector.mib("VmHWM:")?;
    tokio::time::sleep(AT_REST).await;
    let at_rest = collector.mib("VmRSS:")?;
    ensure!(collector.counted().await? == counted, "nothing is lost by a kill");
    println!(
        "killed and started again: listens after {took:.1?}, {at_first:.0} MiB resident at most, {at_rest:.0} MiB after {AT_REST:?}, \
         {:.0} MiB after a question",
        collector.mib("VmRSS:")?
    );
    Ok(())
}

//! Lines of containers through `kill -9`: parts that are held, streams that interleave, records of several lines.
//!
//! Every line has a number of its own, which is its value: counts and sums, by stream and group, say which lines arrived.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeeper_tests::harness::{Site, Totals, eventually};

/// A repeatable source of chance: the seed is printed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        // Xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Cri,
    Docker,
    /// Docker, and each record stands on several lines.
    Several,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Cri => "cri",
            Self::Docker => "docker",
            Self::Several => "several",
        }
    }

    fn line(self, stream: &str, part: &str, ends: bool) -> String {
        let time = "2026-11-22T18:07:09.512000000Z";
        match self {
            Self::Cri => format!("{time} {stream} {} {part}\n", if ends { "F" } else { "P" }),
            Self::Docker | Self::Several => {
                let log = format!("{part}{}", if ends { "\n" } else { "" });
                let log = serde_json::Value::from(log);
                format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
            }
        }
    }
}

/// A container runtime that writes one log and keeps count.
struct Runtime {
    form: Form,
    path: PathBuf,
    file: File,
    n_rotations: u32,
    next: u64,
    /// Lines of the file still to be written, by stream.
    open: [Vec<String>; 2],
    /// The number that is written when those are.
    number: [u64; 2],
    /// The rest of a line of the file that was begun, and its stream.
    rest: Option<(usize, String)>,
    /// Numbers of lines written whole, by stream and group.
    written: BTreeMap<(&'static str, u64), Vec<u64>>,
}

const STREAMS: [&str; 2] = ["stdout", "stderr"];
const N_GROUPS: u64 = 7;

impl Runtime {
    fn open(form: Form, logs: &Path) -> Self {
        let path = logs.join(format!("{}.log", form.name()));
        let file = File::options().create(true).append(true).open(&path).unwrap();
        Self {
            form,
            path,
            file,
            n_rotations: 0,
            next: 0,
            open: Default::default(),
            number: [0; 2],
            rest: None,
            written: BTreeMap::new(),
        }
    }

    /// The next text that a container writes, cut into lines of the file.
    fn begin(&mut self, stream: usize, chance: &mut Chance) {
        self.next += 1;
        let (n, pad) = (self.next, "x\"é".repeat(chance.below(200) as usize));
        let value = serde_json::json!({"n": n, "group": format!("g{}", n % N_GROUPS), "pad": pad});
        let text = match self.form {
            // Indented lines between `{` and `}`, of which the first begins the record.
            Form::Several => serde_json::to_string_pretty(&value).unwrap().replace("\n}", "\n }"),
            Form::Cri | Form::Docker => value.to_string(),
        };
        let mut lines = Vec::new();
        for line in text.lines() {
            let mut rest = line;
            while chance.below(2) == 0 {
                let at = rest.floor_char_boundary(chance.below(1 + rest.len() as u64) as usize);
                lines.push(self.form.line(STREAMS[stream], &rest[..at], false));
                rest = &rest[at..];
            }
            lines.push(self.form.line(STREAMS[stream], rest, true));
        }
        lines.reverse();
        (self.open[stream], self.number[stream]) = (lines, n);
    }

    fn write(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn end_line(&mut self) {
        if let Some((stream, rest)) = self.rest.take() {
            self.write_line(stream, &rest);
        }
    }

    fn write_line(&mut self, stream: usize, line: &str) {
        self.write(line);
        if self.open[stream].is_empty() {
            let n = self.number[stream];
            self.written.entry((STREAMS[stream], n % N_GROUPS)).or_default().push(n);
        }
    }

    /// Writes so many lines of the file, of either stream as it comes, and perhaps a piece of one more.
    fn go_on(&mut self, n_lines: u64, chance: &mut Chance) {
        self.end_line();
        for _ in 0..n_lines {
            let stream = chance.below(2) as usize;
            if self.open[stream].is_empty() {
                self.begin(stream, chance);
            }
            let line = self.open[stream].pop().unwrap();
            self.write_line(stream, &line);
        }
        let stream = chance.below(2) as usize;
        if let Some(line) = self.open[stream].pop() {
            let at = line.floor_char_boundary(chance.below(line.len() as u64) as usize);
            self.rest = Some((stream, line[at..].to_owned()));
            self.write(&line[..at]);
        }
    }

    /// Ends what was begun, as a runtime does before it rotates.
    fn finish(&mut self) {
        self.end_line();
        for stream in 0..2 {
            while let Some(line) = self.open[stream].pop() {
                self.write_line(stream, &line);
            }
        }
    }

    fn rotate(&mut self) {
        self.finish();
        self.n_rotations += 1;
        let name = format!("{}.log.20261122-18070{}", self.form.name(), self.n_rotations);
        std::fs::rename(&self.path, self.path.with_file_name(name)).unwrap();
        self.file = File::options().create(true).append(true).open(&self.path).unwrap();
    }

    fn counts(&self, by: impl Fn(&(&'static str, u64)) -> String) -> Totals {
        let mut all = Totals::new();
        for (key, numbers) in &self.written {
            *all.entry(by(key)).or_default() += numbers.len() as u64;
        }
        all
    }
}

fn agent_file(site: &Site) -> String {
    let logs = site.logs();
    let mut sources = String::new();
    for (form, more) in [
        (Form::Cri, "wrap: cri"),
        (Form::Docker, "wrap: docker"),
        (Form::Several, "wrap: docker, multiline: {start: '^\\{', timeout: 20s}"),
    ] {
        let name = form.name();
        let path = logs.join(format!("{name}.log"));
        sources += &format!(
            "  - tail: {{name: {name}, service: shop, paths: [{path:?}], start_at: beginning, {more}, \
             path_fields: '/(?<app>[^/]+)\\.log$', signals: [{{name: {name}, value: {{field: n}}, \
             labels: {{stream: _wrap.stream, group: group, app: _file.app}}}}]}}\n"
        );
    }
    format!(
        "agent: {{id: node-1, data_dir: {:?}, admin: 127.0.0.1:{}}}\n\
         collector: {{grpc: {{endpoint: \"http://127.0.0.1:{}\"}}}}\nsources:\n{sources}",
        site.path().join("agent"),
        site.admin_port,
        site.port
    )
}

async fn sums(site: &Site, signal: &str) -> Totals {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let range = format!("from={}&to={}", now - 86_400, now + 3_600);
    let path = format!("query?signal={signal}&stat=sum&by=stream,group&{range}");
    let answer = site.api(&path).await.unwrap();
    let series = answer["series"].as_array().unwrap().iter();
    let one = |s: &serde_json::Value| {
        let label = |name: &str| s["labels"][name].as_str().unwrap().to_owned();
        (label("stream") + " " + &label("group"), s["points"][0][1].as_f64().unwrap() as u64)
    };
    series.map(one).collect()
}

async fn wait_counted(site: &Site, logs: &[Runtime], limit: Duration) {
    for log in logs {
        let (name, wanted) = (log.form.name(), log.counts(|(stream, _)| (*stream).to_owned()));
        eventually(&format!("{name} is {wanted:?}"), limit, || async {
            let counted = site.counted_by(name, "stream").await.ok()?;
            for (stream, n) in &counted {
                let written = wanted.get(stream).copied().unwrap_or(0);
                assert!(*n <= written, "{name}: {n} lines of {stream}, {written} were written");
            }
            (counted == wanted).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn lines_of_containers_are_counted_once_through_kills_while_their_parts_are_held() {
    let seed = std::env::var("STORM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x5eed_0002);
    let n_rounds = std::env::var("STORM_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(25);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}");
    let mut chance = Chance(seed);
    let mut site = Site::new("").unwrap();
    std::fs::write(site.path().join("agent.yaml"), agent_file(&site)).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let mut logs = [Form::Cri, Form::Docker, Form::Several].map(|f| Runtime::open(f, &site.logs()));
    // An agent that never sealed anything knows of no rotation.
    for log in &mut logs {
        log.go_on(1, &mut chance);
        log.finish();
    }
    wait_counted(&site, &logs[..2], Duration::from_secs(30)).await;
    for _ in 0..n_rounds {
        for log in &mut logs {
            log.go_on(chance.below(60), &mut chance);
        }
        match chance.below(6) {
            // While parts are held and everything else is sealed: they are stored with the position.
            0 | 1 => {
                wait_counted(&site, &logs[..2], Duration::from_secs(60)).await;
                site.agent.as_mut().unwrap().kill();
                site.start_agent(&[]).unwrap();
            }
            // At any moment.
            2 => {
                site.agent.as_mut().unwrap().kill();
                logs[chance.below(3) as usize].go_on(3, &mut chance);
                site.start_agent(&[]).unwrap();
            }
            3 => {
                site.agent.as_mut().unwrap().kill();
                logs[chance.below(3) as usize].rotate();
                site.start_agent(&[]).unwrap();
            }
            4 => logs[chance.below(3) as usize].rotate(),
            _ => {
                site.collector.as_mut().unwrap().kill();
                site.start_collector(&[]).await.unwrap();
            }
        }
    }
    logs.iter_mut().for_each(Runtime::finish);
    wait_counted(&site, &logs, Duration::from_secs(90)).await;
    for log in &logs {
        let name = log.form.name();
        let key = |(stream, group): &(&str, u64)| format!("{stream} g{group}");
        let wanted: Totals =
            log.written.iter().map(|(k, numbers)| (key(k), numbers.iter().sum())).collect();
        assert_eq!(sums(&site, name).await, wanted, "{name}: other lines than were written");
        let of_app = site.counted_by(name, "app").await.unwrap();
        assert_eq!(of_app, log.counts(|_| name.to_owned()), "by the path of the file");
    }
    let agents = site.api("agents").await.unwrap();
    let n_read: u64 = logs.iter().flat_map(|log| log.counts(|_| String::new()).into_values()).sum();
    let sources = agents["agents"][0]["sources"].as_array().unwrap();
    assert_eq!(
        sources.iter().map(|s| s["read"].as_u64().unwrap()).sum::<u64>(),
        n_read,
        "{agents}"
    );
}

//! Reloads of a worker with real files and a real spool, without a thread and without a collector.
//!
//! Owns the sentences about going over: what stays, what waits, what a restart in the middle finds.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use prost::Message as _;
use tempfile::TempDir;
use watchkeeper_agent_core::deliver::RowId;
use watchkeeper_config::{Problems, Reader, load_str};
use watchkeeper_model::{FileRef, Frontier, Guard, Kind, Timestamp};
use watchkeeper_proto::v1;

use super::{Plan, Reloader};
use crate::app::App;
use crate::config::{self, AgentSettings};
use crate::delivery::ForSources;
use crate::sources::Health;
use crate::status::Reload;
use crate::worker::{Command, Worker};

fn read(yaml: &str) -> Result<AgentSettings, Problems> {
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("agent.yaml", yaml, &mut reader)
        .and_then(|document| config::read(&document, &mut reader, false));
    reader.finish(settings).map(|(settings, _)| settings)
}

/// An agent's worker and where it lives.
struct Agent {
    dir: TempDir,
    worker: Option<(Worker, Sender<Command>)>,
    now: Timestamp,
}

impl Agent {
    /// One that has been welcomed, as most are.
    fn new(sources: &str) -> Self {
        let mut agent = Self::unwelcomed(sources);
        agent.welcome(&[]);
        agent
    }

    fn unwelcomed(sources: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_jiff(jiff::Timestamp::now());
        let mut agent = Self { dir, worker: None, now };
        agent.start(sources);
        agent
    }

    /// `name:path` each, with a signal of the name `signal` if there is one behind a second colon.
    fn settings(&self, sources: &str) -> AgentSettings {
        let dir = self.dir.path().display();
        let mut yaml =
            format!("agent: {{id: web-1, data_dir: {dir}/agent, admin: 127.0.0.1:0}}\nsources:\n");
        for source in sources.split_whitespace() {
            let mut parts = source.split(':');
            let (name, path) = (parts.next().unwrap(), parts.next().unwrap());
            let signal = parts.next().unwrap_or("lines");
            yaml += &format!(
                "  - tail: {{name: {name}, service: shop, paths: [\"{dir}/{path}\"], \
                 start_at: beginning, signals: [{{name: {signal}}}]}}\n"
            );
        }
        read(&yaml).unwrap()
    }

    /// Dies, if it lives, and starts with these sources.
    fn start(&mut self, sources: &str) {
        self.worker = None;
        self.worker = Some(App::build(self.settings(sources)).unwrap().into_worker());
    }

    fn worker(&mut self) -> &mut Worker {
        &mut self.worker.as_mut().unwrap().0
    }

    fn welcome(&mut self, frontiers: &[Frontier]) {
        let (worker, commands) = self.worker.as_mut().unwrap();
        let frontiers = ForSources::Frontiers(frontiers.to_vec());
        commands.send(Command::Collector(frontiers)).unwrap();
        assert!(!worker.take_commands());
    }

    fn reload(&mut self, sources: &str) {
        let settings = Box::new(self.settings(sources));
        let now = self.now;
        self.worker().reload(settings, now, now);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn lines(&self, name: &str, n: usize) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.path(name)).unwrap();
        file.write_all("{}\n".repeat(n).as_bytes()).unwrap();
    }

    /// Reads what there is, without sealing it.
    fn poll(&mut self) {
        for _ in 0..3 {
            self.now = self.now + Duration::from_secs(11);
            let now = self.now;
            self.worker().poll(now);
        }
    }

    /// How many lines each source has read, as far as it is durable.
    fn read(&self) -> BTreeMap<String, u64> {
        let mut read = BTreeMap::new();
        for body in self.bodies() {
            for tally in body.tallies {
                *read.entry(tally.source).or_default() += tally.read;
            }
        }
        read
    }

    /// How many observations of each signal are durable.
    fn counted(&self) -> BTreeMap<String, u64> {
        let mut counted = BTreeMap::new();
        for series in self.bodies().into_iter().flat_map(|b| b.series) {
            let n: u64 = series.windows.iter().map(|w| w.count).sum();
            *counted.entry(series.signal).or_default() += n;
        }
        counted
    }

    fn bodies(&self) -> Vec<v1::Windows> {
        let spool = &self.worker.as_ref().unwrap().0.spool;
        let (offers, _) = spool.pending(Kind::Windows, 1..=RowId::MAX, 1_000_000).unwrap();
        let bodies = offers.iter().map(|o| spool.outgoing(o.row, self.now).unwrap().unwrap().body);
        bodies.map(|b| v1::Windows::decode(&*zstd::decode_all(&*b).unwrap()).unwrap()).collect()
    }

    fn settle(&mut self) -> BTreeMap<String, u64> {
        self.poll();
        let now = self.now;
        self.worker().seal(now);
        self.read()
    }

    /// A place in a file as a collector knows it.
    fn known_to_collector(&self, source: &str, name: &str, to: u64) -> Frontier {
        let path = self.path(name);
        let content = fs::read(&path).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        Frontier {
            source: source.into(),
            path: path.display().to_string(),
            file: FileRef { inode, born: self.now },
            prefix: Guard::of(&content),
            begin: 0,
            from: to,
            to,
            guard: Guard::of(&content[..to as usize]),
        }
    }

    fn names(&mut self) -> Vec<String> {
        self.worker().sources.iter().map(|s| s.name().to_owned()).collect()
    }

    fn status(&mut self) -> Reload {
        self.worker().status.get().reload
    }

    /// File descriptors and what they lead to.
    fn open(&self) -> BTreeMap<String, PathBuf> {
        let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        let open = links.filter_map(|fd| {
            Some((fd.file_name().into_string().ok()?, fs::read_link(fd.path()).ok()?))
        });
        let is_log = |path: &PathBuf| path.extension().is_some_and(|e| e == "log");
        open.filter(|(_, path)| path.starts_with(self.dir.path()) && is_log(path)).collect()
    }
}

fn totals(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[test]
fn each_source_goes_over_in_its_own_way_and_no_line_is_lost_or_counted_twice() {
    let mut agent = Agent::new("same:a.log edited:b.log old:c.log gone:d.log");
    for name in ["a.log", "b.log", "c.log", "d.log", "e.log"] {
        agent.lines(name, 10);
    }
    agent.settle();
    let open = agent.open();
    for name in ["a.log", "b.log", "c.log", "d.log", "e.log"] {
        agent.lines(name, 1);
    }
    agent.poll();
    agent.reload("new:c.log added:e.log same:a.log edited:b.log:other");
    assert_eq!(
        agent.read(),
        totals(&[("same", 11), ("edited", 11), ("old", 11), ("gone", 11)]),
        "everything counted is sealed before anything changes"
    );
    let still_open = agent.open();
    for (fd, path) in &open {
        let is_gone = path.ends_with("d.log");
        assert_eq!(still_open.get(fd).is_none_or(|p| p != path), is_gone, "{}", path.display());
    }
    for name in ["a.log", "b.log", "c.log", "d.log", "e.log"] {
        agent.lines(name, 1);
    }
    let all = [("same", 12), ("edited", 12), ("old", 11), ("new", 1), ("gone", 11), ("added", 12)];
    assert_eq!(agent.settle(), totals(&all));
    assert_eq!(agent.counted(), totals(&[("lines", 58), ("other", 1)]));
    assert!(matches!(agent.status(), Reload::Succeeded { .. }));
}

#[test]
fn a_removed_source_that_comes_back_reads_what_it_missed() {
    let mut agent = Agent::new("a:a.log b:b.log");
    agent.lines("a.log", 3);
    agent.settle();
    agent.reload("b:b.log");
    agent.lines("a.log", 4);
    assert_eq!(agent.settle(), totals(&[("a", 3)]));
    agent.reload("a:a.log b:b.log");
    assert_eq!(agent.settle(), totals(&[("a", 7)]));
    agent.reload("b:b.log");
    agent.lines("a.log", 1);
    agent.reload("b:b.log c:a.log");
    assert_eq!(agent.settle(), totals(&[("a", 7), ("c", 1)]), "even under another name");
    agent.reload("b:b.log");
    agent.lines("a.log", 1);
    agent.reload("b:a.log");
    agent.lines("b.log", 1);
    let all = [("a", 7), ("b", 1), ("c", 1)];
    assert_eq!(agent.settle(), totals(&all), "even under that of one that read something else");
    agent.reload("d:b.log b:a.log");
    assert_eq!(agent.settle()["d"], 1, "whose places are not lost");
}

#[test]
fn a_source_renamed_while_the_agent_was_down_goes_on() {
    let mut agent = Agent::new("a:a.log");
    agent.lines("a.log", 3);
    agent.settle();
    agent.lines("a.log", 2);
    agent.start("b:a.log");
    agent.welcome(&[]);
    assert_eq!(agent.settle(), totals(&[("a", 3), ("b", 2)]));
    agent.start("b:a.log");
    agent.welcome(&[]);
    agent.lines("a.log", 1);
    assert_eq!(agent.settle(), totals(&[("a", 3), ("b", 3)]));
}

#[test]
fn names_that_the_agent_made_up_may_pass_to_others() {
    let mut agent = Agent::new("shop:a.log shop-2:b.log");
    agent.lines("a.log", 3);
    agent.lines("b.log", 4);
    agent.settle();
    agent.reload("shop:c.log shop-2:a.log shop-3:b.log");
    agent.lines("a.log", 1);
    agent.lines("b.log", 1);
    agent.lines("c.log", 9);
    let all = [("shop", 3 + 9), ("shop-2", 4 + 1), ("shop-3", 1)];
    assert_eq!(agent.settle(), totals(&all));
    agent.start("shop:a.log shop-2:b.log shop-3:c.log");
    agent.welcome(&[]);
    assert_eq!(agent.settle(), totals(&all), "nothing is read again after a restart either");
}

#[test]
fn a_reload_waits_until_what_was_counted_can_be_sealed() {
    let mut agent = Agent::new("a:a.log b:b.log");
    agent.lines("a.log", 3);
    agent.settle();
    agent.lines("a.log", 2);
    agent.poll();
    agent.worker().spool.refuse_writes(true);
    agent.reload("b:b.log c:c.log");
    agent.reload("b:b.log c:a.log");
    let now = agent.now;
    agent.worker().go_over(now);
    assert!(matches!(agent.status(), Reload::Waiting { .. }), "{:?}", agent.status());
    assert_eq!(agent.names(), ["a", "b"], "the settings before go on");
    agent.settle();
    assert_eq!(agent.names(), ["a", "b"]);
    agent.worker().spool.refuse_writes(false);
    agent.settle();
    assert!(matches!(agent.status(), Reload::Succeeded { .. }), "{:?}", agent.status());
    assert_eq!(agent.names(), ["b", "c"], "the later of the two holds");
    agent.lines("a.log", 1);
    assert_eq!(agent.settle(), totals(&[("a", 5), ("c", 1)]));
}

#[test]
fn a_crash_at_any_place_of_a_reload_is_a_restart_with_the_new_file() {
    for (sentence, moved, file) in [
        ("before the places moved", false, "b:a.log"),
        ("before, and with the old file", false, "a:a.log"),
        ("after the places moved", true, "b:a.log"),
        ("after, and with the old file", true, "a:a.log"),
    ] {
        let mut agent = Agent::new("a:a.log");
        agent.lines("a.log", 3);
        agent.settle();
        agent.lines("a.log", 2);
        agent.poll();
        let now = agent.now;
        agent.worker().seal(now);
        if moved {
            let settings = agent.settings("b:a.log");
            let worker = agent.worker();
            let plan = Plan::new(&worker.settings, &[], &settings);
            worker.spool.configure(&plan.sources, &plan.moves(), &plan.asked(), now).unwrap();
        }
        agent.lines("a.log", 1);
        agent.start(file);
        agent.welcome(&[]);
        assert_eq!(agent.settle().values().sum::<u64>(), 6, "{sentence}");
        agent.reload("c:a.log");
        agent.lines("a.log", 1);
        assert_eq!(agent.settle().values().sum::<u64>(), 7, "{sentence}");
    }
}

#[test]
fn a_source_added_later_waits_only_as_long_as_its_agent_does() {
    let mut agent = Agent::unwelcomed("a:a.log");
    agent.lines("a.log", 1);
    agent.lines("b.log", 2);
    agent.lines("c.log", 3);
    agent.reload("a:a.log b:b.log");
    assert!(agent.settle().is_empty(), "a new spool reads nothing before it is welcomed");
    assert!(matches!(agent.worker().sources[0].health(), Health::Waiting(_)));
    assert!(matches!(agent.status(), Reload::Waiting { .. }), "and goes over to nothing");
    assert!(!agent.worker().wants_to_go_over(), "nor is there anything to seal for it");
    agent.welcome(&[]);
    assert!(agent.worker().wants_to_go_over());
    agent.settle();
    assert_eq!(agent.settle(), totals(&[("a", 1), ("b", 2)]));
    agent.reload("a:a.log b:b.log c:c.log");
    assert_eq!(agent.settle(), totals(&[("a", 1), ("b", 2), ("c", 3)]), "the welcome has been");
    agent.start("a:a.log");
    agent.reload("a:a.log d:c.log");
    agent.lines("c.log", 1);
    agent.settle();
    assert_eq!(agent.names(), ["a"], "a known spool is patient for a moment");
    agent.worker().patience_until = None;
    agent.settle();
    assert_eq!(agent.settle()["d"], 1);
}

#[test]
fn a_rename_before_the_welcome_does_not_miss_what_it_says() {
    let mut agent = Agent::unwelcomed("a:b.log");
    agent.lines("b.log", 5);
    let known = agent.known_to_collector("a", "b.log", 9);
    agent.settle();
    agent.reload("b:b.log");
    agent.welcome(&[known]);
    agent.settle();
    agent.lines("b.log", 1);
    assert_eq!(agent.settle().values().sum::<u64>(), 3, "3 of 6 lines were delivered before");
    assert_eq!(agent.names(), ["b"]);
}

#[test]
fn a_source_added_later_goes_on_where_the_collector_knows_it_was() {
    let mut agent = Agent::unwelcomed("a:a.log");
    agent.lines("b.log", 5);
    // Of the spool that was lost, with a source that was not configured when the new one was welcomed.
    let known = agent.known_to_collector("b", "b.log", 9);
    agent.welcome(&[known]);
    agent.settle();
    agent.reload("a:a.log b:b.log");
    assert_eq!(agent.settle(), totals(&[("b", 2)]), "3 of 5 lines were delivered before");
    agent.reload("a:a.log");
    agent.reload("a:a.log b:b.log");
    agent.lines("b.log", 1);
    assert_eq!(agent.settle(), totals(&[("b", 3)]));
}

#[test]
fn what_is_bad_changes_nothing_and_is_said() {
    let mut agent = Agent::new("a:a.log");
    let (worker, commands) = agent.worker.as_ref().unwrap();
    let reloader = Reloader::new(commands.clone(), worker.wakes.waker(), worker.status.clone());
    let at = agent.now;
    let bad = read("agent: {id: a b}\nsources: [{tale: {}}]").unwrap_err();
    reloader.reload(Err(bad), at);
    let failed = Reload::Failed { at, why: "2 errors, see the log".to_owned() };
    assert_eq!(agent.status(), failed);
    assert!(!agent.worker().take_commands());
    assert_eq!(agent.names(), ["a"]);
    let good = (agent.settings("b:b.log"), Problems::default());
    reloader.reload(Ok(good), at.shifted(1));
    assert!(!agent.worker().take_commands());
    assert_eq!(agent.names(), ["b"]);
    assert!(matches!(agent.status(), Reload::Succeeded { .. }));
    agent.worker().status.update(|s| s.draining = true);
    let late = (agent.settings("c:c.log"), Problems::default());
    reloader.reload(Ok(late), at.shifted(2));
    assert!(!agent.worker().take_commands());
    assert_eq!(agent.names(), ["b"], "who is stopping goes over to nothing");
}

#[test]
fn a_reload_says_what_it_changes_and_what_needs_a_restart() {
    let agent = Agent::new("");
    let (running, same) = (agent.settings("a:a.log b:b.log c:c.log"), |text| agent.settings(text));
    let summary = |wanted: &AgentSettings| Plan::new(&running, &[], wanted).summary();
    assert_eq!(summary(&running), "3 unchanged");
    assert_eq!(
        summary(&same("a:a.log b:b.log:other d:c.log e:e.log f:f.log")),
        "1 unchanged, 1 edited (b), 2 added (e, f), renamed c -> d"
    );
    assert_eq!(summary(&same("")), "0 unchanged, 3 removed (a, b, c)");
    let many: String = (0..23).map(|n| format!("s{n}:{n}.log ")).collect();
    assert!(
        summary(&same(&many)).contains("s18, s19, and 3 more), 3 removed"),
        "{}",
        summary(&same(&many))
    );
    let mut other = running.clone();
    other.flush = Duration::from_secs(1);
    assert_eq!(summary(&other), "3 unchanged, agent.flush is 1s now");
    assert!(Plan::new(&running, &[], &other).needs_restart.is_empty());
    let changed = "agent: {id: web-2, data_dir: /d, admin: 127.0.0.1:1, labels: {env: prod}, spool: {keep: 2h}}\n\
                   collector: {grpc: {endpoint: 'https://127.0.0.1:7700', token: secret, tls: {server_name: n}}}";
    assert_eq!(
        Plan::new(&running, &[], &read(changed).unwrap()).needs_restart,
        [
            "agent.id",
            "agent.data_dir",
            "agent.labels",
            "agent.spool",
            "agent.admin",
            "collector.grpc.endpoint",
            "collector.grpc.token",
            "collector.grpc.tls",
        ]
    );
}

#[test]
fn a_thousand_reloads_leave_nothing_behind() {
    let mut agent = Agent::new("same:same.log");
    agent.lines("same.log", 1);
    agent.lines("a.log", 1);
    agent.settle();
    let mut written = 1;
    for n in 0..1_000 {
        // Each time one is edited, one gets another name, one comes and one goes.
        let edited =
            format!("same:same.log edited:a.log:signal_{n} moved-{n}:b.log new-{n}:{n}.log");
        agent.reload(&edited);
        agent.lines("a.log", 1);
        written += 1;
        agent.now = agent.now + Duration::from_secs(11);
        let now = agent.now;
        agent.worker().poll(now);
        let (n_sources, n_signals) = agent.worker().counted.n_places();
        assert!(n_sources <= 6 && n_signals <= 4, "{n_sources} sources, {n_signals} signals");
    }
    agent.settle();
    assert_eq!(agent.read()["edited"], written);
    assert_eq!(agent.worker().sources.len(), 4);
    assert_eq!(agent.worker().status.get().totals.len(), 2);
    assert_eq!(agent.open().len(), 2, "{:?}", agent.open());
}

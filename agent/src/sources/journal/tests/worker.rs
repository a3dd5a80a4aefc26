//! One agent's worker with a journal of its own.
//!
//! Owns how a journal is made (by systemd-journal-remote, out of the export format), and a clock of its own. Waits for
//! conditions and asserts nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_config::{Problems, Reader, load_str};
use watchkeeper_model::{AgentId, Body, Event, FileRef, Frontier, Labels, SourceTally, Timestamp};

use super::super::{JournalSource, JournalSourceSettings};
use crate::sources::{Source as _, Stored, Wakes, read};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn load(yaml: &str) -> Result<JournalSourceSettings, Problems> {
    let mut reader = Reader::new(&|_: &str| None);
    let settings = load_str("agent.yaml", yaml, &mut reader)
        .and_then(|document| read(document.root(), &mut reader));
    let (config, _) = reader.finish(settings)?;
    let journal = config.settings.as_kind::<JournalSourceSettings>().unwrap().clone();
    Ok(journal)
}

/// The settings of a section `journal:`.
pub(in super::super) fn settings(section: &str) -> JournalSourceSettings {
    load(&format!("journal: {section}")).unwrap_or_else(|p| panic!("{}", p.render()))
}

/// The program that makes journals; without it a test says so and is left out.
fn maker() -> Option<PathBuf> {
    let known = ["/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote"];
    let found = known.into_iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "systemd-journal-remote is missing");
        println!("left out: systemd-journal-remote is missing");
    }
    found
}

/// An entry in the journal export format (systemd.io/JOURNAL_EXPORT_FORMATS).
pub(super) fn export(at: Timestamp, n: u64, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let micros = at.nanos() / 1_000;
    let boot = "0123456789abcdef0123456789abcdef";
    let mut out = format!(
        "__REALTIME_TIMESTAMP={micros}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={boot}\n",
        1_000 + n
    )
    .into_bytes();
    for (field, value) in fields {
        out.extend_from_slice(field.as_bytes());
        if value.contains(&b'\n') || std::str::from_utf8(value).is_err() {
            out.push(b'\n');
            out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            out.push(b'=');
        }
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// One agent's worker with a journal of its own, its spool replaced by a row.
pub(super) struct Worker {
    pub(super) maker: PathBuf,
    pub(super) dir: TempDir,
    pub(super) settings: JournalSourceSettings,
    pub(super) acc: Accumulator,
    pub(super) source: JournalSource,
    pub(super) wakes: Wakes,
    pub(super) now: Timestamp,
    pub(super) may_read: bool,
    /// When the next entry is written, and its number.
    pub(super) at: Timestamp,
    pub(super) next: u64,
    pub(super) rows: BTreeMap<FileRef, String>,
    /// Counted and sealed, by the label `n`.
    pub(super) counted: BTreeMap<String, u64>,
    pub(super) events: Vec<Event>,
    pub(super) tally: SourceTally,
    pub(super) frontiers: Vec<Frontier>,
}

impl Worker {
    /// One that reads a directory from its beginning; `more` goes into the section.
    pub(super) fn new(more: &str) -> Option<Self> {
        Self::with("start_at: beginning", more)
    }

    pub(super) fn with(start_at: &str, more: &str) -> Option<Self> {
        let (maker, dir) = (maker()?, tempfile::tempdir().unwrap());
        let settings = settings(&format!(
            "{{name: sys, service: web, directory: {:?}, {start_at}, \
             signals: [{{name: entries, labels: {{n: N}}, max_series: 100000}}]{more}}}",
            dir.path()
        ));
        let wakes = Wakes::new();
        let now = Timestamp::from_jiff(jiff::Timestamp::now());
        let (acc, source) = started(&settings, Stored::default(), &wakes);
        Some(Self {
            maker,
            dir,
            settings,
            acc,
            source,
            wakes,
            now,
            may_read: true,
            at: now - Duration::from_secs(3_600),
            next: 0,
            rows: BTreeMap::new(),
            counted: BTreeMap::new(),
            events: Vec::new(),
            tally: SourceTally::default(),
            frontiers: Vec::new(),
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes entries into a journal, each with its number as `N` and these fields.
    pub(super) fn write(&mut self, name: &str, n: u64, fields: &[(&str, &[u8])]) {
        let mut text = Vec::new();
        for _ in 0..n {
            let number = self.next.to_string();
            let mut all = vec![("N", number.as_bytes())];
            all.extend_from_slice(fields);
            self.at = self.at + Duration::from_millis(1);
            text.extend(export(self.at, self.next, &all));
            self.next += 1;
        }
        make(&self.maker, &self.path(name), &text);
    }

    pub(super) fn plain(&mut self, n: u64) {
        self.write("system.journal", n, &[("MESSAGE", b"hello"), ("PRIORITY", b"6")]);
    }

    pub(super) fn poll(&mut self) {
        self.now = self.now + Duration::from_millis(50);
        self.source.poll(self.now, self.may_read, &mut self.acc);
    }

    pub(super) fn seal(&mut self) {
        let checkpoint = self.source.checkpoint();
        let frontiers = checkpoint.frontiers.iter();
        let frontiers = frontiers.map(|f| (self.source.service().clone(), f.clone())).collect();
        let sealed = self.acc.seal(self.now, &SealOrder::default(), frontiers);
        self.rows.extend(checkpoint.store);
        self.source.committed(self.now);
        for body in sealed.services.into_iter().flat_map(|s| s.bodies) {
            self.add(body);
        }
    }

    pub(super) fn add(&mut self, body: Body) {
        match body {
            Body::Windows { series, tallies, frontiers, continued, .. } => {
                for series in &series {
                    let n = series.windows.iter().map(|w| w.distribution.count).sum::<u64>();
                    *self.counted.entry(series.labels.get("n").to_owned()).or_default() += n;
                }
                tallies.iter().for_each(|tally| self.tally.add(tally));
                if !continued {
                    self.frontiers.extend(frontiers);
                }
            }
            Body::Events { events, .. } => self.events.extend(events),
        }
    }

    /// Polls until it is so.
    pub(super) fn until(&mut self, what: &str, mut check: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.poll();
            if check(self) {
                return;
            }
            let health = self.source.health();
            let counted = self.n_counted();
            assert!(Instant::now() < deadline, "still not: {what}; {health}; {counted} counted");
            self.wakes.wait(Duration::from_millis(20));
        }
    }

    pub(super) fn n_counted(&self) -> u64 {
        self.counted.values().sum()
    }

    /// Polls and seals until this many are counted.
    pub(super) fn settle(&mut self, n: u64) {
        self.until(&format!("{n} counted"), |w| {
            w.seal();
            w.n_counted() >= n
        });
        assert_eq!(self.n_counted(), n);
    }

    /// Everything that was written was counted, and once: what would come twice comes before what is written last.
    pub(super) fn settle_exactly(&mut self) {
        self.plain(1);
        let (n, last) = (self.next, (self.next - 1).to_string());
        self.until("the last entry is counted", |w| {
            w.seal();
            w.counted.contains_key(&last)
        });
        let wrong: Vec<_> = self.counted.iter().filter(|(_, n)| **n != 1).collect();
        assert_eq!((self.n_counted(), wrong), (n, Vec::new()));
    }

    /// Ends without sealing and starts again from what is durable.
    pub(super) fn restart(&mut self) {
        let rows = self.rows.values().cloned().collect();
        self.start_with(Stored { rows, ..Stored::default() });
    }

    pub(super) fn start_with(&mut self, stored: Stored) {
        (self.acc, self.source) = started(&self.settings, stored, &self.wakes);
    }

    pub(super) fn health(&self) -> String {
        self.source.health().to_string()
    }
}

fn started(
    settings: &JournalSourceSettings,
    stored: Stored,
    wakes: &Wakes,
) -> (Accumulator, JournalSource) {
    let mut acc = Accumulator::new(AgentId::new("web-1"), Labels::default());
    let source = JournalSource::new(settings.clone(), stored, &mut acc, wakes.waker());
    (acc, source)
}

pub(super) fn make(maker: &Path, journal: &Path, text: &[u8]) {
    let mut child = Command::new(maker)
        .arg("-o")
        .arg(journal)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Whether there is a process with this id that has not ended.
pub(super) fn is_running(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(super) fn kill(id: u32) {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

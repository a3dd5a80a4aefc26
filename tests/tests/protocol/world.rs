//! The world of the model: time, network, chance and the verdict.
//!
//! Owns the one source of chance, so that a seed repeats a run, and the network, which loses, repeats and reorders.

use std::time::Duration;

use watchkeeper_agent_core::deliver::{Input, Sender};
use watchkeeper_model::Timestamp;

use super::agent::{CrashPoint, Line, Machine, Spool, Upward};
use super::collector::{Collector, Downward};

/// SplitMix64 (Steele, Lea, Flood, 2014): small, and the same everywhere.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn share(&mut self) -> f64 {
        self.below(1000) as f64 / 1000.0
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Which faults a run has, besides an unreliable network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub crashes: bool,
    pub spool_lost: bool,
    pub cloned: bool,
    pub restored: bool,
}

enum Message {
    Up(Upward),
    Down(Downward),
}

struct Packet {
    machine: usize,
    connection: u64,
    message: Message,
}

pub(crate) struct World {
    rng: Rng,
    faults: Faults,
    now: Timestamp,
    machines: Vec<Machine>,
    collector: Collector,
    network: Vec<Packet>,
    n_connections: u64,
    n_spools_lost: u64,
    n_restores: u64,
    n_unknown: u64,
    story: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let now = Timestamp::from_secs(1_800_000_000);
        let spool = Spool::new(&mut rng, now);
        let machine = Machine {
            name: 0,
            forked_at: 0,
            parent: 0,
            n_lines: 0,
            spool,
            sender: Some(Sender::new(0, now)),
            dialing: false,
            connection: None,
        };
        Self {
            rng,
            faults,
            now,
            machines: vec![machine],
            collector: Collector::new(),
            network: Vec::new(),
            n_connections: 0,
            n_spools_lost: 0,
            n_restores: 0,
            n_unknown: 0,
            story: Vec::new(),
        }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        self.story.push(what());
    }

    /// What happened, for a run that failed.
    pub(crate) fn story(&self) -> String {
        self.story.join("\n")
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) {
        let machine = self.rng.below(self.machines.len() as u64) as usize;
        match self.rng.below(100) {
            0..=17 => self.machines[machine].n_lines += 1 + self.rng.below(9),
            18..=34 => self.seal(machine),
            35..=64 => self.carry(),
            65..=76 => self.commit(),
            77..=86 => self.pass_time(),
            87..=89 => self.cut(machine),
            90..=91 => self.machines[machine].spool.purge(),
            92..=95 if self.faults.crashes => self.crash_something(machine),
            96 if self.faults.spool_lost => self.lose_spool(machine),
            97 if self.faults.cloned && self.machines.len() < 3 => self.clone_machine(machine),
            98 if self.faults.restored => {
                self.tell(|| "backup".into());
                self.collector.backup = Some(self.collector.disk.clone());
            }
            99 if self.faults.restored && self.collector.backup.is_some() => {
                self.tell(|| "restore".into());
                self.n_restores += 1;
                self.collector.restore();
                self.cut_all();
            }
            _ => self.connect(machine),
        }
    }

    fn crash_point(&mut self) -> Option<CrashPoint> {
        (self.faults.crashes && self.rng.chance(8)).then(|| {
            if self.rng.chance(50) { CrashPoint::BeforeCommit } else { CrashPoint::AfterCommit }
        })
    }

    fn feed_sealed(&mut self, machine: usize) {
        let newest = self.machines[machine].spool.newest_row();
        self.feed(machine, Input::Sealed { newest });
    }

    fn seal(&mut self, machine: usize) {
        let crash = self.crash_point();
        self.machines[machine].seal(crash, self.now, &mut self.rng);
        self.feed_sealed(machine);
        if crash.is_some() {
            self.tell(|| format!("machine {machine} sealed and crashed {crash:?}"));
        }
    }

    fn feed(&mut self, machine: usize, input: Input) {
        let connection = self.machines[machine].connection.unwrap_or(0);
        // No two spools are made at one instant.
        self.now = self.now.shifted(1);
        for message in self.machines[machine].feed(input, self.now, &mut self.rng) {
            self.network.push(Packet { machine, connection, message: Message::Up(message) });
        }
    }

    /// Some message arrives: not always the oldest, not always once, not always at all.
    fn carry(&mut self) {
        for _ in 0..3 {
            if self.network.is_empty() {
                return;
            }
            let at = if self.rng.chance(70) {
                0
            } else {
                self.rng.below(self.network.len() as u64) as usize
            };
            let packet = self.network.remove(at);
            if self.rng.chance(3) {
                continue;
            }
            if self.rng.chance(4) {
                let message = match &packet.message {
                    Message::Up(m) => Message::Up(m.clone()),
                    Message::Down(m) => Message::Down(m.clone()),
                };
                self.network.push(Packet { message, ..packet });
            }
            self.arrive(packet);
        }
    }

    fn arrive(&mut self, packet: Packet) {
        let Packet { machine, connection, message } = packet;
        match message {
            Message::Up(Upward::Hello { epoch, held, is_new }) => {
                self.collector.hello((machine, connection), epoch, &held, is_new);
            }
            Message::Up(Upward::Batch { key, digest, settled_below, content }) => {
                self.collector.batch((machine, connection), key, digest, settled_below, &content);
            }
            // A welcome belongs to its connection; receipts may come late, as they do through a broker.
            Message::Down(Downward::Welcome { incarnation, streams, frontiers }) => {
                if self.machines[machine].connection == Some(connection) {
                    self.feed(machine, Input::Welcome { incarnation, streams, frontiers });
                }
            }
            Message::Down(Downward::Receipt { incarnation, key, outcome }) => {
                let jitter = self.rng.share();
                self.feed(
                    machine,
                    Input::Receipt { incarnation, key, outcome, reason: String::new(), jitter },
                );
            }
        }
    }

    fn commit(&mut self) {
        let crash = self.crash_point();
        for ((machine, connection), message) in self.collector.commit(crash) {
            self.network.push(Packet { machine, connection, message: Message::Down(message) });
        }
        if crash.is_some() {
            self.tell(|| format!("collector crashed {crash:?}"));
            self.cut_all();
        }
    }

    fn pass_time(&mut self) {
        let span = [50, 500, 5_000, 31_000][self.rng.below(4) as usize];
        self.now = self.now + Duration::from_millis(span);
        for machine in 0..self.machines.len() {
            self.feed(machine, Input::Tick);
        }
    }

    fn connect(&mut self, machine: usize) {
        if self.machines[machine].sender.is_none() {
            self.tell(|| format!("machine {machine} starts"));
            let newest = self.machines[machine].spool.newest_row();
            self.machines[machine].sender = Some(Sender::new(newest, self.now));
        }
        self.feed(machine, Input::Tick);
        if std::mem::take(&mut self.machines[machine].dialing) {
            self.n_connections += 1;
            self.machines[machine].connection = Some(self.n_connections);
            self.feed(machine, Input::Connected);
        }
    }

    fn cut(&mut self, machine: usize) {
        if self.machines[machine].connection.take().is_some() {
            let jitter = self.rng.share();
            self.feed(machine, Input::Disconnected { jitter });
        }
    }

    fn cut_all(&mut self) {
        for machine in 0..self.machines.len() {
            self.cut(machine);
        }
    }

    fn crash_something(&mut self, machine: usize) {
        if self.rng.chance(50) {
            self.tell(|| format!("machine {machine} crashes"));
            self.machines[machine].crash();
        } else {
            self.tell(|| "collector crashes".into());
            self.collector.crash();
            self.cut_all();
        }
    }

    fn lose_spool(&mut self, machine: usize) {
        self.tell(|| format!("machine {machine} loses its spool"));
        let now = self.now;
        self.n_spools_lost += 1;
        self.n_unknown += self.machines[machine].spool.n_unknown;
        self.machines[machine].crash();
        self.machines[machine].spool = Spool::new(&mut self.rng, now);
    }

    /// A copy of machine and disk starts to live on its own, under the same agent id.
    fn clone_machine(&mut self, of: usize) {
        let original = &self.machines[of];
        // What both have still to read stands on both disks and is counted on both: these lines are the clone's own.
        let forked_at = original.spool.position;
        if original.forked_at > forked_at || original.spool.is_new || original.name != 0 {
            return;
        }
        let mut spool = original.spool.clone();
        spool.n_unknown = 0;
        let newest = spool.newest_row();
        let clone = Machine {
            name: self.machines.len() as u8,
            forked_at,
            parent: original.name,
            n_lines: original.n_lines,
            spool,
            sender: Some(Sender::new(newest, self.now)),
            dialing: false,
            connection: None,
        };
        self.tell(|| format!("machine {of} is cloned at line {forked_at}"));
        self.machines.push(clone);
    }

    /// The faults end, and everything comes to rest.
    pub(crate) fn settle(&mut self) {
        self.faults = Faults { crashes: false, spool_lost: false, cloned: false, restored: false };
        for _ in 0..2_000 {
            for machine in 0..self.machines.len() {
                self.connect(machine);
                self.machines[machine].seal(None, self.now, &mut self.rng);
                self.feed_sealed(machine);
            }
            while !self.network.is_empty() {
                let packet = self.network.remove(0);
                self.arrive(packet);
            }
            self.commit();
            while !self.network.is_empty() {
                let packet = self.network.remove(0);
                self.arrive(packet);
            }
            if self.is_at_rest() {
                return;
            }
            self.now = self.now + Duration::from_secs(1);
            for machine in 0..self.machines.len() {
                self.feed(machine, Input::Tick);
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        self.machines.iter().all(|m| {
            let read = m.spool.position == m.n_lines && !m.spool.is_new;
            let delivered = m.spool.rows.values().all(|r| r.receipted);
            read && delivered
                && m.sender.as_ref().is_some_and(|s| s.is_open() && s.n_in_flight() == 0)
        })
    }

    /// Promise 1: nothing twice, and what is missing is reported; without a reason to lose anything, nothing is.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        if !self.is_at_rest() {
            return Err("it never came to rest".into());
        }
        let disk = &self.collector.disk;
        for (what, counts) in [("line", &disk.lines), ("event", &disk.events)] {
            if let Some((line, n)) =
                counts.iter().find(|(line, n)| u64::from(**n) > self.n_copies(**line))
            {
                return Err(format!("{what} {line:?} was counted {n} times"));
            }
        }
        let written = self.written();
        let missing = written.iter().filter(|l| !disk.lines.contains_key(l)).count() as u64;
        let bodies = written.iter().filter(|l| l.1 % 5 == 0).count() as u64;
        let missing_bodies = bodies - disk.events.len() as u64;
        let unknown: u64 =
            self.n_unknown + self.machines.iter().map(|m| m.spool.n_unknown).sum::<u64>();
        let (gap, n_lost) = (disk.gap(), disk.n_lost_batches());
        let told = format!(
            "{missing} lines and {missing_bodies} bodies missing, reported: gap {gap}, unknown {unknown}, batches {n_lost}"
        );
        let excused = self.n_spools_lost > 0 || self.n_restores > 0;
        if !excused && (missing > 0 || missing_bodies > 0) {
            return Err(told);
        }
        let (alone, forks) = (self.machines.len() == 1, self.collector.n_forks);
        if alone && !excused && (gap > 0 || n_lost > 0 || forks > 0) {
            return Err(format!("a false alarm: {told}, {forks} forks"));
        }
        if missing > 0 && gap + unknown + n_lost + disk.n_buried + forks == 0 {
            return Err(format!("unreported: {told}"));
        }
        if alone && self.n_restores == 0 && missing > gap + unknown {
            return Err(format!("reported too little: {told}"));
        }
        let bodies_reported = disk.n_events_sealed.saturating_sub(disk.events.len() as u64);
        if alone && self.n_restores == 0 && missing_bodies > bodies_reported + missing {
            return Err(format!("bodies unreported: {told}, by tallies {bodies_reported}"));
        }
        Ok(())
    }

    /// On how many disks a line stands that nobody remembers having counted: a clone that lost its spool reads what it
    /// finds, and so does its original.
    fn n_copies(&self, line: Line) -> u64 {
        let clones = self
            .machines
            .iter()
            .filter(|m| m.name != line.0 && m.parent == line.0 && line.1 < m.forked_at);
        if self.n_spools_lost > 0 { 1 + clones.count() as u64 } else { 1 }
    }

    fn written(&self) -> Vec<Line> {
        self.machines.iter().flat_map(|m| (m.forked_at..m.n_lines).map(|n| m.line(n))).collect()
    }
}

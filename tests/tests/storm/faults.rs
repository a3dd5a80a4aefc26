//! What a fault does to the stage, and how it ends.
//!
//! Owns each kind's doing. When it comes, and how long it lasts, is the plan's.

use std::time::Duration;

use rustix::process::Signal;
use watchkeeper_tests::harness::{self, Direction, Proxy, Totals, eventually, get_text};

use super::host::{Host, SOON};
use super::kinds::{Fault, Link, Target};
use super::stage::Stage;

/// How something ends that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heal {
    /// SIGCONT.
    Thaw(Target),
    /// Bytes pass as they should.
    Pass(Link),
    /// The disk has room again.
    Free(Target),
    /// The agent is started with the right clock.
    SetClock(usize),
}

impl Stage {
    /// Lets a fault happen in a step.
    pub(crate) async fn meet(&mut self, n: usize, fault: Fault) {
        match fault {
            Fault::Kill(Target::Agent(a)) => {
                self.hosts[a].kill();
                self.hosts[a].start();
            }
            Fault::Kill(Target::Collector) => {
                self.kill_collector();
                self.start_collector().await;
            }
            Fault::Kill(Target::Broker) => self.kill_broker().await,
            Fault::NewBroker => self.broker.as_mut().expect("this road has one").renew().await,
            Fault::Stop(target) => self.stop(target).await,
            Fault::Freeze(target, steps) => self.freeze(target, n + steps),
            Fault::Cut(link) => self.proxy(link).cut(),
            Fault::CutAfter(link, bytes) => {
                self.proxy(link).set(harness::Fault::CutAfter(bytes));
            }
            Fault::Delay(link, by_ms, steps) => {
                self.proxy(link).delay(Duration::from_millis(by_ms));
                self.heals.push((n + steps, Heal::Pass(link)));
            }
            Fault::HalfOpen(link, steps) => {
                self.proxy(link).half_open(true);
                self.heals.push((n + steps, Heal::Pass(link)));
            }
            Fault::Flip(link, after) => self.proxy(link).set(harness::Fault::FlipAfter(after)),
            Fault::FlipBack(link, after) => {
                let flip = harness::Fault::FlipAfter(after);
                self.proxy(link).set_for(Direction::Down, flip);
            }
            Fault::FullDisk(target, steps) => self.fill(target, n + steps),
            Fault::WrongClock(a, seconds, steps) => {
                self.hosts[a].set_clock(seconds);
                self.heals.push((n + steps, Heal::SetClock(a)));
            }
            Fault::Clone(a, n_lines) => self.clone_spool(a, n_lines).await,
            Fault::Backup => self.back_up().await,
            Fault::Restore(age) => self.restore(age).await,
            Fault::Rush(a, n_rotations, n_lines) => self.hosts[a].rush(n_rotations, n_lines),
            Fault::Reload(target, variant) => self.reload(target, variant),
            Fault::Calm => self.calm().await,
        }
    }

    /// Ends what is due.
    pub(crate) async fn heal(&mut self, n: usize) {
        let (due, later) = self.heals.drain(..).partition(|(at, _)| *at <= n);
        self.heals = later;
        let due: Vec<(usize, Heal)> = due;
        for (_, heal) in due {
            self.end(heal).await;
        }
    }

    /// Ends something.
    pub(crate) async fn end(&mut self, heal: Heal) {
        match heal {
            Heal::Thaw(Target::Agent(a)) => {
                self.hosts[a].running().signal(Signal::CONT);
                self.hosts[a].is_frozen = false;
            }
            Heal::Thaw(Target::Collector) => {
                self.site.collector.as_ref().unwrap().signal(Signal::CONT);
            }
            Heal::Thaw(Target::Broker) => {
                self.broker.iter().for_each(|broker| broker.rabbit.thaw());
            }
            Heal::Pass(link) => {
                self.proxy(link).delay(Duration::ZERO);
                self.proxy(link).half_open(false);
            }
            Heal::Free(Target::Agent(a)) => {
                let host = &mut self.hosts[a];
                host.disk.iter().for_each(harness::SmallDisk::free);
                host.supervise();
                host.is_full = false;
            }
            Heal::Free(Target::Collector) => {
                self.disk.iter().for_each(harness::SmallDisk::free);
                self.supervise_collector();
                self.is_full = false;
            }
            Heal::Free(Target::Broker) => unreachable!("its disk is never full"),
            Heal::SetClock(a) => self.hosts[a].set_clock(0),
        }
    }

    fn proxy(&self, link: Link) -> &Proxy {
        match link {
            Link::Agent(a, way) => self.hosts[a].way(way),
            Link::Collector => &self.broker.as_ref().expect("this road has one").proxy,
        }
    }

    /// Everything ends now, and the counts are the truth.
    async fn calm(&mut self) {
        self.heal(usize::MAX).await;
        self.let_pass();
        self.supervise();
        self.settle_broker().await;
        self.wait_counted(2 * SOON).await;
        self.purge_broker().await;
        self.stop_clones();
        // Those that may not at any moment: everybody has looked, and stored it.
        for host in self.hosts.iter_mut().filter(|host| !host.may_rotate()) {
            host.logs[1].rotate_by_rename().unwrap();
            host.logs[1].line(200, 1.0).unwrap();
        }
        self.wait_counted(SOON).await;
        self.hosts.iter().for_each(Host::tidy_logs);
    }

    /// Nothing that is still to come happens to bytes on their way.
    fn let_pass(&self) {
        let ways = self.hosts.iter().flat_map(|host| &host.ways).map(|(_, proxy)| proxy);
        for proxy in ways.chain(self.broker.iter().map(|broker| &broker.proxy)) {
            proxy.set_for(Direction::Up, harness::Fault::None);
            proxy.set_for(Direction::Down, harness::Fault::None);
        }
    }

    /// The collector, and whoever is to reach it, are well: what follows waits for them.
    pub(crate) async fn heal_collector(&mut self) {
        self.end(Heal::Thaw(Target::Collector)).await;
        self.end(Heal::Free(Target::Collector)).await;
        if self.broker.is_some() {
            self.end(Heal::Thaw(Target::Broker)).await;
            self.end(Heal::Pass(Link::Collector)).await;
        }
        self.supervise();
        let url = format!("http://127.0.0.1:{}/readyz", self.site.port);
        eventually("the collector is ready", SOON, || async {
            get_text(&url).await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// As `kill -9` does.
    pub(crate) fn kill_collector(&mut self) {
        self.site.collector.as_mut().unwrap().kill();
    }

    async fn stop(&mut self, target: Target) {
        match target {
            Target::Agent(a) => {
                let host = &mut self.hosts[a];
                host.running().signal(Signal::CONT);
                host.running().stop(SOON).unwrap();
                host.start();
            }
            Target::Collector => {
                let collector = self.site.collector.as_mut().unwrap();
                collector.signal(Signal::CONT);
                collector.stop(SOON).unwrap();
                self.start_collector().await;
            }
            Target::Broker => self.broker.as_mut().expect("this road has one").stop().await,
        }
    }

    fn freeze(&mut self, target: Target, until: usize) {
        match target {
            Target::Agent(a) => {
                self.hosts[a].running().signal(Signal::STOP);
                self.hosts[a].is_frozen = true;
            }
            Target::Collector => self.site.collector.as_ref().unwrap().signal(Signal::STOP),
            Target::Broker => self.broker.as_ref().expect("this road has one").rabbit.freeze(),
        }
        self.heals.push((until, Heal::Thaw(target)));
    }

    fn fill(&mut self, target: Target, until: usize) {
        let (disk, is_full) = match target {
            Target::Agent(a) => {
                let host = &mut self.hosts[a];
                (&host.disk, &mut host.is_full)
            }
            Target::Collector => (&self.disk, &mut self.is_full),
            Target::Broker => unreachable!("its disk is never full"),
        };
        if let Some(disk) = disk {
            disk.fill().unwrap();
            *is_full = true;
            self.heals.push((until, Heal::Free(target)));
        }
    }

    fn reload(&mut self, target: Target, variant: u64) {
        match target {
            Target::Agent(a) => {
                let host = &mut self.hosts[a];
                host.variant = variant;
                host.configure();
                host.running().signal(Signal::HUP);
            }
            Target::Collector => {
                self.variant = variant;
                self.configure_collector();
                self.site.collector.as_ref().unwrap().signal(Signal::HUP);
            }
            Target::Broker => unreachable!("it has one configuration"),
        }
    }

    /// As when a machine is cloned: both go on with one spool and one id, each with lines of its own.
    async fn clone_spool(&mut self, a: usize, n_lines: u64) {
        self.heal_collector().await;
        self.end(Heal::Free(Target::Agent(a))).await;
        let name = format!("clone-{}", self.clones.len() + 1);
        let mut clone = self.new_host(&self.hosts[a].id, &name).await;
        clone.variant = self.hosts[a].variant;
        self.hosts[a].kill();
        copy_files(&self.hosts[a].data(), &clone.data());
        self.hosts[a].start();
        clone.configure();
        clone.start();
        for n in 0..n_lines {
            clone.logs[0].line(200, n as f64).unwrap();
            self.hosts[a].logs[0].line(204, n as f64).unwrap();
        }
        let is_counted = async || {
            let of_clone = |totals: Totals| {
                totals.into_iter().filter(|(key, _)| key.starts_with(&name)).collect::<Totals>()
            };
            (of_clone(self.counted().await?) == clone.written()).then_some(())
        };
        eventually(&format!("{name} has delivered"), 2 * SOON, is_counted).await;
        clone.running().stop(SOON).unwrap();
        self.clones.push(clone);
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

//! What a fault does to the stage, and how it ends.
//!
//! Owns each kind's doing. When it comes, and how long it lasts, is the plan's.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use watchkeeper_tests::harness::{self, Totals, binary, eventually};

use super::host::{Host, SOON};
use super::plan::{Fault, Target};
use super::stage::Stage;

/// How something ends that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heal {
    /// SIGCONT.
    Thaw(Target),
    /// Bytes pass as they should.
    Pass(usize),
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
            Fault::Stop(target) => self.stop(target).await,
            Fault::Freeze(target, steps) => self.freeze(target, n + steps),
            Fault::Cut(a) => self.hosts[a].proxy.cut(),
            Fault::CutAfter(a, bytes) => {
                self.hosts[a].proxy.set(harness::Fault::CutAfter(bytes));
            }
            Fault::Delay(a, by_ms, steps) => {
                self.hosts[a].proxy.delay(Duration::from_millis(by_ms));
                self.heals.push((n + steps, Heal::Pass(a)));
            }
            Fault::HalfOpen(a, steps) => {
                self.hosts[a].proxy.half_open(true);
                self.heals.push((n + steps, Heal::Pass(a)));
            }
            Fault::Flip(a, after) => self.hosts[a].proxy.set(harness::Fault::FlipAfter(after)),
            Fault::FullDisk(target, steps) => self.fill(target, n + steps),
            Fault::WrongClock(a, seconds, steps) => {
                let host = &mut self.hosts[a];
                host.clock_s = seconds;
                host.kill();
                host.start();
                self.heals.push((n + steps, Heal::SetClock(a)));
            }
            Fault::Clone(a, n_lines) => self.clone_spool(a, n_lines).await,
            Fault::Backup => self.back_up().await,
            Fault::Restore => self.restore().await,
            Fault::Rush(a, n_rotations, n_lines) => rush(&mut self.hosts[a], n_rotations, n_lines),
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

    async fn end(&mut self, heal: Heal) {
        match heal {
            Heal::Thaw(Target::Agent(a)) => {
                self.hosts[a].running().signal(Signal::CONT);
                self.hosts[a].is_frozen = false;
            }
            Heal::Thaw(Target::Collector) => {
                self.site.collector.as_ref().unwrap().signal(Signal::CONT);
            }
            Heal::Pass(a) => {
                self.hosts[a].proxy.delay(Duration::ZERO);
                self.hosts[a].proxy.half_open(false);
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
            Heal::SetClock(a) => {
                let host = &mut self.hosts[a];
                host.clock_s = 0;
                host.kill();
                host.start();
            }
        }
    }

    /// Everything ends now, and the counts are the truth.
    async fn calm(&mut self) {
        self.heal(usize::MAX).await;
        self.hosts.iter().for_each(|host| host.proxy.set(harness::Fault::None));
        self.supervise();
        self.wait_counted(2 * SOON).await;
        self.hosts.iter().for_each(Host::tidy_logs);
    }

    /// The collector, and whoever is to reach it, are well: what follows waits for them.
    async fn heal_collector(&mut self) {
        self.end(Heal::Thaw(Target::Collector)).await;
        self.end(Heal::Free(Target::Collector)).await;
        self.supervise();
        let url = format!("http://127.0.0.1:{}/readyz", self.site.port);
        eventually("the collector is ready", SOON, || async {
            harness::get_text(&url).await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
    }

    fn kill_collector(&mut self) {
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
        }
    }

    fn freeze(&mut self, target: Target, until: usize) {
        match target {
            Target::Agent(a) => {
                self.hosts[a].running().signal(Signal::STOP);
                self.hosts[a].is_frozen = true;
            }
            Target::Collector => self.site.collector.as_ref().unwrap().signal(Signal::STOP),
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
        }
    }

    /// As when a machine is cloned: both go on with one spool and one id, each with lines of its own.
    async fn clone_spool(&mut self, a: usize, n_lines: u64) {
        self.heal_collector().await;
        self.end(Heal::Free(Target::Agent(a))).await;
        self.n_clones += 1;
        let name = format!("clone-{}", self.n_clones);
        let at = self.site.path().join(&name);
        let mut clone = Host::new(&self.hosts[a].id, &name, &at, self.site.port).await;
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
        self.written_by_clones.extend(clone.written());
        self.backups.clear();
    }

    async fn back_up(&mut self) {
        self.heal_collector().await;
        self.n_backups += 1;
        let to = self.site.path().join(format!("backup-{}", self.n_backups));
        self.watchkeeper(&["backup", "--to", to.to_str().unwrap()]);
        self.backups.push(to);
    }

    async fn restore(&mut self) {
        let Some(from) = self.backups.first().cloned() else { return };
        self.end(Heal::Free(Target::Collector)).await;
        self.kill_collector();
        let data = self.data();
        let [from, to] = [&from, &data].map(|path| path.to_str().unwrap());
        let arguments = ["restore", "--from", from, "--to", to, "--force", "--output", "json"];
        let told: Value = serde_json::from_str(&self.watchkeeper(&arguments)).unwrap();
        let orphans = told["orphans"].as_array().into_iter().flatten();
        let keys = orphans.filter_map(|orphan| Some(orphan["dedup_key"].as_str()?.to_owned()));
        self.receiver.restored(&keys.collect::<Vec<_>>());
        self.start_collector().await;
    }

    /// What the command printed; it must succeed.
    fn watchkeeper(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary("watchkeeper"));
        command.env("WATCHKEEPER_URL", format!("http://127.0.0.1:{}", self.site.port));
        let output = command.env_remove("WATCHKEEPER_TOKEN").args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

/// More rotations than anybody can watch, with lines in each file.
fn rush(host: &mut Host, n_rotations: u64, n_lines: u64) {
    for _ in 0..n_rotations {
        for n in 0..n_lines {
            host.logs[1].line(200, n as f64).unwrap();
        }
        host.logs[1].rotate_by_rename().unwrap();
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

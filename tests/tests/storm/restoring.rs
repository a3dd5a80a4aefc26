//! Backups of the storm's collector, and going back to one.
//!
//! Owns which of them may be restored, and what it takes to make up for what came after it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use watchkeeper_tests::harness::binary;

use super::faults::Heal;
use super::host::SOON;
use super::kinds::{Age, Target};
use super::stage::Stage;

/// Agents keep what was receipted for an hour (`spool.keep`) by their clocks, which may be 25 minutes off.
const OLDEST: Duration = Duration::from_secs(30 * 60);

/// So many are kept: the oldest, and the last ones.
const MAX_BACKUPS: usize = 6;

/// One backup.
#[derive(Debug)]
pub(crate) struct Backup {
    at: PathBuf,
    taken: Instant,
    /// Clones there had been: what later ones delivered is not in it.
    n_clones: usize,
}

impl Stage {
    /// Takes one.
    pub(crate) async fn back_up(&mut self) {
        self.heal_collector().await;
        self.n_backups += 1;
        let at = self.site.path().join(format!("backup-{}", self.n_backups));
        self.watchkeeper(&["backup", "--to", at.to_str().unwrap()]);
        let n_clones = self.clones.len();
        self.backups.push(Backup { at, taken: Instant::now(), n_clones });
        self.forget_backups();
    }

    fn forget_backups(&mut self) {
        if self.backups.len() > MAX_BACKUPS {
            std::fs::remove_dir_all(&self.backups.remove(1).at).unwrap();
        }
        let is_kept = |backup: &Backup| backup.taken.elapsed() < OLDEST;
        self.backups.retain(|backup| {
            let is_kept = is_kept(backup);
            if !is_kept {
                std::fs::remove_dir_all(&backup.at).unwrap();
            }
            is_kept
        });
    }

    /// The collector goes back to one, if there is any. Clones that delivered since then run again until the next calm.
    pub(crate) async fn restore(&mut self, age: Age) {
        self.forget_backups();
        let from = match age {
            Age::Oldest => self.backups.first(),
            Age::Newest => self.backups.last(),
        };
        let Some(Backup { at, taken, n_clones }) = from else { return };
        println!("          a backup of {:.0} s ago", taken.elapsed().as_secs_f64());
        let (from, n_clones) = (at.clone(), *n_clones);
        self.end(Heal::Free(Target::Collector)).await;
        self.kill_collector();
        let data = self.data();
        let [from, to] = [&from, &data].map(|path| path.to_str().unwrap());
        let arguments = ["restore", "--from", from, "--to", to, "--force", "--output", "json"];
        let told: Value = serde_json::from_str(&self.watchkeeper(&arguments)).unwrap();
        let orphans = told["orphans"].as_array().into_iter().flatten();
        let keys = orphans.filter_map(|orphan| Some(orphan["dedup_key"].as_str()?.to_owned()));
        self.receiver.restored(&keys.collect::<Vec<_>>());
        self.drop_replaced();
        self.start_collector().await;
        for clone in self.clones.iter_mut().skip(n_clones) {
            if !clone.running().is_running() {
                clone.start();
            }
        }
    }

    /// What a restore has put aside is nobody's any more: the disk is small.
    fn drop_replaced(&self) {
        for entry in std::fs::read_dir(self.data()).unwrap() {
            let path = entry.unwrap().path();
            let is_replaced =
                |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b"replaced-");
            if path.file_name().is_some_and(is_replaced) {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
    }

    /// Clones that made up for a restore are gone again.
    pub(crate) fn stop_clones(&mut self) {
        for clone in &mut self.clones {
            if clone.running().is_running() {
                clone.running().stop(SOON).unwrap();
            }
        }
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

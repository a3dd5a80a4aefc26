//! What of a host other than a Linux one can be read without waiting.
//!
//! Owns the use of the crate `sysinfo`. What it does not tell is absent: pressure, temperature, open files, dropped packets.
//! Processors are busy or idle.

use sysinfo::{Disks, Networks, System};
use watchkeeper_agent_core::host::{Glance, Interface, Memory, Mount, MountKind, Sensor};

/// File systems that lie on another machine and may not answer.
const REMOTE: [&str; 6] = ["smbfs", "nfs", "afpfs", "webdav", "cifs", "ftp"];

/// Parts of macOS's own system, which come and go as it wants.
const OWN: &str = "/System/Volumes/";

/// Interfaces that nothing leaves the host by, or that the system makes for itself.
const PASSED_OVER: [&str; 7] = ["lo", "gif", "stf", "awdl", "llw", "anpi", "utun"];

/// Where a host tells how it is.
#[derive(Debug)]
pub(super) struct Machine {
    system: Option<System>,
    networks: Option<Networks>,
    /// Shares of processors' time, busy and idle, added up in thousandths of a look.
    cpu: [u64; 2],
    has_looked: bool,
}

impl Machine {
    /// This one.
    pub(super) fn new() -> Self {
        let (system, networks) = (System::new().ok(), Networks::new().ok());
        Self { system, networks, cpu: [0; 2], has_looked: false }
    }

    /// How it is now, and what can't be told.
    pub(super) fn glance(&mut self) -> (Glance, Vec<String>) {
        let mut problems = Vec::new();
        let mut glance = Glance::default();
        match &mut self.system {
            None => problems.push("processors and memory can't be looked at".to_owned()),
            Some(system) => {
                system.refresh_cpu_usage();
                system.refresh_memory();
                // What it says of processors is since the last look.
                if std::mem::replace(&mut self.has_looked, true) {
                    let busy = f64::from(system.global_cpu_usage()).clamp(0.0, 100.0);
                    let thousandths = (busy * 10.0).round() as u64;
                    self.cpu[0] = self.cpu[0].saturating_add(thousandths);
                    self.cpu[1] = self.cpu[1].saturating_add(1_000 - thousandths);
                }
                glance.cpu = vec![("busy", self.cpu[0]), ("idle", self.cpu[1])];
                glance.memory = Some(Memory {
                    total: system.total_memory(),
                    available: system.available_memory().min(system.total_memory()),
                    swap_total: system.total_swap(),
                    swap_free: system.free_swap(),
                });
            }
        }
        match System::load_average() {
            Ok(load) => glance.load = Some([load.one, load.five, load.fifteen]),
            Err(error) => problems.push(format!("the load can't be read: {error}")),
        }
        match &mut self.networks {
            None => problems.push("network interfaces can't be looked at".to_owned()),
            Some(networks) => {
                networks.refresh(true);
                let is_watched = |name: &str| !PASSED_OVER.iter().any(|p| name.starts_with(p));
                let named = networks.iter().map(|(name, data)| (name.to_string_lossy(), data));
                glance.network = named
                    .filter(|(name, _)| is_watched(name))
                    .map(|(name, data)| Interface {
                        name: name.into_owned(),
                        bytes: [data.total_received(), data.total_transmitted()],
                        errors: [
                            data.total_errors_on_received(),
                            data.total_errors_on_transmitted(),
                        ],
                        drops: None,
                    })
                    .collect();
                glance.network.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        (glance, problems)
    }
}

/// The real file systems. How many more there are is always 0: there are few.
pub(super) fn mounts() -> Result<(Vec<Mount>, usize), String> {
    let disks = Disks::new_with_refreshed_list();
    let disks = disks.map_err(|error| format!("file systems can't be listed: {error}"))?;
    let mount = |disk: &sysinfo::Disk| {
        let path = disk.mount_point().to_string_lossy().into_owned();
        let kind = disk.file_system().to_string_lossy();
        let is_remote = REMOTE.iter().any(|remote| kind.eq_ignore_ascii_case(remote));
        let kind = if is_remote { MountKind::Remote } else { MountKind::Local };
        let is_own = path.starts_with(OWN) && path != "/System/Volumes/Data";
        (!is_own).then_some(Mount { path, kind })
    };
    let mut all: Vec<Mount> = disks.iter().filter_map(mount).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    Ok((all, 0))
}

/// None is told.
pub(super) fn sensors() -> Vec<Sensor> {
    Vec::new()
}

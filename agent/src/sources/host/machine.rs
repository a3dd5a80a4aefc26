//! What of a Linux host can be read without waiting.
//!
//! Owns the paths below `/proc`. These files are made by the kernel as they are read, and no disk or network is asked.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use watchkeeper_agent_core::host::{self, Glance, Mount, Pressure, Sensor};

/// The most that is read of a file. `/proc/stat` of a machine with 500 processors has some 100 KB.
const MAX_BYTES: u64 = 4 << 20;

/// What work may stand still for want of.
const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// Where a host tells how it is.
#[derive(Debug)]
pub(super) struct Machine {
    proc: PathBuf,
    buffer: Vec<u8>,
}

impl Machine {
    /// This one.
    pub(super) fn new() -> Self {
        Self::at("/proc".into())
    }

    /// One whose `/proc` is elsewhere.
    pub(super) fn at(proc: PathBuf) -> Self {
        Self { proc, buffer: Vec::new() }
    }

    /// How it is now, and what can't be told.
    pub(super) fn glance(&mut self) -> (Glance, Vec<String>) {
        let mut problems = Vec::new();
        let mut glance = Glance::default();
        let mut needed = |machine: &mut Self, name: &str, take: &mut dyn FnMut(&str) -> bool| {
            let problem = match machine.read(name) {
                Ok(text) if take(&text) => return,
                Ok(_) => "says nothing that is understood".to_owned(),
                Err(error) => format!("can't be read: {error}"),
            };
            problems.push(format!("{} {problem}", machine.proc.join(name).display()));
        };
        needed(self, "stat", &mut |text| {
            glance.cpu = host::cpu(text);
            !glance.cpu.is_empty()
        });
        needed(self, "meminfo", &mut |text| {
            glance.memory = host::memory(text);
            glance.memory.is_some()
        });
        needed(self, "loadavg", &mut |text| {
            glance.load = host::load(text);
            glance.load.is_some()
        });
        needed(self, "net/dev", &mut |text| {
            glance.network = host::network(text);
            glance.network.retain(|interface| host::is_watched(&interface.name));
            true
        });
        // Containers often show no counts of the whole host.
        let descriptors = self.read("sys/fs/file-nr").ok();
        glance.descriptors = descriptors.as_deref().and_then(host::descriptors);
        for resource in RESOURCES {
            match self.read(&format!("pressure/{resource}")) {
                Ok(text) => glance.pressure.push((resource, host::pressure(&text))),
                // The kernel was built or started without it.
                Err(error) if is_unknown(&error) => {}
                Err(error) => {
                    problems.push(format!("pressure of {resource} can't be read: {error}"));
                }
            }
        }
        glance.pressure.retain(|(_, pressure)| *pressure != Pressure::default());
        (glance, problems)
    }

    fn read(&mut self, name: &str) -> io::Result<String> {
        self.buffer.clear();
        let file = File::open(self.proc.join(name))?;
        file.take(MAX_BYTES).read_to_end(&mut self.buffer)?;
        Ok(String::from_utf8_lossy(&self.buffer).into_owned())
    }
}

fn is_unknown(error: &io::Error) -> bool {
    let of_os = error.raw_os_error().map(Errno::from_raw_os_error);
    error.kind() == ErrorKind::NotFound || of_os == Some(Errno::OPNOTSUPP)
}

/// The real file systems, and how many more there are than are counted.
pub(super) fn mounts() -> Result<(Vec<Mount>, usize), String> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read(path).map_err(|error| format!("{path} can't be read: {error}"))?;
    Ok(host::mounts(&String::from_utf8_lossy(&text)))
}

/// What sensors of temperature say. Chips are asked in the order of their places, which stays the same over a restart.
pub(super) fn sensors() -> Vec<Sensor> {
    let of_chips = chips(Path::new("/sys/class/hwmon"));
    if of_chips.is_empty() { zones(Path::new("/sys/class/thermal")) } else { of_chips }
}

/// Documentation/hwmon/sysfs-interface.rst: `temp1_input` in thousandths of a degree, `temp1_label` if it has one.
pub(super) fn chips(class: &Path) -> Vec<Sensor> {
    let mut all = Vec::new();
    for chip in places(class) {
        let name = line(&chip.join("name")).unwrap_or_else(|| "chip".to_owned());
        let mut inputs: Vec<u32> = names(&chip)
            .filter_map(|file| file.strip_prefix("temp")?.strip_suffix("_input")?.parse().ok())
            .collect();
        inputs.sort_unstable();
        for n in inputs {
            let Some(celsius) = celsius(&chip.join(format!("temp{n}_input"))) else { continue };
            let label = line(&chip.join(format!("temp{n}_label")));
            let name = label.map_or_else(|| name.clone(), |label| format!("{name} {label}"));
            all.push(Sensor { name, celsius });
        }
    }
    all
}

/// Documentation/driver-api/thermal/sysfs-api.rst, for machines without chips that are known.
fn zones(class: &Path) -> Vec<Sensor> {
    let zone = |place: PathBuf| {
        Some(Sensor { name: line(&place.join("type"))?, celsius: celsius(&place.join("temp"))? })
    };
    places(class).into_iter().filter_map(zone).collect()
}

fn places(class: &Path) -> Vec<PathBuf> {
    let real = |name: String| class.join(name).canonicalize().ok();
    let mut all: Vec<PathBuf> = names(class).filter_map(real).collect();
    all.sort();
    all
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().next()?.trim().to_owned()).filter(|line| !line.is_empty())
}

fn celsius(path: &Path) -> Option<f64> {
    let thousandths: i32 = line(path)?.parse().ok()?;
    Some(f64::from(thousandths) / 1_000.0)
}

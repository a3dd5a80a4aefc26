//! The `host` source on texts that were recorded, and on the machine that runs the tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use watchkeeper_agent_core::host::Sensor;
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_config::{Reader, load_str};
use watchkeeper_model::{AgentId, Body, Labels, Timestamp};

#[cfg(target_os = "linux")]
use super::machine::{Machine, chips};
#[cfg(target_os = "linux")]
use super::sensors::numbered;
use super::source::HostSource;
use super::*;
use crate::sources::{Beside, Health, Source as _, Wakes, read};

fn settings(yaml: &str) -> Result<HostSourceSettings, String> {
    let mut reader = Reader::new(&|_: &str| None);
    let config = load_str("host", yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (config, _) = reader.finish(config).map_err(|problems| problems.render())?;
    Ok(config.settings.as_kind::<HostSourceSettings>().unwrap().clone())
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Names of signals, and of events.
fn sealed(acc: &mut Accumulator) -> (BTreeSet<String>, Vec<String>) {
    let (mut signals, mut all) = (BTreeSet::new(), Vec::new());
    for service in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
        for body in service.bodies {
            match body {
                Body::Windows { series, .. } => {
                    signals.extend(series.into_iter().map(|s| s.signal))
                }
                Body::Events { events, .. } => all.extend(events.into_iter().map(|e| e.name)),
            }
        }
    }
    (signals, all)
}

#[test]
fn keys_have_defaults_and_bounds() {
    let given = settings("host: {service: web-1}").unwrap();
    assert_eq!((given.head.every, given.head.name.as_str()), (Duration::from_secs(10), ""));
    let given = settings("host: {name: h, service: web-1, every: 1s}").unwrap();
    assert_eq!((given.head.every, given.head.name.as_str()), (Duration::from_secs(1), "h"));
    for (yaml, said) in [
        ("host: {}", "`service` is missing"),
        ("host: {service: s, every: 10ms}", "1s"),
        ("host: {service: s, paths: []}", "unknown key `paths`"),
    ] {
        let problems = settings(yaml).unwrap_err();
        assert!(problems.contains(said), "{yaml}: {problems}");
    }
}

#[test]
fn this_machine_is_observed() {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let wakes = Wakes::new();
    let settings = settings("host: {name: host, service: web-1}").unwrap();
    let mut source = HostSource::new(settings, &mut acc, Beside::new(wakes.waker()));
    let mut running = Duration::ZERO;
    let mut signals = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let next = source.poll_at(Timestamp(0), running, &mut acc);
        assert!(next > Timestamp(0));
        signals.extend(sealed(&mut acc).0);
        if signals.contains("host_disk_free") && signals.contains("host_cpu") {
            break;
        }
        assert!(Instant::now() < deadline, "{signals:?}");
        running += Duration::from_secs(10);
        // Disks ring; the kernel's clock, without a tick of which processors have done nothing,
        // does not.
        wakes.wait(Duration::from_millis(20));
    }
    for wanted in ["host_memory_used", "host_load1", "host_disk_used_ratio"] {
        assert!(signals.contains(wanted), "{wanted}: {signals:?}");
    }
    assert_eq!(source.health(), Health::Ok);
}

#[cfg(target_os = "linux")]
#[test]
fn what_can_not_be_read_is_told_and_the_rest_observed() {
    let proc = tempfile::tempdir().unwrap();
    write(proc.path(), "stat", "cpu  1 2 3 4\n");
    write(proc.path(), "loadavg", "what\n");
    write(proc.path(), "net/dev", "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let settings = settings("host: {name: host, service: web-1}").unwrap();
    let machine = Machine::at(proc.path().to_owned());
    let beside = Beside::new(Wakes::new().waker());
    let mut source = HostSource::on(settings, machine, &mut acc, beside);
    let later = |n: u64| Duration::from_secs(10 * n);
    for n in 0..2 {
        source.poll_at(Timestamp(0), later(n), &mut acc);
    }
    let (signals, _) = sealed(&mut acc);
    assert!(
        signals.contains("host_network_bytes") && !signals.contains("host_load1"),
        "{signals:?}"
    );
    let Health::Failing(why) = source.health() else { panic!("{:?}", source.health()) };
    assert!(why.contains("meminfo can't be read: No such file"), "{why}");
    assert!(why.ends_with("and 1 more"), "{why}");
    write(proc.path(), "meminfo", "MemTotal: 5 kB\nMemFree: 2 kB\n");
    write(proc.path(), "loadavg", "1 2 3\n");
    source.poll_at(Timestamp(0), later(3), &mut acc);
    assert_eq!(source.health(), Health::Ok);
}

#[test]
fn after_a_sleep_it_says_so_and_makes_nothing_up() {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    let settings = settings("host: {name: host, service: web-1, every: 1s}").unwrap();
    let mut source = HostSource::new(settings, &mut acc, Beside::new(Wakes::new().waker()));
    let awake = |n: u64| Duration::from_secs(n);
    source.poll_at(Timestamp::from_secs(1_000), awake(0), &mut acc);
    source.poll_at(Timestamp::from_secs(1_001), awake(1), &mut acc);
    assert_eq!(sealed(&mut acc).1, [""; 0]);
    source.poll_at(Timestamp::from_secs(9_000), awake(2), &mut acc);
    let sealed_after = acc.seal(Timestamp(0), &SealOrder::default(), Vec::new());
    let bodies = sealed_after.services.into_iter().flat_map(|s| s.bodies);
    let mut n_events = 0;
    for body in bodies {
        match body {
            Body::Windows { series, .. } => {
                let starts = series.iter().flat_map(|s| &s.windows).map(|w| w.window.start);
                assert!(starts.eq(series.iter().map(|_| Timestamp::from_secs(9_000))));
            }
            Body::Events { events, .. } => {
                n_events += events.len();
                assert_eq!(events[0].name, "gap");
                assert_eq!(events[0].fields, r#"{"cause":"slept","seconds":7999.0}"#);
            }
        }
    }
    assert_eq!(n_events, 1);
}

#[cfg(target_os = "linux")]
#[test]
fn sensors_are_called_by_chip_and_label() {
    let sys = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("hwmon0/name", "coretemp\n"),
        ("hwmon0/temp1_input", "41500\n"),
        ("hwmon0/temp1_label", "Package id 0\n"),
        ("hwmon0/temp2_input", "x\n"),
        ("hwmon1/name", "nvme\n"),
        ("hwmon1/temp1_input", "-3000\n"),
        ("hwmon2/name", "nvme\n"),
        ("hwmon2/temp1_input", "38000\n"),
        ("hwmon3/fan1_input", "900\n"),
    ] {
        write(sys.path(), file, text);
    }
    let all = numbered(chips(sys.path()));
    let sensor = |name: &str, celsius| Sensor { name: name.to_owned(), celsius };
    assert_eq!(
        all,
        [sensor("coretemp Package id 0", 41.5), sensor("nvme", -3.0), sensor("nvme 2", 38.0)]
    );
    assert_eq!(chips(Path::new("/no/such/place")), []);
}

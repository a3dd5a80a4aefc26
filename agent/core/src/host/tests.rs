//! What a host's texts say, and what is counted of them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::{AgentId, Body, Labels, Service, Timestamp};

use super::glance::{Interface, Memory, Pressure, Sensor, Space};
use super::mounts::{Mount, MountKind, mounts};
use super::*;
use crate::observe::Accumulator;
use crate::seal::SealOrder;

#[test]
fn processors_tell_their_modes_as_far_as_the_kernel_knows_them() {
    let all = cpu("cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5 6\n");
    let modes: Vec<&str> = all.iter().map(|(mode, _)| *mode).collect();
    assert_eq!(modes, ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]);
    assert_eq!(all[7], ("steal", 80));
    for (sentence, text, n) in [
        ("an old kernel has four", "cpu 1 2 3 4\n", 4),
        ("a single processor is not all of them", "cpu0 1 2 3 4\n", 0),
        ("what is no number ends it", "cpu  1 2 x 4\n", 2),
        ("nothing", "", 0),
    ] {
        assert_eq!(cpu(text).len(), n, "{sentence}");
    }
}

#[test]
fn memory_is_what_programs_could_still_have() {
    const TEXT: &str = "MemTotal:       24684084 kB\nMemFree:        21692480 kB\nMemAvailable:   23682800 kB\n\
                        Buffers:            7248 kB\nCached:          1889192 kB\nSwapCached:            0 kB\n\
                        SwapTotal:       1048576 kB\nSwapFree:         524288 kB\n";
    let full = Memory {
        total: 24_684_084 * 1024,
        available: 23_682_800 * 1024,
        swap_total: 1 << 30,
        swap_free: 1 << 29,
    };
    assert_eq!(memory(TEXT), Some(full));
    let without = |line: &str| {
        let kept = TEXT.lines().filter(|l| !l.starts_with(line));
        memory(&kept.collect::<Vec<_>>().join("\n"))
    };
    let old = Memory { available: (21_692_480 + 7_248 + 1_889_192) * 1024, ..full };
    assert_eq!(without("MemAvailable"), Some(old), "before 3.14");
    assert_eq!(without("Swap"), Some(Memory { swap_total: 0, swap_free: 0, ..full }));
    assert_eq!(without("MemTotal"), None);
    assert_eq!(without("Mem"), None);
}

#[test]
fn short_texts_are_read_or_refused() {
    assert_eq!(load("1.76 1.44 1.51 4/103 18720\n"), Some([1.76, 1.44, 1.51]));
    for bad in ["", "1.0 2.0", "a b c", "NaN 1 1", "-1 1 1", "inf 1 1"] {
        assert_eq!(load(bad), None, "{bad:?}");
    }
    let both = "some avg10=15.58 avg60=10.00 avg300=8.71 total=24101262885\n\
                full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
    assert_eq!(pressure(both), Pressure { some: Some(24_101_262_885), full: Some(7) });
    let some = both.lines().next().unwrap();
    assert_eq!(pressure(some).full, None, "processors have no full before 5.13");
    assert_eq!(pressure("some total=x\n"), Pressure::default());
    assert_eq!(descriptors("1134\t0\t2466170\n"), Some(1134));
    assert_eq!(descriptors("1134"), None);
}

#[test]
fn interfaces_tell_what_went_through_them() {
    let text = "Inter-|   Receive                                                |  Transmit\n\
                \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
                \x20   lo: 6789908232 43848040    0    0    0     0          0         0 6789908232 43848040    0    0    0     0       0          0\n\
                eth0:1:865551174 42508 1 2 0 0 0 0 2621710 26805 3 4 0 0 0 0\n\
                bad: 1 2 3\n";
    let all = network(text);
    assert_eq!(all.len(), 2);
    let alias = Interface {
        name: "eth0:1".to_owned(),
        bytes: [865_551_174, 2_621_710],
        errors: [1, 3],
        drops: Some([2, 4]),
    };
    assert_eq!(all[1], alias);
    for (name, is_worth_it) in [
        ("eth0", true),
        ("wlan0", true),
        ("wg0", true),
        ("lo", false),
        ("veth12ab", false),
        ("br-5f", false),
    ] {
        assert_eq!(is_watched(name), is_worth_it, "{name}");
    }
}

#[test]
fn real_file_systems_are_told_from_the_others() {
    let text = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334460k
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 25 0:27 / /dev/shm rw,relatime - tmpfs tmpfs rw
40 27 254:16 / /mnt/with\\040space rw master:1 propagate_from:2 - xfs /dev/vdb rw
41 27 254:16 /sub /srv rw - xfs /dev/vdb rw
42 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
43 27 0:50 / /mnt/nfs rw - nfs4 server:/export rw
44 27 0:51 / /home/ann/far rw - fuse.sshfs ann@far: rw
45 27 0:52 / /run/user/1/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw
46 27 0:53 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
47 27 0:54 / /tank rw - zfs tank rw
48 27 254:32 / /covered rw - ext4 /dev/vdc rw
49 48 0:55 / /covered rw - tmpfs tmpfs rw
50 27 254:0 /var/lib/docker/containers/x/hosts /etc/hosts rw - ext4 /dev/vda rw
no mount at all
";
    let (all, n_more) = mounts(text);
    let shown: Vec<(&str, MountKind)> = all.iter().map(|m| (m.path.as_str(), m.kind)).collect();
    use MountKind::{Local, Remote};
    assert_eq!(
        shown,
        [
            ("/", Local),
            ("/home/ann/far", Remote),
            ("/mnt/nfs", Remote),
            ("/srv", Local),
            ("/tank", Local)
        ]
    );
    assert_eq!(n_more, 0);
    let path =
        |text: &str| mounts(text).0.into_iter().map(|Mount { path, .. }| path).collect::<Vec<_>>();
    assert_eq!(path("27 1 0:30 / / rw - overlay overlay rw"), ["/"], "a container's root");
    assert_eq!(path("40 27 8:1 / /a\\040b\\134c\\9 rw - xfs /dev/sda1 rw"), ["/a b\\c\\9"]);
}

#[test]
fn there_are_at_most_so_many_file_systems() {
    let line = |n: usize| format!("{n} 1 8:{n} / /m{n} rw - ext4 /dev/sda{n} rw\n");
    let text: String = (0..MAX_PARTS + 9).map(line).collect();
    let (all, n_more) = mounts(&text);
    assert_eq!((all.len(), n_more), (MAX_PARTS, 9));
}

/// Last values by signal and labels, outside units.
fn counted(acc: &mut Accumulator) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for sealed in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
        for body in sealed.bodies {
            let Body::Windows { series, .. } = body else { continue };
            for one in series {
                let last =
                    one.windows.last().unwrap().distribution.values.as_ref().unwrap().last.value;
                let labels: Vec<&str> = one.labels.iter().map(|(_, value)| value).collect();
                let name = [one.signal.as_str(), &labels.join(" ")].join(" ").trim().to_owned();
                values.insert(name, one.unit.dimension().to_outside(last as f64));
            }
        }
    }
    values
}

fn observer() -> (HostObserver, Accumulator) {
    let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
    (HostObserver::new("host", &Service::new("web-1").unwrap(), &mut acc), acc)
}

fn interface(bytes: [u64; 2]) -> Interface {
    Interface { name: "eth0".to_owned(), bytes, errors: [1, 1], drops: Some([0, bytes[0] / 100]) }
}

#[test]
fn two_glances_make_shares_and_increases() {
    let (mut observer, mut acc) = observer();
    let first = Glance {
        cpu: vec![("user", 100), ("idle", 1_000), ("iowait", 50)],
        memory: Some(Memory { total: 1000, available: 250, swap_total: 0, swap_free: 0 }),
        load: Some([0.5, 1.0, 1.5]),
        pressure: vec![("io", Pressure { some: Some(5_000_000), full: Some(0) })],
        network: vec![interface([1_000, 2_000])],
        descriptors: Some(77),
    };
    observer.glance(&first, None, Timestamp(0), &mut acc);
    let said = counted(&mut acc);
    assert_eq!(said["host_memory_used"], 750.0);
    assert_eq!(said["host_memory_used_ratio"], 0.75);
    assert_eq!((said["host_load1"], said["host_load15"], said["host_fds"]), (0.5, 1.5, 77.0));
    let absent = ["host_cpu user", "host_pressure io", "host_network_bytes transmit eth0"];
    assert!(absent.iter().all(|name| !said.contains_key(*name)), "{said:?}");
    assert!(!said.contains_key("host_swap_used_ratio"), "there is no swap");

    let second = Glance {
        cpu: vec![("user", 130), ("idle", 1_070), ("iowait", 40)],
        pressure: vec![("io", Pressure { some: Some(5_250_000), full: Some(9_000_000) })],
        network: vec![interface([1_500, 2_000])],
        ..first
    };
    observer.glance(&second, Some(Duration::from_secs(1)), Timestamp(1), &mut acc);
    let said = counted(&mut acc);
    assert_eq!((said["host_cpu user"], said["host_cpu idle"]), (0.3, 0.7));
    assert_eq!(said["host_cpu iowait"], 0.0, "it has fallen");
    assert_eq!((said["host_pressure io"], said["host_pressure_full io"]), (0.25, 1.0));
    assert_eq!(said["host_network_bytes receive eth0"], 500.0);
    assert_eq!(said["host_network_bytes transmit eth0"], 0.0);
    assert_eq!(said["host_network_drops transmit eth0"], 5.0);
}

#[test]
fn space_is_what_programs_may_have() {
    let (mut observer, mut acc) = observer();
    let disk = Space {
        mount: "/".to_owned(),
        bytes: 1_000,
        bytes_free: 200,
        bytes_available: 100,
        inodes: 10,
        inodes_free: 9,
    };
    let btrfs = Space { mount: "/b".to_owned(), inodes: 0, inodes_free: 0, ..disk.clone() };
    let empty = Space { mount: "/empty".to_owned(), ..Space::default() };
    observer.space(&[disk, btrfs, empty], Timestamp(0), &mut acc);
    let warm = Sensor { name: "cpu".to_owned(), celsius: 41.5 };
    let broken = Sensor { name: "x".to_owned(), celsius: f64::NAN };
    observer.sensors(&[warm, broken], Timestamp(0), &mut acc);
    let said = counted(&mut acc);
    assert_eq!(said["host_disk_free /"], 100.0);
    assert!((said["host_disk_used_ratio /"] - 800.0 / 900.0).abs() < 1e-9);
    assert_eq!(
        (said["host_disk_inodes_free /"], said["host_disk_inodes_used_ratio /"]),
        (9.0, 0.1)
    );
    assert!(!said.contains_key("host_disk_inodes_free /b"));
    assert!(!said.contains_key("host_disk_used_ratio /empty"));
    assert_eq!(said["host_temperature cpu"], 41.5);
    assert!(!said.contains_key("host_temperature x"));
}

proptest! {
    #[test]
    fn any_text_is_read_without_an_end(text in "(?s).{0,300}|(cpu |some |MemTotal: |lo:|[0-9]{1,20}| kB|total=|\n| - | |/){0,60}") {
        cpu(&text);
        memory(&text);
        load(&text);
        pressure(&text);
        network(&text);
        descriptors(&text);
        mounts(&text);
    }

    #[test]
    fn shares_of_processor_time_add_up_to_one(
        before in proptest::collection::vec(0..1_u64 << 60, 8),
        more in proptest::collection::vec(0..1_u64 << 58, 8),
    ) {
        let (mut observer, mut acc) = observer();
        let line = |ticks: Vec<u64>| format!("cpu {}\n", ticks.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
        let after = before.iter().zip(&more).map(|(a, b)| a + b).collect();
        for ticks in [before.clone(), after] {
            let glance = Glance { cpu: cpu(&line(ticks)), ..Glance::default() };
            observer.glance(&glance, Some(Duration::from_secs(1)), Timestamp(0), &mut acc);
        }
        let said = counted(&mut acc);
        let sum: f64 = said.values().sum();
        prop_assert!(more.iter().all(|n| *n == 0) || (sum - 1.0).abs() < 1e-8, "{said:?}");
    }
}

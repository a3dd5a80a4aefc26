//! From what a host shows to observations.
//!
//! Owns shares and increases: they need two looks, and go by the time the host was awake in between. Never looks.

use std::time::Duration;

use watchkeeper_model::{Service, Timestamp};

use super::glance::{Glance, Interface, MAX_PARTS, Memory, Sensor, Space};
use super::signals;
use crate::observe::{Accumulator, InUse, Measure, Measures};
use crate::polling::{Gap, Growth};

/// The directions of [`Interface`]'s pairs.
const DIRECTIONS: [&str; 2] = ["receive", "transmit"];

/// Counts what one host shows.
#[derive(Debug)]
pub struct HostObserver {
    measures: Measures,
    cpu: Growth<&'static str>,
    pressure: Growth<(&'static str, bool)>,
    network: Growth<(String, &'static str, usize)>,
}

impl HostObserver {
    /// An observer of this name, its signals made known to the accumulator.
    pub fn new(source: &str, service: &Service, into: &mut Accumulator) -> Self {
        Self {
            measures: Measures::new(source, service, &signals::ALL, into),
            cpu: Growth::default(),
            pressure: Growth::default(),
            network: Growth::default(),
        }
    }

    /// Counts under another name or for another service from now on.
    pub fn rename(&mut self, source: &str, service: &Service, into: &mut Accumulator) {
        self.measures = Measures::new(source, service, &signals::ALL, into);
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        self.measures.in_use()
    }

    /// Counts a glance, `since_last` after the one before.
    pub fn glance(
        &mut self,
        glance: &Glance,
        since_last: Option<Duration>,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        self.measures.looked(into);
        self.cpu(&glance.cpu, now, into);
        if let Some(memory) = &glance.memory {
            self.memory(memory, now, into);
        }
        let load = signals::LOAD.iter().zip(glance.load.into_iter().flatten());
        for (measure, load) in load {
            self.measures.observe(measure, &[], measure.real(load), now, into);
        }
        self.pressure(glance, since_last, now, into);
        self.network(&glance.network, now, into);
        if let Some(n) = glance.descriptors {
            self.put(&signals::FDS, &[], Some(signals::FDS.whole(n)), now, into);
        }
    }

    /// Counts how full file systems are.
    pub fn space(&mut self, all: &[Space], now: Timestamp, into: &mut Accumulator) {
        for space in all {
            let mount: &[&str] = &[&space.mount];
            let free = signals::DISK_FREE.whole(space.bytes_available);
            self.put(&signals::DISK_FREE, mount, Some(free), now, into);
            // As df has it: what is kept for root is neither used nor to be had.
            let used = space.bytes.saturating_sub(space.bytes_free);
            let of = used.saturating_add(space.bytes_available);
            let share = signals::DISK_USED_RATIO.share(used, of);
            self.put(&signals::DISK_USED_RATIO, mount, share, now, into);
            if space.inodes > 0 {
                let free = signals::INODES_FREE.whole(space.inodes_free);
                self.put(&signals::INODES_FREE, mount, Some(free), now, into);
                let used = space.inodes.saturating_sub(space.inodes_free);
                let share = signals::INODES_USED_RATIO.share(used, space.inodes);
                self.put(&signals::INODES_USED_RATIO, mount, share, now, into);
            }
        }
    }

    /// Counts how warm it is.
    pub fn sensors(&mut self, all: &[Sensor], now: Timestamp, into: &mut Accumulator) {
        let measure = &signals::TEMPERATURE;
        for sensor in all.iter().take(MAX_PARTS).filter(|sensor| sensor.celsius.is_finite()) {
            let value = measure.real(sensor.celsius);
            self.put(measure, &[&sensor.name], Some(value), now, into);
        }
    }

    /// Keeps that nobody looked for a while.
    pub fn gap(&mut self, gap: &Gap, now: Timestamp, into: &mut Accumulator) {
        self.measures.event(gap.happening(), now, into);
    }

    fn put(
        &mut self,
        measure: &Measure,
        labels: &[&str],
        value: Option<i64>,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        if let Some(value) = value {
            self.measures.observe(measure, labels, value, now, into);
        }
    }

    fn cpu(&mut self, modes: &[(&'static str, u64)], now: Timestamp, into: &mut Accumulator) {
        self.cpu.begin();
        // The time waited for disks may fall (proc(5)): that is none, and the rest still is what it is.
        let grown: Vec<(&str, Option<u64>)> =
            modes.iter().map(|&(mode, ticks)| (mode, self.cpu.of(mode, ticks))).collect();
        self.cpu.end();
        let total = grown.iter().filter_map(|(_, n)| *n).fold(0, u64::saturating_add);
        for (mode, n) in grown {
            let share = signals::CPU.share(n.unwrap_or(0), total);
            self.put(&signals::CPU, &[mode], share, now, into);
        }
    }

    fn memory(&mut self, memory: &Memory, now: Timestamp, into: &mut Accumulator) {
        let &Memory { total, available, swap_total, swap_free } = memory;
        let used = total.saturating_sub(available);
        let swap_used = swap_total.saturating_sub(swap_free);
        for (measure, n) in [
            (&signals::MEMORY_USED, used),
            (&signals::MEMORY_AVAILABLE, available),
            (&signals::SWAP_USED, swap_used),
        ] {
            self.put(measure, &[], Some(measure.whole(n)), now, into);
        }
        for (measure, n, of) in [
            (&signals::MEMORY_USED_RATIO, used, total),
            (&signals::SWAP_USED_RATIO, swap_used, swap_total),
        ] {
            self.put(measure, &[], measure.share(n, of), now, into);
        }
    }

    fn pressure(
        &mut self,
        glance: &Glance,
        since_last: Option<Duration>,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        let awake = since_last.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
        self.pressure.begin();
        for &(resource, pressure) in &glance.pressure {
            let both =
                [(&signals::PRESSURE, pressure.some), (&signals::PRESSURE_FULL, pressure.full)];
            for (measure, total) in both {
                let is_full = measure.name == signals::PRESSURE_FULL.name;
                let Some(total) = total else { continue };
                let Some(grown) = self.pressure.of((resource, is_full), total) else { continue };
                // Two clocks: the one that is read a moment later has grown by more.
                let share = measure.share(grown.min(awake), awake);
                self.put(measure, &[resource], share, now, into);
            }
        }
        self.pressure.end();
    }

    fn network(&mut self, all: &[Interface], now: Timestamp, into: &mut Accumulator) {
        self.network.begin();
        for interface in all.iter().take(MAX_PARTS) {
            for (measure, counts) in [
                (&signals::NETWORK_BYTES, Some(interface.bytes)),
                (&signals::NETWORK_ERRORS, Some(interface.errors)),
                (&signals::NETWORK_DROPS, interface.drops),
            ] {
                let counts = DIRECTIONS.iter().zip(counts.into_iter().flatten());
                for (way, (direction, count)) in counts.enumerate() {
                    let grown = self.network.of((interface.name.clone(), measure.name, way), count);
                    let labels = [interface.name.as_str(), direction];
                    self.put(measure, &labels, grown.map(|n| measure.whole(n)), now, into);
                }
            }
        }
        self.network.end();
    }
}

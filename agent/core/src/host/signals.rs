//! The signals of a host.
//!
//! Owns their names, units and labels. Never counts.

use watchkeeper_model::Unit;

use crate::observe::Measure;

const fn of(name: &'static str, unit: Unit, labels: &'static [&'static str]) -> Measure {
    Measure { name, unit, labels }
}

pub(super) const CPU: Measure = of("host_cpu", Unit::Ratio, &["mode"]);
pub(super) const MEMORY_USED: Measure = of("host_memory_used", Unit::B, &[]);
pub(super) const MEMORY_AVAILABLE: Measure = of("host_memory_available", Unit::B, &[]);
pub(super) const MEMORY_USED_RATIO: Measure = of("host_memory_used_ratio", Unit::Ratio, &[]);
pub(super) const SWAP_USED: Measure = of("host_swap_used", Unit::B, &[]);
pub(super) const SWAP_USED_RATIO: Measure = of("host_swap_used_ratio", Unit::Ratio, &[]);
pub(super) const LOAD: [Measure; 3] = [
    of("host_load1", Unit::None, &[]),
    of("host_load5", Unit::None, &[]),
    of("host_load15", Unit::None, &[]),
];
pub(super) const PRESSURE: Measure = of("host_pressure", Unit::Ratio, &["resource"]);
pub(super) const PRESSURE_FULL: Measure = of("host_pressure_full", Unit::Ratio, &["resource"]);
pub(super) const DISK_FREE: Measure = of("host_disk_free", Unit::B, &["mount"]);
pub(super) const DISK_USED_RATIO: Measure = of("host_disk_used_ratio", Unit::Ratio, &["mount"]);
pub(super) const INODES_FREE: Measure = of("host_disk_inodes_free", Unit::None, &["mount"]);
pub(super) const INODES_USED_RATIO: Measure =
    of("host_disk_inodes_used_ratio", Unit::Ratio, &["mount"]);
const PER_DIRECTION: &[&str] = &["interface", "direction"];
pub(super) const NETWORK_BYTES: Measure = of("host_network_bytes", Unit::B, PER_DIRECTION);
pub(super) const NETWORK_ERRORS: Measure = of("host_network_errors", Unit::None, PER_DIRECTION);
pub(super) const NETWORK_DROPS: Measure = of("host_network_drops", Unit::None, PER_DIRECTION);
pub(super) const FDS: Measure = of("host_fds", Unit::None, &[]);
pub(super) const TEMPERATURE: Measure = of("host_temperature", Unit::None, &["sensor"]);

/// All of them.
pub(super) const ALL: [Measure; 20] = [
    CPU,
    MEMORY_USED,
    MEMORY_AVAILABLE,
    MEMORY_USED_RATIO,
    SWAP_USED,
    SWAP_USED_RATIO,
    LOAD[0],
    LOAD[1],
    LOAD[2],
    PRESSURE,
    PRESSURE_FULL,
    DISK_FREE,
    DISK_USED_RATIO,
    INODES_FREE,
    INODES_USED_RATIO,
    NETWORK_BYTES,
    NETWORK_ERRORS,
    NETWORK_DROPS,
    FDS,
    TEMPERATURE,
];

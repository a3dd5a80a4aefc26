//! Reading what Linux tells in `/proc`, one function for each text (proc(5), and the kernel's
//! Documentation/filesystems/proc.rst and Documentation/accounting/psi.rst).
//!
//! Owns their forms. A text that lacks something gives what it has: kernels, and containers that show texts of their own,
//! leave lines out. Lines that are not understood are passed over. Own code and not the `procfs-core` crate: that one wants
//! all of a text's lines and refuses the whole otherwise, and makes a map of strings of each.

use super::glance::{Interface, Memory, Pressure};

/// The columns of a `cpu` line. Guests, which follow, are in `user` and `nice` already.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// Interfaces that come and go with containers, or that nothing leaves the host by.
const PASSED_OVER: [&str; 8] =
    ["veth", "cali", "lxc", "cni", "ifb", "dummy", "docker_gwbridge", "br-"];

/// `/proc/stat`: what all processors together spent their time with, in ticks.
pub fn cpu(text: &str) -> Vec<(&'static str, u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "));
    let columns = line.unwrap_or_default().split_ascii_whitespace();
    MODES.into_iter().zip(columns).map_while(|(mode, n)| Some((mode, n.parse().ok()?))).collect()
}

/// `/proc/meminfo`. Without `MemAvailable`, which kernels have since 3.14, it is what is free and what can be dropped.
pub fn memory(text: &str) -> Option<Memory> {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib: u64 = line?.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let total = of("MemTotal")?;
    let droppable = || {
        let parts = ["MemFree", "Buffers", "Cached"].map(|name| of(name).unwrap_or(0));
        of("MemFree").map(|_| parts.into_iter().fold(0, u64::saturating_add))
    };
    let available = of("MemAvailable").or_else(droppable)?.min(total);
    let swap_total = of("SwapTotal").unwrap_or(0);
    let swap_free = of("SwapFree").unwrap_or(0).min(swap_total);
    Some(Memory { total, available, swap_total, swap_free })
}

/// `/proc/loadavg`.
pub fn load(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next()?.ok().filter(|n| n.is_finite() && *n >= 0.0);
    Some([next()?, next()?, next()?])
}

/// A file of `/proc/pressure`.
pub fn pressure(text: &str) -> Pressure {
    let of = |which: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(' '))?;
        line.split(' ').find_map(|word| word.strip_prefix("total="))?.trim().parse().ok()
    };
    Pressure { some: of("some"), full: of("full") }
}

/// `/proc/net/dev`.
pub fn network(text: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        // Names may hold colons, as those of aliases do.
        let (name, counts) = line.rsplit_once(':')?;
        let numbers = counts.split_ascii_whitespace().map(str::parse::<u64>);
        let counts: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
        let both = |at: usize| Some([*counts.get(at)?, *counts.get(at + 8)?]);
        let (bytes, errors, drops) = (both(0)?, both(2)?, Some(both(3)?));
        Some(Interface { name: name.trim().to_owned(), bytes, errors, drops })
    };
    text.lines().filter_map(interface).collect()
}

/// Whether an interface is worth watching.
pub fn is_watched(interface: &str) -> bool {
    interface != "lo" && !PASSED_OVER.iter().any(|prefix| interface.starts_with(prefix))
}

/// `/proc/sys/fs/file-nr`: files that are open. The second number, of those free for reuse, is 0 since Linux 2.6.
pub fn descriptors(text: &str) -> Option<u64> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (allocated, free) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(allocated.saturating_sub(free))
}

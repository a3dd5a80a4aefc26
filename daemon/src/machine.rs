//! What tells this machine from others, and chance.
//!
//! Owns the reading of the machine's id. Never makes one up: where there is none, files are told apart by device and
//! inode alone.

/// systemd's or D-Bus' machine id (machine-id(5)); "" where there is none.
pub fn id() -> String {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Which start of the machine this is, by the kernel of Linux (random(4)); "" where it is not told.
pub fn boot() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    told.unwrap_or_default().trim().to_owned()
}

/// 64 random bits; a mix of the clock if the system has none to give.
pub fn entropy() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        crate::clock::now().nanos().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// A random share of 1.
pub fn share() -> f64 {
    (entropy() >> 11) as f64 / (1_u64 << 53) as f64
}

//! How much memory this process has.
//!
//! Owns asking the system. Shop and receivers are part of the process, so agent and collector have less than this.

use std::process::Command;

/// Resident bytes; `None` where the system can't be asked.
pub(super) fn resident_bytes() -> Option<u64> {
    of_proc().or_else(of_ps)
}

/// Linux.
fn of_proc() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Everywhere else.
fn of_ps() -> Option<u64> {
    let pid = std::process::id().to_string();
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_some_memory() {
        assert!(resident_bytes().is_some_and(|bytes| (1 << 20..1 << 34).contains(&bytes)));
    }
}

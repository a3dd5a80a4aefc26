//! What systemd and launchd say of what they run.
//!
//! Owns the forms: `systemctl show` (systemctl(1), org.freedesktop.systemd1(5)) and `launchctl print`, whose form Apple does
//! not promise. Fields that are not there are not known, and never zero.

use super::exit::Exit;

/// What `systemctl show` is asked for.
pub const SYSTEMD_PROPERTIES: &str =
    "LoadState,ActiveState,SubState,MainPID,NRestarts,ExecMainPID,ExecMainCode,ExecMainStatus";

/// What a supervisor says of one thing it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Whether it runs.
    pub state: UnitState,
    /// In the supervisor's words, such as `failed (failed)`.
    pub words: String,
    /// Its main process, while there is one.
    pub pid: Option<u32>,
    /// How often it was started again, or at all: what counts is by how much it grows.
    pub n_starts: Option<u64>,
    /// Which process ended last, if it is known, and how.
    pub last_exit: Option<(Option<u32>, Exit)>,
}

/// Whether something runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// It does.
    Up,
    /// It does not.
    Down,
    /// There is no such thing.
    Unknown,
}

/// Reads the output of `systemctl show --property=…`.
pub fn systemd(output: &str) -> Option<Unit> {
    let of = |name: &str| {
        output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::trim)
    };
    let number = |name: &str| of(name)?.parse::<u64>().ok();
    let pid = |name: &str| number(name).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let (loaded, active) = (of("LoadState")?, of("ActiveState")?);
    let state = match (loaded, active) {
        ("not-found" | "bad-setting" | "error" | "masked", "inactive") => UnitState::Unknown,
        (_, "active" | "reloading" | "refreshing") => UnitState::Up,
        _ => UnitState::Down,
    };
    let words = match state {
        UnitState::Unknown => loaded.to_owned(),
        UnitState::Up | UnitState::Down => {
            format!("{active} ({})", of("SubState").unwrap_or_default())
        }
    };
    // CLD_EXITED, CLD_KILLED and CLD_DUMPED of waitid(2); 0 is a process that has not ended.
    let status = || number("ExecMainStatus").and_then(|n| i32::try_from(n).ok());
    let exit = match number("ExecMainCode") {
        Some(1) => status().map(Exit::Code),
        Some(2 | 3) => status().map(Exit::Signal),
        _ => None,
    };
    Some(Unit {
        state,
        words,
        pid: pid("MainPID"),
        n_starts: number("NRestarts"),
        last_exit: exit.map(|exit| (pid("ExecMainPID"), exit)),
    })
}

/// Reads the output of `launchctl print DOMAIN/LABEL`.
pub fn launchd(output: &str) -> Option<Unit> {
    // What belongs to the service itself stands one step in; what stands further in is of its parts.
    let fields = output.lines().filter_map(|line| line.strip_prefix('\t')?.split_once(" = "));
    let fields: Vec<(&str, &str)> = fields.filter(|(key, _)| !key.starts_with('\t')).collect();
    let of =
        |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim());
    let words = of("state")?.to_owned();
    let pid = of("pid").and_then(|n| n.parse().ok());
    let code = of("last exit code").and_then(|text| text.split(':').next()?.trim().parse().ok());
    // `Killed: 9`
    let signal =
        of("last terminating signal").and_then(|text| text.rsplit(':').next()?.trim().parse().ok());
    let exit = signal.map(Exit::Signal).or(code.map(Exit::Code));
    Some(Unit {
        state: if pid.is_some() || words == "running" { UnitState::Up } else { UnitState::Down },
        words,
        pid,
        n_starts: of("runs").and_then(|n| n.parse().ok()),
        last_exit: exit.map(|exit| (None, exit)),
    })
}

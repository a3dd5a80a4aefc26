//! The call of `journalctl`.
//!
//! Owns every option and variable it gets. Never starts it.
//!
//! Some options are there for what is not obvious (`journalctl(1)`, and its source up to systemd 257):
//! `--follow` alone shows the current boot only, and only `--merge` turns that off, in every version. It also opens the
//! journals of other machines that lie here, so this machine's id is asked for, unless a directory is given.
//! `--cursor` begins at an entry, `--after-cursor` may pass over one (see the core). Without `--all` long fields are
//! null; without `--no-tail` only ten entries are shown.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use watchkeeper_agent_core::journal::Begin;
use watchkeeper_model::Timestamp;

use super::config::JournalSourceSettings;

/// The field with the id of the machine an entry was made on.
const MACHINE: &str = "_MACHINE_ID=";

/// The call that reads from `begin` on, on a machine with this id; "" if it has none.
pub(super) fn of(settings: &JournalSourceSettings, begin: Begin<'_>, machine: &str) -> Command {
    let mut command = Command::new(&settings.command);
    command.args(arguments(settings, begin, machine));
    // Nothing of our own environment may change what it writes.
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs([
        ("LC_ALL", "C"),
        ("SYSTEMD_COLORS", "0"),
        ("SYSTEMD_LOG_TARGET", "console"),
        ("SYSTEMD_LOG_LEVEL", "notice"),
    ]);
    command
}

fn arguments(settings: &JournalSourceSettings, begin: Begin<'_>, machine: &str) -> Vec<OsString> {
    let fixed =
        ["--output=json", "--all", "--follow", "--no-tail", "--merge", "--no-pager", "--quiet"];
    let mut all: Vec<OsString> = fixed.into_iter().map(OsString::from).collect();
    match begin {
        Begin::Beginning => {}
        Begin::Since(at) => all.push(format!("--since=@{}", seconds(at)).into()),
        Begin::At(cursor) => all.push(format!("--cursor={cursor}").into()),
    }
    all.extend(settings.units.iter().map(|unit| format!("--unit={unit}").into()));
    if let Some(directory) = &settings.directory {
        let mut option = OsString::from("--directory=");
        option.push(directory);
        all.push(option);
    }
    all.extend(settings.matches.iter().map(OsString::from));
    let names_machine = settings.matches.iter().any(|m| m.starts_with(MACHINE));
    if settings.directory.is_none() && !names_machine && !machine.is_empty() {
        all.push(format!("{MACHINE}{machine}").into());
    }
    all
}

/// Seconds since 1970 with microseconds, which is what journald keeps.
fn seconds(at: Timestamp) -> String {
    let since = Duration::from_nanos(at.nanos().max(0).unsigned_abs());
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn words(yaml: &str, begin: Begin<'_>, machine: &str) -> Vec<String> {
        let all = arguments(&settings(yaml), begin, machine);
        all.into_iter().skip(7).map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_call_says_where_to_begin_and_what_is_wanted() {
        let own = ["_MACHINE_ID=abc"];
        assert_eq!(words("{service: a}", Begin::Beginning, "abc"), own);
        assert_eq!(words("{service: a}", Begin::Beginning, ""), [""; 0]);
        let at = Timestamp(1_795_383_960_035_922_999);
        let since = words("{service: a}", Begin::Since(at), "");
        assert_eq!(since, ["--since=@1795383960.035922"]);
        let yaml = "{service: a, units: [a.service, b@1.service], matches: [PRIORITY=3, _COMM=a b], directory: /j}";
        assert_eq!(
            words(yaml, Begin::At("s=1;i=2"), "abc"),
            [
                "--cursor=s=1;i=2",
                "--unit=a.service",
                "--unit=b@1.service",
                "--directory=/j",
                "PRIORITY=3",
                "_COMM=a b"
            ]
        );
        let yaml = "{service: a, matches: [_MACHINE_ID=other]}";
        assert_eq!(words(yaml, Begin::Beginning, "abc"), ["_MACHINE_ID=other"]);
    }
}

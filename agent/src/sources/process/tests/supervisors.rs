//! What is made of what systemd and launchd say.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::scene::{Scene, sleeper};
use crate::sources::process::table::Table;
use crate::sources::process::unit::{ByUnit, Supervisor};

/// A program that says what stands in a file, and notes how it was called.
struct Played {
    dir: tempfile::TempDir,
}

impl Played {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let played = Self { dir };
        let at = played.dir.path().display();
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {at}/calls\ncat {at}/complaint >&2\ncat {at}/says\n"
        );
        std::fs::write(played.program(), script).unwrap();
        std::fs::set_permissions(played.program(), Permissions::from_mode(0o755)).unwrap();
        played.complains("");
        played
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("program")
    }

    fn says(&self, text: &str) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.dir.path().join("says")).unwrap();
    }

    fn complains(&self, text: &str) {
        std::fs::write(self.dir.path().join("complaint"), text).unwrap();
        self.says("");
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default()
    }

    fn systemd(&self, every: &str) -> Scene {
        self.scene(every, Supervisor::systemd("shop.service"))
    }

    fn scene(&self, every: &str, supervisor: Supervisor) -> Scene {
        let knower = ByUnit::new(supervisor.by(&self.program()));
        Scene::by(&format!("every: {every}, match: x"), Table::new(), Box::new(knower))
    }
}

fn systemd(pid: u32, state: &str, n_restarts: u32, last: (u32, u32, u32)) -> String {
    let (active, sub) = state.split_once('/').unwrap();
    let (of, code, status) = last;
    format!(
        "MainPID={pid}\nNRestarts={n_restarts}\nExecMainPID={of}\nExecMainCode={code}\nExecMainStatus={status}\n\
         LoadState=loaded\nActiveState={active}\nSubState={sub}\n"
    )
}

#[test]
fn a_unit_is_followed_through_a_crash_and_its_restart() {
    let played = Played::new();
    let mut child = sleeper();
    let pid = child.id();
    played.says(&systemd(pid, "active/running", 0, (pid, 0, 0)));
    let mut scene = played.systemd("1h");
    scene.until("it runs", |s| s.is_up() == Some(true) && s.last.contains_key("process_memory"));
    assert_eq!(played.calls().lines().count(), 1);
    let call = "show --no-pager --property=LoadState,ActiveState,SubState,MainPID,NRestarts,ExecMainPID,ExecMainCode,ExecMainStatus -- shop.service\n";
    assert_eq!(played.calls(), call);

    played.says(&systemd(0, "activating/auto-restart", 0, (pid, 1, 42)));
    child.kill().unwrap();
    // Its parent is faster than we are: how it ended is known to systemd alone.
    child.wait().unwrap();
    scene.until("its death is told", |s| s.told() == ["died"]);
    assert_eq!(scene.is_up(), Some(false));
    assert!(
        scene.events[0].message.contains("killed by SIGKILL")
            || scene.events[0].message.contains("exited with code 42")
    );

    let mut again = sleeper();
    played.says(&systemd(again.id(), "active/running", 3, (again.id(), 0, 0)));
    scene.until("it runs again", |s| s.told() == ["died", "restarted"] && s.is_up() == Some(true));
    assert_eq!(scene.sums["process_restarts"], 3.0, "two were too fast to be seen");
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn what_begins_or_ends_runs_as_long_as_its_process_does() {
    let played = Played::new();
    let mut child = sleeper();
    let pid = child.id();
    played.says(&systemd(pid, "activating/start", 0, (pid, 0, 0)));
    let mut scene = played.systemd("1s");
    // A service that says itself when it is ready (Type=notify).
    scene.until("it runs before it is ready", |s| s.is_up() == Some(true));
    assert_eq!((scene.told(), scene.health()), (vec![], "ok".to_owned()));

    played.says(&systemd(pid, "deactivating/stop-sigterm", 0, (pid, 0, 0)));
    let mut scene = played.systemd("1s");
    scene.until("it runs until it has ended", |s| s.last.contains_key("process_cpu"));
    assert_eq!((scene.is_up(), scene.told()), (Some(true), vec![]));
    played.says(&systemd(0, "inactive/dead", 0, (pid, 1, 42)));
    child.kill().unwrap();
    child.wait().unwrap();
    scene.until("its end is told", |s| s.told() == ["died"] && s.is_up() == Some(false));
    assert!(!scene.events[0].message.contains(" ended "), "{}", scene.events[0].message);
}

#[test]
fn a_supervisor_that_has_not_noticed_a_death_yet_is_asked_again() {
    let played = Played::new();
    let mut child = sleeper();
    let pid = child.id();
    played.says(&systemd(pid, "active/running", 0, (pid, 0, 0)));
    let mut scene = played.systemd("1h");
    scene.until("it runs", |s| s.is_up() == Some(true));
    child.kill().unwrap();
    child.wait().unwrap();
    scene.until("its death is told", |s| s.told() == ["died"]);
    let again = sleeper();
    played.says(&systemd(again.id(), "active/running", 1, (again.id(), 0, 0)));
    let before = std::time::Instant::now();
    scene.until("it runs again", |s| s.told() == ["died", "restarted"] && s.is_up() == Some(true));
    // While all is well it would be half a minute.
    assert!(before.elapsed().as_secs() < 15, "{:?}", before.elapsed());
}

#[test]
fn a_unit_that_is_stopped_failed_or_unknown_has_a_state_of_its_own() {
    let played = Played::new();
    for (says, complains, health, is_up) in [
        (
            systemd(0, "inactive/dead", 0, (0, 0, 0)),
            "",
            "waiting: unit shop.service is inactive (dead)",
            Some(false),
        ),
        (
            systemd(0, "failed/failed", 5, (7, 1, 203)),
            "",
            "waiting: unit shop.service is failed (failed)",
            Some(false),
        ),
        (systemd(0, "active/exited", 0, (0, 0, 0)), "", "ok", Some(true)),
        (
            systemd(0, "inactive/dead", 0, (0, 0, 0)).replace("loaded", "not-found"),
            "",
            "failing: PROGRAM knows no unit shop.service",
            None,
        ),
        (
            String::new(),
            "System has not been booted with systemd as init system (PID 1). Can't operate.\nmore\n",
            "failing: PROGRAM: System has not been booted with systemd as init system (PID 1). Can't operate.",
            None,
        ),
    ] {
        played.complains(complains);
        played.says(&says);
        let mut scene = played.systemd("1h");
        let wanted = health.replace("PROGRAM", &played.program().display().to_string());
        scene.until(&wanted, |s| s.health() == wanted && (is_up.is_none() || s.is_up().is_some()));
        assert_eq!(scene.is_up(), is_up, "{wanted}");
    }
    let nowhere = Supervisor::systemd("x").by(Path::new("/no/such/program"));
    let mut scene = Scene::by("match: x", Table::new(), Box::new(ByUnit::new(nowhere)));
    let wanted = "failing: /no/such/program is not on this machine";
    scene.until(wanted, |s| s.health() == wanted);
}

#[test]
fn a_job_of_launchd_is_looked_for_where_jobs_are() {
    let played = Played::new();
    let mut child = sleeper();
    played.says(&format!(
        "gui/501/it = {{\n\tstate = running\n\truns = 1\n\tpid = {}\n}}\n",
        child.id()
    ));
    let mut scene = played.scene("1h", Supervisor::launchd("com.x.it"));
    scene.until("it runs", |s| s.is_up() == Some(true));
    assert_eq!(played.calls(), "print system/com.x.it\n");
    played.says(
        "gui/501/it = {\n\tstate = not running\n\truns = 1\n\tlast exit code = 78: EX_CONFIG\n}\n",
    );
    child.kill().unwrap();
    child.wait().unwrap();
    scene.until("its death is told", |s| s.told() == ["died"]);
    played.complains("Could not find service \"com.x.it\" in domain for system\n");
    let mut scene = played.scene("1h", Supervisor::launchd("com.x.it"));
    let wanted = format!("failing: {} knows no job com.x.it", played.program().display());
    scene.until(&wanted, |s| s.health() == wanted);
    assert_eq!(scene.is_up(), None);
    let calls = played.calls();
    assert!(calls.contains("print gui/") && calls.contains("print user/"), "{calls}");
}

#[test]
fn a_supervisor_that_does_not_answer_delays_nothing_and_is_told() {
    let played = Played::new();
    std::fs::write(played.program(), "#!/bin/sh\nexec sleep 1000\n").unwrap();
    let mut scene = played.systemd("1h");
    let before = std::time::Instant::now();
    let wanted = format!("failing: {} did not answer within 5 s", played.program().display());
    scene.until(&wanted, |s| s.health() == wanted);
    assert!(before.elapsed().as_secs() >= 5);
    assert_eq!((scene.is_up(), scene.told()), (None, vec![]));
    drop(scene.beside);
}

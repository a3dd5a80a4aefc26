//! Probing by running programs, also ones that do not end.

use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use watchkeeper_agent_core::probe::{Class, Reason};

use super::scene::{attempt, settings, told};

#[tokio::test]
async fn a_program_says_by_its_end_and_its_output() {
    for (sentence, keys, reason, why) in [
        ("it ends well", "exec: {command: ['true']}", Reason::Ok, ""),
        (
            "it does not",
            "exec: {command: ['false']}",
            Reason::Status,
            "`exit == 0` does not hold: exit = 1",
        ),
        (
            "a word of it is no shell's",
            "exec: {command: [echo, '$HOME; exit 3']}, expect: ['output == \"$HOME; exit 3\\n\"']",
            Reason::Ok,
            "",
        ),
        ("a shell, if asked for", "exec: {shell: 'exit 3'}, expect: ['exit == 3']", Reason::Ok, ""),
        (
            "a number",
            "exec: {shell: 'echo 17.5; echo x'}, expect: ['value > 17.0', 'errors == \"\"']",
            Reason::Ok,
            "",
        ),
        (
            "no number",
            "exec: {command: [echo, many]}, expect: ['value > 17.0']",
            Reason::Expect,
            "value is absent",
        ),
        (
            "JSON",
            "exec: {command: [echo, '{\"a\": [1, 2]}']}, expect: ['json.a.size() == 2']",
            Reason::Ok,
            "",
        ),
        ("killed", "exec: {shell: 'kill -9 $$'}", Reason::Status, "exit = 137"),
        (
            "what it is given in its environment",
            "exec: {shell: 'echo $A$WATCHKEEPER_X', env: {A: {env: TOKEN}}}, expect: ['output == \"hunter2\\n\"']",
            Reason::Ok,
            "",
        ),
        (
            "where it runs",
            "exec: {command: [pwd], dir: /}, expect: ['output == \"/\\n\"']",
            Reason::Ok,
            "",
        ),
    ] {
        let found = told(&format!("timeout: 9s, {keys}")).await;
        assert_eq!(found.0, reason, "{sentence}: {}", found.1);
        assert!(found.1.contains(why), "{sentence}: {}", found.1);
    }
}

#[tokio::test]
async fn a_program_that_can_not_be_run_is_unknown_and_not_down() {
    for (command, why) in [
        ("[/no/such/program]", "there is no such program"),
        ("[/etc/passwd]", "Permission denied"),
        ("[/bin/true], dir: /no/such/folder", "there is no folder /no/such/folder"),
    ] {
        let judged = attempt(&format!("exec: {{command: {command}}}")).await.judged;
        assert_eq!((judged.class, judged.reason), (Class::Unknown, Reason::Unable));
        assert!(judged.why.contains(why), "{}", judged.why);
    }
}

#[tokio::test]
async fn a_program_that_never_ends_is_killed_with_all_it_has_started() {
    let directory = tempfile::tempdir().unwrap();
    let keys = format!(
        "exec: {{shell: 'sleep 1000 & echo $! > pid; while :; do echo y; done', dir: {}}}, timeout: 1s",
        directory.path().display()
    );
    let found = attempt(&keys).await;
    assert_eq!(found.judged.reason, Reason::Timeout, "{}", found.judged.why);
    assert!(found.judged.why.ends_with("it waited for the program to end"), "{}", found.judged.why);
    let text = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    let pid = Pid::from_raw(text.trim().parse().unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // It may stay for a moment as what nobody has asked after yet.
    let is_there = || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", text.trim()));
        test_kill_process(pid).is_ok() && !state.is_ok_and(|state| state.contains(") Z "))
    };
    while is_there() {
        assert!(Instant::now() < deadline, "{} is still there", text.trim());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn output_is_bounded_and_who_holds_it_open_is_not_awaited() {
    let keys = "exec: {shell: 'head -c 1000000 /dev/zero', max_output: 1KiB}, timeout: 9s";
    assert_eq!(told(keys).await.0, Reason::Ok);
    let wanting = format!("{keys}, expect: ['output != \"\"']");
    assert_eq!(told(&wanting).await.0, Reason::TooLarge);
    for (shell, expect, reason) in [
        ("head -c 5000 /dev/zero >&2", "!errors.contains(\"FATAL\")", Reason::TooLarge),
        ("head -c 5000 /dev/zero >&2", "output == \"\"", Reason::Ok),
        ("echo 12; head -c 5000 /dev/zero", "value == 12.0", Reason::Ok),
        ("head -c 5000 /dev/zero | tr \"\\\\0\" 1", "value > 1.0", Reason::TooLarge),
    ] {
        let keys = format!(
            "exec: {{shell: '{shell}', max_output: 1KiB}}, timeout: 9s, expect: ['{expect}']"
        );
        assert_eq!(told(&keys).await.0, reason, "{shell} {expect}");
    }
    let held = attempt(
        "exec: {shell: 'sleep 1000 & echo done'}, timeout: 9s, expect: ['output == \"done\\n\"']",
    )
    .await;
    assert_eq!(held.judged.reason, Reason::Ok, "{}", held.judged.why);
    assert!(held.took < Duration::from_secs(5), "{:?}", held.took);
}

#[test]
fn what_is_wrong_is_told_and_arguments_are_not() {
    for (keys, said) in [
        ("exec: {}", "what to run"),
        ("exec: {command: []}", "empty"),
        ("exec: {command: 'ls -l'}", "a list is needed"),
        ("exec: {command: [ls], shell: ls}", "two programs"),
        ("exec: {command: [ls], env: {'A=B': c}}", "no variable's name"),
    ] {
        let problems = settings(&format!("probe: {{service: shop, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
    }
    let given = settings("probe: {service: shop, exec: {command: [curl, hunter2]}}").unwrap();
    assert_eq!(given.target.to_string(), "curl");
}

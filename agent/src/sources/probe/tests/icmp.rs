//! Probing by an echo of this machine.

use watchkeeper_agent_core::probe::{Class, Reason};

use super::scene::{attempt, settings};

#[tokio::test]
async fn this_machine_echoes_or_it_is_told_that_we_may_not_ask() {
    let judged = attempt("icmp: {host: 127.0.0.1}, expect: ['address == \"127.0.0.1\"']").await;
    match judged.judged.class {
        Class::Good => assert_eq!(judged.phases[0].0, "echo"),
        class => {
            let reason = judged.judged.reason;
            assert_eq!((class, reason), (Class::Unknown, Reason::Unable), "{}", judged.judged.why);
            println!("left out: this user may send no echo");
        }
    }
}

#[test]
fn what_is_wrong_is_told() {
    for (keys, said) in [
        ("icmp: {}", "`host` is missing"),
        ("icmp: {host: 'http://a'}", "this is no HOST"),
        ("icmp: {host: a, size: 100000}", "out of range"),
        ("icmp: {host: a}, expect: ['status == 1']", "unknown name `status`"),
    ] {
        let problems = settings(&format!("probe: {{service: shop, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
    }
}

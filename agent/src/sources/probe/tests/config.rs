//! The `probe:` section: what is read, and what is told of what is wrong.

use std::time::Duration;

use watchkeeper_agent_core::probe::Confirm;
use watchkeeper_expr::{Condition, Scope};

use super::super::kinds;
use super::scene::{settings, settings_and_warnings};
use crate::sources::Kind as _;

#[test]
fn keys_have_defaults() {
    let given = settings("probe: {service: shop, http: {url: 'http://a/'}}").unwrap();
    assert_eq!(given.head.every, Duration::from_secs(10));
    assert_eq!(
        (given.expectations.within, given.confirm),
        (Duration::from_secs(2), Confirm { down: 2, up: 2 })
    );
    // What is usual stands where nothing is said of the status.
    let conditions: Vec<&str> = given.expectations.expect.iter().map(Condition::text).collect();
    assert_eq!(conditions, ["status >= 200 && status < 400"]);
    let given = settings(
        "probe: {service: shop, every: 1s, http: {url: 'http://a/'}, expect: ['status == 503']}",
    )
    .unwrap();
    assert_eq!(
        (given.expectations.within, given.expectations.expect.len()),
        (Duration::from_secs(1), 1)
    );
}

#[test]
fn the_example_of_the_design_is_read() {
    let text = r#"
probe:
  name: home
  service: shop
  http: {url: "http://127.0.0.1:8080/health"}
  every: 10s
  timeout: 2s
  confirm: {down: 2, up: 2}
  expect: ['status == 200', 'latency < duration("300ms")', 'json.status == "healthy"']
"#;
    let given = settings(text).unwrap();
    assert_eq!(given.expectations.expect.len(), 3);
    assert_eq!(given.reads(), "probe\nhttp http://127.0.0.1:8080/health");
}

#[test]
fn all_that_is_wrong_is_told() {
    for (keys, said) in [
        ("every: 5s", "it is not said how to probe"),
        ("http: {url: 'http://a/'}, timeout: 11s", "10s"),
        ("http: {url: 'http://a/'}, confirm: {down: 0}", "out of range"),
        ("http: {url: 'ftp://a/'}", "the URL is no http:// or https://"),
        ("http: {url: 'http://'}", "no URL"),
        ("http: {url: 'http://ann:hunter2@a/'}", "holds a user or a password"),
        ("http: {url: 'http://a/', tls: {verify: false}}", "begins with http://"),
        ("http: {url: 'https://a/', tls: {verfy: false}}", "unknown key `verfy`"),
        ("http: {url: 'https://a/', tls: {ca: /no/such}}", "cannot be read"),
        ("http: {url: 'http://a/', method: 'G T'}", "no method"),
        ("http: {url: 'http://a/', headers: {'a b': c}}", "no header"),
        ("http: {url: 'http://a/', auth: {user: ann}}", "how to log in"),
        ("http: {url: 'http://a/', address: b}", "no IP address"),
        ("http: {url: 'http://a/', version: '3'}", "1.1, 2"),
        ("http: {url: 'http://a/'}, expect: ['stats == 200']", "unknown name `stats`"),
        ("http: {url: 'http://a/'}, expect: ['latency < 300']", "duration"),
        ("htp: {url: 'http://a/'}", "did you mean `http`?"),
    ] {
        let problems = settings(&format!("probe: {{service: shop, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_password_in_clear_to_another_machine_is_warned_of() {
    for (keys, key) in [
        ("http: {url: 'http://a/', auth: {bearer: hunter2}}", "auth"),
        ("http: {url: 'http://localhost/', address: 10.0.0.1, auth: {bearer: hunter2}}", "auth"),
        ("http: {url: 'http://[::1]/', auth: {bearer: hunter2}}", ""),
        ("http: {url: 'http://a/'}", ""),
        ("http: {url: 'https://a/', auth: {bearer: hunter2}}", ""),
        ("redis: {host: a, password: hunter2}", "password"),
        ("redis: {host: localhost, password: hunter2}", ""),
        ("redis: {host: a, tls: {}, password: hunter2}", ""),
        ("postgres: {host: a, address: 127.0.0.1, user: u, password: hunter2}", ""),
        ("postgres: {host: 10.0.0.1, user: u, password: hunter2}", "password"),
        ("postgres: {host: a, user: u}", ""),
        ("amqp: {uri: 'amqp://ann:hunter2@a'}", "uri"),
        ("amqp: {uri: 'amqps://ann:hunter2@a'}", ""),
    ] {
        let (_, warnings) =
            settings_and_warnings(&format!("probe: {{service: shop, {keys}}}")).unwrap();
        let wanted = format!("`{key}` may be read on the way to another machine");
        assert_eq!(warnings.is_empty(), key.is_empty(), "{keys}: {warnings}");
        assert!(key.is_empty() || warnings.contains(&wanted), "{keys}: {warnings}");
        assert!(!warnings.contains("hunter2"), "{warnings}");
    }
}

#[test]
fn secrets_are_in_nothing_that_is_shown() {
    let keys = "http: {url: 'https://a/x?token=hunter2', auth: {bearer: {env: TOKEN}}, \
                headers: {x-key: hunter2}, body: 'p=hunter2'}";
    let given = settings(&format!("probe: {{service: shop, {keys}}}")).unwrap();
    assert_eq!(given.target.to_string(), "https://a/x?…");
    assert!(!given.reads().contains("hunter2"));
}

#[test]
fn what_is_usual_for_a_kind_is_a_condition_it_knows() {
    for (tag, names, usual) in kinds::vocabularies() {
        for (name, condition) in usual {
            let compiled = Condition::compile(condition, Scope::Known(names)).unwrap();
            let reads = |field: &String| field.split('.').next() == Some(*name);
            assert!(compiled.fields().iter().any(reads), "{tag}");
        }
    }
}

//! What people read when a file is wrong: a schema like the agent's, bad files, and the exact reports.

use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_config::{Fields, Node, Problems, Reader, load_str, read};
use watchkeeper_expr::{Condition, Scope, Type};
use watchkeeper_model::{Dimension, Labels, Service};

#[derive(Debug, PartialEq)]
struct Config {
    sources: Vec<&'static str>,
}

fn config(node: &Node, reader: &mut Reader<'_>) -> Option<Config> {
    node.fields(reader, &["agent", "sources"], |f| {
        f.optional("agent", agent);
        Some(Config { sources: f.list("sources", source) })
    })
}

fn agent(node: &Node, reader: &mut Reader<'_>) -> Option<()> {
    let keys = ["id", "flush", "labels", "token", "max_bytes", "uri"];
    node.fields(reader, &keys, |f: &mut Fields<'_, '_, '_>| {
        f.optional("id", read::string);
        f.optional("token", read::secret);
        f.optional("uri", read::url);
        f.or(
            "flush",
            Duration::ZERO,
            read::duration_in(Duration::from_millis(10)..=Duration::from_secs(60)),
        );
        f.or("labels", Labels::default(), read::labels);
        f.or("max_bytes", 1, read::size);
        Some(())
    })
}

fn source(node: &Node, reader: &mut Reader<'_>) -> Option<&'static str> {
    let (kind, inner) = node.variant(reader, &["tail", "probe", "watch"])?;
    let keys = ["service", "paths", "start_at", "where", "expect", "below", "n"];
    inner.fields(reader, &keys, |f| {
        let service: Option<Service> = f.required("service", read::service);
        let paths = f.required("paths", read::list_of(read::string));
        f.or("start_at", 0, read::choice(&[("end", 0), ("beginning", 1)]));
        f.or("where", Condition::always(), read::condition(Scope::Line));
        let known = [("latency", Type::Duration), ("status", Type::Int)];
        f.list("expect", read::condition(Scope::Known(&known)));
        f.or("below", 0, read::value(Dimension::Time));
        f.or("n", 1, read::integer(1..=5));
        service.and(paths)?;
        Some(kind)
    })
}

fn env(name: &str) -> Option<String> {
    (name == "HOME_DIR").then(|| "/home/x".to_owned())
}

fn problems(text: &str) -> Problems {
    let mut reader = Reader::new(&env);
    let value = load_str("a.yaml", text, &mut reader).and_then(|d| config(d.root(), &mut reader));
    match reader.finish(value) {
        Ok((value, problems)) => {
            assert!(problems.is_empty(), "{value:?} {problems}");
            problems
        }
        Err(problems) => problems,
    }
}

/// Each problem as `line:column: message | help`.
fn told(text: &str) -> Vec<String> {
    let told = |p: &watchkeeper_config::Problem| {
        let help = if p.help.is_empty() { String::new() } else { format!(" | {}", p.help) };
        format!("{}:{}: {}{help}", p.place.line(), p.place.column(), p.message)
    };
    problems(text).iter().map(told).collect()
}

const BAD: &[(&str, &[&str])] = &[
    (
        "agent: {ID: a}",
        &[
            "1:9: unknown key `ID` | did you mean `id`? valid keys are id, flush, labels, token, max_bytes, uri",
        ],
    ),
    ("agent: {id: web-1}", &[]),
    ("", &[]),
    ("agent:", &[]),
    ("agent: {id: [a}", &["1:13: broken YAML: mismatched bracket '[' closed by '}'"]),
    ("agent:\n\tid: a", &["2:2: broken YAML: a tab is no indentation | indent with spaces"]),
    ("agent: {id: 'a}", &["1:13: broken YAML: unclosed quote | a closing quote is missing"]),
    (
        "a: b: c",
        &[
            "1:5: broken YAML: mapping values are not allowed in this context | quote a text that has `: ` in it, and indent the keys of one map alike",
        ],
    ),
    ("agent: {id: \0}", &["1:13: a NUL character: this is no text file"]),
    ("- a", &["1:1: a configuration is a map, not a list | `key: value`, one per line"]),
    (
        "agent: 5",
        &[
            "1:8: a map is needed, not a number | its keys are id, flush, labels, token, max_bytes, uri",
        ],
    ),
    ("agent: {}\nagent: {}", &["2:1: `agent` is already said in line 1 | leave out one of them"]),
    (
        "agent: {}\n---\nagent: {}",
        &[
            "2:1: a second document begins here | one file holds one document; SLO files of others, which hold several, go under `slo_files`",
        ],
    ),
    (
        "agent: *x",
        &[
            "1:8: broken YAML: an alias of an anchor that is not there | an anchor `&name` stands before its alias `*name`",
        ],
    ),
    (
        "agnet: {id: a}",
        &["1:1: unknown key `agnet` | did you mean `agent`? valid keys are agent, sources"],
    ),
    (
        "agent: {id: true}",
        &["1:13: a text is needed, not true or false | quote it, if it is one: \"true\""],
    ),
    ("agent: {id: [a]}", &["1:13: a text is needed, not a list"]),
    ("agent: {id: 007}", &[]),
    ("agent: {id: '${HOME_DIR}/$${x}'}", &[]),
    (
        "agent: {id: 'a ${NOPE} b'}",
        &[
            "1:16: the environment has no variable NOPE | set it, or write $${ for the characters themselves",
        ],
    ),
    (
        "agent: {id: '${a-b}'}",
        &[
            "1:13: `${` begins a variable, and this is none | write ${NAME}, or $${ for the characters themselves",
        ],
    ),
    (
        "agent: {flush: 5}",
        &[
            "1:16: `5` is no duration: a duration needs a unit | write 5s for seconds, or another of ms s m h d w",
        ],
    ),
    (
        "agent: {flush: 5 min}",
        &[
            "1:16: `5 min` is no duration: a duration's units are ms s m h d w | a sum of numbers with units ms s m h d w, such as 250ms, 10s, 1h30m",
        ],
    ),
    ("agent: {flush: 2m}", &["1:16: `2m` is out of range | between 10ms and 1m"]),
    (
        "agent: {max_bytes: 5}",
        &["1:20: `5` is no size | write 5B for bytes, or another of KB MB GB KiB MiB GiB"],
    ),
    (
        "agent: {max_bytes: 5Gb}",
        &["1:20: `5Gb` is no size | a number and one of B KB MB GB KiB MiB GiB, such as 64MiB"],
    ),
    (
        "agent: {labels: {service: a, a-b: c, ok: true, n: 1.0, x: }}",
        &[
            "1:18: the label `service` is reserved | agent, service, signal, severity, alertname are set by Watchkeeper",
            "1:30: `a-b` is no label's name | letters, digits and `_`, no digit first",
            "1:57: a text is needed, not nothing",
        ],
    ),
    ("agent: {token: {env: NOPE}}", &["1:22: the environment has no variable NOPE"]),
    (
        "agent: {token: {file: /nope/x}}",
        &["1:23: cannot read /nope/x: No such file or directory (os error 2)"],
    ),
    (
        "agent: {token: {evn: hunter2}}",
        &["1:17: unknown key `evn` | did you mean `env`? valid keys are env, file"],
    ),
    (
        "agent: {token: [hunter2]}",
        &[
            "1:16: a secret is needed, not a list | write {env: NAME}, {file: PATH}, or the value in quotes",
        ],
    ),
    ("agent: {uri: 'user:hunter2@x'}", &["1:14: this is no URL | such as http://127.0.0.1:7700"]),
    ("sources: {tail: a}", &["1:10: a list is needed, not a map"]),
    (
        "sources: [{tial: {}}]",
        &["1:12: unknown key `tial` | did you mean `tail`? valid keys are tail, probe, watch"],
    ),
    (
        "sources: [{tail: {}, probe: {}}]",
        &["1:11: a map with one key is needed; this has 2 | the key is one of tail, probe, watch"],
    ),
    (
        "sources: [tail]",
        &["1:11: a map with one key is needed, not a text | the key is one of tail, probe, watch"],
    ),
    (
        "sources: [{tail: {service: Shop, paths: /a, start_at: begining, n: 9}}]",
        &[
            "1:28: `Shop` is no service | 1 to 63 of a–z, 0–9, `_` and `-`",
            "1:41: a list is needed, not a text | write it in brackets: […]",
            "1:55: `begining` is not one of the words valid here | did you mean `beginning`? valid are end, beginning",
            "1:68: `9` is out of range | between 1 and 5",
        ],
    ),
    (
        "sources: [{tail: {service: a, path: [], n: '3'}}]",
        &[
            "1:31: unknown key `path` | did you mean `paths`? valid keys are service, paths, start_at, where, expect, below, n",
            "1:44: a whole number is needed, not `3` | leave out the quotes",
        ],
    ),
    (
        "sources: [{tail: {service: a, paths: [], below: 1GiB}}]",
        &["1:49: `1GiB` is a size; a duration such as 200ms is needed"],
    ),
    (
        "sources: [{tail: {service: a, paths: [], below: fast}}]",
        &["1:49: `fast` is no value | such as 200ms, 1GiB, 1%, 0.01"],
    ),
    (
        "sources:\n- tail:\n    service: a\n    paths: []\n    where: 'a == 1 and b'",
        &["5:20: `and` is not expected here | write `&&`"],
    ),
    (
        "sources: [{watch: {service: a, paths: [], expect: ['latency < 300', \"stauts == 200\"]}}]",
        &[
            "1:53: `latency` is a duration, not a whole number | write latency < duration(\"300s\")",
            "1:70: unknown name `stauts` | did you mean `status`?",
        ],
    ),
    (
        "sources: [{watch: {service: a, paths: [], where: \"\\x61 =  b\"}}]",
        &["1:50: there is no operator `=` | write `==`"],
    ),
    (
        "sources:\n- tail:\n    service: a\n    paths: []\n    where: |\n      a == 1 &&\n      b = 2\n",
        &["7:9: there is no operator `=` | write `==`"],
    ),
];

#[test]
fn bad_files_are_told_with_their_remedy() {
    for (text, expected) in BAD {
        assert_eq!(told(text), *expected, "{text}");
    }
}

#[test]
fn people_read_every_problem_at_once_with_the_line_it_is_in() {
    let text = "\
agent: {id: true, flush: 5}
sources:
  - tail:
      service: shop
      path: [/var/log/x]
      where: 'status = 500'
      start_at: sometimes
";
    let expected = "\
a.yaml:1:13: error: a text is needed, not true or false
  |
1 | agent: {id: true, flush: 5}
  |             ^^^^
  |
  = help: quote it, if it is one: \"true\"
a.yaml:1:26: error: `5` is no duration: a duration needs a unit
  |
1 | agent: {id: true, flush: 5}
  |                          ^
  |
  = help: write 5s for seconds, or another of ms s m h d w
a.yaml:5:7: error: unknown key `path`
  |
5 |       path: [/var/log/x]
  |       ^^^^
  |
  = help: did you mean `paths`? valid keys are service, paths, start_at, where, expect, below, n
a.yaml:6:22: error: there is no operator `=`
  |
6 |       where: 'status = 500'
  |                      ^
  |
  = help: write `==`
a.yaml:7:17: error: `sometimes` is not one of the words valid here
  |
7 |       start_at: sometimes
  |                 ^^^^^^^^^
  |
  = help: valid are end, beginning
";
    assert_eq!(problems(text).render(), expected);
}

#[test]
fn programs_read_the_same_as_json() {
    let report = problems("agent: {id: true, token: hunter2}").report();
    let expected = r#"[{"severity":"error","file":"a.yaml","line":1,"column":13,"text":"agent: {id: true, token: *******}","message":"a text is needed, not true or false","help":"quote it, if it is one: \"true\""}]"#;
    assert_eq!(serde_json::to_string(&report).unwrap(), expected);
}

#[test]
fn no_report_shows_a_secret() {
    for text in [
        "agent: {token: hunter2, id: true}",
        "agent: {id: true, token: hunter2}",
        "agent: {id: [, token: hunter2}",
        "agent: {token: [hunter2], id: true}",
        "agent: {token: {evn: hunter2}}",
        "agent: {token: {env: hunter-2 hunter2}}",
        "agent:\n  token: |\n    hunter2\n  id: true",
        "agent:\n  token: &t hunter2\n  id: [*t]",
        "agent: {token: \"hun\\\n  ter2 hunter2\", id: true}",
        "agent: {token: 'hunter2', token: 'hunter2'}",
        "agent: {uri: 'amqp://guest:hunter2@host/%2f', id: true}",
        "agent: {uri: 'guest:hunter2@host', id: true}",
        "agent: {id: [], uri: 'amqp://guest:hunter2@'}",
        "agent: {flush: 'amqp://guest:hunter2@host'}",
        "agent: {webhook_url: hunter2}",
        "agent: {password: hunter2",
    ] {
        let problems = problems(text);
        assert!(!problems.is_empty(), "{text}");
        let shown =
            format!("{problems}{problems:?}{}", serde_json::to_string(&problems.report()).unwrap());
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

#[test]
fn a_file_of_the_wrong_kind_has_a_bounded_report() {
    let text: String = (0..1000).map(|n| format!("key_{n}: 1\n")).collect();
    let problems = problems(&text);
    assert_eq!((problems.iter().count(), problems.n_dropped()), (100, 900));
    assert!(problems.render().ends_with("and 900 more\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let mut reader = Reader::new(&env);
        let value = load_str("a", &text, &mut reader).and_then(|d| config(d.root(), &mut reader));
        if let Err(problems) = reader.finish(value) {
            prop_assert!(problems.has_errors());
            prop_assert!(problems.render().contains(": error: "));
        }
    }

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "agent", "sources", ": ", ":", "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ", ", "tail", "where",
        "'a == é'", "\"\\x61\"", "|\n", ">-\n", "&a ", "*a", "<<", "!!str ", "? ", "#x\n", "\t", "${X}", "${HOME_DIR}",
        "token", "flush", "5m", "id", "é", "---", "...", "%YAML 1.2\n", "\r\n", "\u{feff}", "~", "true", "expect",
    ]), 0..40)) {
        let mut reader = Reader::new(&env);
        let text = words.concat();
        let value = load_str("a", &text, &mut reader).and_then(|d| config(d.root(), &mut reader));
        if let Err(problems) = reader.finish(value) {
            prop_assert!(problems.has_errors());
            prop_assert!(problems.render().contains(": error: "));
            problems.report();
        }
    }
}

//! What conditions say of lines, label sets and probe results, and what is wrong with bad ones.

use proptest::prelude::*;
use watchkeeper_expr::Verdict::{Match, NoMatch, Unjudged};
use watchkeeper_expr::{Condition, MAX_VISITS, Record, Scope, Type, Value, Verdict};

/// A record by name, as a test writes it.
struct Named<'a>(&'a [(&'a str, Value<'a>)]);

fn ask(text: &str, scope: Scope<'_>, record: &[(&str, Value<'_>)]) -> Verdict {
    let mut condition = Condition::compile(text, scope).unwrap_or_else(|p| panic!("{text}: {p:?}"));
    condition
        .bind(|field| record.iter().position(|(name, _)| *name == field).unwrap_or(usize::MAX));
    let record: &dyn Record = &Named(record);
    condition.evaluate(record)
}

impl Record for Named<'_> {
    fn value(&self, slot: usize) -> Value<'_> {
        self.0.get(slot).map_or(Value::Absent, |(_, value)| *value)
    }
}

const LINE: &[(&str, Value<'_>)] = &[
    ("status", Value::Int(500)),
    ("code", Value::Str("500")),
    ("ms", Value::Double(12.5)),
    ("path", Value::Str("/api/x")),
    ("ok", Value::Bool(true)),
    ("nothing", Value::Null),
    ("a-b", Value::Int(1)),
    ("req.id", Value::Str("7f")),
    ("tags", Value::Json(r#"["a", "b", 3]"#)),
    ("user", Value::Json(r#"{"name": "eve", "roles": ["admin"]}"#)),
    ("empty", Value::Str("")),
    ("took", Value::Str("1m30s")),
    ("big", Value::Double(1e300)),
    ("word", Value::Str("né")),
    ("fields", Value::Int(9)),
];

const OVER_A_LINE: &[(&str, Verdict)] = &[
    ("", Match),
    (" \n", Match),
    ("true", Match),
    ("false", NoMatch),
    ("status == 500", Match),
    ("500 == status", Match),
    ("499 < status", Match),
    ("status != 500", NoMatch),
    ("status >= 500 && path != \"/health\"", Match),
    ("status == 500.0", Match),
    ("ms < 13", Match),
    ("ms > 12 && ms <= 12.5", Match),
    ("status == 500u", Match),
    // Kinds never mix silently.
    ("status == \"500\"", Unjudged),
    ("code == 500", Unjudged),
    ("code != 500", Unjudged),
    ("code == \"500\"", Match),
    ("code > '49'", Match),
    ("int(code) >= 500", Match),
    ("int(path) >= 500", Unjudged),
    ("double(code) == 500", Match),
    ("double(ms) == 12.5", Match),
    ("int(ms) == 12", Match),
    ("int(big) == 1", Unjudged),
    ("string(status) == '500'", Match),
    ("string(ms) == '12.5'", Match),
    ("string(ok) == 'true'", Match),
    ("bool(ok)", Match),
    // Absent fields and errors.
    ("missing == 1", Unjudged),
    ("missing != 1", Unjudged),
    ("!(missing == 1)", Unjudged),
    ("missing == 1 || status == 500", Match),
    ("status == 500 || missing == 1", Match),
    ("missing == 1 && status == 1", NoMatch),
    ("status == 1 && missing == 1", NoMatch),
    ("missing == 1 && status == 500", Unjudged),
    ("missing == 1 || status == 1", Unjudged),
    ("has(fields.missing) && missing == 1", NoMatch),
    ("!has(fields.missing) || missing == 1", Match),
    ("has(fields.status)", Match),
    ("has(fields[\"a-b\"])", Match),
    ("has(fields[\"b-a\"])", NoMatch),
    ("has(fields.nothing)", Match),
    ("has(req.id)", Match),
    ("fields[\"a-b\"] == 1", Match),
    ("fields.status == 500", Match),
    ("fields.`a-b` == 1", Match),
    ("req.id == '7f'", Match),
    ("req[\"id\"] == '7f'", Match),
    // Truth.
    ("ok", Match),
    ("!ok", NoMatch),
    ("ok == true", Match),
    ("status", Unjudged),
    ("missing", Unjudged),
    ("nothing == null", Match),
    ("status == null", NoMatch),
    ("null != status", Match),
    ("missing == null", Unjudged),
    ("nothing == 1", Unjudged),
    // Lists.
    ("status in [200, 500]", Match),
    ("status in [200, 404]", NoMatch),
    ("status in []", NoMatch),
    ("missing in []", Unjudged),
    ("code in ['500']", Match),
    ("code in [500]", Unjudged),
    ("code in [500, '500']", Match),
    ("int(code) in [500]", Match),
    ("!(status in [200])", Match),
    ("missing in [1]", Unjudged),
    ("'a' in tags", Match),
    ("'z' in tags", NoMatch),
    ("'name' in user", Match),
    ("status in tags", NoMatch),
    ("ok in ['a']", Unjudged),
    // Texts.
    ("path.startsWith('/api')", Match),
    ("path.endsWith('x') && path.contains('pi')", Match),
    ("path.matches('^/api/[a-z]$')", Match),
    ("path.matches(r'\\d')", NoMatch),
    ("matches(path, 'x')", Match),
    ("status.startsWith('5')", Unjudged),
    ("string(status).startsWith('5')", Match),
    ("path.contains(code)", NoMatch),
    ("size(path) == 6", Match),
    ("path.size() > 5", Match),
    ("size(word) == 2", Match),
    ("size(tags) == 3", Match),
    ("size(status) == 3", Unjudged),
    ("size(empty) == 0", Match),
    ("word == 'né'", Match),
    // Durations.
    ("duration(took) > duration('1m')", Match),
    ("duration(took) == duration('90s')", Match),
    ("duration(path) > duration('1m')", Unjudged),
    // The rest of the language.
    ("status + 1 == 501", Match),
    ("status / 0 == 1", Unjudged),
    ("status % 7 == 3", Match),
    ("status - 0.5 == 499.5", Match),
    ("-status == -500", Match),
    ("ms * 2 == 25.0", Match),
    ("path + '!' == '/api/x!'", Match),
    ("path + 1 == 'x'", Unjudged),
    ("status == int(code)", Match),
    ("status == code", Unjudged),
    ("status > ms", Match),
    ("ok ? status == 500 : false", Match),
    ("(ok ? status : ms) == 500", Match),
    ("missing == 1 ? true : true", Unjudged),
    ("tags[0] == 'a'", Match),
    ("tags[9] == 'a'", Unjudged),
    ("user.roles[0] == 'x'", Unjudged),
    ("tags.exists(t, t == 'b')", Match),
    ("tags.exists(t, t == 'z')", Unjudged),
    ("tags.all(t, size(string(t)) == 1)", Match),
    ("tags.all(t, t == 'z')", NoMatch),
    ("tags.exists_one(t, string(t) == 'a')", Match),
    ("size(tags.filter(t, string(t) < 'b')) == 2", Match),
    ("tags.map(t, string(t)) == ['a', 'b', '3']", Match),
    ("tags.map(t, string(t) != 'a', string(t)) == ['b', '3']", Match),
    ("[1, 2].all(x, [3, 4].exists(y, y > x))", Match),
    ("{'a': 1}.a == 1", Match),
    ("{'a': 1} == {'a': 1.0}", Match),
    ("has({'a': 1}.b)", NoMatch),
    ("[1, 2] == [1, 2.0]", Match),
    ("path.exists(p, true)", Unjudged),
    ("true || missing == 1", Match),
    ("// a comment\nstatus == 500", Match),
    ("fields.fields == 9", Match),
];

#[test]
fn conditions_over_a_line() {
    for (text, verdict) in OVER_A_LINE {
        assert_eq!(ask(text, Scope::Line, LINE), *verdict, "{text}");
    }
}

#[test]
fn conditions_over_a_line_of_strings() {
    let line = [("status", Value::Str("503")), ("a-b", Value::Str("x"))];
    for (text, verdict) in [
        ("int(status) >= 500 && fields[\"a-b\"] == 'x'", Match),
        ("has(fields.nope) || nope == 'x'", Unjudged),
        ("status == '503'", Match),
    ] {
        assert_eq!(ask(text, Scope::TextLine, &line), verdict, "{text}");
    }
}

#[test]
fn conditions_over_labels() {
    let labels =
        [("status", Value::Str("503")), ("env", Value::Str("prod")), ("absent", Value::Str(""))];
    for (text, verdict) in [
        ("int(status) >= 500", Match),
        ("int(status) < 500", NoMatch),
        ("int(env) < 500", Unjudged),
        ("int(absent) < 500", Unjudged),
        ("double(status) > 502.5", Match),
        ("status == '503'", Match),
        ("status >= '500'", Match),
        ("env == 'prod' && int(status) != 200", Match),
        ("absent == ''", Match),
        ("status.startsWith('5')", Match),
        ("env in ['prod', 'test']", Match),
        ("status > '5' ? env == 'prod' : true", Match),
    ] {
        assert_eq!(ask(text, Scope::Labels, &labels), verdict, "{text}");
    }
}

const PROBE: &[(&str, Type)] = &[
    ("status", Type::Int),
    ("latency", Type::Duration),
    ("json", Type::Json),
    ("body", Type::String),
    ("open", Type::Bool),
    ("load", Type::Double),
    ("certificate", Type::Json),
    ("certificate.expires_in", Type::Duration),
];

#[test]
fn conditions_over_known_variables() {
    let result = [
        ("status", Value::Int(200)),
        ("latency", Value::Int(250_000_000)),
        ("json.status", Value::Str("healthy")),
        ("json.queue", Value::Json("[1, 2]")),
        ("open", Value::Bool(true)),
        ("load", Value::Double(0.5)),
    ];
    for (text, verdict) in [
        ("status == 200", Match),
        ("latency < duration(\"300ms\")", Match),
        ("latency < duration('0.2s')", NoMatch),
        ("duration('300ms') > latency", Match),
        ("latency * 2 > duration('400ms')", Match),
        ("json.status == \"healthy\"", Match),
        ("json.missing == 1", Unjudged),
        ("has(json.status)", Match),
        ("has(json.missing)", NoMatch),
        ("size(json.queue) == 2", Match),
        ("json.queue[1] == 2", Match),
        ("open", Match),
        ("!open || load < 1", Match),
    ] {
        assert_eq!(ask(text, Scope::Known(PROBE), &result), verdict, "{text}");
    }
}

/// Each problem as `offset+len: message | help`.
fn told(text: &str, scope: Scope<'_>) -> Vec<String> {
    let problems = Condition::compile(text, scope).err().unwrap_or_default();
    problems
        .iter()
        .map(|p| {
            let help = if p.help.is_empty() { String::new() } else { format!(" | {}", p.help) };
            format!("{}+{}: {}{help}", p.offset, p.len, p.message)
        })
        .collect()
}

const BAD_OVER_LABELS: &[(&str, &[&str])] = &[
    (
        "500 <= status",
        &["0+13: `status` is a label and labels are strings | write 500 <= int(status)"],
    ),
    (
        "status > 0.5",
        &["0+12: `status` is a label and labels are strings | write double(status) > 0.5"],
    ),
    ("ok == true", &["0+10: `ok` is a label and labels are strings | write ok == \"true\""]),
    (
        "status == null",
        &["0+14: `status` is a label and labels are strings | write status == \"\""],
    ),
    (
        "status in [500, '500']",
        &["11+3: `status` is a label and labels are strings | write int(status) in […]"],
    ),
    (
        "status + 1 > 5",
        &[
            "0+10: `status` is a label and labels are strings: arithmetic takes numbers | write int(status) or double(status)",
        ],
    ),
    ("status", &["0+6: `status` is a label and labels are strings | compare it: status == \"…\""]),
    ("a.b == 'x'", &["0+3: `a` is a label and labels have no parts"]),
    ("labels.a == 'x'", &["0+8: `labels` is a label and labels have no parts | write a"]),
    ("has(labels.a)", &["4+8: `labels` is a label and labels have no parts | write a"]),
    (
        "a == 1 && b == 2 || int(c) == 'x'",
        &[
            "0+6: `a` is a label and labels are strings | write int(a) == 1",
            "10+6: `b` is a label and labels are strings | write int(b) == 2",
            "20+13: a whole number and a text cannot be compared",
        ],
    ),
    (
        "-status > 1",
        &["1+6: `status` is a label and labels are strings, and only a number has a sign"],
    ),
    ("status.exists(x, true)", &["0+6: `status` is a label and labels are strings, not a list"]),
    ("!status", &["1+6: `status` is a label and labels are strings | compare it: status == \"…\""]),
    (
        "'x' in status",
        &[
            "7+6: `in` looks into a list, and `status` is a label and labels are strings | write status.contains(…)",
        ],
    ),
    ("int(status) == '500'", &["0+20: a whole number and a text cannot be compared"]),
];

const BAD_OVER_A_PROBE: &[(&str, &[&str])] = &[
    ("stauts == 200", &["0+6: unknown name `stauts` | did you mean `status`?"]),
    (
        "nothing == 200",
        &[
            "0+7: unknown name `nothing` | known here: status, latency, json, body, open, load, certificate, certificate.expires_in",
        ],
    ),
    ("status.code == 200", &["0+11: `status` is a whole number and has no parts"]),
    ("status == '200'", &["0+15: `status` is a whole number, not a text | write status == 200"]),
    ("status", &["0+6: `status` is a whole number | compare it: status == …"]),
    ("latency", &["0+7: `latency` is a duration | compare it: latency < duration(\"…\")"]),
    (
        "latency < 300",
        &["0+13: `latency` is a duration, not a whole number | write latency < duration(\"300s\")"],
    ),
    (
        "latency < '300ms'",
        &["0+17: `latency` is a duration, not a text | write latency < duration(\"300ms\")"],
    ),
    (
        "latency < duration('300')",
        &["19+5: a duration needs a unit | write a sum such as 300ms, 1h30m, 7d"],
    ),
    (
        "latency < duration(300)",
        &["19+3: this is a whole number and becomes no duration | write duration(\"300s\")"],
    ),
    (
        "latency < duration('5min')",
        &["19+6: a duration's units are ms s m h d w | write a sum such as 300ms, 1h30m, 7d"],
    ),
    ("latency + 5 > duration('1s')", &["0+11: a duration and a whole number do not add up"]),
    (
        "json.took < duration('1s')",
        &[
            "0+26: only a duration compares with one, and `json.took` may be anything | write duration(json.took) < duration(\"1s\")",
        ],
    ),
    (
        "certificate.expire_in > duration('1d')",
        &[
            "0+38: only a duration compares with one, and `certificate.expire_in` may be anything | did you mean `certificate.expires_in`?",
        ],
    ),
    (
        "duration('1d') < certificate.left",
        &[
            "0+33: only a duration compares with one, and `certificate.left` may be anything | known here: certificate.expires_in",
        ],
    ),
    ("open == 'true'", &["0+14: `open` is true or false, not a text | write open == true"]),
    ("open > 5", &["0+8: `open` is true or false, not a whole number"]),
    ("has(status)", &["0+11: `has` asks for a part of a value"]),
    ("body.contains(5)", &["14+1: this is a whole number, not a text"]),
    (
        "status.contains('5')",
        &["0+6: `status` is a whole number, not a text | write string(status)"],
    ),
];

const BAD_OVER_A_LINE: &[(&str, &[&str])] = &[
    ("1 + 1", &["0+5: a condition is true or false, and this is a whole number"]),
    ("'text'", &["0+6: a condition is true or false, and this is a text"]),
    ("500 == '500'", &["0+12: a whole number and a text cannot be compared"]),
    ("a = 1", &["2+1: there is no operator `=` | write `==`"]),
    ("a === 1", &["2+3: there is no operator `===` | write `==`"]),
    ("a <> 1", &["2+2: there is no operator `<>` | write `!=`"]),
    ("a & b", &["2+1: there is no operator `&` | write `&&`"]),
    (
        "a =~ 'x'",
        &["2+2: there is no operator `~` | write field.matches(\"…\") with a regular expression"],
    ),
    ("a and b", &["2+3: `and` is not expected here | write `&&`"]),
    ("not a", &["4+1: `a` is not expected here | write `!` for not"]),
    ("a ==", &["4+1: the condition ends too early"]),
    ("(a == 1", &["0+1: `(` is never closed"]),
    ("a == 1)", &["6+1: `)` closes nothing"]),
    ("(a == 1]", &["7+1: `]` closes nothing"]),
    ("a == 'x", &["5+2: the text is never closed | a closing ' is missing"]),
    (
        "a == '\\d'",
        &[
            "6+2: `\\d` is no escape | double the backslash, or write r\"…\" for a regular expression",
        ],
    ),
    ("a == 1 b == 2", &["7+1: `b` is not expected here"]),
    (
        "ä == 1",
        &[
            "0+2: `ä` is not expected here | text stands in quotes; a field with such a name is fields[\"name\"]",
        ],
    ),
    ("a == 'ä' && b = 2", &["15+1: there is no operator `=` | write `==`"]),
    (
        "'ä' == 'x' && foo(2)",
        &[
            "15+3: there is no function `foo` | there are has, int, double, string, bool, duration, size, matches, startsWith, endsWith, contains, all, exists, exists_one, filter, map",
        ],
    ),
    (
        "$a == 1",
        &[
            "0+1: `$` is not expected here | text stands in quotes; a field with such a name is fields[\"name\"]",
        ],
    ),
    ("let == 1", &["0+3: `let` is a reserved word | a field of that name is fields[\"let\"]"]),
    ("a == 99999999999999999999", &["5+20: not a valid int | whole numbers have 64 bits"]),
    ("a.startWith('x')", &["2+9: there is no function `startWith` | did you mean `startsWith`?"]),
    (
        "lower(a) == 'x'",
        &[
            "0+5: there is no function `lower` | there are has, int, double, string, bool, duration, size, matches, startsWith, endsWith, contains, all, exists, exists_one, filter, map",
        ],
    ),
    ("startsWith(a, 'x')", &["0+10: `startsWith` is not called so | write x.startsWith(\"…\")"]),
    ("a.int() == 5", &["2+3: `int` is not called so | write int(x)"]),
    (
        "a.startsWith('x', 'y')",
        &["2+10: `startsWith` does not take 2 arguments | write x.startsWith(\"…\")"],
    ),
    (
        "a.matches(b)",
        &[
            "10+1: the pattern must be written out | write matches(\"…\") with a regular expression in quotes",
        ],
    ),
    ("a.matches('(')", &["10+4: not a regular expression: unclosed group"]),
    ("has(a)", &["0+6: `has` asks for a field | write has(fields.a)"]),
    ("has(1)", &["4+1: `has` asks for a field | write has(fields.x)"]),
    (
        "fields == 1",
        &[
            "0+6: `fields` stands for the whole line | name one: fields.status, or fields[\"status-code\"]",
        ],
    ),
    (
        "fields[a] == 1",
        &[
            "0+6: `fields` stands for the whole line | name one: fields.status, or fields[\"status-code\"]",
        ],
    ),
    ("a < null", &["0+8: null has no order"]),
    ("[1] < [2]", &["0+9: a list and a list cannot be compared"]),
    ("a == b'x'", &["5+4: there are no bytes in a record | leave out the b before the quote"]),
    ("Foo{a: 1} == 1", &["3+1: not something a condition can hold"]),
    (
        "a.exists('x', true)",
        &["9+3: the first argument is a name | as in tags.exists(tag, tag == \"a\")"],
    ),
    ("a.?b == 1", &["1+1: `.` is not expected here"]),
    ("size(5) == 1", &["5+1: this is a whole number and has no size"]),
    ("int('abc') == 1", &["4+5: this becomes no whole number"]),
    ("'abc'.b == 1", &["0+5: this is a text and has no parts"]),
];

const BAD_OVER_STRINGS: &[(&str, &[&str])] = &[
    (
        "status >= 500",
        &[
            "0+13: `status` is a field, and fields of this format are strings | write int(status) >= 500",
        ],
    ),
    (
        "has(fields.a) && fields.a == 1.5",
        &["17+15: `a` is a field, and fields of this format are strings | write double(a) == 1.5"],
    ),
    ("has(a)", &["0+6: `has` asks for a field | write has(fields.a)"]),
];

const BAD_OVER_KNOWN_FIELDS: &[(&str, &[&str])] = &[
    (
        "int(staus) >= 500 && has(fields.pod) && fields[\"_file.path\"] == \"\"",
        &[
            "4+5: lines have no field `staus` | did you mean `status`?",
            "25+10: lines have no field `pod` | known here: status, _file.path",
        ],
    ),
    ("_file.pth == 'x'", &["0+9: lines have no field `_file.pth` | did you mean `_file.path`?"]),
    (
        "status >= 500",
        &[
            "0+13: `status` is a field, and fields of this format are strings | write int(status) >= 500",
        ],
    ),
];

#[test]
fn bad_conditions_are_told_with_their_remedy() {
    let known = ["status".to_owned(), "_file.path".to_owned()];
    let tables = [
        (Scope::Labels, BAD_OVER_LABELS),
        (Scope::Known(PROBE), BAD_OVER_A_PROBE),
        (Scope::Line, BAD_OVER_A_LINE),
        (Scope::TextLine, BAD_OVER_STRINGS),
        (Scope::TextFields(&known), BAD_OVER_KNOWN_FIELDS),
    ];
    for (scope, table) in tables {
        for (text, expected) in table {
            assert_eq!(told(text, scope), *expected, "{text}");
        }
    }
}

#[test]
fn fields_are_told_once_and_as_paths() {
    let text =
        "a.b == 1 && fields[\"c-d\"] == 2 && has(fields.e) && a.b != 3 && [1].exists(x, x == f)";
    let condition = Condition::compile(text, Scope::Line).unwrap();
    assert_eq!(condition.fields(), ["a.b", "c-d", "e", "f"]);
    assert!(!condition.is_always());
    assert!(Condition::compile("", Scope::Labels).unwrap().is_always());
}

#[test]
fn a_condition_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Condition>();
}

#[test]
fn limits_are_problems_and_not_crashes() {
    let deep =
        |open: &str, close: &str, n: usize| format!("{}a{}", open.repeat(n), close.repeat(n));
    for text in [
        "a".repeat(5000),
        deep("(", ")", 1000),
        deep("[", "]", 25),
        deep("!(", ")", 25),
        format!("a{}", "?b:c".repeat(500)),
        format!("a{}", " + 1".repeat(400)),
        format!("a{} == 1", "[0]".repeat(300)),
        "a == 1 || ".repeat(400) + "b",
    ] {
        assert!(Condition::compile(&text, Scope::Line).is_err(), "{}", &text[..40]);
    }
    for text in [
        deep("(", ")", 24),
        "a == 1 || ".repeat(240) + "b == 2",
        format!("a in [{}1]", "1,".repeat(450)),
        format!("a{} == 1", ".b".repeat(450)),
        format!("{}a", "!".repeat(900)),
        format!("{}a == 1", "-".repeat(900)),
        format!("a{} == 1", " + 1".repeat(90)),
        format!("{}a{}", "a ? (".repeat(24), ") : b".repeat(24)),
        format!("{}a{}", "a || !(b && x.y[".repeat(12), "])".repeat(12)),
    ] {
        assert!(Condition::compile(&text, Scope::Line).is_ok(), "{}", &text[..40]);
    }
}

#[test]
fn a_list_is_judged_up_to_a_limit_that_is_told() {
    let list = |n: u32| {
        format!("[{}]", (0..n).map(|i| i.to_string() + ",").collect::<String>()).replace(",]", "]")
    };
    for (n, text, expected, is_exhausted) in [
        (20_000, "l.all(a, a >= 0)", Verdict::Match, false),
        (MAX_VISITS, "l.all(a, a >= 0)", Verdict::Match, false),
        (MAX_VISITS + 1, "l.all(a, a >= 0)", Verdict::Unjudged, true),
        (MAX_VISITS + 1, "l.exists(a, a == 3)", Verdict::Match, false),
        (MAX_VISITS + 1, "size(l) == 100001 && 100000 in l", Verdict::Match, false),
        (MAX_VISITS + 1, "l.all(a, a >= 0) || size(l) > 3", Verdict::Match, false),
        (3, "l.all(a, a > 'x')", Verdict::Unjudged, false),
        // What each visit costs does not depend on how long the list is.
        (MAX_VISITS, "l.all(a, size(l) > 3 && l[0] == 0)", Verdict::Match, false),
        (MAX_VISITS, "l.all(a, l.exists(b, b == 0))", Verdict::Unjudged, true),
        (1_500, "l.all(a, a in l)", Verdict::Match, false),
        (MAX_VISITS, "l.all(a, a in l)", Verdict::Unjudged, true),
    ] {
        let condition = Condition::compile(text, Scope::Line).unwrap();
        let list = list(n);
        let record = vec![Value::Json(&list); condition.fields().len()];
        assert_eq!(condition.evaluate(&record[..]), expected, "{n} {text}");
        assert_eq!(condition.is_exhausted_by(&record[..]), is_exhausted, "{n} {text}");
    }
}

#[test]
fn a_macro_within_a_macro_has_a_bounded_cost() {
    let list = format!("[{}0]", "0,".repeat(999));
    let record = [("a", Value::Json(&list))];
    assert_eq!(ask("a.all(x, a.all(y, y == 0))", Scope::Line, &record), Unjudged);
    assert_eq!(ask("a.all(x, x == 0)", Scope::Line, &record), Match);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_compiled_or_refused(text in any::<String>()) {
        let _ = Condition::compile(&text, Scope::Line);
    }

    #[test]
    fn any_words_are_compiled_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b.c", "fields", "[", "]", "(", ")", "{", "}", "\"x\"", "'é'", "1", "2.5", "-", "!", "&&",
                "||", "==", "<", "in", "?", ":", ",", ".", "has", "size", "exists", "map", "x", "int", "duration",
                "matches", "null", "true", "+", "/", "%", "`q`", "r'", "\\", "\n", "//", "1u", "b'x'", "'''", "fields[\"a\"]",
            ]),
            0..24,
        ),
        spaced in any::<bool>(),
    ) {
        let text = words.join(if spaced { " " } else { "" });
        for scope in [Scope::Line, Scope::Labels, Scope::Known(PROBE)] {
            match Condition::compile(&text, scope) {
                Ok(condition) => { condition.evaluate(&[Value::Int(1), Value::Str("x")][..]); }
                Err(problems) => {
                    prop_assert!(!problems.is_empty());
                    for p in problems {
                        prop_assert!(p.offset <= text.len() && !p.message.is_empty());
                    }
                }
            }
        }
    }
}

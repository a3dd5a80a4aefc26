//! Documents out of one file or several, and what each kind of value reads as.

#![expect(clippy::unwrap_used, reason = "in a test a step that fails is the failure")]

use std::path::Path;
use std::time::Duration;

use watchkeeper_config::{
    Document, Node, Problems, Quantity, Reader, Secret, documents, documents_matching,
    documents_str, first_document, load, load_str, read,
};
use watchkeeper_expr::{Condition, Scope};
use watchkeeper_model::{Dimension, Labels, Service, Unit};

fn env(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("web-1".to_owned()),
        "PORT" => Some("7700".to_owned()),
        "TOKEN" => Some("hunter2".to_owned()),
        _ => None,
    }
}

/// Reads `x` of a text.
fn x<T>(text: &str, read: impl FnOnce(&Node, &mut Reader<'_>) -> Option<T>) -> Result<T, String> {
    let mut reader = Reader::new(&env);
    let value =
        load_str("a.yaml", text, &mut reader).and_then(|d| read(d.root().get("x")?, &mut reader));
    reader.finish(value).map(|(value, _)| value).map_err(|p| p.render())
}

#[test]
fn values_read_as_people_mean_them() {
    assert_eq!(x("x: web-1", read::string), Ok("web-1".into()));
    assert_eq!(x("x: 1.10", read::string), Ok("1.10".into()));
    assert_eq!(x("x: !!str true", read::string), Ok("true".into()));
    assert!(x("x: !include a", read::string).unwrap_err().contains("tag `!include` means nothing"));
    assert_eq!(x("x: 'true'", read::string), Ok("true".into()));
    assert_eq!(x("x: \"a\\tb\"", read::string), Ok("a\tb".into()));
    assert_eq!(x("x: |\n  a\n  b\n", read::string), Ok("a\nb\n".into()));
    assert_eq!(x("x: ${HOST}:${PORT}/$${HOST}$1", read::string), Ok("web-1:7700/${HOST}$1".into()));
    assert_eq!(x("x: true", read::bool), Ok(true));
    assert_eq!(x("x: ${PORT}", read::integer(1..=65_535)), Ok(7700));
    assert_eq!(x("x: -3", read::integer(-5..=5)), Ok(-3));
    assert_eq!(x("x: 99.9", read::float(0.0..=100.0)), Ok(99.9));
    assert_eq!(x("x: 1h30m", read::duration), Ok(Duration::from_secs(5_400)));
    assert_eq!(x("x: 0s", read::duration), Ok(Duration::ZERO));
    assert_eq!(x("x: 1.5GiB", read::size), Ok(3 << 29));
    assert_eq!(x("x: 10MB", read::size), Ok(10_000_000));
    assert_eq!(x("x: ms", read::unit), Ok(Unit::Ms));
    assert_eq!(x("x: shop", read::service), Ok(Service::new("shop").unwrap()));
    assert_eq!(
        x("x: {a: true, b: 1.0}", read::labels),
        Ok(Labels::new([("a", "true"), ("b", "1.0")]))
    );
    assert_eq!(x("x: amqp://u:p@h/%2f", read::url), Ok("amqp://u:p@h/%2f".into()));
    assert_eq!(x("x: ''", read::condition(Scope::Line)), Ok(Condition::always()));
    assert_eq!(x("x: [a, b]", read::list_of(read::string)), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(x("x: certs/a.pem", read::path), Ok("certs/a.pem".into()));
    let retention = x("x: {10s: 2d, 1m: 2w}", read::map_of(read::duration)).unwrap();
    assert_eq!(retention[1].0.value, "1m");
    assert_eq!((retention[1].0.place.line(), retention[1].0.place.column()), (1, 14));
}

#[test]
fn quantities_become_base_units_of_the_signals_dimension() {
    use Dimension::{Bytes, Plain, Ratio, Time};
    for (text, dimension, base) in [
        ("200ms", Time, Ok(200_000_000)),
        ("1h30m", Time, Ok(5_400_000_000_000)),
        ("0.2", Time, Ok(200_000_000)),
        ("1GiB", Bytes, Ok(1 << 30)),
        ("512", Bytes, Ok(512)),
        ("1%", Ratio, Ok(10_000_000)),
        ("0.01", Ratio, Ok(10_000_000)),
        ("-12.5", Plain, Ok(-12_500_000)),
        ("1%", Time, Err("`1%` is a ratio; a duration such as 200ms is needed")),
        ("200ms", Plain, Err("`200ms` is a duration; a plain number is needed")),
        ("1e300", Plain, Err("`1e300` is too large")),
    ] {
        let found = Quantity::parse(text).unwrap().to_base(dimension);
        assert_eq!(found, base.map_err(str::to_owned), "{text}");
    }
    for text in ["", "fast", "1 GiB", "%", "1y", "GiB", "-1h"] {
        assert_eq!(Quantity::parse(text), None, "{text:?}");
    }
}

#[test]
fn anchors_and_merge_keys_work_and_bombs_do_not() {
    let text = "b: &b {every: 5s, n: 1}\nx: {<<: *b, n: 2}";
    let read = |node: &Node, reader: &mut Reader<'_>| {
        node.fields(reader, &["every", "n"], |f| {
            f.required("every", read::duration).zip(f.required("n", read::integer(0..=9)))
        })
    };
    assert_eq!(x(text, read), Ok((Duration::from_secs(5), 2)));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let alias = format!("*a{}, ", n - 1).repeat(10);
        bomb.push_str(&format!("a{n}: &a{n} [{alias}]\n"));
    }
    let mut reader = Reader::new(&env);
    assert!(load_str("a", &bomb, &mut reader).is_none());
    assert!(reader.finish(None::<()>).unwrap_err().render().contains("too large"));
    let deep = format!("x: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(load_str("a", &deep, &mut Reader::new(&env)).is_none());
}

#[test]
fn secrets_come_from_the_environment_a_file_or_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("token", "hunter2\n");
    for text in ["{env: TOKEN}", "{file: token}", "hunter2", "'${TOKEN}'"] {
        file("a.yaml", &format!("x: {text}"));
        let (value, _) = at(&dir.path().join("a.yaml"), |root, reader| {
            read::secret(root.get("x").unwrap(), reader)
        })
        .unwrap();
        assert_eq!(value, Secret::new("hunter2"), "{text}");
    }
}

#[test]
fn no_file_that_is_named_makes_a_daemon_wait_or_grow() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
    std::fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    std::fs::write(path("bytes"), b"\xff").unwrap();
    let secret =
        |node: &Node, reader: &mut Reader<'_>| read::secret(node, reader).map(|_| String::new());
    type Read<'r> = &'r dyn Fn(&Node, &mut Reader<'_>) -> Option<String>;
    let cases: [(&str, Read<'_>, &str); 8] = [
        ("{file: pipe}", &secret, "cannot read DIR/pipe: it is no file"),
        ("{file: /dev/zero}", &secret, "cannot read /dev/zero: it is no file"),
        ("{file: large}", &secret, "cannot read DIR/large: larger than 64KiB"),
        ("{file: bytes}", &secret, "cannot read DIR/bytes: it is not UTF-8"),
        ("pipe", &read::pem_file, "DIR/pipe cannot be read: it is no file"),
        ("/dev/zero", &read::pem_file, "/dev/zero cannot be read: it is no file"),
        ("large", &read::pem_file, "DIR/large cannot be read: larger than 1MiB"),
        (".", &read::pem_file, "DIR/. cannot be read: it is no file"),
    ];
    for (text, read, expected) in cases {
        std::fs::write(path("a.yaml"), format!("x: {text}")).unwrap();
        let told = at(&path("a.yaml"), |root, reader| read(root.get("x").unwrap(), reader));
        let told = told.unwrap_err().render().replace(&*dir.path().to_string_lossy(), "DIR");
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn a_configuration_may_come_by_a_pipe_that_ends() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    let writing = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "x: 1")
    });
    let is_there = at(&pipe, |root, _| Some(root.get("x").is_some())).unwrap().0;
    assert!(is_there);
    writing.join().unwrap().unwrap();
    let told = at(Path::new("/dev/zero"), |_, _| Some(())).unwrap_err().render();
    assert!(told.contains("cannot read /dev/zero: larger than 4MiB"), "{told}");
}

/// Loads a file and reads its root.
fn at<T>(
    path: &Path,
    read: impl FnOnce(&Node, &mut Reader<'_>) -> Option<T>,
) -> Result<(T, Problems), Problems> {
    let mut reader = Reader::new(&env);
    let value = load(path, &mut reader).and_then(|d: Document| read(d.root(), &mut reader));
    reader.finish(value)
}

/// Writes files, loads the first, and gives its keys and problems with `DIR/` for where they are.
fn loaded(files: &[(&str, &[u8])]) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let told = |problems: &Problems| {
        let text = problems.render().replace(&format!("{}/", dir.path().display()), "DIR/");
        text.lines().filter(|line| line.contains("DIR/")).map(str::to_owned).collect()
    };
    let keys = |root: &Node, _: &mut Reader<'_>| {
        Some(
            root.entries().iter().map(|e| format!("{}:{}", e.key, e.value.items().len())).collect(),
        )
    };
    match at(&dir.path().join(files[0].0), keys) {
        Ok((keys, problems)) => (keys, told(&problems)),
        Err(problems) => (Vec::new(), told(&problems)),
    }
}

#[test]
fn included_files_add_up() {
    let files: &[(&str, &[u8])] = &[
        ("a.yaml", b"include: ['conf.d/*.yaml', 'more/*.yml']\nagent: {id: x}\nsources: [1]"),
        ("conf.d/2.yaml", b"sources: [2, 3]\nagent: {flush: 1s}"),
        ("conf.d/1.yaml", b"include: [../a.yaml, '*.yaml']\nextra: [9]"),
        ("conf.d/empty.yaml", b"# nothing\n"),
    ];
    let (keys, problems) = loaded(files);
    assert_eq!(keys, ["agent:0", "sources:3", "extra:1"]);
    assert_eq!(problems, ["DIR/a.yaml:1:28: warning: no file matches `more/*.yml`"]);
}

#[test]
fn what_two_files_both_say_is_told_with_both_places() {
    type Files = [(&'static str, &'static [u8])];
    let cases: &[(&Files, &[&str])] = &[
        (
            &[("a.yaml", b"include: [b.yaml]\nagent: {id: x}"), ("b.yaml", b"agent: {id: y}")],
            &["DIR/b.yaml:1:9: error: `agent.id` is already said in DIR/a.yaml:2:9"],
        ),
        (
            &[("a.yaml", b"include: [b.yaml]\nn: 1"), ("b.yaml", b"n: 1")],
            &["DIR/b.yaml:1:1: error: `n` is already said in DIR/a.yaml:2:1"],
        ),
        (
            &[("a.yaml", b"include: [nope.yaml]\nn: 1")],
            &["DIR/a.yaml:1:11: error: there is no file `nope.yaml`"],
        ),
        (
            &[("a.yaml", b"include: [b.yaml, c.yaml]"), ("b.yaml", b"a: [}"), ("c.yaml", b"- 1")],
            &[
                "DIR/b.yaml:1:4: error: broken YAML: mismatched bracket '[' closed by '}'",
                "DIR/c.yaml:1:1: error: a configuration is a map, not a list",
            ],
        ),
        (
            &[("a.yaml", b"a: 1\nb: \xff\xfe")],
            &["DIR/a.yaml:2:4: error: not UTF-8: this is no text file, or one in another encoding"],
        ),
        (
            &[("a.yaml", &[b' '; (4 << 20) + 1])],
            &["DIR/a.yaml:1:1: error: cannot read DIR/a.yaml: larger than 4MiB"],
        ),
        (&[("a.yaml", b"include: 5")], &["DIR/a.yaml:1:10: error: a list is needed, not a number"]),
        (
            &[("a.yaml", b"include: ['***']")],
            &[
                "DIR/a.yaml:1:11: error: not a pattern: wildcards are either regular `*` or recursive `**`",
            ],
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(loaded(files), (Vec::new(), expected.iter().map(|e| (*e).to_owned()).collect()));
    }
}

#[test]
fn a_file_that_is_not_there_is_a_problem_like_any_other() {
    let problems = at(Path::new("/nope/a.yaml"), |_, _| Some(())).unwrap_err();
    assert_eq!(
        problems.render(),
        "/nope/a.yaml:1:1: error: cannot read /nope/a.yaml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_document_is_an_agents_or_a_collectors() {
    for (text, agent, collector) in [
        ("agent: {}", true, false),
        ("sources: []\ncollector: {grpc: {}}", true, false),
        ("collector: {listen: x}", false, true),
        ("slos: []", false, true),
        ("slo_files: []", false, true),
        ("rules: []", false, true),
        ("alerting: {}", false, true),
        ("agent: {}\nslos: []", true, true),
        ("collector: {grpc: {}}", false, false),
    ] {
        let document = load_str("a", text, &mut Reader::new(&env)).unwrap();
        assert_eq!((document.is_agent(), document.is_collector()), (agent, collector), "{text}");
    }
}

#[test]
fn files_of_others_hold_several_documents_with_places_of_their_own() {
    let mut reader = Reader::new(&env);
    let text = "# nothing yet\n---\na: &x 1\n---\n---\nb: 2\n...\n";
    let read = documents_str("many.yaml", text, &mut reader).unwrap();
    let places: Vec<String> = read.iter().map(|document| document.place().to_string()).collect();
    assert_eq!(places, ["many.yaml:3:1", "many.yaml:6:1"]);
    assert!(reader.problems().is_empty());
    assert_eq!(documents_str("none.yaml", "# nothing\n", &mut reader).unwrap().len(), 0);
    assert!(documents_str("x.yaml", "a: &x 1\n---\nb: *x\n", &mut reader).is_none());
    assert_eq!(reader.problems().n_errors(), 1);
}

#[test]
fn patterns_find_each_file_once_and_all_that_is_wrong_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.yaml", "a: 1\n---\nb: 2\n");
    write("b.yaml", "c: 3\n---\nd: [\n");
    let main = dir.path().join("main.yaml");
    for (list, n_found, problems) in [
        ("[a.yaml, 'a*.yaml', ./a.yaml]", Some(2), ""),
        ("['none/*.yaml']", Some(0), "no file matches"),
        ("[none.yaml, '*.yaml']", None, "there is no file `none.yaml`"),
        ("a.yaml", None, "a list is needed"),
        ("['***']", None, "not a pattern"),
    ] {
        write("main.yaml", &format!("agent: {{}}\nfiles: {list}\n"));
        let mut reader = Reader::new(&env);
        let document = load(&main, &mut reader).unwrap();
        let found = documents_matching(document.root().get("files").unwrap(), &mut reader);
        assert_eq!(found.map(|f| f.len()), n_found, "{list}");
        assert!(reader.problems().render().contains(problems), "{list}");
    }
    // A text that only has a name is nobody's neighbour.
    let mut reader = Reader::new(&env);
    let document = load_str("main.yaml", "files: ['/**/*']", &mut reader).unwrap();
    assert!(documents_matching(document.root().get("files").unwrap(), &mut reader).is_none());
    assert!(reader.problems().render().contains("only a file can name others"));
    // What a file is shows its beginning, even if the rest is broken.
    let first = first_document(&dir.path().join("b.yaml"), &env).unwrap();
    assert!(first.get("c").is_some());
    assert!(first_document(&dir.path().join("none.yaml"), &env).is_none());
    assert!(documents(&dir.path().join("b.yaml"), &mut Reader::new(&env)).is_none());
}

#[test]
fn what_a_pipe_holds_is_still_there_after_a_look_at_what_it_is() {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    let (end, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"slos: []\n").unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", end.as_raw_fd());
    assert!(first_document(Path::new(&path), &env).is_none());
    assert!(load(Path::new(&path), &mut Reader::new(&env)).unwrap().is_collector());
}

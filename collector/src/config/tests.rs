//! What a collector's file may say of SLOs, and what is wrong with what it may not say.

use watchkeeper_collector_core::slo::{Method, SloSettings, SloWindow};
use watchkeeper_config::{ProcessEnv, Reader, load_str};

/// The SLOs of a file, and its problems as `line: message (help)`.
fn read(text: &str) -> (Vec<SloSettings>, Vec<String>) {
    let mut reader = Reader::new(&ProcessEnv);
    let settings = load_str("c.yaml", text, &mut reader)
        .and_then(|document| super::read(&document, &mut reader, false));
    let problems = reader.problems().report();
    let words = problems.iter().map(|p| format!("{}: {} ({})", p.line, p.message, p.help));
    let words = words.collect();
    (settings.map(|s| s.engine.slos.clone()).unwrap_or_default(), words)
}

/// A file with one SLO that has these keys beside the usual ones.
fn slo(keys: &str) -> String {
    format!("slos:\n  - name: shop\n    service: shop\n    signal: requests\n{}", indented(keys))
}

fn indented(keys: &str) -> String {
    keys.lines().map(|line| format!("    {}\n", line.trim_start_matches('|'))).collect()
}

fn one(keys: &str) -> SloSettings {
    let (slos, problems) = read(&slo(keys));
    assert_eq!(problems, [""; 0], "{keys}");
    slos.into_iter().next().unwrap()
}

#[test]
fn a_window_rolls_or_is_a_period_of_a_calendar() {
    for (keys, shown) in [
        ("window: 30d", "30d"),
        ("window: 36h", "1d12h"),
        ("calendar: {unit: month, zone: Europe/Berlin}", "month (Europe/Berlin)"),
        ("calendar: {unit: week}", "week (UTC)"),
        ("calendar: {unit: quarter, zone: UTC}", "quarter (UTC)"),
        ("calendar: {unit: year, zone: Asia/Kolkata}", "year (Asia/Kolkata)"),
    ] {
        let slo = one(&format!("objective: 99.9\ngood: \"status != '500'\"\n{keys}"));
        assert_eq!(slo.window_text, shown);
        assert_eq!(matches!(slo.window, SloWindow::Calendar(_)), keys.starts_with("calendar"));
        assert_eq!(slo.min_events, 10);
    }
}

#[test]
fn slices_need_fewer_of_them() {
    let keys = "objective: 99\nbelow: 200ms\nwindow: 30d\nmethod: timeslices\nslice: 1m\nslice_objective: 95";
    let slo = one(keys);
    let Method::Timeslices(slices) = slo.method else { panic!("{:?}", slo.method) };
    assert_eq!((slices.length.as_secs(), slo.min_events, slo.min_bad), (60, 5, 2));
    assert_eq!(one(&format!("{keys}\nmin_events: 3")).min_events, 3);
}

#[test]
fn several_objectives_are_several_slos() {
    let (slos, problems) =
        read(&slo("good: \"status != '500'\"\nwindow: 7d\nlabels: {team: web}\nobjectives:\n\
         |  - {below: 200ms, objective: 95}\n|  - {below: 1s, objective: 99.9, name: slow}\n\
         |  - {name: ok, objective: 99, good: \"status == '200'\"}"));
    assert_eq!(problems, [""; 0]);
    let found: Vec<(&str, f64, bool, &str)> = slos
        .iter()
        .map(|s| (s.name.as_str(), s.objective.percent(), s.below.is_some(), s.good.text()))
        .collect();
    assert_eq!(
        found,
        [
            ("shop-200ms", 95.0, true, "status != '500'"),
            ("shop-slow", 99.9, true, "status != '500'"),
            ("shop-ok", 99.0, false, "status == '200'"),
        ]
    );
    assert!(slos.iter().all(|s| s.labels.get("team") == "web" && s.window_text == "1w"));
}

#[test]
fn each_problem_has_its_place_and_says_what_would_be_right() {
    let usual = "good: \"status != '500'\"\nobjective: 99\nwindow: 30d\n";
    let sliced = format!("{usual}method: timeslices\n");
    for (keys, expected) in [
        (
            "objective: 100\nwindow: 30d\nbelow: 1s".to_owned(),
            "5: 100 is no objective (an objective is a percentage above 0 and below 100",
        ),
        ("objective: 0\nwindow: 30d\nbelow: 1s".to_owned(), "5: 0 is no objective"),
        (
            "objective: 99.99999999\nwindow: 30d\nbelow: 1s".to_owned(),
            "5: 99.99999999 is no objective",
        ),
        ("objective: most\nwindow: 30d\nbelow: 1s".to_owned(), "5: most is no objective"),
        ("objective: 99\nwindow: 30d".to_owned(), "2: an SLO needs `good`, `below` or both"),
        ("objective: 99\nbelow: 1s".to_owned(), "2: `window` is missing (say over which time"),
        ("objective: 99\nbelow: 1s\nwindow: 500d".to_owned(), "7: "),
        (
            format!("{usual}calendar: {{unit: month}}"),
            "8: an SLO has a `window` or a `calendar`, not both",
        ),
        (
            "objective: 99\nbelow: 1s\ncalendar: {unit: day}".to_owned(),
            "7: `day` is not one of the words valid here (valid are week, month, quarter, year",
        ),
        ("objective: 99\nbelow: 1s\ncalendar: {unit: moth}".to_owned(), "did you mean `month`?"),
        ("objective: 99\nbelow: 1s\ncalendar: {zone: UTC}".to_owned(), "7: `unit` is missing"),
        (
            "objective: 99\nbelow: 1s\ncalendar: {unit: month, zone: Europe/Berln}".to_owned(),
            "7: there is no time zone \"Europe/Berln\" (did you mean Europe/Berlin?",
        ),
        (
            "objective: 99\nbelow: 1s\ncalendar: {unit: month, tz: UTC}".to_owned(),
            "7: unknown key `tz`",
        ),
        (format!("{usual}slice: 1m"), "8: `slice` is for slices (write method: timeslices"),
        (format!("{usual}slice_objective: 95"), "8: `slice_objective` is for slices"),
        (format!("{usual}method: slices"), "8: `slices` is not one of the words valid here"),
        (sliced.clone(), "`slice` is missing"),
        (format!("{sliced}slice: 1m"), "`slice_objective` is missing"),
        (
            format!("{sliced}slice: 7m\nslice_objective: 95"),
            "9: a slice of 7m does not fit (it is 1s to 1h long and divides a day",
        ),
        (format!("{sliced}slice: 2h\nslice_objective: 95"), "9: a slice of 2h does not fit"),
        (format!("{sliced}slice: 500ms\nslice_objective: 95"), "9: a slice of 500ms does not fit"),
        (
            format!("{sliced}slice: 1s\nslice_objective: 95"),
            "9: 2592000 slices in a window are too many (at most 600000",
        ),
        (format!("{sliced}slice: 1m\nslice_objective: 101"), "10: 101 is no objective of a slice"),
        (format!("{sliced}slice: 1m\nslice_objective: 0"), "10: 0 is no objective of a slice"),
        (
            format!("{usual}objectives: [{{below: 1s, objective: 95}}]"),
            "6: `objective` stands beside `objectives`",
        ),
        (
            "window: 30d\nbelow: 1s\nobjectives: [{below: 1s, objective: 95}]".to_owned(),
            "6: `below` stands beside `objectives`",
        ),
        ("window: 30d\nobjectives: []".to_owned(), "6: `objectives` has none"),
        (
            "window: 30d\nobjectives: [{objective: 95, name: a}]".to_owned(),
            "6: an SLO needs `good`, `below` or both",
        ),
        (
            "window: 30d\ngood: \"a == 'b'\"\nobjectives: [{objective: 95}]".to_owned(),
            "7: an objective without `below` needs a `name`",
        ),
        ("window: 30d\nobjectives: [{below: 1s}]".to_owned(), "6: `objective` is missing"),
        (
            "window: 30d\nobjectives: [{below: 1s, objective: 95}, {below: 1s, objective: 99}]"
                .to_owned(),
            "another SLO or rule is called \"shop-1s\" too",
        ),
        (
            "window: 30d\nobjectives: [{below: 1s, objektive: 95}]".to_owned(),
            "6: unknown key `objektive` (did you mean `objective`?",
        ),
        (format!("{usual}windw: 7d"), "8: unknown key `windw` (did you mean `window`?"),
    ] {
        let (_, problems) = read(&slo(&keys));
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{keys}\nexpected {expected}\n{problems:#?}"
        );
    }
}

/// A file with an SLO `shop` and one correction.
fn correction(keys: &str) -> String {
    let usual = "objective: 99\nwindow: 30d\nbelow: 1s";
    format!("{}corrections:\n  - {{{keys}}}\n", slo(usual))
}

#[test]
fn corrections_are_once_or_weekly_and_about_what_is_there() {
    let once = "from: 2026-12-01T22:00:00+01:00, to: 2026-12-01T23:00:00+01:00, reason: move";
    let weekly = |hours: &str| format!("weekly: {{days: [sat, sun], {hours}}}, reason: backup");
    for keys in [
        once.to_owned(),
        format!("name: move, slos: [shop], {once}"),
        format!("service: shop, {once}"),
        weekly("from: \"02:00\", to: \"03:00\", zone: Europe/Berlin"),
        weekly("from: \"23:30\", to: \"00:30\""),
        weekly("from: \"00:00\", to: \"24:00\""),
    ] {
        assert_eq!(read(&correction(&keys)).1, [""; 0], "{keys}");
    }
    for (keys, expected) in [
        (
            "reason: x".to_owned(),
            "the correction is neither once nor weekly (give it `from` and `to`",
        ),
        (
            format!("{once}, weekly: {{days: [sun], from: \"01:00\", to: \"02:00\"}}"),
            "the correction is both once and weekly",
        ),
        ("from: 2026-12-01T22:00:00Z, reason: x".to_owned(), "`to` is missing"),
        (
            "from: 2026-12-01T22:00:00Z, to: 2026-12-01T22:00:00Z, reason: x".to_owned(),
            "`to` is not after `from`",
        ),
        (
            "from: 2026-12-01T22:00:00, to: 2026-12-01T23:00:00Z, reason: x".to_owned(),
            "is no time with an offset (write RFC 3339",
        ),
        ("from: 2026-12-01T22:00:00Z, to: 2026-12-01T23:00:00Z".to_owned(), "`reason` is missing"),
        (format!("slos: [shp], {once}"), "no SLO is named \"shp\" (did you mean shop?)"),
        (format!("service: shob, {once}"), "no SLO is about the service shob (did you mean shop?)"),
        (format!("service: shop, slos: [shop], {once}"), "about `slos` or a `service`, not both"),
        (format!("{once}, every: week"), "unknown key `every`"),
        (weekly("from: \"2:00\", to: \"03:00\""), "\"2:00\" is no time of day"),
        (weekly("from: \"24:00\", to: \"03:00\""), "\"24:00\" is no time of day"),
        (weekly("from: \"02:60\", to: \"03:00\""), "\"02:60\" is no time of day"),
        (
            weekly("from: \"02:00\", to: \"03:00\", zone: Berlin"),
            "there is no time zone \"Berlin\"",
        ),
        (
            "weekly: {days: [], from: \"02:00\", to: \"03:00\"}, reason: x".to_owned(),
            "the list is empty",
        ),
        (format!("slos: [], {once}"), "the list is empty"),
        (
            "weekly: {days: [sunday], from: \"02:00\", to: \"03:00\"}, reason: x".to_owned(),
            "valid are mon, tue, wed, thu, fri, sat, sun",
        ),
    ] {
        let (_, problems) = read(&correction(&keys));
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{keys}\nexpected {expected}\n{problems:#?}"
        );
    }
}

/// A file with the SLOs `web` and `jobs`, and a composite with these keys.
fn composite(keys: &str) -> String {
    let part = |name: &str| {
        format!(
            "  - {{name: {name}, service: shop, signal: {name}, below: 1s, objective: 99, window: 1d}}\n"
        )
    };
    format!("slos:\n{}{}  - {{name: both, service: shop, {keys}}}\n", part("web"), part("jobs"))
}

#[test]
fn a_composite_has_parts_that_are_there_and_no_signal() {
    let usual = "objective: 99, window: 30d";
    let (slos, problems) = read(&composite(&format!(
        "composite: [{{slo: web, weight: 2.5}}, {{slo: jobs}}], {usual}"
    )));
    assert_eq!(problems, [""; 0]);
    let parts: Vec<(&str, f64, u64)> =
        slos[2].composite.iter().map(|p| (p.slo.as_str(), p.weight, p.definition)).collect();
    assert_eq!(parts, [("web", 2.5, slos[0].definition()), ("jobs", 1.0, slos[1].definition())]);
    assert!(!slos[2].concerns(&slos[2].service, ""));
    for (keys, expected) in [
        (
            format!("composite: [{{slo: wbe}}], {usual}"),
            "no SLO is named \"wbe\" (did you mean web?)",
        ),
        (format!("composite: [{{slo: both}}], {usual}"), "\"both\" is a composite itself"),
        (format!("composite: [{{slo: web}}, {{slo: web}}], {usual}"), "\"web\" is a part twice"),
        (format!("composite: [{{slo: web, weight: 0}}], {usual}"), "0 is no weight"),
        (format!("composite: [{{slo: web, weight: -1}}], {usual}"), "-1 is no weight"),
        (format!("composite: [{{slo: web, weight: much}}], {usual}"), "much is no weight"),
        (format!("composite: [{{weight: 1}}], {usual}"), "`slo` is missing"),
        (format!("composite: [], {usual}"), "the list is empty"),
        (
            format!("composite: [{{slo: web}}], signal: x, {usual}"),
            "`signal` stands beside `composite`",
        ),
        (
            format!("composite: [{{slo: web}}], below: 1s, {usual}"),
            "`below` stands beside `composite`",
        ),
        (
            format!("composite: [{{slo: web}}], method: timeslices, {usual}"),
            "`method` stands beside `composite`",
        ),
        ("composite: [{slo: web}], window: 30d".to_owned(), "`objective` is missing"),
        ("composite: [{slo: web}], objective: 99".to_owned(), "`window` is missing"),
        (
            "composite: [{slo: web, part: 1}], objective: 99, window: 1d".to_owned(),
            "unknown key `part`",
        ),
    ] {
        let (_, problems) = read(&composite(&keys));
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{keys}\nexpected {expected}\n{problems:#?}"
        );
    }
}

#[test]
fn brokers_are_read_beside_grpc_and_their_passwords_are_never_shown() {
    for (intake, expected) in [
        ("{}", None),
        ("{amqp: {uri: 'amqp://ann:hunter2@127.0.0.1:5672/%2f'}}", None),
        ("{amqp: {uri: 'amqp://ann:hunter2@mq.example'}}", Some("unencrypted")),
        ("{amqp: {}}", Some("no broker is named")),
        ("{amqp: {uri: 'ann:hunter2'}}", Some("begins with amqp://")),
        ("{kafka: {}}", Some("unknown key `kafka`")),
    ] {
        let (_, problems) = read(&format!("slos: []\nintake: {intake}\n"));
        let told = problems.join("\n");
        assert!(!told.contains("hunter2"), "{told}");
        match expected {
            None => assert_eq!(told, "", "{intake}"),
            Some(expected) => assert!(told.contains(expected), "{intake}: {told}"),
        }
    }
}

#[test]
fn what_a_statistic_needs_is_asked_for_and_what_means_nothing_to_it_refused() {
    for (keys, problems) in [
        ("stat: distinct, of: region, op: '>=', value: 2", vec![]),
        ("stat: distinct, of: agent, op: '>=', value: 2", vec![]),
        (
            "stat: distinct, op: '>=', value: 2",
            vec![
                "2: stat distinct needs `of`: the label whose values are counted (write of: region)",
            ],
        ),
        (
            "stat: count, of: region, op: '>=', value: 2",
            vec!["2: `of` means nothing to stat count (it is for stat: distinct)"],
        ),
        (
            "stat: distinct, of: region, op: '>=', value: 2s",
            vec!["2: stat distinct is compared with a plain number ()"],
        ),
        (
            "stat: bad_ratio, op: '>', value: 2%",
            vec![
                "2: stat bad_ratio needs `good`: without it nothing is bad (write good: 'int(status) < 500')",
            ],
        ),
    ] {
        let rule =
            format!("rules:\n  - {{name: r, service: s, signal: probe, over: 1m, {keys}}}\n");
        assert_eq!(read(&rule).1, problems, "{keys}");
    }
}

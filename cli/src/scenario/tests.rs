//! Every scenario of the repository, and what those say that fail or can't be read.

use std::path::Path;

use watchkeeper_config::{Reader, load, load_str};

use super::run::{Tried, try_out};

/// What is wrong with it, if anything; and what it is.
fn tried(text: &str) -> Result<Tried, String> {
    let mut reader = Reader::new(&|_: &str| None);
    let tried =
        load_str("s.yaml", text, &mut reader).and_then(|document| try_out(&document, &mut reader));
    reader.finish(tried).map(|(tried, _)| tried).map_err(|problems| problems.render())
}

#[test]
fn every_scenario_of_the_repository_goes_as_expected() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut n_tried = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let mut reader = Reader::new(&|_: &str| None);
        let tried = load(&file, &mut reader).and_then(|document| try_out(&document, &mut reader));
        if let Err(problems) = reader.finish(tried) {
            panic!("{}", problems.render());
        }
        n_tried += 1;
    }
    assert!(n_tried >= 11, "{n_tried} scenarios");
}

const STORY: &str = "
name: a story
slos:
  - {name: shop, service: shop, signal: requests, good: 'int(status) < 500', objective: 99, window: 1h}
alerting:
  route: {receiver: pager, group_wait: 0s}
  receivers: [{name: pager, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]
traffic: {service: shop, signal: requests, rate: 10/s, labels: {status: 200}}
given:
  - {from: 0m, to: 10m}
  - {name: errors, from: 10m, to: 12m, labels: {status: 503}}
  - {from: 12m, to: 20m}
  - {name: late, from: 17m, to: 18m, rate: 0/s}
expect:
  - ";

#[test]
fn what_was_not_met_is_told_at_its_place_with_what_was_seen() {
    for (expect, said) in [
        ("{alert: shop, fires: 0s..30s after errors}", ""),
        (
            "{alert: shop, fires: 5m..6m after errors}",
            "s.yaml:15:5: error: expected alert \"shop\" to fire 5m..6m after errors",
        ),
        (
            "{alert: shop, fires: 5m..6m after errors}",
            "seen: it fired 4s after errors (page): burning ",
        ),
        (
            "{alert: shop, fires: 1m after end of errors}",
            "it fired already, since -1m56s after end of errors",
        ),
        ("{alert: shop, fires: 1m, severity: page}", "seen: it fired 10m4s (page)"),
        ("{alert: shop, clears: 5m}", "seen: it cleared 12m"),
        ("{alert: shop, clears: 7m after end of errors, within: 10s}", "seen: it cleared "),
        (
            "{alert: shop, clears: 5m after end of late}",
            "it did not fire then; it fired first -7m56s after end of late",
        ),
        ("{no_alert: shop}", "expected alert \"shop\" not to fire ever"),
        ("{no_alert: any, from: 5m, to: 9m}", ""),
        ("{at: 5m, alert: shop, state: firing}", "seen: there was none"),
        (
            "{at: 11m, alert: shop, state: firing, severity: ticket}",
            "seen: firing (page) since 10m4s",
        ),
        ("{at: 5m, alert: shop, state: quiet}", ""),
        ("{receiver: pager, told: open, at: 10m}", ""),
        ("{receiver: pager, told: close, at: 10m}", "seen: open 10m4s (shop)"),
        ("{receiver: pager, told: nothing}", "to be told nothing ever"),
        ("{slo: shop, total: ~12000, state: ok}", ""),
        ("{slo: shop, budget_remaining: 100%}", "seen: budget_remaining -9; 10800 of 12000 good"),
        ("{slo: shop, severity: page, burns: 1m after errors}", ""),
        (
            "{slo: shop, severity: page, calms: 30m after errors}",
            "expected SLO \"shop\" to calm down for a page",
        ),
    ] {
        match tried(&format!("{STORY}{expect}\n")) {
            Ok(tried) => assert_eq!((said, tried.n_expected), ("", 1), "{expect}"),
            Err(problems) => {
                assert!(!said.is_empty() && problems.contains(said), "{expect}: {problems}");
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place_and_nothing_is_played() {
    for (wrong, right, said) in [
        ("99,", "101,", "4:89: error: 101 is no objective"),
        ("fires: 1m}", "fires: 1m after erors}", "did you mean \"errors\"?"),
        ("alert: shop,", "alert: shpo,", "no alert is called \"shpo\""),
        ("fires: 1m}", "}", "`fires` is missing"),
        ("{alert: shop, fires: 1m}", "{at: 1m}", "nothing says what is expected"),
        ("{alert: shop, fires: 1m}", "{slo: nope, total: 1}", "no SLO is called \"nope\""),
        (
            "{alert: shop, fires: 1m}",
            "{receiver: nope, told: open}",
            "no receiver is called \"nope\"",
        ),
        ("rate: 10/s", "rate: often", "\"often\" is no rate"),
        ("service: shop, signal: requests, rate", "signal: requests, rate", "`service` is missing"),
        ("to: 12m, labels", "to: 9m, labels", "this stretch ends before it begins"),
        ("labels: {status: 503}", "bad: {share: 10%}", "nothing says what is bad"),
        (
            "labels: {status: 503}",
            "bad: {share: 110%, value: 1s}",
            "a share is between 0% and 100%",
        ),
        ("{from: 0m, to: 10m}", "{at: 1m}", "one thing that happens is needed here"),
        ("{from: 0m, to: 10m}", "{at: 1m, agent: a, does: sleeps}", "stops, falls silent, returns"),
        ("{from: 12m, to: 20m}", "{name: errors, from: 12m, to: 20m}", "another stretch is called"),
        ("name: a story", "nam: a story", "unknown key `nam`"),
        ("name: a story", "name: a story\ncollector: c.yaml", "can't stand together"),
    ] {
        let text = format!("{STORY}{{alert: shop, fires: 1m}}\n");
        assert!(text.contains(wrong), "{wrong}");
        let problems = tried(&text.replacen(wrong, right, 1)).unwrap_err();
        assert!(problems.contains(said), "{right}: {problems}");
        assert!(!problems.contains("seen:"), "{right}: {problems}");
    }
}

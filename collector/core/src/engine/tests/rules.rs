//! Rules: when they fire, when they are held, and when nothing means zero.

use std::time::Duration;

use super::world::{World, one_route, rule, settings};
use crate::alert::{AlertState, RuleSettings};
use crate::engine::{ByeReason, Fact, Input, Settings};
use crate::notify::Action;
use crate::series::{Filter, Op, Stat};
use watchkeeper_model::{AgentId, Event, Labels, Severity, Timestamp};

fn with(change: impl Fn(&mut RuleSettings)) -> Settings {
    let mut all = settings();
    let mut rule = rule("Errors", 0);
    change(&mut rule);
    all.slos.clear();
    all.rules = vec![rule];
    all.routes = one_route(0, 300, 14_400);
    all
}

fn beating(world: &mut World, secs: i64) {
    for _ in 0..secs / 10 {
        world.run(10);
        world.beat("web-1");
    }
}

#[test]
fn a_rule_met_by_one_line_fires_at_the_input_that_carries_it() {
    let mut world = World::new(with(|_| {}));
    world.seconds(30, 100, 0);
    assert!(!world.is_firing("Errors"));
    world.requests(0, 1);
    assert_eq!(world.news(), ["chat open first"]);
    let told = world.last.clone().unwrap();
    assert_eq!(told.alerts[0].value, Some(1.0));
    assert_eq!(told.alerts[0].reason, "count over 1m > 0 is 1");
    assert_eq!(told.alerts[0].agents, ["web-1"]);
}

#[test]
fn annotations_are_filled_in_when_somebody_is_told_and_never_hold_a_page_back() {
    let annotations = [
        ("summary", "{{ value | number }} errors of {{ labels.service }}"),
        ("description", "broken {{ value | nonsense }}"),
        ("runbook_url", "http://h/{{ 1 // 0 }}"),
    ];
    let mut world = World::new(with(|rule| rule.annotations = Labels::new(annotations)));
    world.requests(0, 3);
    assert_eq!(world.news(), ["chat open first"]);
    let told = world.last.clone().unwrap().alerts[0].annotations.clone();
    assert_eq!(told.get("summary"), "3 errors of shop");
    assert_eq!(told.get("runbook_url"), "http://h/{{ 1 // 0 }}");
    let description = told.get("description");
    assert!(
        description.starts_with("broken {{ value | nonsense }} (template failed: "),
        "{description}"
    );
    let failed = |fact: &&Fact| matches!(fact, Fact::WordingFailed { .. });
    assert_eq!(world.facts.iter().filter(failed).count(), 2);
    assert_eq!(world.engine.alerts()[0].annotations, Labels::new(annotations), "stored as written");
    let shown = world.engine.snapshot(world.now).alerts[0].annotations.clone();
    assert_eq!(shown.get("summary"), "3 errors of shop");
}

/// A rule that was met for 5 s in every 10 s, over an hour.
fn after_flapping(interval: u64) -> World {
    let mut world = World::new(Settings {
        routes: one_route(0, interval, 14_400),
        ..with(|rule| rule.over = Duration::from_secs(5))
    });
    beating(&mut world, 60);
    for _ in 0..360 {
        world.requests(0, 1);
        world.run(5);
        world.beat("web-1");
        world.run(5);
    }
    world
}

fn n_told(world: &World) -> (usize, usize, usize) {
    let n = |action| world.heard.iter().filter(|heard| heard.action == action).count();
    (n(Action::Open), n(Action::Update), n(Action::Close))
}

#[test]
fn what_comes_and_goes_is_one_incident_after_its_third_time_until_it_is_calm() {
    for (interval, while_flapping, after) in
        [(1, (3, 0, 2), (3, 0, 3)), (60, (1, 0, 0), (1, 0, 1)), (300, (1, 0, 0), (1, 0, 1))]
    {
        let mut world = after_flapping(interval);
        assert_eq!(n_told(&world), while_flapping, "group_interval {interval}");
        world.restart();
        beating(&mut world, 280);
        assert!(world.is_firing("Errors"));
        let reason = world.engine.alerts()[0].reason.clone();
        assert!(reason.starts_with("came back 2 times, held until it is calm for 5m"), "{reason}");
        beating(&mut world, 20 + 300);
        assert!(!world.is_firing("Errors"), "it was calm for five minutes");
        assert_eq!(n_told(&world), after, "group_interval {interval}");
    }
}

#[test]
fn what_returns_after_each_calm_is_held_longer_and_what_stays_away_is_not() {
    let mut world = World::new(Settings {
        routes: one_route(0, 1, 14_400),
        ..with(|rule| rule.over = Duration::from_secs(5))
    });
    beating(&mut world, 60);
    let held_for = |world: &mut World| {
        world.requests(0, 1);
        let start = world.secs();
        while world.is_firing("Errors") {
            world.run(1);
            world.beat("web-1");
        }
        world.secs() - start
    };
    let held: Vec<i64> = (0..7).map(|_| held_for(&mut world)).collect();
    assert_eq!(held, [5, 5, 305, 605, 1_205, 1_805, 1_805]);
    beating(&mut world, 660);
    assert_eq!(held_for(&mut world), 5, "ten minutes later it begins anew");
}

#[test]
fn a_held_alert_ends_by_itself_although_nothing_arrives_any_more_but_not_while_nobody_knows() {
    for (beats, is_firing) in [(true, false), (false, true)] {
        let mut world = after_flapping(1);
        match beats {
            true => beating(&mut world, 320),
            false => world.run(3_600),
        }
        assert_eq!(world.is_firing("Errors"), is_firing, "an agent that beats: {beats}");
    }
}

#[test]
fn nothing_is_zero_while_everybody_who_could_see_it_is_there() {
    let mut world = World::new(with(|_| {}));
    beating(&mut world, 60);
    world.requests(0, 1);
    assert!(world.is_firing("Errors"));
    beating(&mut world, 70);
    assert_eq!(world.alert("Errors").map(|a| a.0), Some(AlertState::Resolved));
}

#[test]
fn an_agent_that_has_kept_nothing_is_believed_right_after_a_start_and_one_with_a_backlog_is_not() {
    for (spool_bytes, state) in [(0, AlertState::Resolved), (1 << 30, AlertState::Firing)] {
        let mut world = World::new(with(|rule| rule.over = Duration::from_secs(5)));
        world.beat_with("web-1", |beat| beat.spool_bytes = spool_bytes);
        world.requests(0, 1);
        assert!(world.is_firing("Errors"));
        world.run(10);
        assert_eq!(world.alert("Errors").map(|a| a.0), Some(state), "{spool_bytes} B wait");
    }
}

#[test]
fn nothing_is_unknown_where_the_agent_is_silent_or_stopped() {
    for stopped in [false, true] {
        let mut world = World::new(with(|_| {}));
        beating(&mut world, 60);
        world.requests(0, 1);
        if stopped {
            let agent = AgentId::new("web-1");
            world.input(Input::Bye { agent, reason: ByeReason::Stop });
        }
        world.run(3600);
        assert_eq!(world.alert("Errors").map(|a| (a.0, a.1)), Some((AlertState::Firing, true)));
        beating(&mut world, 70);
        assert_eq!(world.alert("Errors").map(|a| a.0), Some(AlertState::Resolved));
    }
}

#[test]
fn it_fires_when_for_has_passed_and_stays_until_keep_firing_elapses() {
    let mut world = World::new(with(|rule| {
        rule.wait = Duration::from_secs(10);
        rule.keep = Duration::from_secs(20);
    }));
    beating(&mut world, 60);
    let start = world.secs();
    world.requests(0, 1);
    assert_eq!(world.alert("Errors").map(|a| a.0), Some(AlertState::Pending));
    world.run(9);
    assert!(!world.is_firing("Errors"));
    world.run(1);
    world.beat("web-1");
    assert!(world.is_firing("Errors"));
    while world.is_firing("Errors") {
        world.run(1);
        world.beat("web-1");
    }
    assert_eq!(world.secs() - start, 60 + 20);
}

#[test]
fn pending_and_its_timer_survive_a_restart() {
    let mut world = World::new(with(|rule| rule.wait = Duration::from_secs(10)));
    beating(&mut world, 60);
    world.requests(0, 1);
    world.run(7);
    world.restart();
    assert_eq!(world.alert("Errors").map(|a| a.0), Some(AlertState::Pending));
    world.run(2);
    assert!(!world.is_firing("Errors"));
    world.run(1);
    assert!(world.is_firing("Errors"));
}

#[test]
fn each_value_of_by_is_an_alert_of_its_own() {
    let mut world = World::new(with(|rule| {
        rule.by = vec!["agent".to_owned(), "status".to_owned()];
        rule.labels = Labels::new([("team", "web")]);
    }));
    world.requests_of("web-1", 0, 1);
    world.requests_of("web-2", 0, 1);
    let alerts = world.engine.alerts();
    let labels: Vec<String> = alerts.iter().map(|alert| alert.labels.to_string()).collect();
    assert_eq!(labels.len(), 2);
    for agent in ["web-1", "web-2"] {
        let expected = format!(
            r#"{{agent="{agent}", alertname="Errors", service="shop", status="500", team="web"}}"#
        );
        assert!(labels.contains(&expected), "{labels:?}");
    }
    assert_eq!(world.news(), ["chat open first"], "the second waits for group_interval");
    world.run(300);
    assert_eq!(world.news(), ["chat update new_alerts"]);
}

#[test]
fn absence_fires_by_time_and_ends_by_an_observation() {
    let absent = with(|rule| {
        rule.stat = Stat::Absent;
        rule.scope = Filter::all();
    });
    let mut world = World::new(absent);
    world.run(59);
    assert!(!world.is_firing("Errors"), "it was not looked for long enough");
    world.run(1);
    assert!(world.is_firing("Errors"));
    world.restart();
    assert_eq!(world.alert("Errors").map(|a| (a.0, a.1)), Some((AlertState::Firing, false)));
    world.requests(1, 0);
    assert!(!world.is_firing("Errors"));
    world.run(60);
    assert!(world.is_firing("Errors"));
}

#[test]
fn too_few_is_not_believed_of_a_window_that_was_not_seen_whole() {
    let mut world = World::new(with(|rule| {
        rule.scope = Filter::all();
        rule.op = Op::Less;
        rule.value =
            crate::series::Threshold::base(50_000_000, watchkeeper_model::Dimension::Plain);
        rule.min_events = 0;
    }));
    world.beat("web-1");
    world.seconds(20, 1, 0);
    world.beat("web-1");
    assert!(!world.is_firing("Errors"));
    world.seconds(20, 1, 0);
    world.beat("web-1");
    world.seconds(19, 1, 0);
    assert!(!world.is_firing("Errors"), "60 will be enough");
    world.seconds(3, 1, 0);
    world.beat("web-1");
    assert!(!world.is_firing("Errors"));
    world.run(20);
    assert!(world.is_firing("Errors"));
}

#[test]
fn too_many_groups_are_counted_and_said() {
    let mut world = World::new(with(|rule| rule.by = vec!["agent".to_owned()]));
    for i in 0..crate::alert::MAX_GROUPS + 3 {
        world.requests_of(&format!("web-{i}"), 0, 1);
    }
    let said = world.facts.iter().filter(|f| matches!(f, Fact::GroupsOverflowed { .. })).count();
    assert_eq!((world.engine.alerts().len(), said), (crate::alert::MAX_GROUPS, 2));
}

#[test]
fn annotations_see_the_latest_events_of_the_service_in_their_order_and_not_when_it_is_over() {
    let text = "{% for e in events %}{{ e.message }} {% endfor %}";
    let mut world = World::new(with(|rule| rule.annotations = Labels::new([("last", text)])));
    let event = |n: i64, severity: Severity| Event {
        at: Timestamp::from_secs(n),
        source: "log".to_owned(),
        name: "line".to_owned(),
        severity,
        message: n.to_string(),
        correlation: String::new(),
        trace: String::new(),
        fields: "{}".to_owned(),
        truncated: false,
    };
    // An old error does not stand in the place of what was seen last; what comes late finds its place.
    let old = (1..=12).map(|n| event(n, Severity::Error));
    let fresh =
        [event(102, Severity::Info), event(103, Severity::Error), event(101, Severity::Info)];
    world.commit("web-1", Vec::new(), old.chain(fresh).collect());
    world.requests(0, 1);
    let last =
        |world: &World| world.last.clone().unwrap().alerts[0].annotations.get("last").to_owned();
    assert_eq!(last(&world), "6 7 8 9 10 11 12 101 102 103 ");
    beating(&mut world, 400);
    assert!(!world.is_firing("Errors"));
    assert_eq!(last(&world), "");
}

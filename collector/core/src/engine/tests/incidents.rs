//! Incidents: opened once, closed whatever happens in between.

use std::time::Duration;

use super::world::{Mode, World, one_route, receiver, rule, settings};
use crate::alert::Builtin;
use crate::engine::{Effect, Fact, Input, IntegrationSettings, Settings};
use crate::notify::{Decision, DeliveryOutcome, DeliveryRow, IncidentRow, IncidentState};
use crate::route::{GroupBy, Matcher, RouteSettings, RouteTree};
use watchkeeper_model::Labels;

/// A rule that fires with a bad request and ends a minute later, told to `chat`.
fn one_rule() -> Settings {
    let mut all = settings();
    all.slos.clear();
    all.rules = vec![rule("Errors", 0)];
    all.routes = one_route(0, 300, 14_400);
    all
}

/// Time with beats, so that no bad request is none.
fn healthy(world: &mut World, secs: i64) {
    for _ in 0..secs {
        world.run(1);
        if world.secs() % 10 == 0 {
            world.beat("web-1");
        }
    }
}

/// A bad request, in time to go on with what an earlier one began.
fn breach(world: &mut World) {
    healthy(world, 50);
    world.requests(0, 1);
}

#[test]
fn an_end_waits_for_group_interval_and_closes() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    healthy(&mut world, 299);
    assert_eq!(world.news(), ["chat open first"]);
    healthy(&mut world, 1);
    assert_eq!(world.news(), ["chat close all_resolved"]);
    assert_eq!(world.n_open(), 0);
}

#[test]
fn of_what_leaves_at_once_pages_are_first() {
    let mut all = one_rule();
    let mut page = rule("Zebra", 0);
    page.labels = Labels::new([("severity", "page")]);
    all.rules = vec![rule("Aardvark", 0), page, rule("Mouse", 0)];
    all.routes = one_route(30, 300, 14_400);
    let mut world = World::new(all);
    breach(&mut world);
    healthy(&mut world, 40);
    let order: Vec<&str> = world.heard.iter().map(|heard| heard.alerts[0].as_str()).collect();
    assert_eq!(order, ["Zebra", "Aardvark", "Mouse"]);
}

#[test]
fn what_ends_within_group_wait_is_told_to_nobody() {
    let mut all = one_rule();
    all.routes = one_route(90, 300, 14_400);
    let mut world = World::new(all);
    breach(&mut world);
    healthy(&mut world, 600);
    assert_eq!(world.news(), Vec::<String>::new());
    let why = |fact: &Fact| match fact {
        Fact::NotificationDecided { decision, .. } => Some(decision.to_string()),
        _ => None,
    };
    let whys: Vec<String> = world.facts.iter().filter_map(why).collect();
    assert!(whys[0].starts_with("not sent: group_wait until "), "{whys:?}");
    assert_eq!(whys.last().map(String::as_str), Some("not sent: no_open_incident"));
    assert!(world.disk.is_without("group"));
}

#[test]
fn an_unchanged_problem_is_told_again_after_repeat_interval() {
    let mut all = one_rule();
    all.routes = one_route(0, 60, 600);
    let mut world = World::new(all);
    for _ in 0..70 {
        breach(&mut world);
    }
    let at: Vec<i64> = world.heard.iter().map(|h| h.at).collect();
    let gaps: Vec<i64> = at.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.len() >= 5 && gaps.iter().all(|gap| *gap == 600), "{gaps:?}");
}

#[test]
fn every_step_survives_a_restart() {
    let script = |world: &mut World| {
        world.seconds(60, 100, 0);
        world.run(1);
        world.requests(0, 3000);
        world.seconds(100, 100, 0);
        world.run(300);
        world.requests(0, 1);
        world.seconds(70, 100, 0);
        world.run(400);
    };
    let all = || {
        let mut all = settings();
        all.rules = vec![rule("Errors", 0)];
        all
    };
    let mut steady = World::new(all());
    script(&mut steady);
    let mut restarted = World::new(all());
    restarted.restart_always = true;
    script(&mut restarted);
    let words = |world: &World| {
        let mut heard = world.heard.clone();
        // A word that was under way at the restart may come twice, under one key.
        heard.dedup();
        heard
    };
    assert_eq!(words(&steady), words(&restarted));
    assert!(steady.heard.len() >= 4, "{:?}", steady.heard);
}

#[test]
fn a_delivery_under_way_at_a_crash_is_sent_again_under_the_same_key() {
    let mut world = World::new(one_rule());
    world.mode("chat", Mode::Slow);
    breach(&mut world);
    world.restart();
    world.restart();
    world.mode("chat", Mode::Works);
    assert_eq!(world.news(), ["chat open first"]);
    assert_eq!(world.last.clone().map(|n| n.incident), Some(1));
    healthy(&mut world, 400);
    assert_eq!(world.n_open(), 0);
}

#[test]
fn a_refused_open_is_tried_again_at_group_interval_and_never_closed() {
    let mut world = World::new(one_rule());
    world.mode("chat", Mode::Refuses);
    for _ in 0..8 {
        breach(&mut world);
    }
    let tries = |world: &World| -> usize {
        let is_open = |f: &&Fact| matches!(f, Fact::DeliveryReported { .. });
        world.facts.iter().filter(is_open).count()
    };
    assert_eq!(tries(&world), 2, "group_interval is five minutes");
    healthy(&mut world, 700);
    assert_eq!(world.heard, []);
    world.mode("chat", Mode::Works);
    healthy(&mut world, 7200);
    assert_eq!(world.heard, [], "what was never opened need not be closed");
    breach(&mut world);
    assert_eq!(world.news(), ["chat open first"]);
}

#[test]
fn a_wrong_key_is_told_to_the_others_and_never_becomes_a_storm() {
    let mut all = one_rule();
    all.builtin.changed.remove(&Builtin::ReceiverFailing);
    all.routes = one_route(0, 1, 14_400);
    let mut world = World::new(all);
    world.mode("chat", Mode::Refuses);
    breach(&mut world);
    assert_eq!(world.news(), ["oncall open first"]);
    for _ in 0..360 {
        world.requests(0, 1);
        world.run(10);
        world.beat("web-1");
    }
    let refused = |fact: &&Fact| {
        matches!(fact, Fact::DeliveryReported { outcome: DeliveryOutcome::Failed, .. })
    };
    let n_tries = world.facts.iter().filter(refused).count();
    assert!(n_tries <= 362, "{n_tries} in an hour, though the group may speak each second");
    assert_eq!(world.news(), Vec::<String>::new(), "the others are told once");
}

#[test]
fn an_open_whose_answer_was_lost_is_closed_all_the_same() {
    let mut world = World::new(one_rule());
    world.mode("chat", Mode::Mute);
    breach(&mut world);
    world.mode("chat", Mode::Works);
    healthy(&mut world, 700);
    assert_eq!(world.n_open(), 0);
    assert_eq!(world.heard.last().map(|h| h.reason.as_str()), Some("all_resolved"));
}

#[test]
fn a_close_is_tried_until_it_is_confirmed() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    world.mode("chat", Mode::Down);
    healthy(&mut world, 7200);
    assert_eq!(world.n_open(), 1);
    world.restart();
    world.mode("chat", Mode::Works);
    healthy(&mut world, 3601);
    assert_eq!(world.n_open(), 0);
    assert_eq!(world.heard.last().map(|h| h.reason.as_str()), Some("close_again"));
}

#[test]
fn a_close_that_fails_for_a_day_is_given_up_and_said() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    world.mode("chat", Mode::Refuses);
    healthy(&mut world, 26 * 3600);
    let said = |f: &&Fact| matches!(f, Fact::IncidentAbandoned { .. });
    assert_eq!(world.facts.iter().filter(said).count(), 1);
    assert!(world.engine.receivers_in_use().is_empty());
}

#[test]
fn what_fires_again_before_its_close_got_through_stays_one_incident() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    world.mode("chat", Mode::Down);
    healthy(&mut world, 400);
    world.mode("chat", Mode::Works);
    world.news();
    world.requests(0, 1);
    healthy(&mut world, 300);
    assert!(world.heard.iter().all(|h| h.reason != "first"), "{:?}", world.heard);
}

#[test]
fn a_reload_that_changes_nothing_tells_nobody_and_keeps_timers() {
    let mut all = one_rule();
    all.rules.push(rule("Other", 5));
    let mut world = World::new(all);
    breach(&mut world);
    world.news();
    world.requests(0, 7);
    for _ in 0..30 {
        world.reload(|_| {});
        world.run(1);
    }
    assert_eq!(world.news(), ["chat open first"], "the other alert, in its own group");
    world.reload(|settings| {
        settings.rules[0].annotations =
            watchkeeper_model::Labels::new([("summary", "words changed")]);
    });
    world.run(1);
    assert_eq!(world.news(), Vec::<String>::new());
}

#[test]
fn what_is_deleted_closes_at_once() {
    type Change = fn(&mut Settings);
    let table: Vec<(&str, Change, &[&str])> = vec![
        ("the rule", |s| s.rules.clear(), &["chat close deleted"]),
        (
            "the receiver",
            |s| {
                s.receivers = vec![receiver("mail", true)];
                s.routes = RouteTree::build(&RouteSettings::default(), "mail");
                s.routes = fast(s);
            },
            &["mail open first", "chat close deleted"],
        ),
        ("the integration", |s| s.receivers[0].integrations.clear(), &["chat close deleted"]),
        (
            "the route",
            |s| {
                s.receivers.push(receiver("mail", true));
                s.routes = fast(s);
            },
            &["mail open first", "chat close rerouted"],
        ),
    ];
    for (what, change, expected) in table {
        let mut world = World::new(one_rule());
        breach(&mut world);
        world.news();
        world.reload(change);
        assert_eq!(world.news(), expected, "{what}");
        assert!(world.n_open() <= 1);
        healthy(&mut world, 700);
        assert_eq!(world.n_open(), 0, "{what}");
    }
}

fn fast(_: &Settings) -> RouteTree {
    let route = RouteSettings { group_wait: Some(Duration::ZERO), ..RouteSettings::default() };
    RouteTree::build(&route, "mail")
}

#[test]
fn a_rule_deleted_while_the_collector_was_off_is_closed_at_start() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    world.news();
    world.settings.rules.clear();
    world.restart();
    assert_eq!(world.news(), ["chat close deleted"]);
}

#[test]
fn where_ends_are_not_wanted_the_incident_ends_in_the_ledger() {
    let mut all = one_rule();
    all.receivers = vec![receiver("chat", false)];
    let mut world = World::new(all);
    breach(&mut world);
    healthy(&mut world, 700);
    assert_eq!(world.news(), ["chat open first"]);
    assert!(world.engine.receivers_in_use().is_empty());
    breach(&mut world);
    assert_eq!(world.last.clone().map(|n| n.incident), Some(2));
}

#[test]
fn one_integration_does_not_wait_for_another() {
    let mut all = one_rule();
    all.receivers.push(receiver("mail", true));
    all.receivers[0].integrations.push(IntegrationSettings {
        id: "slack[0]".to_owned(),
        kind: "slack".to_owned(),
        send_resolved: true,
    });
    let mut world = World::new(all);
    breach(&mut world);
    assert_eq!(world.news(), ["chat open first", "chat open first"]);
    assert_eq!(world.n_open(), 2);
    healthy(&mut world, 400);
    assert_eq!(world.n_open(), 0);
}

#[test]
fn the_failing_of_a_receiver_is_told_to_the_others() {
    let mut all = one_rule();
    all.builtin.changed.remove(&Builtin::ReceiverFailing);
    let mut world = World::new(all);
    world.mode("chat", Mode::Down);
    breach(&mut world);
    healthy(&mut world, 59);
    assert!(!world.is_firing("ReceiverFailing"));
    healthy(&mut world, 1);
    assert_eq!(world.news(), ["oncall open first"]);
    world.mode("chat", Mode::Works);
    healthy(&mut world, 3000);
    assert!(!world.is_firing("ReceiverFailing"));
    assert_eq!(world.n_open(), 0);
    world.news();
    world.mode("chat", Mode::Refuses);
    breach(&mut world);
    assert_eq!(world.news(), ["oncall open first"], "for good is told at once");
}

#[test]
fn the_watchdog_is_seen_and_told_only_where_it_is_asked_for() {
    let mut all = one_rule();
    all.builtin.changed.remove(&Builtin::Watchdog);
    let mut world = World::new(all.clone());
    world.run(600);
    assert!(world.is_firing("Watchdog"));
    assert_eq!(world.news(), Vec::<String>::new());
    world.reload(|settings| {
        let mut root = RouteSettings {
            group_by: Some(GroupBy::All),
            group_wait: Some(Duration::ZERO),
            ..RouteSettings::default()
        };
        root.routes.push(RouteSettings {
            receiver: Some("oncall".to_owned()),
            matchers: vec![Matcher::parse("alertname=Watchdog").unwrap()],
            ..RouteSettings::default()
        });
        settings.routes = RouteTree::build(&root, "chat");
    });
    assert_eq!(world.news(), ["oncall open first"]);
    world.reload(|settings| drop(settings.builtin.changed.insert(Builtin::Watchdog, None)));
    assert_eq!(world.news(), ["oncall close deleted"]);
}

#[test]
fn acknowledging_is_kept_over_a_restart_and_forgotten_at_the_end() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    let fingerprint = world.engine.alerts()[0].fingerprint;
    let (by, comment) = ("ann".to_owned(), "on it".to_owned());
    world.input(Input::Acknowledge { fingerprint, by, comment });
    world.restart();
    let acknowledged = |world: &World| world.engine.alerts()[0].acknowledged_by.clone();
    assert_eq!(acknowledged(&world).as_deref(), Some("ann"));
    healthy(&mut world, 400);
    assert_eq!(acknowledged(&world), None);
}

#[test]
fn an_incident_remembers_who_took_it_on_first_and_when() {
    let mut world = World::new(one_rule());
    breach(&mut world);
    let fingerprint = world.engine.alerts()[0].fingerprint;
    let saved = |effects: &[Effect]| {
        let rows = effects.iter().filter_map(|effect| match effect {
            Effect::SaveIncident(row) => row.acknowledged.get(&fingerprint).cloned(),
            _ => None,
        });
        rows.map(|ack| (ack.by, ack.at)).collect::<Vec<_>>()
    };
    let (at, comment) = (world.now, String::new());
    let take =
        |by: &str| Input::Acknowledge { fingerprint, by: by.to_owned(), comment: comment.clone() };
    assert_eq!(saved(&world.engine.handle(take("ann"), at)), [("ann".to_owned(), at)]);
    assert_eq!(saved(&world.engine.handle(take("bob"), at)), [], "the first one counts");
}

#[test]
fn the_ledger_says_what_became_of_each_attempt() {
    let mut world = World::new(one_rule());
    world.mode("chat", Mode::Down);
    breach(&mut world);
    world.mode("chat", Mode::Works);
    for _ in 0..7 {
        breach(&mut world);
    }
    healthy(&mut world, 700);
    let rows: Vec<DeliveryRow> = world.disk.all("delivery");
    let short: Vec<_> =
        rows.iter().map(|r| (r.reason.as_str(), r.attempt, r.outcome, r.incident)).collect();
    assert_eq!(
        short,
        [
            ("first", 2, DeliveryOutcome::Failed, 1),
            ("open_again", 1, DeliveryOutcome::Ok, 1),
            ("all_resolved", 1, DeliveryOutcome::Ok, 1),
        ]
    );
    assert!(rows.iter().all(|row| row.notification.is_none() && row.alerts == ["Errors"]));
    let incidents: Vec<IncidentRow> = world.disk.all("incident");
    assert_eq!(incidents[0].state, IncidentState::Closed);
}

#[test]
fn what_was_told_together_with_others_is_told_and_the_ledger_says_how() {
    let mut world = World::new(one_rule());
    world.mode("chat", Mode::Digests);
    breach(&mut world);
    healthy(&mut world, 400);
    let rows: Vec<DeliveryRow> = world.disk.all("delivery");
    let short: Vec<_> = rows.iter().map(|r| (r.reason.as_str(), r.attempt, r.outcome)).collect();
    assert_eq!(
        short,
        [
            ("first, in a digest of 40", 1, DeliveryOutcome::Ok),
            ("all_resolved, in a digest of 40", 1, DeliveryOutcome::Ok),
        ]
    );
    assert!(rows.iter().all(|row| row.error.as_deref() == Some("but one")));
    let incidents: Vec<IncidentRow> = world.disk.all("incident");
    assert_eq!((incidents[0].state, &incidents[0].memory), (IncidentState::Closed, &None));
    assert_eq!(world.n_open(), 0);
}

#[test]
fn the_same_inputs_give_the_same_effects() {
    let run = || {
        let mut world = World::new(one_rule());
        breach(&mut world);
        healthy(&mut world, 400);
        format!("{:?}{:?}", world.facts, world.last)
    };
    assert_eq!(run(), run());
}

#[test]
fn an_unknown_delivery_is_only_noted() {
    let mut world = World::new(one_rule());
    let reply = crate::notify::Reply::Ok { status: None, memory: None, note: None };
    world.input(Input::Delivered { delivery: 99, reply });
    assert!(world.facts.iter().any(|f| matches!(f, Fact::UnknownDelivery { delivery: 99, .. })));
    assert!(
        !world
            .facts
            .iter()
            .any(|f| matches!(f, Fact::NotificationDecided { decision: Decision::Send(..), .. }))
    );
}

#[test]
fn what_joins_a_waiting_group_before_a_crash_is_told_with_it() {
    let mut all = one_rule();
    all.rules[0].by = vec!["agent".to_owned()];
    all.routes = one_route(30, 300, 14_400);
    let mut world = World::new(all);
    world.requests_of("web-1", 0, 1);
    world.run(10);
    world.requests_of("web-2", 0, 1);
    world.restart();
    world.run(19);
    assert_eq!(world.news(), Vec::<String>::new());
    world.run(1);
    assert_eq!(world.heard.iter().map(|h| h.alerts.len()).collect::<Vec<_>>(), [2]);
    world.requests_of("web-3", 0, 1);
    world.restart();
    world.run(299);
    assert_eq!(world.heard.len(), 1, "group_interval holds over a restart");
    world.run(1);
    assert_eq!(world.heard.last().map(|h| h.reason.as_str()), Some("new_alerts"));
}

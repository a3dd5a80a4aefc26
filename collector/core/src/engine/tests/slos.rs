//! SLO alerts from the first bad request to the last word.

use std::time::Duration;

use super::world::{Mode, World, one_route, settings};
use crate::alert::{AlertState, Builtin};
use crate::engine::{ByeReason, Fact, Input};
use crate::notify::Action;
use crate::slo::{SloState, SloWindow};
use watchkeeper_model::AgentId;

#[test]
fn a_page_leaves_with_the_input_that_carries_the_news() {
    let mut world = World::new(settings());
    world.seconds(120, 100, 0);
    assert_eq!(world.news(), Vec::<String>::new());
    world.run(1);
    world.requests(0, 2000);
    assert_eq!(world.news(), ["oncall open first"]);
}

#[test]
fn an_incident_is_opened_updated_and_closed_once() {
    let mut world = World::new(settings());
    world.seconds(120, 100, 0);
    world.run(1);
    world.requests(0, 2000);
    world.seconds(400, 100, 0);
    assert_eq!(
        world.news(),
        [
            "oncall open first",
            "chat open first",
            "oncall close rerouted",
            "chat close all_resolved"
        ],
        "the page becomes a ticket before it ends"
    );
    world.run(1000);
    assert_eq!(world.alert("shop"), None, "long resolved and forgotten");
    assert!(world.disk.is_without("group") && world.disk.is_without("alert"));
    assert_eq!(world.n_open(), 0);
}

#[test]
fn severity_falls_to_another_route_only_when_that_is_told() {
    let mut world = World::new(settings());
    world.seconds(120, 100, 0);
    world.seconds(60, 0, 100);
    world.news();
    world.mode("chat", Mode::Slow);
    while world.alert("shop").unwrap().2 == "page" {
        world.seconds(1, 100, 0);
    }
    assert!(world.is_firing("shop"));
    world.seconds(30, 100, 0);
    assert_eq!(world.news(), Vec::<String>::new(), "the page stands until the ticket is told");
    world.mode("chat", Mode::Works);
    world.seconds(1, 100, 0);
    assert_eq!(world.news(), ["chat open first", "oncall close rerouted"]);
}

#[test]
fn severity_rises_at_once_and_opens_the_new_before_it_closes_the_old() {
    let mut slow = settings();
    slow.slos[0].window = SloWindow::Rolling(Duration::from_secs(30 * 86_400));
    let mut world = World::new(slow);
    for _ in 0..180 {
        world.run(60);
        world.requests(6000 - 250, 250);
    }
    assert_eq!(world.alert("shop").map(|a| a.2).as_deref(), Some("ticket"));
    assert_eq!(world.news(), ["chat open first"]);
    while world.alert("shop").unwrap().2 == "ticket" {
        world.run(10);
        world.requests(0, 1000);
    }
    assert_eq!(world.news(), ["oncall open first", "chat close rerouted"]);
    let moves = world.facts.iter().filter(|fact| {
        matches!(
            fact,
            Fact::AlertMoved { from: Some(AlertState::Firing), to: Some(AlertState::Firing), .. }
        )
    });
    assert_eq!(moves.count(), 1, "a change of severity is a transition");
}

#[test]
fn severity_rises_within_one_group_without_waiting() {
    let mut patient = settings();
    patient.routes = one_route(30, 300, 14_400);
    patient.slos[0].window = SloWindow::Rolling(Duration::from_secs(30 * 86_400));
    let mut world = World::new(patient);
    for _ in 0..180 {
        world.run(60);
        world.requests(6000 - 250, 250);
    }
    assert_eq!(world.news(), ["chat open first"]);
    while world.alert("shop").unwrap().2 == "ticket" {
        world.run(10);
        world.requests(0, 1000);
    }
    assert_eq!(world.news(), ["chat update severity_up"]);
}

#[test]
fn silence_holds_an_alert_and_marks_it_stale() {
    let mut world = World::new(settings());
    world.seconds(60, 0, 100);
    world.run(86_400);
    assert_eq!(world.alert("shop"), Some((AlertState::Firing, true, "page".to_owned())));
    assert_eq!(world.n_open(), 1);
    world.seconds(400, 100, 0);
    assert_eq!(world.n_open(), 0);
}

#[test]
fn no_traffic_stopped_silent_and_healthy_are_four_things() {
    let mut all = settings();
    all.builtin.changed.remove(&Builtin::NoData);
    all.builtin.changed.remove(&Builtin::AgentSilent);
    let beat_for = |world: &mut World, secs: i64| {
        for _ in 0..secs / 10 {
            world.run(10);
            world.beat("web-1");
        }
    };
    let states = |world: &World| {
        let slo = world.engine.slos(world.now)[0].state;
        (slo, world.is_firing("NoData"), world.is_firing("AgentSilent"))
    };
    let mut world = World::new(all.clone());
    world.beat("web-1");
    world.seconds(60, 100, 0);
    world.beat("web-1");
    assert_eq!(states(&world), (SloState::Ok, false, false), "healthy");
    beat_for(&mut world, 1000);
    assert_eq!(states(&world), (SloState::NoData, true, false), "no traffic");
    world.requests(100, 0);
    assert_eq!(states(&world), (SloState::Ok, false, false), "healthy again");
    world.run(29);
    assert!(!states(&world).2);
    world.run(1);
    assert_eq!(states(&world), (SloState::Ok, false, true), "silent");
    world.beat("web-1");
    assert!(!states(&world).2);
    world.requests(100, 0);
    world.input(Input::Bye { agent: AgentId::new("web-1"), reason: ByeReason::Sleep });
    world.run(86_400);
    assert_eq!(states(&world), (SloState::NoData, false, false), "stopped");
    world.beat("web-1");
    beat_for(&mut world, 890);
    assert!(!states(&world).1, "back from a stop it has its 15 minutes");
    beat_for(&mut world, 20);
    assert!(states(&world).1);
}

#[test]
fn a_ten_minute_slo_pages_and_clears_within_seconds() {
    let mut demo = settings();
    demo.slos[0].window = SloWindow::Rolling(Duration::from_secs(600));
    let mut world = World::new(demo);
    world.seconds(60, 50, 0);
    world.seconds(20, 0, 50);
    let opened = world.heard.first().map(|h| (h.at, h.action));
    assert!(opened.is_some_and(|(at, action)| at <= 65 && action == Action::Open), "{opened:?}");
    world.seconds(100, 50, 0);
    assert!(!world.is_firing("shop"));
}

#[test]
fn a_notification_has_what_a_person_needs() {
    let mut world = World::new(settings());
    world.requests_of("web-1", 1, 1);
    world.requests_of("web-2", 1, 300);
    world.requests_of("web-1", 1, 100);
    world.requests_of("web-2", 1, 300);
    let told = world.last.clone().unwrap();
    let alert = &told.alerts[0];
    let facts = alert.slo.clone().unwrap();
    assert_eq!((facts.objective, facts.window.as_str()), (99.0, "1h"));
    assert!(facts.budget_remaining < 1.0 && !facts.burn.is_empty());
    assert_eq!(alert.agents.first().map(String::as_str), Some("web-2"));
    assert!(alert.reason.starts_with("burning "), "{}", alert.reason);
    assert_eq!(told.group_key, r#"{}/{severity="page"}:{alertname="shop"}"#);
    assert_eq!(told.dedup_key.len(), 64);
}

#[test]
fn a_tier_that_can_never_fire_is_said_once() {
    let mut low = settings();
    low.slos[0].objective =
        crate::slo::Objective::from_percent(watchkeeper_model::Decimal::from_int(50)).unwrap();
    let world = World::new(low);
    let left_out = world.facts.iter().filter(|f| matches!(f, Fact::TierLeftOut { .. }));
    assert_eq!(left_out.count(), 3);
}

#[test]
fn a_ticket_stands_while_the_page_that_replaces_it_is_refused() {
    let mut long = settings();
    long.slos[0].window = SloWindow::Rolling(Duration::from_secs(30 * 86_400));
    let mut world = World::new(long);
    for _ in 0..180 {
        world.run(60);
        world.requests(6000 - 250, 250);
    }
    world.mode("oncall", Mode::Refuses);
    while world.alert("shop").unwrap().2 == "ticket" {
        world.run(10);
        world.requests(0, 1000);
    }
    assert_eq!(world.news(), ["chat open first"]);
    assert_eq!(world.n_open(), 1, "somebody knows of it");
    world.mode("oncall", Mode::Works);
    for _ in 0..31 {
        world.run(10);
        world.requests(0, 1000);
    }
    assert_eq!(world.news(), ["oncall open open_again", "chat close rerouted"]);
}

#[test]
fn a_reload_keeps_the_counts_of_what_is_counted_alike() {
    let mut world = World::new(settings());
    world.seconds(60, 98, 2);
    let total = |world: &World| world.engine.slos(world.now)[0].total;
    assert_eq!(total(&world), 6000);
    world.reload(|settings| {
        settings.slos[0].objective =
            crate::slo::Objective::from_percent(watchkeeper_model::Decimal::from_int(90)).unwrap();
    });
    assert_eq!(total(&world), 6000);
    assert!(!world.is_firing("shop"), "2 % are allowed now");
    world.reload(|settings| settings.slos[0].good = crate::series::Filter::all());
    assert_eq!(total(&world), 0, "it counts something else now");
}

#[test]
fn what_counts_something_else_now_is_held_until_there_are_data() {
    let mut world = World::new(settings());
    world.seconds(60, 0, 100);
    world.reload(|settings| {
        settings.slos[0].good = crate::series::Filter::compile("int(status) < 400").unwrap();
    });
    assert_eq!(world.alert("shop").map(|a| (a.0, a.1)), Some((AlertState::Firing, true)));
    world.seconds(1, 100, 0);
    assert_eq!(world.alert("shop").map(|a| a.0), Some(AlertState::Resolved));
}

#[test]
fn many_inputs_in_one_second_cost_few_evaluations_and_none_is_missed() {
    let mut world = World::new(settings());
    world.seconds(60, 100, 0);
    for _ in 0..100 {
        world.requests(10, 0);
    }
    world.requests(0, 5000);
    assert!(!world.is_firing("shop"), "this second's evaluations are spent");
    world.now = world.now.shifted(100_000_000);
    world.input(Input::Tick);
    assert!(world.is_firing("shop"));
}

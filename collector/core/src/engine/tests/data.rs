//! What the data of an SLO are worth: none, stale, late, unjudged. One table each.

use std::time::Duration;

use super::world::{World, settings};
use crate::alert::{AlertState, Builtin};
use crate::engine::{ByeReason, Fact, Input, Settings};
use crate::series::Filter;
use crate::slo::{SloState, SloWindow};
use watchkeeper_model::AgentId;

fn with(builtins: &[Builtin]) -> Settings {
    let mut all = settings();
    builtins.iter().for_each(|builtin| drop(all.builtin.changed.remove(builtin)));
    all
}

/// 99 % over 30 days, so that pages look at 5 min and 1 h.
fn over_a_month(builtins: &[Builtin]) -> Settings {
    let mut all = with(builtins);
    all.slos[0].window = SloWindow::Rolling(Duration::from_secs(30 * 86_400));
    all
}

/// The state of the SLO, of its alert, and which of ours fire.
fn seen(world: &World) -> (SloState, Option<(AlertState, bool)>, Vec<&'static str>) {
    let ours = [Builtin::NoData, Builtin::AgentSilent, Builtin::Unjudged, Builtin::LateBreach];
    (
        world.engine.slos(world.now)[0].state,
        world.alert("shop").map(|(state, stale, _)| (state, stale)),
        ours.iter().map(|b| b.as_str()).filter(|name| world.is_firing(name)).collect(),
    )
}

/// Seconds of beats of an agent, and of good requests if there are any.
fn live(world: &mut World, secs: i64, good: u64) {
    for second in 0..secs {
        world.run(1);
        if second % 10 == 0 {
            world.beat("web-1");
        }
        if good > 0 {
            world.requests(good, 0);
        }
    }
}

#[test]
fn without_data_there_are_as_many_states_as_reasons() {
    type Act = fn(&mut World);
    let rows: [(&str, Act, SloState, &[&str]); 8] = [
        ("healthy", |w| live(w, 60, 10), SloState::Ok, &[]),
        ("no traffic, not for long", |w| live(w, 890, 0), SloState::Ok, &[]),
        ("no traffic", |w| live(w, 910, 0), SloState::NoData, &["NoData"]),
        ("the agent is silent", |w| w.run(60), SloState::Ok, &["AgentSilent"]),
        (
            "the agent is silent for long",
            |w| w.run(1000),
            SloState::NoData,
            &["NoData", "AgentSilent"],
        ),
        (
            "the agent was stopped",
            |w| {
                w.input(Input::Bye { agent: AgentId::new("web-1"), reason: ByeReason::Stop });
                w.run(1000);
            },
            SloState::NoData,
            &[],
        ),
        (
            "the laptop sleeps for a weekend",
            |w| {
                w.input(Input::Bye { agent: AgentId::new("web-1"), reason: ByeReason::Sleep });
                w.run(2 * 86_400);
            },
            SloState::NoData,
            &[],
        ),
        (
            "we slept ourselves",
            |w| {
                w.now = w.now.shifted(86_400 * 1_000_000_000);
                w.input(Input::Tick);
                live(w, 60, 0);
            },
            SloState::NoData,
            &[],
        ),
    ];
    for (sentence, act, state, ours) in rows {
        let mut world = World::new(with(&[Builtin::NoData, Builtin::AgentSilent]));
        live(&mut world, 60, 10);
        act(&mut world);
        assert_eq!(seen(&world), (state, None, ours.to_vec()), "{sentence}");
        // Whatever it was: data end it.
        live(&mut world, 11, 10);
        assert_eq!(seen(&world), (SloState::Ok, None, vec![]), "{sentence}, and data again");
    }
}

#[test]
fn an_slo_over_a_signal_that_nobody_sends_says_so_and_nothing_else() {
    let mut world = World::new(with(&[Builtin::NoData]));
    world.run(899);
    assert_eq!(seen(&world), (SloState::NoData, None, vec![]));
    world.run(2);
    assert_eq!(seen(&world), (SloState::NoData, None, vec!["NoData"]));
    world.run(30 * 86_400);
    assert_eq!(seen(&world), (SloState::NoData, None, vec!["NoData"]));
}

#[test]
fn a_firing_alert_whose_data_stop_is_held_until_data_say_otherwise() {
    let stale = Some((AlertState::Firing, true));
    let fresh = Some((AlertState::Firing, false));
    type Act = fn(&mut World);
    type Row = (&'static str, Act, Option<(AlertState, bool)>);
    let rows: [Row; 6] = [
        ("errors go on", |w| w.seconds(60, 0, 100), fresh),
        ("no traffic for a day", |w| w.run(86_400), stale),
        (
            "the agent was stopped",
            |w| {
                w.input(Input::Bye { agent: AgentId::new("web-1"), reason: ByeReason::Stop });
                w.run(86_400);
            },
            stale,
        ),
        (
            "the collector starts again without data",
            |w| {
                w.run(60);
                w.restart();
                w.run(86_400);
            },
            stale,
        ),
        (
            "the clock jumps a day ahead",
            |w| {
                w.now = w.now.shifted(86_400 * 1_000_000_000);
                w.input(Input::Tick);
            },
            stale,
        ),
        (
            "the clock jumps a day back",
            |w| {
                w.now = w.now.shifted(-86_400 * 1_000_000_000);
                w.input(Input::Tick);
            },
            stale,
        ),
    ];
    for (sentence, act, expected) in rows {
        let mut world = World::new(settings());
        world.seconds(60, 100, 0);
        world.seconds(60, 0, 100);
        let opened = world.ever_opened.len();
        act(&mut world);
        assert_eq!(seen(&world).1, expected, "{sentence}");
        assert_eq!(world.n_open(), 1, "{sentence}: one incident stands");
        assert_eq!(world.ever_opened.len(), opened, "{sentence}: and there was no other");
        // Good data for as long as the longest window end it, once.
        world.seconds(700, 100, 0);
        assert_eq!(
            (world.is_firing("shop"), world.n_open()),
            (false, 0),
            "{sentence}, and good data"
        );
    }
}

#[test]
fn over_one_percent_unjudged_is_told_and_below_it_only_shown() {
    type Row = (&'static str, &'static [(&'static str, u64)], bool);
    let rows: [Row; 6] = [
        ("all judged", &[("200", 1000)], false),
        ("one percent", &[("200", 990), ("n/a", 10)], false),
        ("over one percent", &[("200", 989), ("n/a", 11)], true),
        ("a condition that always fails", &[("n/a", 1000)], true),
        ("too few to speak of", &[("n/a", 9)], false),
        ("no traffic", &[], false),
    ];
    for (sentence, by_status, told) in rows {
        let mut world = World::new(with(&[Builtin::Unjudged]));
        world.run(1);
        world.requests_at("web-1", world.now, by_status);
        assert_eq!(world.is_firing("Unjudged"), told, "{sentence}");
        let slo = &world.engine.slos(world.now)[0];
        let unjudged = by_status.iter().filter(|(s, _)| *s == "n/a").map(|(_, n)| n).sum::<u64>();
        assert_eq!(slo.unjudged, unjudged, "{sentence}: it is shown");
        assert_eq!(
            slo.total + unjudged,
            by_status.iter().map(|(_, n)| n).sum::<u64>(),
            "{sentence}: in neither"
        );
        // Silence mends no condition; judged data do.
        world.run(86_400);
        assert_eq!(world.is_firing("Unjudged"), told, "{sentence}, and silence");
        world.seconds(2, 1000, 0);
        assert!(!world.is_firing("Unjudged"), "{sentence}, and judged data");
    }
}

#[test]
fn what_could_not_be_judged_leaves_with_its_window() {
    let mut world = World::new(with(&[Builtin::Unjudged]));
    for _ in 0..100 {
        world.run(1);
        world.requests_at("web-1", world.now, &[("200", 95), ("n/a", 5)]);
    }
    assert!(world.is_firing("Unjudged"));
    assert_eq!(world.alert("Unjudged").map(|a| a.2).as_deref(), Some("warning"));
    world.seconds(30, 100, 0);
    assert!(world.is_firing("Unjudged"), "half of the minute's window is of before");
    world.seconds(60, 100, 0);
    assert!(!world.is_firing("Unjudged"));
}

#[test]
fn late_data_of_a_past_breach_make_one_ticket_and_no_page() {
    // Arriving now, of the seconds from..to before now: bad ones, by the hundred.
    type Row = (&'static str, std::ops::Range<i64>, u64, bool);
    let hour = 3600;
    let rows: [Row; 4] = [
        ("an outage of ten minutes, eight hours ago", 8 * hour..8 * hour + 600, 100, true),
        ("good data, eight hours ago", 8 * hour..8 * hour + 600, 0, false),
        ("a few errors, eight hours ago", 8 * hour..8 * hour + 2, 2, false),
        ("of before the window", 31 * 86_400..31 * 86_400 + 60, 100, false),
    ];
    for (sentence, back, bad, told) in rows {
        let mut world = World::new(over_a_month(&[Builtin::LateBreach]));
        for _ in 0..60 * 60 {
            world.run(10);
            world.requests(1000, 0);
        }
        for secs in back.rev() {
            let then = world.now.shifted(-secs * 1_000_000_000);
            world.requests_at("web-2", then, &[("200", 100 - bad), ("500", bad)]);
        }
        assert_eq!(world.news(), Vec::<String>::new(), "{sentence}: it waits, for more may come");
        for _ in 0..7 {
            world.run(10);
            world.requests(1000, 0);
        }
        let news: &[&str] = if told { &["chat open first"] } else { &[] };
        assert_eq!(world.news(), news, "{sentence}");
        if told {
            assert_eq!(world.alert("LateBreach").map(|a| a.2).as_deref(), Some("ticket"));
            let reason = &world
                .engine
                .alerts()
                .iter()
                .find(|a| a.labels.get("slo") == "shop")
                .unwrap()
                .reason
                .clone();
            assert!(reason.contains("the page tier at 6x burned from"), "{reason}");
        }
        for _ in 0..8640 {
            world.run(10);
            world.requests(1000, 0);
        }
        assert_eq!(
            (world.is_firing("LateBreach"), world.n_open()),
            (false, 0),
            "{sentence}: a day later"
        );
    }
}

#[test]
fn a_backlog_that_leads_up_to_a_breach_of_now_is_told_once_by_the_slo() {
    let mut world = World::new(over_a_month(&[Builtin::LateBreach]));
    for _ in 0..60 * 60 {
        world.run(10);
        world.requests_of("web-2", 1000, 0);
    }
    // An agent was cut off for half an hour of errors, and delivers them from the oldest on.
    for secs in (0..1800).rev() {
        let then = world.now.shifted(-secs * 1_000_000_000);
        world.requests_at("web-1", then, &[("500", 100)]);
    }
    world.run(120);
    assert_eq!(world.news(), ["oncall open first"]);
    assert!(!world.is_firing("LateBreach"));
}

#[test]
fn a_late_breach_that_waits_survives_a_restart() {
    let mut world = World::new(over_a_month(&[Builtin::LateBreach]));
    for _ in 0..60 * 60 {
        world.run(10);
        world.requests(1000, 0);
    }
    for secs in 8 * 3600..8 * 3600 + 600 {
        let then = world.now.shifted(-secs * 1_000_000_000);
        world.requests_at("web-2", then, &[("500", 100)]);
    }
    world.run(30);
    world.restart();
    assert_eq!(world.news(), Vec::<String>::new());
    world.run(60);
    assert_eq!(world.news(), ["chat open first"]);
}

#[test]
fn conditions_that_always_or_never_match_are_seen_for_what_they_are() {
    let rows: [(&str, &str, &str, SloState, &[&str]); 5] = [
        ("everything is good", "", "true", SloState::Ok, &[]),
        ("nothing is good", "", "false", SloState::Page, &[]),
        ("nothing is in it", "false", "true", SloState::NoData, &["NoData"]),
        ("the label is never there", "route == '/x'", "true", SloState::NoData, &["NoData"]),
        ("it is no number", "", "int(agent) < 5", SloState::Ok, &["Unjudged"]),
    ];
    for (sentence, scope, good, state, ours) in rows {
        let mut all = with(&[Builtin::NoData, Builtin::Unjudged]);
        let compiled = |text: &str| {
            if text.is_empty() { Filter::all() } else { Filter::compile(text).unwrap() }
        };
        (all.slos[0].scope, all.slos[0].good) = (compiled(scope), compiled(good));
        let mut world = World::new(all);
        for _ in 0..100 {
            world.run(10);
            world.requests(100, 0);
        }
        let (seen_state, _, seen_ours) = seen(&world);
        assert_eq!((seen_state, seen_ours), (state, ours.to_vec()), "{sentence}");
    }
}

#[test]
fn a_clock_that_jumps_by_a_day_during_an_incident_neither_closes_nor_repeats_it() {
    for (sentence, days) in [("ahead", 1), ("back", -1)] {
        let mut world = World::new(settings());
        world.seconds(60, 100, 0);
        world.seconds(60, 0, 100);
        let opened = world.ever_opened.len();
        world.now = world.now.shifted(days * 86_400 * 1_000_000_000);
        world.seconds(60, 0, 100);
        assert!(world.is_firing("shop"), "{sentence}");
        assert_eq!((world.n_open(), world.ever_opened.len()), (1, opened), "{sentence}");
        world.seconds(700, 100, 0);
        assert_eq!((world.is_firing("shop"), world.n_open()), (false, 0), "{sentence}");
        let fact = world
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::ClockSetBack { .. } | Fact::Overslept { .. }));
        assert!(fact, "{sentence}: it is said");
    }
}

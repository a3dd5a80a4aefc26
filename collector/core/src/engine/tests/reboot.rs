//! A restart in every state: whatever the collector was about to do, it does after a `kill -9`, once.
//!
//! Each state is lived through twice, in two worlds that differ in one restart. What is heard afterwards, how alerts stand
//! and what is open outside must be the same.

use std::time::Duration;

use super::world::{Mode, World, one_route, rule, settings};
use crate::alert::{AlertKey, AlertState, Builtin};
use crate::engine::{ByeReason, Input, Settings};
use crate::slo::{Concerned, CorrectionRow, SloWindow};
use watchkeeper_model::{AgentId, Timestamp};

type Act = fn(&mut World);

/// A state, how to get there, and what happens next.
struct State {
    name: &'static str,
    settings: fn() -> Settings,
    before: Act,
    after: Act,
}

const STATES: [State; 21] = [
    State { name: "healthy", settings, before: |w| w.seconds(60, 100, 0), after: recover },
    State { name: "a page fires", settings, before: page, after: recover },
    State { name: "a page goes on", settings, before: page, after: |w| w.seconds(120, 0, 100) },
    State {
        name: "a page is a ticket by now",
        settings,
        before: |w| {
            page(w);
            while w.alert("shop").is_some_and(|(_, _, severity)| severity == "page") {
                w.seconds(1, 100, 0);
            }
        },
        after: recover,
    },
    State {
        name: "its data have stopped",
        settings,
        before: |w| {
            page(w);
            w.run(600);
        },
        after: recover,
    },
    State {
        name: "somebody has taken it on",
        settings,
        before: |w| {
            page(w);
            let (fingerprint, by) = (AlertKey::slo("shop").fingerprint(), "ann".to_owned());
            w.input(Input::Acknowledge { fingerprint, by, comment: String::new() });
        },
        after: recover,
    },
    State {
        name: "it is over, and that is not told yet",
        settings: patient,
        before: |w| {
            page(w);
            w.run(40);
            w.mode("chat", Mode::Down);
            while w.is_firing("shop") {
                w.seconds(1, 100, 0);
            }
            w.seconds(400, 100, 0);
        },
        after: |w| {
            w.mode("chat", Mode::Works);
            w.run(4000);
        },
    },
    State {
        name: "it is over, and shown",
        settings,
        before: |w| {
            page(w);
            recover(w);
        },
        after: page,
    },
    State {
        name: "the receiver is down while it opens",
        settings: patient,
        before: |w| {
            w.mode("chat", Mode::Down);
            page(w);
            w.run(40);
        },
        after: |w| {
            w.mode("chat", Mode::Works);
            w.run(1000);
        },
    },
    State {
        name: "the receiver refuses",
        settings: patient,
        before: |w| {
            w.mode("chat", Mode::Refuses);
            page(w);
            w.run(40);
        },
        after: |w| {
            w.mode("chat", Mode::Works);
            w.run(1000);
        },
    },
    State {
        name: "the first word is under way",
        settings,
        before: |w| {
            w.mode("chat", Mode::Slow);
            w.mode("oncall", Mode::Slow);
            page(w);
        },
        after: |w| {
            w.mode("chat", Mode::Works);
            w.mode("oncall", Mode::Works);
            recover(w);
        },
    },
    State {
        name: "the group waits before its first word",
        settings: patient,
        before: |w| w.seconds(5, 0, 100),
        after: |w| w.run(120),
    },
    State {
        name: "a reminder is due later",
        settings: || Settings { routes: one_route(0, 60, 3600), ..settings() },
        before: page,
        after: |w| w.seconds(8000, 0, 10),
    },
    State {
        name: "a rule waits for its `for`",
        settings: || ruled(60, 0),
        before: |w| w.seconds(30, 0, 10),
        after: |w| w.seconds(60, 0, 10),
    },
    State {
        name: "a rule is kept",
        settings: || ruled(0, 600),
        before: |w| {
            w.seconds(10, 0, 10);
            w.seconds(120, 10, 0);
        },
        after: |w| w.seconds(800, 10, 0),
    },
    State {
        name: "it comes and goes",
        settings: || ruled(0, 0),
        before: |w| {
            for _ in 0..6 {
                w.seconds(10, 0, 10);
                w.seconds(70, 10, 0);
            }
        },
        after: |w| w.seconds(4000, 10, 0),
    },
    State {
        name: "there have been no data for long",
        settings: || with(&[Builtin::NoData]),
        before: |w| {
            w.seconds(10, 10, 0);
            w.run(1000);
        },
        after: |w| w.seconds(10, 10, 0),
    },
    State {
        name: "all agents were stopped",
        settings: || with(&[Builtin::NoData, Builtin::AgentSilent]),
        before: |w| {
            w.beat("web-1");
            w.seconds(10, 10, 0);
            w.input(Input::Bye { agent: AgentId::new("web-1"), reason: ByeReason::Stop });
            w.run(60);
        },
        after: |w| w.run(86_400),
    },
    State {
        name: "an agent is silent",
        settings: || with(&[Builtin::AgentSilent]),
        before: |w| {
            w.beat("web-1");
            w.run(100);
        },
        after: |w| w.beat("web-1"),
    },
    State {
        name: "something could not be judged",
        settings: || with(&[Builtin::Unjudged]),
        before: |w| {
            for _ in 0..20 {
                w.run(1);
                w.requests_at("web-1", w.now, &[("200", 90), ("n/a", 10)]);
            }
        },
        after: |w| w.seconds(200, 100, 0),
    },
    State {
        name: "maintenance is going on",
        settings,
        before: |w| {
            page(w);
            w.input(Input::AddCorrection(Box::new(correction(w.now))));
            w.seconds(30, 0, 100);
        },
        after: |w| {
            w.seconds(600, 0, 100);
            recover(w);
        },
    },
];

fn with(builtins: &[Builtin]) -> Settings {
    let mut all = settings();
    builtins.iter().for_each(|builtin| drop(all.builtin.changed.remove(builtin)));
    all
}

/// Groups that wait and repeat, one receiver.
fn patient() -> Settings {
    Settings { routes: one_route(30, 300, 14_400), ..settings() }
}

fn ruled(wait: u64, keep: u64) -> Settings {
    let mut rule = rule("Errors", 0);
    (rule.wait, rule.keep) = (Duration::from_secs(wait), Duration::from_secs(keep));
    let (slos, rules) = (Vec::new(), vec![rule]);
    Settings { slos, rules, routes: one_route(0, 10, 14_400), ..settings() }
}

fn page(world: &mut World) {
    world.seconds(60, 100, 0);
    world.seconds(60, 0, 100);
}

fn recover(world: &mut World) {
    world.seconds(900, 100, 0);
}

fn correction(from: Timestamp) -> CorrectionRow {
    CorrectionRow {
        id: 0,
        name: String::new(),
        concerned: Concerned::default(),
        from,
        to: from + Duration::from_secs(300),
        reason: "the database moves".to_owned(),
        by: "ann".to_owned(),
        created_at: from,
        ended: None,
    }
}

/// What can be seen from outside, in words.
fn seen(world: &mut World) -> Vec<String> {
    let mut all = world.news();
    for alert in world.engine.alerts() {
        let state: AlertState = alert.state;
        all.push(format!(
            "{} {} {state:?} stale {} since {} by {:?} to {:?}",
            alert.labels.get("alertname"),
            alert.labels.get("severity"),
            alert.stale,
            alert.starts_at,
            alert.acknowledged_by,
            alert.receivers
        ));
    }
    let slos = world.engine.slos(world.now);
    all.extend(slos.iter().map(|s| format!("{} {} of {} {:?}", s.name, s.good, s.total, s.state)));
    all.push(format!("{} open, {} ever", world.n_open(), world.ever_opened.len()));
    all
}

#[test]
fn a_restart_in_any_state_changes_nothing_that_is_seen() {
    for state in STATES {
        let live = |restarts: bool| {
            let mut world = World::new((state.settings)());
            (state.before)(&mut world);
            let reached = seen(&mut world);
            if restarts {
                world.restart();
                world.restart();
            }
            (state.after)(&mut world);
            (reached, seen(&mut world))
        };
        assert_eq!(live(true), live(false), "{}", state.name);
    }
}

#[test]
fn a_restart_in_any_state_of_a_monthly_slo_keeps_every_count() {
    let monthly = || {
        let mut all = settings();
        all.slos[0].window = SloWindow::Rolling(Duration::from_secs(30 * 86_400));
        all
    };
    for (good, bad) in [(100, 0), (99, 1), (90, 10), (0, 100)] {
        let live = |restarts: bool| {
            let mut world = World::new(monthly());
            for _ in 0..200 {
                world.run(60);
                world.requests(good, bad);
            }
            if restarts {
                world.restart();
            }
            for _ in 0..200 {
                world.run(60);
                world.requests(100, 0);
            }
            seen(&mut world)
        };
        assert_eq!(live(true), live(false), "{good} good, {bad} bad");
    }
}

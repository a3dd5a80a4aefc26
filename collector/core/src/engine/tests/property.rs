//! Whatever happens in whatever order: every incident that was opened is closed, and none is open twice.

use super::world::{Mode, World, one_route, receiver, rule, settings};
use crate::engine::{ByeReason, Input};
use proptest::prelude::*;
use watchkeeper_model::AgentId;

#[derive(Clone, Copy, Debug)]
enum Happening {
    Breach { bad: u64 },
    Good { secs: i64 },
    Pass { secs: i64 },
    Restart,
    Receiver { nth: usize, mode: Mode },
    Rename,
    SwapReceivers,
    DeleteRule,
    ChangeSeverity,
    Bye,
    SetClockBack,
}

fn happening() -> impl Strategy<Value = Happening> {
    let mode = prop_oneof![
        3 => Just(Mode::Works),
        1 => Just(Mode::Refuses),
        1 => Just(Mode::Down),
        1 => Just(Mode::Mute),
        1 => Just(Mode::Slow),
    ];
    prop_oneof![
        4 => (1..300_u64).prop_map(|bad| Happening::Breach { bad }),
        3 => (1..90_i64).prop_map(|secs| Happening::Good { secs }),
        3 => (1..2000_i64).prop_map(|secs| Happening::Pass { secs }),
        2 => Just(Happening::Restart),
        3 => (0..2_usize, mode).prop_map(|(nth, mode)| Happening::Receiver { nth, mode }),
        1 => Just(Happening::Rename),
        1 => Just(Happening::SwapReceivers),
        1 => Just(Happening::DeleteRule),
        1 => Just(Happening::ChangeSeverity),
        1 => Just(Happening::Bye),
        1 => Just(Happening::SetClockBack),
    ]
}

fn happen(world: &mut World, what: Happening) {
    match what {
        Happening::Breach { bad } => world.requests(1, bad),
        Happening::Good { secs } => {
            world.beat("web-1");
            world.seconds(secs, 50, 0);
        }
        Happening::Pass { secs } => world.run(secs),
        Happening::Restart => world.restart(),
        Happening::Receiver { nth, mode } => world.mode(["chat", "oncall"][nth], mode),
        Happening::Rename => world.reload(|s| {
            s.rules = vec![rule(if s.rules.iter().any(|r| r.name == "A") { "B" } else { "A" }, 3)];
        }),
        Happening::SwapReceivers => world.reload(|s| {
            let before = s.routes.root().receiver.clone();
            s.routes = one_route(0, 60, 600);
            if before == "chat" {
                let swapped = crate::route::RouteSettings {
                    group_wait: Some(std::time::Duration::from_secs(5)),
                    ..Default::default()
                };
                s.routes = crate::route::RouteTree::build(&swapped, "oncall");
            }
        }),
        Happening::DeleteRule => world.reload(|s| s.rules.clear()),
        Happening::ChangeSeverity => world.reload(|s| {
            for rule in &mut s.rules {
                rule.labels = rule.labels.with_one("severity", "page");
            }
        }),
        Happening::Bye => {
            let (agent, reason) = (AgentId::new("web-1"), ByeReason::Sleep);
            world.input(Input::Bye { agent, reason });
        }
        Happening::SetClockBack => {
            world.now = world.now.shifted(-180 * 1_000_000_000);
            world.input(Input::Tick);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_incident_opened_is_closed_and_none_is_open_twice(
        all in proptest::collection::vec(happening(), 1..40)
    ) {
        let mut start = settings();
        start.slos[0].window = crate::slo::SloWindow::Rolling(std::time::Duration::from_secs(600));
        start.rules = vec![rule("A", 3)];
        start.receivers = vec![receiver("chat", true), receiver("oncall", true)];
        let mut world = World::new(start);
        for what in all {
            happen(&mut world, what);
        }
        for name in ["chat", "oncall"] {
            world.mode(name, Mode::Works);
        }
        // What came and went is held until it has been seen to be calm for half an hour at most.
        for _ in 0..200 {
            world.requests(50, 0);
            world.beat("web-1");
            world.run(10);
        }
        // Long enough for every back-off and for the page's receiver to be told of the ticket.
        for _ in 0..9 {
            world.beat("web-1");
            world.seconds(80, 50, 0);
            world.run(900);
        }
        prop_assert_eq!(world.n_open(), 0, "{:?}", world.engine.snapshot(world.now).alerts);
        prop_assert!(world.engine.receivers_in_use().is_empty());
    }
}

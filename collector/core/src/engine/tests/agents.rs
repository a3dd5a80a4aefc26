//! What agents and the collector's own parts raise, and clocks that jump.

use super::world::{T0, World, settings};
use crate::alert::{AlertState, Builtin};
use crate::engine::{AgentState, Committed, Fact, Hello, Input, Settings};
use watchkeeper_model::{AgentId, Epoch, Service, SkipReason, SourceTally, Timestamp};

fn with(builtin: Builtin) -> Settings {
    let mut all = settings();
    all.slos.clear();
    all.builtin.changed.remove(&builtin);
    all
}

fn tallies(change: impl Fn(&mut SourceTally), n_lost: u64) -> Input {
    let mut tally = SourceTally { source: "log".to_owned(), read: 3, ..SourceTally::default() };
    change(&mut tally);
    Input::Committed(Box::new(Committed {
        agent: AgentId::new("web-1"),
        service: Service::new("shop").unwrap(),
        judged: Vec::new(),
        observed: Vec::new(),
        events: Vec::new(),
        tallies: vec![tally],
        n_lost,
    }))
}

#[test]
fn an_agent_is_silent_after_three_beats_and_not_while_it_was_us_who_slept() {
    let mut world = World::new(with(Builtin::AgentSilent));
    world.beat("web-1");
    world.run(29);
    assert!(!world.is_firing("AgentSilent"));
    world.run(1);
    assert!(world.is_firing("AgentSilent"));
    world.beat("web-1");
    assert!(!world.is_firing("AgentSilent"));
    world.now = world.now.shifted(86_400 * 1_000_000_000);
    world.input(Input::Tick);
    assert!(!world.is_firing("AgentSilent"), "the machine slept for a day");
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::Overslept { .. })));
    // We were away: everybody has time to find the way back.
    world.run(89);
    assert!(!world.is_firing("AgentSilent"));
    world.run(1);
    assert!(world.is_firing("AgentSilent"));
}

#[test]
fn a_restart_gives_agents_time_to_come_back() {
    let mut world = World::new(with(Builtin::AgentSilent));
    world.beat("web-1");
    world.run(20);
    world.restart();
    // Its backoff may be at 30 s when we come back, and three beats more are its right.
    world.run(89);
    assert!(!world.is_firing("AgentSilent"));
    world.run(1);
    assert!(world.is_firing("AgentSilent"));
    world.restart();
    assert!(world.is_firing("AgentSilent"));
    assert_eq!(world.engine.agents()[0].state, AgentState::Silent);
}

#[test]
fn a_clock_set_back_stops_nothing() {
    let mut world = World::new(with(Builtin::AgentSilent));
    world.now = Timestamp::from_secs(T0 + 86_400 * 365);
    world.beat("web-1");
    world.now = Timestamp::from_secs(T0);
    world.beat("web-1");
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::ClockSetBack { .. })));
    world.run(31);
    assert!(world.is_firing("AgentSilent"));
}

#[test]
fn beats_tell_of_clocks_and_spools() {
    let mut all = with(Builtin::ClockSkew);
    all.builtin.changed.remove(&Builtin::SpoolNearlyFull);
    let mut world = World::new(all);
    for (skew_ms, spool, skewed, full) in [
        (0, 0, false, false),
        (2_000, 800, false, false),
        (-2_001, 801, true, true),
        (1_900, 750, true, true),
        (1_500, 700, false, false),
    ] {
        world.run(10);
        world.beat_with("web-1", |beat| {
            beat.sent_at = beat.sent_at.shifted(skew_ms * 1_000_000);
            beat.spool_bytes = spool;
        });
        let seen = (world.is_firing("ClockSkew"), world.is_firing("SpoolNearlyFull"));
        assert_eq!(seen, (skewed, full), "{skew_ms} ms, {spool} bytes");
    }
}

#[test]
fn two_agents_of_one_name_are_told_from_one_that_starts_anew() {
    let mut world = World::new(with(Builtin::Forked));
    let life = |world: &mut World, random, instance| {
        world.run(5);
        world.beat_with("web-1", |beat| {
            beat.epoch = Epoch { created_at: Timestamp(1), random };
            beat.instance = instance;
        });
        world.is_firing("Forked")
    };
    for (random, instance) in [(1, 1), (1, 1), (1, 2), (2, 3), (2, 3), (3, 4)] {
        assert!(!life(&mut world, random, instance));
    }
    assert!(life(&mut world, 2, 3));
    world.run(3601);
    assert_eq!(world.alert("Forked").map(|a| a.0), Some(AlertState::Resolved), "not again");
}

#[test]
fn losses_are_told_and_stay_an_hour_after_the_last() {
    type Change = fn(&mut SourceTally);
    let table: Vec<(&str, Change, u64, bool)> = vec![
        ("nothing was lost", |_| {}, 0, false),
        ("a batch", |_| {}, 1, true),
        ("a file given up", |t| t.bytes_abandoned = 10, 0, true),
        ("a truncated file", |t| t.bytes_unknown = 10, 0, true),
    ];
    for (what, change, n_lost, told) in table {
        let mut world = World::new(with(Builtin::DataLost));
        world.input(tallies(change, n_lost));
        assert_eq!(world.is_firing("DataLost"), told, "{what}");
        world.run(3000);
        world.input(tallies(change, n_lost));
        world.restart();
        world.run(3000);
        assert_eq!(world.is_firing("DataLost"), told, "{what}");
        world.run(601);
        assert!(!world.is_firing("DataLost"), "{what}");
    }
}

#[test]
fn overflowed_labels_dead_letters_and_storage_are_told() {
    let mut all = with(Builtin::LabelOverflow);
    all.builtin.changed.remove(&Builtin::DeadLetters);
    all.builtin.changed.insert(Builtin::StorageNearlyFull, Some("page".to_owned()));
    let mut world = World::new(all);
    world.input(tallies(|t| t.overflowed = 1, 0));
    world.input(Input::DeadLetters { collector: 2, broker: Some(0) });
    world.input(Input::StorageUsed { bytes: 81, max_bytes: 100 });
    for name in ["LabelOverflow", "DeadLetters", "StorageNearlyFull"] {
        assert!(world.is_firing(name), "{name}");
    }
    assert_eq!(world.alert("StorageNearlyFull").map(|a| a.2).as_deref(), Some("page"));
    world.input(Input::DeadLetters { collector: 0, broker: Some(0) });
    world.input(Input::StorageUsed { bytes: 70, max_bytes: 100 });
    assert!(!world.is_firing("DeadLetters") && !world.is_firing("StorageNearlyFull"));
}

#[test]
fn dead_letters_are_told_with_their_place_and_an_unknown_place_ends_nothing() {
    let mut all = with(Builtin::DeadLetters);
    all.builtin.changed.remove(&Builtin::DeadLetters);
    let mut world = World::new(all);
    for (sentence, collector, broker, is_firing, reason) in [
        ("nothing is known and nothing was", 0, None, false, ""),
        ("of one place", 0, Some(3), true, "3 at the broker could not"),
        ("of both", 2, Some(3), true, "2 at the collector and 3 at the broker could not"),
        ("the collector's are gone", 0, Some(3), true, "3 at the broker could not"),
        ("the broker is away after a restart", 0, None, true, ""),
        ("some come meanwhile", 1, None, true, "1 at the collector could not"),
        ("all are gone", 0, Some(0), false, ""),
    ] {
        world.input(Input::DeadLetters { collector, broker });
        assert_eq!(world.is_firing("DeadLetters"), is_firing, "{sentence}");
        if !reason.is_empty() {
            let said = world.reason("DeadLetters");
            assert!(said.contains(reason), "{sentence}: {said}");
        }
    }
}

#[test]
fn agents_are_seen_with_what_their_sources_did() {
    let mut world = World::new(settings());
    world.input(Input::Hello(Hello {
        agent: AgentId::new("web-1"),
        epoch: Epoch { created_at: Timestamp(1), random: 1 },
        instance: 1,
        version: "0.1.0".to_owned(),
    }));
    world.input(tallies(|t| t.skip(SkipReason::Unparsable, 2), 0));
    world.input(tallies(|t| t.skip(SkipReason::Unparsable, 1), 0));
    let agents = world.engine.agents();
    assert_eq!((agents.len(), agents[0].state), (1, AgentState::Live));
    let source = &agents[0].sources[0];
    assert_eq!((source.read, source.skipped.get(&SkipReason::Unparsable)), (6, Some(&3)));
}

#[test]
fn many_silent_agents_are_one_notification() {
    let mut all = with(Builtin::AgentSilent);
    all.routes = super::world::one_route(0, 300, 14_400);
    let mut world = World::new(all);
    for i in 0..2_000 {
        world.beat(&format!("web-{i}"));
    }
    world.run(30);
    assert_eq!(world.news(), ["chat open first"]);
    let told = world.last.clone().unwrap();
    assert_eq!((told.alerts.len(), told.n_truncated), (100, 1_900));
    for i in 0..2_000 {
        world.beat(&format!("web-{i}"));
    }
    for _ in 0..33 {
        world.run(9);
        for i in 0..2_000 {
            world.beat(&format!("web-{i}"));
        }
    }
    world.run(10);
    assert_eq!(world.n_open(), 0);
}

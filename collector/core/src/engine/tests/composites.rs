//! Composites: judged from the counts of their parts.

use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::{
    AgentId, Decimal, Dimension, Distribution, Labels, Service, Timestamp, Window,
};

use super::world::{T0, World, settings, slo};
use crate::engine::{ByeReason, Input, Settings, SloView};
use crate::series::Observed;
use crate::slo::{
    Component, Concerned, CorrectionRow, Method, SliceObjective, Slices, SloSettings, SloWindow,
};

/// `web` weighs twice what `jobs` does; `both` is composed of them, over 2 hours.
fn composed(change: impl Fn(&mut SloSettings)) -> Settings {
    let mut all = settings();
    let named = |name: &str| {
        let mut one = slo();
        (one.name, one.signal) = (name.to_owned(), name.to_owned());
        change(&mut one);
        one
    };
    let parts = [named("web"), named("jobs")];
    let weigh = |(slo, weight): (&SloSettings, f64)| Component {
        slo: slo.name.clone(),
        weight,
        definition: slo.definition(),
        method: slo.method,
    };
    let mut both = slo();
    (both.name, both.signal) = ("both".to_owned(), String::new());
    both.composite = parts.iter().zip([2.0, 1.0]).map(weigh).collect();
    both.window = SloWindow::Rolling(Duration::from_secs(7200));
    all.slos = vec![both, parts[0].clone(), parts[1].clone()];
    all
}

fn sliced(one: &mut SloSettings) {
    if one.name == "jobs" {
        let objective = SliceObjective::from_percent(Decimal::from_int(90)).unwrap();
        one.method = Method::Timeslices(Slices { length: Duration::from_secs(60), objective });
    }
}

fn seen(world: &World, signal: &str, good: u64, bad: u64) -> Vec<Observed> {
    let parts = [("200", good), ("500", bad)].into_iter().filter(|(_, n)| *n > 0);
    parts
        .map(|(status, n)| Observed {
            service: Service::new("shop").unwrap(),
            signal: signal.into(),
            dimension: Dimension::Plain,
            labels: Labels::new([("status", status), ("agent", "web-1")]),
            window: Window::holding(world.now, 1),
            distribution: Distribution::counted(n),
        })
        .collect()
}

fn take(world: &mut World, signal: &str, good: u64, bad: u64) {
    let observed = seen(world, signal, good, bad);
    world.commit("web-1", observed, Vec::new());
}

fn view(world: &World) -> SloView {
    let all = world.engine.slos(world.now);
    all.into_iter().find(|slo| slo.name == "both").unwrap()
}

fn bad_ratio(view: &SloView) -> f64 {
    1.0 - view.sli.unwrap()
}

#[test]
fn its_bad_ratio_is_the_weighted_mean_of_its_parts() {
    let mut world = World::new(composed(|_| {}));
    assert_eq!(view(&world).sli, None);
    take(&mut world, "web", 99_000, 1_000);
    assert!((bad_ratio(&view(&world)) - 0.01).abs() < 1e-12, "a part without data does not weigh");
    take(&mut world, "jobs", 9, 1);
    let seen = view(&world);
    assert!((bad_ratio(&seen) - (2.0 * 0.01 + 0.1) / 3.0).abs() < 1e-12, "traffic does not weigh");
    assert_eq!((seen.good, seen.total), (99_009, 100_010));
    assert!(
        (seen.budget_remaining - (1.0 - 0.04 / 0.01)).abs() < 1e-9,
        "{}",
        seen.budget_remaining
    );
    let parts: Vec<(&str, f64, u64, u64)> =
        seen.composite.iter().map(|p| (p.slo.as_str(), p.weight, p.good, p.total)).collect();
    assert_eq!(parts, [("web", 2.0, 99_000, 100_000), ("jobs", 1.0, 9, 10)]);
    world.run(5400);
    assert_eq!(view(&world).total, 100_010, "its window is longer than its parts'");
    let part = world.engine.slos(world.now).into_iter().find(|slo| slo.name == "web").unwrap();
    assert_eq!(part.total, 0);
}

#[test]
fn it_fires_and_ends_and_is_silent_as_any_slo() {
    let mut all = composed(|_| {});
    all.builtin.changed.remove(&crate::alert::Builtin::NoData);
    let mut world = World::new(all);
    for _ in 0..120 {
        world.run(1);
        take(&mut world, "web", 100, 0);
        take(&mut world, "jobs", 10, 0);
    }
    assert!(!world.is_firing("both"));
    for _ in 0..60 {
        world.run(1);
        take(&mut world, "web", 100, 0);
        take(&mut world, "jobs", 0, 10);
    }
    assert!(world.is_firing("both") && world.is_firing("jobs") && !world.is_firing("web"));
    world.restart();
    assert!(world.is_firing("both"));
    for _ in 0..400 {
        world.run(1);
        take(&mut world, "web", 100, 0);
        take(&mut world, "jobs", 10, 0);
    }
    assert!(!world.is_firing("both"));
    world.run(1000);
    let state = view(&world).state;
    assert_eq!(state, crate::slo::SloState::NoData);
}

#[test]
fn a_planned_stop_of_its_parts_agents_is_no_missing_data() {
    let mut all = composed(|_| {});
    all.builtin.changed.remove(&crate::alert::Builtin::NoData);
    all.slos[0].service = Service::new("platform").unwrap();
    let mut world = World::new(all);
    world.beat("web-1");
    take(&mut world, "web", 100, 0);
    take(&mut world, "jobs", 100, 0);
    world.input(Input::Bye { agent: AgentId::new("web-1"), reason: ByeReason::Stop });
    world.run(7200);
    assert!(!world.is_firing("NoData"));
    world.beat("web-1");
    world.run(800);
    assert!(!world.is_firing("NoData"), "back from a stop it has its 15 minutes");
    world.run(200);
    assert!(world.is_firing("NoData"));
}

#[test]
fn a_correction_of_a_part_or_of_the_whole_leaves_it_out() {
    let correct = |slos: Vec<String>| CorrectionRow {
        id: 0,
        name: String::new(),
        concerned: Concerned { slos, service: None },
        from: Timestamp::from_secs(T0),
        to: Timestamp::from_secs(T0 + 3000),
        reason: "move".to_owned(),
        by: "ann".to_owned(),
        created_at: Timestamp(0),
        ended: None,
    };
    for (slos, of_web, of_both) in
        [(vec!["jobs"], 100, 100), (vec!["both"], 100, 0), (vec![], 0, 0)]
    {
        let mut world = World::new(composed(|_| {}));
        take(&mut world, "web", 100, 0);
        take(&mut world, "jobs", 0, 1000);
        assert!(world.is_firing("both"));
        let slos = slos.into_iter().map(str::to_owned).collect();
        world.input(Input::AddCorrection(Box::new(correct(slos))));
        let all = world.engine.slos(world.now);
        let web = all.iter().find(|slo| slo.name == "web").unwrap();
        assert_eq!((web.total, view(&world).total), (of_web, of_both));
        assert!(world.is_firing("both"), "held, not resolved");
        assert_eq!(view(&world).correction.as_deref(), Some("move"));
        world.input(Input::EndCorrection { id: 1, by: "ann".to_owned() });
        assert_eq!(view(&world).total, 1100);
    }
}

#[test]
fn a_new_composite_begins_with_what_its_parts_have() {
    let with = composed(sliced);
    let mut world = World::new(Settings { slos: with.slos[1..].to_vec(), ..with.clone() });
    for n in 0..100 {
        world.run(60);
        take(&mut world, "web", 100, n % 3);
        take(&mut world, "jobs", 10, n % 2);
    }
    let mut restored: Vec<_> = Vec::new();
    world.settings = with.clone();
    restored.extend(with.slos[1..].iter().map(|slo| world.stored(slo)));
    world.input(Input::Reload { settings: Box::new(with), restored });
    let fresh = view(&world);
    assert!(fresh.total > 100 * 60);
    world.restart();
    assert_eq!(view(&world), fresh);
}

/// What arrives: which part, how late, good, bad.
fn arrivals() -> impl Strategy<Value = Vec<(bool, i64, u64, u64, i64)>> {
    prop::collection::vec((any::<bool>(), 0_i64..9000, 0_u64..20, 0_u64..4, 0_i64..600), 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn its_counts_are_its_parts_counts_in_any_order_and_after_a_restart(all in arrivals(), with_slices in any::<bool>()) {
        let settings = composed(|one| if with_slices { sliced(one) });
        let mut world = World::new(settings);
        world.run(10_000);
        for (is_web, late, good, bad, wait) in all {
            let signal = if is_web { "web" } else { "jobs" };
            let mut observed = seen(&world, signal, good, bad);
            for part in &mut observed {
                part.window = Window::holding(world.now.shifted(-late * 1_000_000_000), 1);
            }
            world.commit("web-1", observed, Vec::new());
            world.run(wait);
        }
        let live = view(&world);
        let (mut bad, mut weights) = (0.0, 0.0);
        for part in live.composite.iter().filter(|part| part.total > 0) {
            bad += part.weight * (part.total - part.good) as f64 / part.total as f64;
            weights += part.weight;
        }
        match live.sli {
            Some(sli) => prop_assert!((1.0 - sli - bad / weights).abs() < 1e-9),
            None => prop_assert_eq!(live.total, 0),
        }
        world.restart();
        // When data were last heard of is not stored.
        prop_assert_eq!(SloView { state: live.state, ..view(&world) }, live);
    }
}

#[test]
fn a_composite_is_judged_only_by_those_it_names() {
    let mut world = World::new(composed(|_| {}));
    take(&mut world, "", 5, 5);
    assert_eq!(view(&world).total, 0);
}

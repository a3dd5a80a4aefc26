//! Planned maintenance: what budgets leave out, and what that does to alerts.

use std::time::Duration;

use proptest::prelude::*;
use watchkeeper_model::{Decimal, Service, Timestamp};

use super::world::{T0, World, settings};
use crate::alert::AlertState;
use crate::engine::{Input, Settings, SloView};
use crate::slo::{
    Calendar, CalendarUnit, Concerned, Correction, CorrectionRow, Method, SliceObjective, Slices,
    SloWindow, Weekly, When, Zone,
};

fn row(from: i64, to: i64) -> CorrectionRow {
    CorrectionRow {
        id: 0,
        name: "move".to_owned(),
        concerned: Concerned::default(),
        from: Timestamp::from_secs(T0 + from),
        to: Timestamp::from_secs(T0 + to),
        reason: "the database moves".to_owned(),
        by: "ann".to_owned(),
        created_at: Timestamp(0),
        ended: None,
    }
}

fn add(world: &mut World, row: CorrectionRow) {
    world.input(Input::AddCorrection(Box::new(row)));
}

fn end(world: &mut World, id: u64) {
    world.input(Input::EndCorrection { id, by: "bob".to_owned() });
}

fn view(world: &World) -> SloView {
    world.engine.slos(world.now).remove(0)
}

#[test]
fn what_a_correction_covers_costs_no_budget_until_it_is_ended() {
    let mut world = World::new(settings());
    world.seconds(300, 100, 0);
    world.seconds(300, 0, 100);
    world.seconds(300, 100, 0);
    let before = view(&world);
    assert!(before.budget_remaining < 0.0);
    add(&mut world, row(310, 590));
    let seen = view(&world);
    // Requests of this second lie at the start of the next bucket: 301 to 600 were bad.
    assert_eq!((before.total - seen.total, before.bad() - seen.bad()), (30_000, 29_900));
    assert_eq!((seen.corrected_seconds, seen.correction.as_deref()), (300.0, None));
    let shown = world.engine.corrections(world.now);
    assert_eq!(
        shown[0].covers,
        [("shop".to_owned(), Timestamp::from_secs(T0 + 300), Timestamp::from_secs(T0 + 600))],
        "its edges go outward to whole buckets"
    );
    world.restart();
    assert_eq!(view(&world), seen, "it is durable");
    end(&mut world, 1);
    assert_eq!(view(&world), before, "as if it had never been there");
    world.restart();
    let ended = world.engine.corrections(world.now)[0].added.clone().unwrap();
    let took_back = ended.ended.map(|ended| (ended.by, ended.at));
    assert_eq!(took_back, Some(("bob".to_owned(), world.now)), "the record stays");
    add(&mut world, row(0, 1));
    assert_eq!(world.engine.corrections(world.now)[1].id, "2", "numbers never come again");
}

impl SloView {
    fn bad(&self) -> u64 {
        self.total - self.good
    }
}

#[test]
fn a_firing_alert_is_held_while_a_correction_covers_now() {
    let mut world = World::new(settings());
    world.seconds(120, 100, 0);
    world.seconds(60, 0, 100);
    assert!(world.is_firing("shop"));
    add(&mut world, row(0, 3000));
    let held = || Some((AlertState::Firing, true, "page".to_owned()));
    assert_eq!(world.alert("shop"), held());
    let reason = world.engine.alerts()[0].reason.clone();
    assert_eq!(reason, "held: a correction leaves out what happens now: the database moves");
    assert_eq!(view(&world).correction.as_deref(), Some("the database moves"));
    world.seconds(600, 100, 0);
    assert_eq!(world.alert("shop"), held(), "good data during a correction end nothing");
    world.restart();
    assert_eq!(world.alert("shop"), held());
    world.run(3000 - world.secs());
    world.seconds(300, 100, 0);
    assert!(!world.is_firing("shop"), "good data after it do");
}

#[test]
fn nothing_fires_for_what_a_correction_covers_and_something_once_it_is_ended() {
    let mut world = World::new(settings());
    world.seconds(120, 100, 0);
    add(&mut world, row(100, 3000));
    world.seconds(120, 0, 100);
    assert_eq!(world.alert("shop"), None);
    end(&mut world, 1);
    assert!(world.is_firing("shop"));
}

#[test]
fn the_forecast_goes_on_at_the_pace_of_what_is_counted() {
    let mut all = settings();
    all.slos[0].window = SloWindow::Rolling(Duration::from_secs(30 * 86_400));
    let mut world = World::new(all);
    for _ in 0..48 * 60 {
        world.run(60);
        world.requests(1000, 0);
    }
    for _ in 0..60 {
        world.run(60);
        world.requests(950, 50);
    }
    let hours = |world: &World| {
        let at = view(world).exhausts_at.unwrap();
        at.since(world.now).as_secs_f64() / 3600.0
    };
    // 28 800 + 600 are allowed, 3000 are gone; 3000 come in an hour and 600 more are allowed for it.
    let expected = (29_400.0 - 3000.0) / 2400.0;
    assert!((hours(&world) - expected).abs() < 0.3, "{} and not {expected}", hours(&world));
    // Half of the last hour is left out: what is counted came as fast.
    let now = world.secs();
    add(&mut world, row(now - 2700, now - 900));
    let expected = (29_100.0 - 1500.0) / 2400.0;
    assert!((hours(&world) - expected).abs() < 1.0, "{} and not {expected}", hours(&world));
}

#[test]
fn a_correction_is_about_those_it_names() {
    for (slos, service, corrected) in [
        (vec![], None, true),
        (vec!["shop".to_owned()], None, true),
        (vec!["other".to_owned()], None, false),
        (vec![], Service::new("shop"), true),
        (vec![], Service::new("db"), false),
    ] {
        let mut world = World::new(settings());
        world.seconds(60, 0, 100);
        add(&mut world, CorrectionRow { concerned: Concerned { slos, service }, ..row(0, 600) });
        assert_eq!(view(&world).total == 0, corrected);
    }
}

#[test]
fn weekly_hours_come_again_and_the_engine_wakes_for_them() {
    let mut all = settings();
    all.slos[0].window = SloWindow::Rolling(Duration::from_secs(7 * 86_400));
    let days = vec![jiff::civil::Weekday::Sunday];
    let weekly = Weekly { days, from_minute: 600, to_minute: 660, zone: Zone::UTC };
    all.corrections = vec![Correction {
        name: "backup".to_owned(),
        concerned: Concerned::default(),
        when: When::Weekly(weekly),
        reason: "backup".to_owned(),
    }];
    let mut world = World::new(all);
    let mut covered = Vec::new();
    for _ in 0..5 * 7 * 24 {
        world.run(3600);
        if world.engine.slos(world.now)[0].correction.is_some() {
            covered.push(world.secs() / 3600);
        }
        world.requests(10, 0);
        world.run(0);
    }
    let week = 7 * 24;
    assert_eq!(covered, [10, week + 10, 2 * week + 10, 3 * week + 10, 4 * week + 10]);
    assert_eq!(view(&world).corrected_seconds, 3600.0);
    assert_eq!(view(&world).total, (week as u64 - 1) * 10);
}

/// The three kinds of budgets.
fn kinds() -> [Settings; 3] {
    let mut month = settings();
    let calendar =
        Calendar { unit: CalendarUnit::Week, zone: Zone::named("Europe/Berlin").unwrap() };
    month.slos[0].window = SloWindow::Calendar(calendar);
    let mut sliced = settings();
    let objective = SliceObjective::from_percent(Decimal::from_int(90)).unwrap();
    sliced.slos[0].method =
        Method::Timeslices(Slices { length: Duration::from_secs(20), objective });
    [settings(), month, sliced]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_order_of_adding_ending_and_arriving_is_the_same_as_counting_anew(
        kind in 0_usize..3,
        steps in prop::collection::vec((0_u8..10, 0_i64..4000, 1_i64..1200), 1..40),
    ) {
        let mut world = World::new(kinds()[kind].clone());
        let mut n_added = 0;
        for (what, at, length) in steps {
            match what {
                0 | 1 => {
                    let from = world.secs() - 3000 + at;
                    add(&mut world, row(from, from + length));
                    n_added += 1;
                }
                2 if n_added > 0 => end(&mut world, 1 + at.unsigned_abs() % n_added),
                3 => world.reload(|_| {}),
                4 | 5 => world.run(at / 4),
                _ => world.requests(at.unsigned_abs() % 30, length.unsigned_abs() % 4),
            }
            let live = view(&world);
            world.restart();
            // When data were last heard of is not stored.
            prop_assert_eq!(SloView { state: live.state, ..view(&world) }, live);
        }
    }
}

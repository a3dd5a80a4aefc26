//! Budgets of every kind through turns of periods, restarts and reloads.

use std::time::Duration;

use watchkeeper_model::Timestamp;

use super::world::{World, settings};
use crate::engine::{Settings, SloView};
use crate::slo::{Calendar, CalendarUnit, Method, SliceObjective, Slices, SloWindow, Zone};

/// Sunday, 1 November 2026, 00:00 in Berlin is an hour before the world begins.
fn monthly() -> Settings {
    let mut all = settings();
    let zone = Zone::named("Europe/Berlin").unwrap();
    all.slos[0].window = SloWindow::Calendar(Calendar { unit: CalendarUnit::Month, zone });
    all.slos[0].window_text = "month (Europe/Berlin)".to_owned();
    all
}

fn sliced() -> Settings {
    let mut all = settings();
    let objective = SliceObjective::from_percent(watchkeeper_model::Decimal::from_int(50)).unwrap();
    all.slos[0].method = Method::Timeslices(Slices { length: Duration::from_secs(10), objective });
    all.slos[0].min_events = 5;
    all
}

fn view(world: &World) -> SloView {
    world.engine.slos(world.now).remove(0)
}

#[test]
fn a_month_begins_anew_at_local_midnight() {
    let mut world = World::new(monthly());
    world.requests(900, 100);
    world.run(86_400);
    let old = view(&world);
    assert_eq!((old.total, old.window.as_str()), (1000, "month (Europe/Berlin)"));
    assert!(old.budget_remaining < -8.9, "{}", old.budget_remaining);
    let end = Timestamp::from_jiff("2026-12-01T00:00:00+01:00".parse().unwrap());
    world.run(end.secs() - world.now.secs() - 1);
    assert_eq!(view(&world).total, 1000);
    assert!(world.engine.next_deadline().is_some_and(|due| due <= end), "it wakes for the turn");
    world.run(1);
    assert_eq!((view(&world).total, view(&world).budget_remaining), (0, 1.0));
}

#[test]
fn counts_are_the_same_after_a_restart_whatever_the_budget() {
    for (start, sentence) in [(monthly(), "a month"), (sliced(), "slices"), (settings(), "an hour")]
    {
        let mut world = World::new(start);
        for minute in 0..90 {
            world.run(60);
            world.requests(95 + minute % 5, minute % 7);
            world.requests(1, u64::from(minute % 11 == 0));
        }
        let before = view(&world);
        world.restart();
        assert_eq!(view(&world), before, "{sentence}");
        world.reload(|_| {});
        assert_eq!(view(&world), before, "{sentence}");
        world.run(1800);
        let later = view(&world);
        world.restart();
        assert_eq!(view(&world), later, "{sentence}");
    }
}

#[test]
fn a_longer_window_takes_over_what_is_known_and_asks_the_store_for_the_rest() {
    let mut world = World::new(settings());
    for _ in 0..180 {
        world.run(60);
        world.requests(100, 1);
    }
    assert!(view(&world).total < 6100);
    let mut longer = world.settings.clone();
    longer.slos[0].window = SloWindow::Rolling(Duration::from_secs(86_400));
    let restored = vec![world.stored(&longer.slos[0])];
    world.settings = longer.clone();
    world.input(crate::engine::Input::Reload { settings: Box::new(longer), restored });
    assert_eq!(view(&world).total, 180 * 101);
    let known = view(&world);
    world.restart();
    assert_eq!(view(&world), known);
}

#[test]
fn slices_page_after_the_second_bad_one_and_not_for_bad_requests_among_good() {
    let mut world = World::new(sliced());
    world.seconds(120, 60, 40);
    let seen = view(&world);
    assert_eq!(seen.sli, Some(1.0), "40 % bad are allowed in a slice");
    assert!((12..=13).contains(&seen.total));
    world.seconds(9, 0, 100);
    assert!(!world.is_firing("shop"), "one bad slice");
    world.seconds(1, 0, 100);
    assert!(world.is_firing("shop"));
    world.seconds(200, 100, 0);
    assert!(!world.is_firing("shop"));
}

#[test]
fn the_forecast_of_a_period_ends_with_it() {
    let mut world = World::new(monthly());
    for _ in 0..24 * 60 {
        world.run(60);
        world.requests(1000, 0);
    }
    for _ in 0..60 {
        world.run(60);
        world.requests(960, 40);
    }
    // 4 times as fast as allowed: of 1 500 000 so far 2400 are bad.
    let (now, at) = (world.now, view(&world).exhausts_at.unwrap());
    let hours = at.since(now).as_secs_f64() / 3600.0;
    // 2400 + 2400 x = 1 % of (1 500 000 + 60 000 x).
    let expected = (15_000.0 - 2400.0) / (2400.0 - 600.0);
    assert!((hours - expected).abs() < 0.3, "{hours} and not {expected}");
    world.run(25 * 86_400);
    for _ in 0..60 {
        world.run(60);
        world.requests(989, 11);
    }
    assert_eq!(view(&world).exhausts_at, None, "209 hours are more than the month has left");
}

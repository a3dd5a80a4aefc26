//! The delivery protocol against a hostile world in virtual time: nothing is counted twice, and what is missing is
//! reported.
//!
//! The agent's sender and the collector's deduplication are the real ones; machines, disks and the network are models
//! with faults: loss, repetition, reordering, cuts, crashes before and after every commit, spools lost and cloned,
//! collectors restored from a backup. A failing run prints its seed; `PROTOCOL_SEED=n` repeats it alone.

mod protocol {
    pub(crate) mod agent;
    pub(crate) mod collector;
    pub(crate) mod world;
}

use std::time::{Duration, Instant};

use protocol::world::{Faults, World};

const STEPS: usize = 200;

fn run(seed: u64, faults: Faults) {
    let mut world = World::new(seed, faults);
    for _ in 0..STEPS {
        world.step();
    }
    world.settle();
    if let Err(broken) = world.verdict() {
        panic!("PROTOCOL_SEED={seed} with {faults:?}: {broken}\n{}", world.story());
    }
}

/// Runs seeds until the time is used up; at least `least` of them.
fn storm(faults: Faults, least: u64) {
    if let Some(seed) = std::env::var("PROTOCOL_SEED").ok().and_then(|s| s.parse().ok()) {
        return run(seed, faults);
    }
    let budget = std::env::var("PROTOCOL_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    let began = Instant::now();
    let mut n_runs = 0;
    while n_runs < least || began.elapsed() < budget {
        run(n_runs, faults);
        n_runs += 1;
    }
    let rate = n_runs as f64 / began.elapsed().as_secs_f64();
    println!("{faults:?}: {n_runs} runs of {STEPS} steps, {rate:.0} runs/s");
}

#[test]
fn every_line_is_counted_once_over_an_unreliable_network() {
    storm(Faults { crashes: false, spool_lost: false, cloned: false, restored: false }, 300);
}

#[test]
fn every_line_is_counted_once_through_crashes() {
    storm(Faults { crashes: true, spool_lost: false, cloned: false, restored: false }, 300);
}

#[test]
fn a_lost_spool_costs_at_most_what_is_reported() {
    storm(Faults { crashes: true, spool_lost: true, cloned: false, restored: false }, 300);
}

#[test]
fn a_cloned_machine_counts_its_own_lines_and_no_others() {
    storm(Faults { crashes: true, spool_lost: false, cloned: true, restored: false }, 300);
}

#[test]
fn a_restored_collector_is_given_again_what_it_lacks() {
    storm(Faults { crashes: true, spool_lost: false, cloned: false, restored: true }, 300);
}

#[test]
fn nothing_is_counted_twice_when_everything_happens_at_once() {
    storm(Faults { crashes: true, spool_lost: true, cloned: true, restored: true }, 300);
}

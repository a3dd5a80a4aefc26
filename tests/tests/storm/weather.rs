//! The storm itself: a seed, a plan, a stage, a verdict.
//!
//! Owns the variables a person sets.

use super::plan::Plan;
use super::stage::Stage;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_the_truth_and_incidents_are_closed_after_a_storm() {
    let seed = setting("STORM_SEED").unwrap_or(0x5eed_0003);
    let n_rounds = setting("STORM_ROUNDS").unwrap_or(40);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}");
    let plan = Plan::of(seed, usize::try_from(n_rounds).unwrap());
    println!("{plan}");
    let mut stage = Stage::start(seed).await;
    stage.run(&plan).await;
}

//! The storm itself: a seed, a plan, a stage, a verdict, on each road.
//!
//! Owns the variables a person sets.

use super::kinds::Road;
use super::plan::Plan;
use super::stage::Stage;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

async fn storm(road: Road, seed: u64, n_rounds: u64) {
    let seed = setting("STORM_SEED").unwrap_or(seed);
    let n_rounds = setting("STORM_ROUNDS").unwrap_or(n_rounds);
    println!("STORM_SEED={seed} STORM_ROUNDS={n_rounds}, road {road:?}");
    let plan = Plan::of(seed, usize::try_from(n_rounds).unwrap(), road);
    println!("{plan}");
    let Some(mut stage) = Stage::start(seed, road).await else { return };
    stage.run(&plan).await;
}

mod counts_are_the_truth_and_incidents_are_closed_after_a_storm {
    use super::{Road, storm};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn directly() {
        storm(Road::Grpc, 0x5eed_0003, 40).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn by_rabbitmq() {
        storm(Road::Amqp, 0x5eed_0004, 40).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn by_both_roads() {
        storm(Road::Both, 0x5eed_0005, 40).await;
    }
}

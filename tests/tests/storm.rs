//! A storm: a seeded plan of faults goes over a site of a collector and several agents while known lines are written;
//! directly, by RabbitMQ, and by both roads.
//!
//! In the end every count is the truth, every incident that was opened is closed, and nothing has grown. The seed is
//! printed; `STORM_SEED` and `STORM_ROUNDS` repeat it, or make it long:
//! `STORM_SEED=7 STORM_ROUNDS=400 cargo test -p watchkeeper-tests --test storm by_rabbitmq -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod storm {
    mod broker;
    mod chance;
    mod clock;
    mod faults;
    mod host;
    mod incidents;
    mod kinds;
    mod plan;
    mod restoring;
    mod stage;
    mod tally;
    mod verdict;
    mod weather;
}

//! Probing PostgreSQL.
//!
//! In reading order: `config` reads what is asked, `frames` bounds what comes, `answer` makes values of it, `refusal` says what
//! an error means, and `prober` does all of it.

mod answer;
mod config;
mod frames;
mod prober;
mod refusal;

pub(super) use config::PostgresProbe;

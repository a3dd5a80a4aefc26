//! Probing Redis, and what speaks its protocol: Valkey, KeyDB.
//!
//! In reading order: `config` reads what is asked, `resp` reads what comes back, `info` makes values of a server's own words,
//! and `prober` does all of it.

mod config;
mod info;
mod prober;
mod resp;

pub(super) use config::RedisProbe;

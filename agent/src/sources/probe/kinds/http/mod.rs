//! Probing by HTTP.
//!
//! In reading order: `config` reads what is asked, `request` makes it, `connection` carries it, with `patience`, `answer` reads what comes back,
//! and `prober` does all of it, redirects included.

mod answer;
mod config;
mod connection;
mod patience;
mod prober;
mod request;

pub(super) use config::HttpProbe;
pub(super) use connection::{Connection, of_http};
pub(super) use prober::HttpProber;

//! The `probe` source against what is really there: servers on loopback that behave, and that don't.

mod config;
mod exec;
mod http;
mod nginx;
mod scene;
mod tcp;
mod worker;

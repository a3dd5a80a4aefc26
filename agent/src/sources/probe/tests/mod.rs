//! The `probe` source against what is really there: servers on loopback that behave, and that don't.

mod amqp;
mod config;
mod http;
mod nginx;
mod postgres;
mod redis;
mod scene;
mod servers;
mod tcp;
mod worker;

//! The `probe` source against what is really there: servers on loopback that behave, and that don't.

mod config;
mod dns;
mod exec;
mod grpc;
mod http;
mod icmp;
mod nginx;
mod scene;
mod steps;
mod tcp;
mod worker;

//! The `probe` source against what is really there: servers on loopback that behave, and that don't.

mod amqp;
mod config;
mod dns;
mod exec;
mod grpc;
mod http;
mod icmp;
mod nginx;
mod postgres;
mod redis;
mod scene;
mod servers;
mod steps;
mod tcp;
mod worker;

//! What ways to probe share of the network.
//!
//! In reading order: `failure` says in which word an error of the system is told; `resolve` finds addresses, `connect` reaches
//! one of them, `tls` speaks TLS over the connection and `certificate` reads what was shown there; `target` reads `HOST:PORT`;
//! `wire` is all of it for protocols of their own, and `clear` warns where
//! there should be TLS.

mod certificate;
mod clear;
mod connect;
mod failure;
mod resolve;
mod target;
mod tls;
mod wire;

pub(super) use clear::warn_of_clear_text;
pub(super) use connect::{find, reach};
pub(super) use failure::of_io;
pub(super) use resolve::{rcode, resolver_at, servers_of_system};
pub(super) use target::{HostPort, read_address, read_host_port};
pub(super) use tls::{Tls, TlsClient, read_tls};
pub(super) use wire::{Way, Wire};

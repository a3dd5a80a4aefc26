//! Probing by a TCP connection, with words spoken over it, and with TLS.
//!
//! In reading order: `dialog` is what is said and awaited, `starttls` how protocols go over to TLS, `config` reads both, and
//! `prober` does it. The `tls` probe is the same with TLS from the start, and asks for nothing but the certificate.

mod config;
mod dialog;
mod prober;
mod starttls;

pub(super) use config::{TcpProbe, TlsProbe};
pub(super) use starttls::StartTls;

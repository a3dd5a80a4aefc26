//! The `tcp:` and `tls:` sections of a probe.
//!
//! Owns their keys, and the names their conditions know.

use std::net::IpAddr;

use watchkeeper_agent_core::probe::Expectations;
use watchkeeper_config::{Fields, Node, Reader, read};
use watchkeeper_expr::Type;

use super::dialog::{Word, read_word};
use super::prober::TcpProber;
use super::starttls::StartTls;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober};
use crate::sources::probe::net::{HostPort, Tls, read_address, read_host_port, read_tls};

/// The port on which TLS is spoken if nothing else is said.
const HTTPS: u16 = 443;

/// A connection, and what is said over it.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct TcpProbe {
    pub(super) host: HostPort,
    /// Where to connect instead of where the name leads.
    pub(super) address: Option<IpAddr>,
    pub(super) starttls: Option<StartTls>,
    pub(super) tls: Option<Tls>,
    pub(super) dialog: Vec<Word>,
}

/// A connection with TLS, for its certificate.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct TlsProbe(TcpProbe);

/// What both read.
fn read_common(f: &mut Fields<'_, '_, '_>, tls: Option<Tls>) -> Option<TcpProbe> {
    let starttls = f.optional("starttls", read::choice(&StartTls::ALL));
    let usual_port = starttls.map(StartTls::usual_port).or(tls.as_ref().map(|_| HTTPS));
    let host = f.required("host", read_host_port(usual_port));
    let address = f.optional("address", read_address);
    let given = f.optional("tls", read_tls);
    let tls = given.or(tls).or(starttls.map(|_| Tls::default()));
    Some(TcpProbe { host: host?, address, starttls, tls, dialog: Vec::new() })
}

impl ProbeKind for TcpProbe {
    const TAG: &'static str = "tcp";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("output", Type::String),
        ("tls", Type::String),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
        ("certificate.chain_expires_in", Type::Duration),
    ];

    const USUAL: &'static [(&'static str, &'static str)] = &[];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["host", "address", "starttls", "tls", "dialog"], |f| {
            let dialog = f.list("dialog", read_word);
            read_common(f, None).map(|probe| Self { dialog, ..probe })
        })
    }

    fn target(&self) -> String {
        self.host.to_string()
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(TcpProber::new(self.clone(), expectations))
    }
}

impl ProbeKind for TlsProbe {
    const TAG: &'static str = "tls";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("tls", Type::String),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
        ("certificate.chain_expires_in", Type::Duration),
    ];

    const USUAL: &'static [(&'static str, &'static str)] =
        &[("certificate", "certificate.expires_in > duration(\"0s\")")];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["host", "address", "starttls", "tls"], |f| {
            read_common(f, Some(Tls::default())).map(Self)
        })
    }

    fn target(&self) -> String {
        self.0.host.to_string()
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(TcpProber::new(self.0.clone(), expectations))
    }
}

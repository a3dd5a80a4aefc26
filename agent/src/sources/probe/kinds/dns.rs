//! Probing by asking for a DNS record.
//!
//! Owns the keys of `dns:` and who asks. Nothing is remembered between two attempts, and `/etc/hosts` is not looked at: it is
//! the name server that is probed.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use serde_json::json;
use tokio::time::Instant;
use watchkeeper_agent_core::probe::{Expectations, Failure, Reason, Said, Seen};
use watchkeeper_config::{Node, Reader, read};
use watchkeeper_expr::Type;

use super::kind::{Asking, ProbeKind, Prober};
use crate::sources::probe::net::{of_io, rcode, resolver_at, servers_of_system};

/// What may be asked for.
const TYPES: [(&str, RecordType); 11] = [
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("CAA", RecordType::CAA),
    ("CNAME", RecordType::CNAME),
    ("MX", RecordType::MX),
    ("NS", RecordType::NS),
    ("PTR", RecordType::PTR),
    ("SOA", RecordType::SOA),
    ("SRV", RecordType::SRV),
    ("TLSA", RecordType::TLSA),
    ("TXT", RecordType::TXT),
];

/// A question, and whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DnsProbe {
    /// Fully qualified: nothing is added to it.
    name: Name,
    record: RecordType,
    /// `None`: those of this system.
    server: Option<SocketAddr>,
    over_tcp: bool,
}

impl ProbeKind for DnsProbe {
    const TAG: &'static str = "dns";

    const NAMES: &'static [(&'static str, Type)] =
        &[("rcode", Type::String), ("answers", Type::Json), ("ttl", Type::Duration)];

    const USUAL: &'static [(&'static str, &'static str)] =
        &[("rcode", "rcode == \"NOERROR\""), ("answers", "size(answers) > 0")];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["name", "type", "server", "tcp"], |f| {
            let name = f.required("name", read_name);
            let record = f.or("type", RecordType::A, read::choice(&TYPES));
            let server = f.optional("server", read_server);
            let place = f.place().clone();
            let over_tcp = f.or("tcp", false, read::bool);
            if over_tcp && !f.has("server") {
                f.reader()
                    .error(&place, "`tcp` is given, but no `server`")
                    .help("name one, or leave `tcp` out");
            }
            Some(Self { name: name?, record, server, over_tcp })
        })
    }

    fn target(&self) -> String {
        let asked = format!("{} {}", self.name, self.record);
        match self.server {
            Some(server) => format!("{asked} at {server}"),
            None => asked,
        }
    }

    fn open(&self, _expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(DnsProber { probe: self.clone(), resolver: None })
    }
}

fn read_name(node: &Node, reader: &mut Reader<'_>) -> Option<Name> {
    let text = read::string(node, reader)?;
    match Name::from_utf8(&text) {
        Ok(mut name) if !text.is_empty() => {
            name.set_fqdn(true);
            Some(name)
        }
        _ => {
            reader.error(node.place(), "this is no name").help("such as shop.example");
            None
        }
    }
}

fn read_server(node: &Node, reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let text = read::string(node, reader)?;
    let alone = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    let parsed = text.parse().or_else(|_| alone());
    if parsed.is_err() {
        let problem = reader.error(node.place(), "this is no address of a name server");
        problem.help("such as 10.0.0.53, 10.0.0.53:5353 or \"[::1]:53\"");
    }
    parsed.ok()
}

/// Asks for a record.
struct DnsProber {
    probe: DnsProbe,
    /// That of the server which is named.
    resolver: Option<TokioResolver>,
}

impl DnsProber {
    async fn attempt(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let DnsProbe { name, record, server, over_tcp } = &self.probe;
        let resolver = match (&self.resolver, server) {
            (_, None) => servers_of_system()?,
            (Some(resolver), _) => resolver.clone(),
            (None, Some(server)) => self.resolver.insert(resolver_at(*server, *over_tcp)?).clone(),
        };
        seen.waits_for = "an answer of the name server";
        let begun = Instant::now();
        let found = resolver.lookup(name.clone(), *record).await;
        seen.passed("dns", begun.elapsed());
        let (code, answers) = match &found {
            Ok(found) => (ResponseCode::NoError, found.answers()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => (none.response_code, &[][..]),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => (*code, &[][..]),
            Err(error) => return Err(failure(error)),
        };
        // All of them: a message of DNS has at most 64 KiB.
        let of_type = answers.iter().filter(|answer| answer.record_type() == *record);
        let of_type: Vec<_> = of_type.collect();
        if let Some(secs) = of_type.iter().map(|answer| answer.ttl).min() {
            seen.say("ttl", Said::Span(i64::from(secs) * 1_000_000_000));
        }
        let texts: Vec<String> = of_type.iter().map(|answer| answer.data.to_string()).collect();
        seen.say("rcode", Said::Text(rcode(code)));
        seen.say("answers", Said::Json(json!(texts)));
        Ok(())
    }
}

fn failure(error: &NetError) -> Failure {
    match error {
        NetError::Io(error) => of_io("the name server", error),
        NetError::Timeout => Failure::new(Reason::Timeout, "the name server does not answer"),
        NetError::Proto(_) => {
            Failure::new(Reason::Protocol, "the answer of the name server can't be read")
        }
        error => Failure::new(Reason::Dns, format!("the name server can't be asked: {error}")),
    }
}

impl Prober for DnsProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}

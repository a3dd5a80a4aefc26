//! `HOST:PORT`, and an address given in place of a name's.
//!
//! Owns their grammar. Never resolves.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use watchkeeper_config::{Node, Reader, read};

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct HostPort {
    /// Without brackets.
    pub(in super::super) host: String,
    pub(in super::super) port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl HostPort {
    /// `shop.example:443`, `10.0.0.1:443`, `[::1]:443`; without a port the usual one, if there is one.
    pub(in super::super) fn parse(text: &str, usual_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => usual_port?,
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        let fits = !host.is_empty() && host.len() <= 253 && host.chars().all(is_name) && port > 0;
        fits.then(|| Self { host: host.to_owned(), port })
    }
}

/// `HOST:PORT`, or just `HOST` where there is a usual port.
pub(in super::super) fn read_host_port(
    usual_port: Option<u16>,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<HostPort> {
    move |node, reader| {
        let text = read::string(node, reader)?;
        let parsed = HostPort::parse(&text, usual_port);
        if parsed.is_none() {
            let shape = if usual_port.is_some() { "HOST or HOST:PORT" } else { "HOST:PORT" };
            reader
                .error(node.place(), format!("this is no {shape}"))
                .help("such as shop.example:443, 10.0.0.1:5432 or \"[::1]:8080\"");
        }
        parsed
    }
}

/// An address without a port.
pub(in super::super) fn read_address(node: &Node, reader: &mut Reader<'_>) -> Option<IpAddr> {
    let text = read::string(node, reader)?;
    let parsed = text.parse();
    if parsed.is_err() {
        let problem = reader.error(node.place(), "this is no IP address");
        problem.help("such as 10.0.0.1 or \"::1\"; a name stands in the target itself");
    }
    parsed.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, usual, said) in [
            ("shop.example:443", None, Some("shop.example:443")),
            ("10.0.0.1:5432", None, Some("10.0.0.1:5432")),
            ("[::1]:8080", None, Some("[::1]:8080")),
            ("[::1]", Some(53), Some("[::1]:53")),
            ("shop", Some(53), Some("shop:53")),
            ("shop", None, None),
            ("shop:", Some(1), None),
            ("shop:0", None, None),
            ("shop:70000", None, None),
            ("shop:+80", None, None),
            ("::1:80", None, None),
            ("[shop]:80", None, None),
            ("http://shop:80", None, None),
            ("", Some(1), None),
        ] {
            let parsed = HostPort::parse(text, usual).map(|t| t.to_string());
            assert_eq!(parsed.as_deref(), said, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in "[a-z0-9.:\\[\\]]{0,20}") {
            if let Some(target) = HostPort::parse(&text, Some(7)) {
                prop_assert_eq!(HostPort::parse(&target.to_string(), None), Some(target));
            }
        }
    }
}

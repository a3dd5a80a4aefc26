//! What a file says of brokers: the keys of `collector.amqp` in an agent's and of `intake.amqp` in a collector's.
//!
//! Owns reading and judging them. Never connects.

use watchkeeper_config::read::ClientTls;
use watchkeeper_config::{Fields, Node, Place, Reader, Secret, read};

use crate::{Address, Names};

/// The most addresses of one cluster.
const MAX_ADDRESSES: usize = 16;

/// What is needed to reach the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Brokers of one cluster: the first that answers is used.
    pub addresses: Vec<Address>,
    /// How to speak TLS with those of `amqps://`.
    pub tls: ClientTls,
    /// What everything of ours on the broker is called.
    pub names: Names,
}

/// Reads the section; `insecure` allows what is closed by default.
pub fn read(node: &Node, reader: &mut Reader<'_>, insecure: bool) -> Option<BrokerSettings> {
    node.fields(reader, &["uri", "uris", "tls", "prefix"], |f| {
        let one = f.optional("uri", |n, r| read_address(n, r, insecure));
        let many = f.list("uris", |n, r| read_address(n, r, insecure));
        let tls_place = f.node("tls").map(|node| node.place().clone());
        let tls = f.optional("tls", read::client_tls);
        let names = f.or("prefix", Names::default(), read_prefix);
        let addresses: Vec<Address> = one.into_iter().chain(many).collect();
        if !is_one_of(f, addresses.len()) {
            return None;
        }
        if let Some(place) = tls_place.filter(|_| !addresses.iter().any(Address::is_tls)) {
            f.reader()
                .error(&place, "`tls` is given, but no address begins with amqps://")
                .help("write amqps:// to use TLS, or leave `tls` out");
            return None;
        }
        Some(BrokerSettings { addresses, tls: tls.unwrap_or_default(), names })
    })
}

/// Whether exactly one of `uri` and `uris` says where brokers are.
fn is_one_of(f: &mut Fields<'_, '_, '_>, n_addresses: usize) -> bool {
    let place = f.place().clone();
    let (has_one, has_many) = (f.has("uri"), f.has("uris"));
    let (message, help) = match (has_one, has_many) {
        (true, true) => ("`uri` and `uris` are both given", "give one of them"),
        (false, false) => (
            "no broker is named",
            "add `uri: \"amqp://USER:PASSWORD@HOST:5672/%2f\"`, or `uris: […]` for the brokers of a cluster",
        ),
        (false, true) if n_addresses > MAX_ADDRESSES => {
            ("more than 16 brokers are named", "name a few of the cluster: any of them will do")
        }
        (false, true) if n_addresses == 0 => ("`uris` names no broker", "name at least one"),
        _ => return n_addresses > 0,
    };
    f.reader().error(&place, message).help(help);
    false
}

fn read_address(node: &Node, reader: &mut Reader<'_>, insecure: bool) -> Option<Address> {
    let text: Secret = read::secret(node, reader)?;
    let address = match Address::parse(&text) {
        Ok(address) => address,
        Err((message, help)) => {
            reader.error(node.place(), message).help(help);
            return None;
        }
    };
    refuse_clear_text(&address, node.place(), reader, insecure).then_some(address)
}

fn refuse_clear_text(
    address: &Address,
    place: &Place,
    reader: &mut Reader<'_>,
    insecure: bool,
) -> bool {
    if address.is_tls() || address.is_loopback() || insecure {
        return true;
    }
    reader
        .error(place, "the password would travel unencrypted to another machine")
        .help("use amqps://, or start with --insecure if this network is trusted");
    false
}

fn read_prefix(node: &Node, reader: &mut Reader<'_>) -> Option<Names> {
    let prefix = read::string(node, reader)?;
    let names = Names::new(&prefix);
    if names.is_none() {
        reader.error(node.place(), format!("{prefix:?} can't begin the names of queues")).help(
            "a prefix has 1 to 64 of A-Z a-z 0-9 - _ ., begins with a letter, and not with amq.",
        );
    }
    names
}

#[cfg(test)]
mod tests {
    use watchkeeper_config::{ProcessEnv, load_str};

    use super::*;

    fn parsed(text: &str, insecure: bool) -> Result<BrokerSettings, String> {
        let mut reader = Reader::new(&ProcessEnv);
        let document = load_str("amqp.yaml", text, &mut reader);
        let settings = document.and_then(|d| super::read(d.root(), &mut reader, insecure));
        reader.finish(settings).map(|(s, _)| s).map_err(|p| p.to_string())
    }

    #[test]
    fn one_address_or_several_are_read() {
        let one = parsed("uri: 'amqp://ann:x@127.0.0.1:1/shop'", false).unwrap();
        assert_eq!(one.addresses.len(), 1);
        assert_eq!(one.names.exchange(), "watchkeeper");
        let two = "uris: ['amqps://ann:x@a', 'amqps://ann:x@b']\nprefix: shop.wk";
        let two = parsed(two, false).unwrap();
        assert_eq!(two.addresses.len(), 2);
        assert_eq!(two.names.windows(), "shop.wk.windows");
    }

    #[test]
    fn what_is_wrong_is_told_with_help_and_without_passwords() {
        for (text, said) in [
            ("{}", "no broker is named"),
            ("uris: []", "names no broker"),
            (
                "{uri: 'amqp://a:hunter2@127.0.0.1', uris: ['amqp://a:hunter2@127.0.0.1']}",
                "both given",
            ),
            ("uri: 'amqp://a:hunter2@mq.example'", "unencrypted"),
            ("uri: 'http://a:hunter2@127.0.0.1'", "begins with amqp://"),
            ("uri: 'amqp://a:hunter2@127.0.0.1/'", "empty name"),
            ("{uri: 'amqp://a:hunter2@127.0.0.1', prefix: amq.x}", "begin the names"),
            ("{uri: 'amqp://a:hunter2@127.0.0.1', prefix: 'a b'}", "begin the names"),
            ("{uri: 'amqp://a:hunter2@127.0.0.1', tls: {server_name: x}}", "no address begins"),
            ("{uri: 'amqp://a:hunter2@127.0.0.1', password: hunter2x}", "password"),
        ] {
            let problems = parsed(text, false).expect_err(text);
            assert!(problems.contains(said), "{text}: {problems}");
            let shown = problems.replace("hunter2x", "");
            assert!(!shown.contains("hunter2@"), "{text}: {problems}");
        }
        assert!(parsed("uri: 'amqp://a:b@mq.example'", true).is_ok());
    }
}

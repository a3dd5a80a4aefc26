//! The `amqp:` section of a probe.
//!
//! Owns its keys, and the names its conditions know. What AMQP does not tell, such as messages that are not acknowledged yet,
//! RabbitMQ's management API does: that is a probe by HTTP.

use watchkeeper_agent_core::probe::Expectations;
use watchkeeper_amqp::Address;
use watchkeeper_config::read::ClientTls;
use watchkeeper_config::{Node, Reader, read};
use watchkeeper_expr::Type;

use super::prober::AmqpProber;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober};
use crate::sources::probe::net::warn_of_clear_text;

/// The longest name of a queue (AMQP 0-9-1, short strings).
const MAX_NAME: usize = 255;

/// A broker, and what it is asked besides whether it lets somebody in.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct AmqpProbe {
    pub(super) address: Address,
    pub(super) tls: ClientTls,
    /// A queue that is looked at.
    pub(super) queue: Option<String>,
    /// Whether a message is sent and fetched.
    pub(super) round_trip: bool,
}

impl ProbeKind for AmqpProbe {
    const TAG: &'static str = "amqp";

    const NAMES: &'static [(&'static str, Type)] =
        &[("messages", Type::Int), ("consumers", Type::Int), ("round_trip", Type::Duration)];

    const USUAL: &'static [(&'static str, &'static str)] = &[];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["uri", "tls", "queue", "round_trip"], |f| {
            let address = f.required("uri", read_address);
            let place = f.node("tls").map(|node| node.place().clone());
            let tls = f.or("tls", ClientTls::default(), read::client_tls);
            let queue = f.optional("queue", read_queue);
            let round_trip = f.or("round_trip", false, read::bool);
            let address = address?;
            if !address.is_tls() {
                warn_of_clear_text(f, "uri", address.host(), "write amqps:// if it speaks TLS");
            }
            if let Some(place) = place.filter(|_| !address.is_tls()) {
                let problem =
                    f.reader().error(&place, "`tls` is given, but the address begins with amqp://");
                problem.help("write amqps:// to use TLS, or leave `tls` out");
                return None;
            }
            Some(Self { address, tls, queue, round_trip })
        })
    }

    fn target(&self) -> String {
        match &self.queue {
            Some(queue) => format!("{} queue {queue:?}", self.address.shown()),
            None => self.address.shown(),
        }
    }

    fn open(&self, _expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(AmqpProber::new(self.clone()))
    }
}

fn read_address(node: &Node, reader: &mut Reader<'_>) -> Option<Address> {
    let text = read::secret(node, reader)?;
    let address = Address::parse(&text);
    address.map_err(|(problem, help)| reader.error(node.place(), problem).help(help)).ok()
}

fn read_queue(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    if name.is_empty() || name.len() > MAX_NAME {
        let problem = reader.error(node.place(), "this can't be the name of a queue");
        problem.help(format!("it has 1 to {MAX_NAME} bytes"));
        return None;
    }
    Some(name)
}

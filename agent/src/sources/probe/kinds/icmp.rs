//! Probing by an echo, as `ping` does.
//!
//! Owns the keys of `icmp:` and the message. An unprivileged socket is tried first (Linux allows it to the groups in
//! `net.ipv4.ping_group_range`), then a raw one. If the system grants neither, that is the agent's own fault: `unable`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::{Domain, Protocol, Socket, Type as SocketType};
use tokio::net::UdpSocket;
use tokio::time::Instant;
use watchkeeper_agent_core::probe::{Expectations, Failure, Reason, Said, Seen};
use watchkeeper_config::{Node, Reader, read};
use watchkeeper_daemon::clock;
use watchkeeper_expr::Type;

use super::kind::{Asking, ProbeKind, Prober};
use crate::sources::probe::net::{HostPort, find, of_io, read_address, read_host_port};

/// Bytes that are sent if nothing else is said, as `ping` does.
const SIZE: i64 = 56;

/// Bytes that tell our echo from others: the moment, and a number.
const MARK: usize = 16;

/// Addresses of a name that are tried, until one can be sent to.
const MAX_ADDRESSES: usize = 4;

/// The greatest message that is sent, with its head.
const MOST: usize = 8 + 1400;

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IcmpProbe {
    /// The port means nothing.
    host: HostPort,
    address: Option<IpAddr>,
    size: usize,
}

impl ProbeKind for IcmpProbe {
    const TAG: &'static str = "icmp";

    const NAMES: &'static [(&'static str, Type)] = &[("address", Type::String)];

    const USUAL: &'static [(&'static str, &'static str)] = &[];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["host", "address", "size"], |f| {
            let host = f.required("host", read_host_port(Some(1)));
            let address = f.optional("address", read_address);
            let range = MARK as i64..=(MOST - 8) as i64;
            let size = f.or("size", SIZE, read::integer(range));
            Some(Self { host: host?, address, size: usize::try_from(size).ok()? })
        })
    }

    fn target(&self) -> String {
        self.host.host.clone()
    }

    fn open(&self, _expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(IcmpProber { probe: self.clone() })
    }
}

struct IcmpProber {
    probe: IcmpProbe,
}

impl IcmpProber {
    async fn attempt(&self, seen: &mut Seen) -> Result<(), Failure> {
        let addresses = find(&self.probe.host, self.probe.address, seen).await?;
        let mut sent = Err(Failure::new(Reason::Dns, "the name has no address"));
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            sent = self.send(address).await;
            if sent.is_ok() {
                break;
            }
        }
        let (socket, address, mark) = sent?;
        seen.say("address", Said::Text(address.to_string()));
        seen.waits_for = "the echo";
        let begun = Instant::now();
        let mut buffer = [0; MOST + 60];
        loop {
            let n = socket.recv(&mut buffer).await;
            let n = n.map_err(|error| of_io(&address.to_string(), &error))?;
            if is_echo(&buffer[..n], address, &mark) {
                seen.passed("echo", begun.elapsed());
                return Ok(());
            }
        }
    }

    /// Sends an echo request; the socket on which the echo will come.
    async fn send(&self, address: IpAddr) -> Result<(UdpSocket, IpAddr, [u8; MARK]), Failure> {
        let whom = address.to_string();
        let socket = open(address).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                let what = "echoes can't be sent: this user may neither use unprivileged ones \
                            (net.ipv4.ping_group_range) nor raw sockets (CAP_NET_RAW)";
                Failure::new(Reason::Unable, what)
            }
            _ => of_io(&whom, &error),
        })?;
        let (message, mark) = message(address, self.probe.size);
        socket.send(&message).await.map_err(|error| of_io(&whom, &error))?;
        Ok((socket, address, mark))
    }
}

fn open(address: IpAddr) -> io::Result<UdpSocket> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = match Socket::new(domain, SocketType::DGRAM, Some(protocol)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Socket::new(domain, SocketType::RAW, Some(protocol))?
        }
        socket => socket?,
    };
    socket.set_nonblocking(true)?;
    // From then on it hears nobody else.
    socket.connect(&SocketAddr::new(address, 0).into())?;
    UdpSocket::from_std(socket.into())
}

/// An echo request (RFC 792, RFC 4443) and the mark by which its answer is known.
fn message(address: IpAddr, size: usize) -> (Vec<u8>, [u8; MARK]) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut mark = [0; MARK];
    mark[..8].copy_from_slice(&clock::now().nanos().to_be_bytes());
    mark[8..].copy_from_slice(&number.to_be_bytes());
    let kind = if address.is_ipv4() { 8 } else { 128 };
    let [.., high, low] = number.to_be_bytes();
    let mut message = vec![kind, 0, 0, 0, mark[6], mark[7], high, low];
    message.extend_from_slice(&mark);
    message.resize(8 + size, 0xa5);
    if address.is_ipv4() {
        // For IPv6 the system does it.
        let sum = checksum(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
    }
    (message, mark)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether it is the answer to the message with this mark. Raw sockets of IPv4, and some systems, give the IP head too.
fn is_echo(packet: &[u8], address: IpAddr, mark: &[u8; MARK]) -> bool {
    let first = packet.first().copied().unwrap_or_default();
    let has_head = address.is_ipv4() && first >> 4 == 4 && packet.len() >= 20;
    let skipped = if has_head { usize::from(first & 0xf) * 4 } else { 0 };
    let Some(echo) = packet.get(skipped..) else { return false };
    let kind = if address.is_ipv4() { 0 } else { 129 };
    echo.len() >= 8 + MARK && echo[0] == kind && echo[8..8 + MARK] == *mark
}

impl Prober for IcmpProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn an_echo_is_known_by_its_mark_with_and_without_a_head() {
        let (mut message, mark) = message(FOUR, 56);
        // A sum over what holds its own sum is 0.
        assert_eq!((message.len(), checksum(&message)), (64, 0));
        assert!(!is_echo(&message, FOUR, &mark), "a question is no answer");
        message[0] = 0;
        assert!(is_echo(&message, FOUR, &mark));
        let mut headed = vec![0x45; 20];
        headed.extend_from_slice(&message);
        assert!(is_echo(&headed, FOUR, &mark));
        assert!(!is_echo(&message, FOUR, &[0; MARK]));
    }

    proptest! {
        #[test]
        fn any_packet_is_looked_at(packet in proptest::collection::vec(any::<u8>(), 0..80)) {
            is_echo(&packet, FOUR, &[1; MARK]);
            is_echo(&packet, IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), &[1; MARK]);
            checksum(&packet);
        }
    }
}

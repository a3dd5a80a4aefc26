//! Reaching one of several addresses of a name.
//!
//! Owns the race of RFC 8305 (happy eyeballs): addresses of both families by turns, each one tried after the one before has
//! failed or has had [`HEAD_START`]. The first connection wins and the others are given up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use watchkeeper_agent_core::probe::{Failure, Reason, Seen};

use super::failure::of_io;
use super::resolve::resolve;
use super::target::HostPort;

/// How long an address has before the next one is tried too: RFC 8305's Connection Attempt Delay.
const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses of a target, of which `at` is the only one if it is given. Says the phase, if there is one.
pub(in super::super) async fn find(
    target: &HostPort,
    at: Option<IpAddr>,
    seen: &mut Seen,
) -> Result<Vec<IpAddr>, Failure> {
    if let Some(literal) = at.or_else(|| target.host.parse().ok()) {
        return Ok(vec![literal]);
    }
    seen.waits_for = "its name to resolve";
    let begun = Instant::now();
    let addresses = resolve(&target.host).await?;
    seen.passed("dns", begun.elapsed());
    Ok(addresses)
}

/// Resolves and connects; `at` is an address given in place of the name's. Says both phases.
pub(in super::super) async fn reach(
    target: &HostPort,
    at: Option<IpAddr>,
    seen: &mut Seen,
) -> Result<TcpStream, Failure> {
    let addresses = find(target, at, seen).await?;
    seen.waits_for = "a connection";
    let begun = Instant::now();
    let stream = race(&addresses, target.port).await?;
    seen.passed("connect", begun.elapsed());
    // Small requests must not wait for each other; that it can't be had is no reason not to ask.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn race(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut waiting = by_turns(addresses).into_iter().take(MAX_ADDRESSES);
    let mut running = FuturesUnordered::new();
    let mut worst: Option<Failure> = None;
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            let address = SocketAddr::new(address, port);
            running.push(async move { (address, TcpStream::connect(address).await) });
        }
        if running.is_empty() {
            let none = || Failure::new(Reason::Dns, "the name has no address");
            return Err(worst.unwrap_or_else(none));
        }
        tokio::select! {
            Some((address, came)) = running.next() => match came {
                Ok(stream) => return Ok(stream),
                Err(error) => worst = Some(worse(worst, of_io(&address.to_string(), &error))),
            },
            () = sleep(HEAD_START), if !is_last => {}
        }
    }
}

/// What to tell of two failures: that of one who could be asked, rather than that we could not ask.
fn worse(known: Option<Failure>, new: Failure) -> Failure {
    match known {
        Some(known) if new.reason.is_own_fault() && !known.reason.is_own_fault() => known,
        _ => new,
    }
}

/// IPv6 first, then by turns, each family in its order.
fn by_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (six, four): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|a| a.is_ipv6());
    let longer = six.len().max(four.len());
    (0..longer).flat_map(|i| [six.get(i), four.get(i)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn families_take_turns() {
        let all: Vec<IpAddr> = ["1.1.1.1", "2.2.2.2", "::1"].map(|a| a.parse().unwrap()).into();
        let told: Vec<String> = by_turns(&all).iter().map(IpAddr::to_string).collect();
        assert_eq!(told, ["::1", "1.1.1.1", "2.2.2.2"]);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dead: IpAddr = "127.0.0.3".parse().unwrap();
        let alive: IpAddr = "127.0.0.2".parse().unwrap();
        let stream = race(&[dead, alive], port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().ip(), alive);
        let failure = race(&[dead], port).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Connect);
        assert_eq!(failure.what, format!("127.0.0.3:{port} refuses connections"));
    }
}

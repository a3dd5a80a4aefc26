//! From names to addresses, without the system's library, whose lookups block.
//!
//! Owns that `/etc/resolv.conf` and `/etc/hosts` are read again when they change, and that nothing is remembered in between: a
//! probe finds out whether a name resolves now. Never decides which address is used.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use tokio::runtime::{Handle, Id};
use watchkeeper_agent_core::probe::{Failure, Reason};

use super::failure::of_io;

/// What a resolver of this system is made of.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// The resolver that all probes share, as they share the system's configuration; with the runtime its sockets belong to.
static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

struct Shared {
    runtime: Id,
    made_of: [Option<SystemTime>; 2],
    resolver: TokioResolver,
    /// The same without `/etc/hosts`.
    servers: TokioResolver,
}

/// The addresses of a name.
pub(super) async fn resolve(name: &str) -> Result<Vec<IpAddr>, Failure> {
    let resolver = of_system(ResolveHosts::Auto)?;
    let found = resolver.lookup_ip(name).await.map_err(|error| failure(name, &error))?;
    let addresses: Vec<IpAddr> = found.iter().collect();
    if addresses.is_empty() {
        return Err(Failure::new(Reason::Dns, format!("{name} has no address")));
    }
    Ok(addresses)
}

/// The name servers of this system as they are configured now; nothing else is asked.
pub(in super::super) fn servers_of_system() -> Result<TokioResolver, Failure> {
    of_system(ResolveHosts::Never)
}

fn of_system(hosts: ResolveHosts) -> Result<TokioResolver, Failure> {
    let changed = |path: &str| Path::new(path).metadata().and_then(|about| about.modified()).ok();
    let made_of = FILES.map(changed);
    let runtime = Handle::current().id();
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_fresh = |known: &Shared| known.runtime == runtime && known.made_of == made_of;
    let known = match shared.take().filter(is_fresh) {
        Some(known) => known,
        None => {
            let (resolver, servers) = (make(ResolveHosts::Auto)?, make(ResolveHosts::Never)?);
            Shared { runtime, made_of, resolver, servers }
        }
    };
    let asked = if hosts == ResolveHosts::Never { &known.servers } else { &known.resolver };
    let asked = asked.clone();
    *shared = Some(known);
    Ok(asked)
}

fn make(hosts: ResolveHosts) -> Result<TokioResolver, Failure> {
    let mut builder = match TokioResolver::builder_tokio() {
        Ok(builder) => builder,
        // As the system's library does, resolv.conf(5): without name servers that of this machine is asked.
        Err(_) => {
            let here = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
            let config = ResolverConfig::from_name_servers(vec![here]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    fresh(builder.options_mut(), hosts);
    builder.build().map_err(|error| unable(&error))
}

/// A resolver that asks this server only.
pub(in super::super) fn resolver_at(
    server: SocketAddr,
    over_tcp: bool,
) -> Result<TokioResolver, Failure> {
    let mut at = if over_tcp {
        NameServerConfig::tcp(server.ip())
    } else {
        NameServerConfig::udp_and_tcp(server.ip())
    };
    at.connections.iter_mut().for_each(|connection| connection.port = server.port());
    let config = ResolverConfig::from_name_servers(vec![at]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    fresh(builder.options_mut(), ResolveHosts::Never);
    builder.build().map_err(|error| unable(&error))
}

fn fresh(options: &mut ResolverOpts, hosts: ResolveHosts) {
    options.cache_size = 0;
    options.use_hosts_file = hosts;
}

fn unable(error: &NetError) -> Failure {
    Failure::new(Reason::Unable, format!("names can't be resolved here: {error}"))
}

/// As it is written everywhere: `NXDOMAIN`, `SERVFAIL`.
pub(in super::super) fn rcode(code: ResponseCode) -> String {
    format!("{code:?}").to_uppercase()
}

fn failure(name: &str, error: &NetError) -> Failure {
    let what = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            format!("{name} does not resolve: {}", rcode(none.response_code))
        }
        NetError::Dns(DnsError::ResponseCode(code)) => {
            format!("{name} does not resolve: {}", rcode(*code))
        }
        // Without a network nobody can be asked.
        NetError::Io(error) if of_io(name, error).reason.is_own_fault() => {
            return of_io("the name server", error);
        }
        NetError::Timeout => format!("{name} does not resolve: no name server answers"),
        error => format!("{name} does not resolve: {error}"),
    };
    Failure::new(Reason::Dns, what)
}

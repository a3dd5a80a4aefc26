//! From names to addresses, without the system's library, whose lookups block.
//!
//! Owns that `/etc/resolv.conf` and `/etc/hosts` are read again when they change, and that nothing is remembered in between: a
//! probe finds out whether a name resolves now. Never decides which address is used.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use tokio::runtime::{Handle, Id};
use watchkeeper_agent_core::probe::{Failure, Reason};

/// What a resolver of this system is made of.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// The resolver that all probes share, as they share the system's configuration; with the runtime its sockets belong to.
static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

struct Shared {
    runtime: Id,
    made_of: [Option<SystemTime>; 2],
    resolver: TokioResolver,
}

/// The addresses of a name.
pub(super) async fn resolve(name: &str) -> Result<Vec<IpAddr>, Failure> {
    let resolver = of_system()?;
    let found = resolver.lookup_ip(name).await.map_err(|error| failure(name, &error))?;
    let addresses: Vec<IpAddr> = found.iter().collect();
    if addresses.is_empty() {
        return Err(Failure::new(Reason::Dns, format!("{name} has no address")));
    }
    Ok(addresses)
}

/// The system's resolver as it is configured now.
fn of_system() -> Result<TokioResolver, Failure> {
    let changed = |path: &str| Path::new(path).metadata().and_then(|about| about.modified()).ok();
    let made_of = FILES.map(changed);
    let runtime = Handle::current().id();
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*shared {
        Some(known) if known.runtime == runtime && known.made_of == made_of => {
            Ok(known.resolver.clone())
        }
        _ => {
            let resolver = make()?;
            *shared = Some(Shared { runtime, made_of, resolver: resolver.clone() });
            Ok(resolver)
        }
    }
}

fn make() -> Result<TokioResolver, Failure> {
    let builder = TokioResolver::builder_tokio();
    let mut builder = match builder {
        Ok(builder) => builder,
        // As the system's library does, resolv.conf(5): without name servers that of this machine is asked.
        Err(_) => {
            let here = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
            let config = ResolverConfig::from_name_servers(vec![here]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    fresh(builder.options_mut());
    builder.build().map_err(|error| unable(&error))
}

fn fresh(options: &mut ResolverOpts) {
    options.cache_size = 0;
}

fn unable(error: &NetError) -> Failure {
    Failure::new(Reason::Unable, format!("names can't be resolved here: {error}"))
}

fn failure(name: &str, error: &NetError) -> Failure {
    let what = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let code = none.response_code.to_str();
            format!("{name} does not resolve: {code}")
        }
        NetError::Timeout => format!("{name} does not resolve: no name server answers"),
        error => format!("{name} does not resolve: {error}"),
    };
    Failure::new(Reason::Dns, what)
}

//! An agent's configuration file: what the user wrote, and the settings it comes to.
//!
//! Owns the top level and the sections `agent:` and `collector:`. Each source reads its own section in its own folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeeper_agent_core::observe::RedactSettings;
use watchkeeper_amqp::BrokerSettings;
use watchkeeper_config::{
    Document, Environment, Fields, Located, Node, Problems, Reader, load, read,
};
use watchkeeper_model::{AgentId, Labels};

use crate::redact::read_redact;
use crate::sources::{self, SourceConfig, SourceSettings};
use crate::spool::SpoolSettings;
use crate::transports::grpc::GrpcSettings;

/// Everything an agent needs, resolved.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Who it is.
    pub id: AgentId,
    /// Where its spool lies.
    pub data_dir: PathBuf,
    /// Labels of everything it sends.
    pub labels: Labels,
    /// The shortest time between two seals.
    pub flush: Duration,
    /// Limits of the spool.
    pub spool: SpoolSettings,
    /// Where the admin endpoint listens.
    pub admin: SocketAddr,
    /// What is taken out of events before they leave the host.
    pub redact: RedactSettings,
    /// The roads to the collector, the best first; never empty.
    pub roads: Vec<RoadSettings>,
    /// What it observes.
    pub sources: Vec<SourceSettings>,
}

/// A road to the collector.
#[derive(Clone, Debug)]
pub enum RoadSettings {
    /// Directly.
    Grpc(GrpcSettings),
    /// By RabbitMQ.
    Amqp(BrokerSettings),
}

/// Reads an agent's file, with everything it includes.
///
/// # Errors
/// All problems of it at once.
pub fn load_settings(
    path: &Path,
    environment: &dyn Environment,
    insecure: bool,
) -> Result<(AgentSettings, Problems), Problems> {
    let mut reader = Reader::new(environment);
    let settings =
        load(path, &mut reader).and_then(|document| read(&document, &mut reader, insecure));
    reader.finish(settings)
}

/// Reads an agent's document; `insecure` allows what is closed by default.
pub fn read(document: &Document, reader: &mut Reader<'_>, insecure: bool) -> Option<AgentSettings> {
    document.root().fields(reader, &["agent", "collector", "sources", "include"], |f| {
        let agent = match f.node("agent").cloned() {
            Some(node) => read_agent(&node, f.reader(), insecure),
            None => AgentSection::default(f.reader(), insecure),
        };
        let roads = f.optional("collector", |node, reader| read_collector(node, reader, insecure));
        let sources = f.list("sources", sources::read);
        if sources.is_empty() && !f.reader().problems().has_errors() {
            let place = f.place().clone();
            f.reader()
                .warning(&place, "no sources: this agent has nothing to observe")
                .help("add at least one under `sources:`, such as `- tail: {service: shop, paths: [/var/log/shop/*.log], …}`");
        }
        let sources = with_unique_names(sources, f.reader());
        let agent = agent?;
        Some(AgentSettings {
            id: agent.id,
            data_dir: agent.data_dir,
            labels: agent.labels,
            flush: agent.flush,
            spool: agent.spool,
            admin: agent.admin,
            redact: agent.redact,
            roads: roads.unwrap_or_else(|| vec![RoadSettings::Grpc(default_road())]),
            sources,
        })
    })
}

struct AgentSection {
    id: AgentId,
    data_dir: PathBuf,
    labels: Labels,
    flush: Duration,
    spool: SpoolSettings,
    admin: SocketAddr,
    redact: RedactSettings,
}

const DEFAULT_DATA_DIR: &str = "./data/agent";
const DEFAULT_ADMIN: &str = "127.0.0.1:7701";

impl AgentSection {
    fn default(_reader: &mut Reader<'_>, _insecure: bool) -> Option<Self> {
        Some(Self {
            id: AgentId::new(&host_name()),
            data_dir: DEFAULT_DATA_DIR.into(),
            labels: Labels::default(),
            flush: Duration::from_millis(250),
            spool: SpoolSettings::default(),
            admin: DEFAULT_ADMIN.parse().ok()?,
            redact: RedactSettings::default(),
        })
    }
}

fn read_agent(node: &Node, reader: &mut Reader<'_>, insecure: bool) -> Option<AgentSection> {
    let keys = ["id", "data_dir", "labels", "flush", "spool", "admin", "redact"];
    node.fields(reader, &keys, |f| {
        let id = f.optional("id", read_id);
        let data_dir = f.or("data_dir", DEFAULT_DATA_DIR.to_owned(), read::string);
        let labels = f.or("labels", Labels::default(), read::labels);
        let range = Duration::from_millis(10)..=Duration::from_secs(60);
        let flush = f.or("flush", Duration::from_millis(250), read::duration_in(range));
        let spool = f.or("spool", SpoolSettings::default(), read_spool);
        let admin = f.or("admin", DEFAULT_ADMIN.parse().ok()?, |n, r| read_address(n, r, insecure));
        let redact = f.or("redact", RedactSettings::default(), read_redact);
        Some(AgentSection {
            id: id.unwrap_or_else(|| AgentId::new(&host_name())),
            data_dir: data_dir.into(),
            labels,
            flush,
            spool,
            admin,
            redact,
        })
    })
}

fn read_id(node: &Node, reader: &mut Reader<'_>) -> Option<AgentId> {
    let id = read::string(node, reader)?;
    let fits = (1..=253).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    if fits {
        return Some(AgentId::new(&id));
    }
    reader
        .error(node.place(), format!("{id:?} is no agent id"))
        .help("an id has 1 to 253 printable ASCII characters and no spaces, such as web-1");
    None
}

fn read_spool(node: &Node, reader: &mut Reader<'_>) -> Option<SpoolSettings> {
    let default = SpoolSettings::default();
    node.fields(reader, &["max_bytes", "keep"], |f| {
        let max_bytes = f.or("max_bytes", default.max_bytes, read::size_in(1 << 20..=1 << 50));
        let range = Duration::ZERO..=Duration::from_secs(30 * 86_400);
        let keep = f.or("keep", default.keep, read::duration_in(range));
        Some(SpoolSettings { max_bytes, keep, ..default })
    })
}

/// An address to listen on: beyond loopback only if asked for by name.
fn read_address(node: &Node, reader: &mut Reader<'_>, insecure: bool) -> Option<SocketAddr> {
    let text = read::string(node, reader)?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        reader
            .error(node.place(), format!("{text:?} is no address to listen on"))
            .help("write IP:PORT, such as 127.0.0.1:7701 or [::1]:7701");
        return None;
    };
    if !address.ip().is_loopback() && !insecure {
        reader
            .error(node.place(), format!("{address} can be reached from other machines, and the admin endpoint has no TLS"))
            .help("listen on 127.0.0.1, or start with --insecure if this network is trusted");
        return None;
    }
    Some(address)
}

/// The roads in the order in which they are written.
fn read_collector(
    node: &Node,
    reader: &mut Reader<'_>,
    insecure: bool,
) -> Option<Vec<RoadSettings>> {
    node.fields(reader, &["grpc", "amqp"], |f| {
        if !f.has("grpc") && !f.has("amqp") {
            let place = f.place().clone();
            f.reader()
                .error(&place, "no road to the collector is named")
                .help("add `grpc: {endpoint: \"http://HOST:7700\"}`, `amqp: {uri: \"amqp://…\"}` or both: the first that works is used");
            return None;
        }
        let grpc = f.optional("grpc", |n, r| read_grpc(n, r, insecure)).map(RoadSettings::Grpc);
        let amqp = f.optional("amqp", |n, r| watchkeeper_amqp::read(n, r, insecure));
        let amqp = amqp.map(RoadSettings::Amqp);
        let is_first = node.entries().first().is_some_and(|entry| entry.key == "amqp");
        let roads = if is_first { [amqp, grpc] } else { [grpc, amqp] };
        Some(roads.into_iter().flatten().collect())
    })
}

fn read_grpc(node: &Node, reader: &mut Reader<'_>, insecure: bool) -> Option<GrpcSettings> {
    node.fields(reader, &["endpoint", "token", "tls"], |f| {
        let endpoint = f.required("endpoint", read::located(read::url));
        let token = f.optional("token", read::secret);
        let tls = f.optional("tls", read::client_tls).unwrap_or_default();
        let endpoint = endpoint?;
        check_endpoint(&endpoint, token.is_some(), tls.is_some(), insecure, f)?;
        Some(GrpcSettings {
            endpoint: endpoint.value,
            token,
            ca_pem: tls.ca_pem,
            identity_pem: tls.identity_pem,
            server_name: tls.server_name,
        })
    })
}

fn check_endpoint(
    endpoint: &Located<String>,
    has_token: bool,
    has_tls: bool,
    insecure: bool,
    f: &mut Fields<'_, '_, '_>,
) -> Option<()> {
    let clear = endpoint.value.strip_prefix("http://");
    let Some(rest) = clear else {
        if endpoint.value.starts_with("https://") {
            return Some(());
        }
        f.reader()
            .error(&endpoint.place, "the endpoint must begin with http:// or https://")
            .help("write http://127.0.0.1:7700 for a collector on this machine, https://HOST:PORT for another");
        return None;
    };
    if has_tls {
        f.reader()
            .error(&endpoint.place, "`tls` is given, but the endpoint begins with http://")
            .help("write https:// to use TLS, or leave `tls` out");
        return None;
    }
    let is_local = is_loopback(rest);
    if has_token && !is_local && !insecure {
        f.reader()
            .error(&endpoint.place, "the token would travel unencrypted to another machine")
            .help("use https://, or start with --insecure if this network is trusted");
        return None;
    }
    Some(())
}

/// Whether `HOST[:PORT][/…]` is this machine: by its whole name or address, not by how it begins.
fn is_loopback(authority: &str) -> bool {
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    watchkeeper_config::is_loopback(host)
}

fn default_road() -> GrpcSettings {
    GrpcSettings {
        endpoint: "http://127.0.0.1:7700".to_owned(),
        token: None,
        ca_pem: None,
        identity_pem: None,
        server_name: None,
    }
}

/// A source without a name gets its service's, and a number if needed; a name given twice is an error.
fn with_unique_names(sources: Vec<SourceConfig>, reader: &mut Reader<'_>) -> Vec<SourceSettings> {
    let mut taken: Vec<String> = Vec::new();
    for name in sources.iter().filter_map(|s| s.given_name.as_ref()) {
        if taken.contains(&name.value) {
            reader
                .error(&name.place, format!("another source is called {:?} too", name.value))
                .help("names are unique in an agent: positions in files are kept under them");
        }
        taken.push(name.value.clone());
    }
    let mut named = Vec::new();
    for SourceConfig { given_name, mut settings } in sources {
        if given_name.is_none() {
            let base = settings.service().as_str().to_owned();
            let numbered = (2..).map(|n| format!("{base}-{n}"));
            let free = std::iter::once(base.clone()).chain(numbered).find(|n| !taken.contains(n));
            let name = free.unwrap_or(base);
            settings.set_name(&name);
            taken.push(name);
        }
        named.push(settings);
    }
    named
}

/// The host's name, as `uname -n` gives it.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback_whatever_a_name_begins_with() {
        for (authority, is_here) in [
            ("127.0.0.1:7700", true),
            ("localhost:7700", true),
            ("LOCALHOST", true),
            ("[::1]:7700/x", true),
            ("127.8.9.1", true),
            ("localhost.evil.example", false),
            ("127.evil.example:7700", false),
            ("127.0.0.1@evil.example", false),
            ("10.0.0.1:7700", false),
            ("[::2]:7700", false),
        ] {
            assert_eq!(is_loopback(authority), is_here, "{authority}");
        }
    }

    fn roads(collector: &str) -> Result<Vec<&'static str>, String> {
        let text = format!("sources: []\ncollector: {collector}\n");
        let mut reader = Reader::new(&watchkeeper_config::ProcessEnv);
        let document = watchkeeper_config::load_str("agent.yaml", &text, &mut reader);
        let settings = document.and_then(|d| super::read(&d, &mut reader, false));
        let (settings, _) = reader.finish(settings).map_err(|p| p.to_string())?;
        let word = |road: &RoadSettings| match road {
            RoadSettings::Grpc(_) => "grpc",
            RoadSettings::Amqp(_) => "amqp",
        };
        Ok(settings.roads.iter().map(word).collect())
    }

    #[test]
    fn roads_are_used_in_the_order_in_which_they_are_written() {
        let grpc = "grpc: {endpoint: 'http://127.0.0.1:7700'}";
        let amqp = "amqp: {uri: 'amqp://ann:hunter2@127.0.0.1'}";
        for (collector, wanted) in [
            (format!("{{{grpc}}}"), vec!["grpc"]),
            (format!("{{{amqp}}}"), vec!["amqp"]),
            (format!("{{{grpc}, {amqp}}}"), vec!["grpc", "amqp"]),
            (format!("{{{amqp}, {grpc}}}"), vec!["amqp", "grpc"]),
        ] {
            assert_eq!(roads(&collector), Ok(wanted), "{collector}");
        }
        let problems = roads("{}").unwrap_err();
        assert!(problems.contains("no road to the collector is named"), "{problems}");
        let problems = roads("{amqp: {uri: 'amqp://ann:hunter2@mq.example'}}").unwrap_err();
        assert!(problems.contains("unencrypted") && !problems.contains("hunter2"), "{problems}");
    }
}

//! A collector's configuration file: what the user wrote, and the settings it comes to.
//!
//! In reading order: `server` is the section `collector:` and `storage:`, `objectives` rules, `slos` SLOs, `slo_files` those in
//! files of others, `composites` their parts, `corrections` what their budgets leave out, `alerting` routes and receivers, `annotations` the expressions in
//! those of SLOs and rules. Each channel reads its own section in its own folder. Reports every problem with its place,
//! all at once.

mod alerting;
mod annotations;
mod composites;
mod corrections;
mod objectives;
mod server;
mod slo_files;
mod slos;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use watchkeeper_amqp::BrokerSettings;
use watchkeeper_collector_core::alert::{Builtin, BuiltinSettings};
use watchkeeper_collector_core::engine;
use watchkeeper_config::{Document, Environment, Fields, Node, Problems, Reader, load, read};

pub use server::{Role, ServerSettings, StorageSettings, TlsFiles, Token};
pub use slo_files::{SloFile, SloFormat, check_slo_file};

use crate::channels::registry::IntegrationSettings;

/// Everything a collector needs, resolved.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    /// Where it listens and who may call.
    pub server: ServerSettings,
    /// What it keeps.
    pub storage: StorageSettings,
    /// The brokers that batches are taken from, beside gRPC.
    pub amqp: Option<BrokerSettings>,
    /// What the engine goes by.
    pub engine: Arc<engine::Settings>,
    /// How receivers are told.
    pub integrations: Vec<IntegrationSettings>,
}

/// Reads a collector's file, with everything it includes.
///
/// # Errors
/// All problems of it at once.
pub fn load_settings(
    path: &Path,
    environment: &dyn Environment,
    insecure: bool,
) -> Result<(CollectorSettings, Problems), Problems> {
    let mut reader = Reader::new(environment);
    let settings =
        load(path, &mut reader).and_then(|document| read(&document, &mut reader, insecure));
    reader.finish(settings)
}

/// Reads a collector's document; `insecure` allows what is closed by default.
pub fn read(
    document: &Document,
    reader: &mut Reader<'_>,
    insecure: bool,
) -> Option<CollectorSettings> {
    let keys = [
        "collector",
        "storage",
        "intake",
        "slos",
        "slo_files",
        "corrections",
        "rules",
        "builtin",
        "alerting",
        "include",
    ];
    slo_files::refuse_included(document, reader)?;
    document.root().fields(reader, &keys, |f| {
        let server = f.optional("collector", |n, r| server::read(n, r, insecure));
        let storage = f.or("storage", StorageSettings::default(), server::read_storage);
        let amqp = f.optional("intake", |n, r| read_intake(n, r, insecure)).flatten();
        let server = server.unwrap_or_default();
        let judging = read_judging(f, &server.external_url);
        Some(CollectorSettings {
            server,
            storage,
            amqp,
            engine: Arc::new(judging.engine),
            integrations: judging.integrations,
        })
    })
}

/// The keys that [`read_judging`] reads.
pub const JUDGING_KEYS: [&str; 6] =
    ["slos", "slo_files", "corrections", "rules", "builtin", "alerting"];

/// The names of the alerts that need no SLO and no rule.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    Builtin::ALL.iter().map(|builtin| builtin.as_str())
}

/// What is judged and who is told: everything of a collector that is not the machine it runs on.
#[derive(Clone, Debug)]
pub struct Judging {
    /// What the engine goes by.
    pub engine: engine::Settings,
    /// How receivers are told.
    pub integrations: Vec<IntegrationSettings>,
}

/// Reads [`JUDGING_KEYS`] of a map, which may have others of its own.
pub fn read_judging(f: &mut Fields<'_, '_, '_>, external_url: &str) -> Judging {
    let mut slos: Vec<_> = f.list("slos", slos::read_slo).into_iter().flatten().collect();
    let entries = slo_files::read(f);
    slos.extend(entries.iter().filter_map(|entry| slos::read_slo(entry, f.reader())).flatten());
    composites::resolve(&mut slos, f.reader());
    let corrections = f.list("corrections", corrections::read_correction);
    corrections::refuse_unknown(&corrections, &slos, f.reader());
    let rules = f.list("rules", objectives::read_rule);
    objectives::refuse_same_names(&slos, &rules, f.reader());
    annotations::check(f, &slos, &rules);
    annotations::check_slos(&entries, &slos, f.reader());
    let builtin = f.or("builtin", BuiltinSettings::default(), read_builtin);
    let alerting = f.optional("alerting", alerting::read).unwrap_or_default();
    let engine = engine::Settings {
        slos: slos.into_iter().map(|s| s.value).collect(),
        rules: rules.into_iter().map(|r| r.value).collect(),
        corrections: corrections.into_iter().map(|c| c.value).collect(),
        builtin,
        routes: alerting.routes,
        receivers: alerting.receivers,
        external_url: external_url.to_owned(),
    };
    Judging { engine, integrations: alerting.integrations }
}

/// Roads beside gRPC, which is always there.
fn read_intake(
    node: &Node,
    reader: &mut Reader<'_>,
    insecure: bool,
) -> Option<Option<BrokerSettings>> {
    node.fields(reader, &["amqp"], |f| {
        let is_given = f.has("amqp");
        let amqp = f.optional("amqp", |n, r| watchkeeper_amqp::read(n, r, insecure));
        (amqp.is_some() || !is_given).then_some(amqp)
    })
}

fn read_builtin(node: &Node, reader: &mut Reader<'_>) -> Option<BuiltinSettings> {
    let names: Vec<&'static str> = Builtin::ALL.iter().map(|b| b.as_str()).collect();
    node.fields(reader, &names, |f| {
        let mut settings = BuiltinSettings::default();
        for builtin in Builtin::ALL {
            if let Some(severity) = f.optional(builtin.as_str(), read_one_builtin) {
                settings.changed.insert(builtin, severity);
            }
        }
        Some(settings)
    })
}

/// `{off: true}` or `{severity: warning}`: the severity, or `None` for off.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether it could be read, the inner one is the setting"
)]
fn read_one_builtin(node: &Node, reader: &mut Reader<'_>) -> Option<Option<String>> {
    node.fields(reader, &["off", "severity"], |f| {
        let off = f.or("off", false, read::bool);
        let severity = f.optional("severity", read::string);
        match (off, severity) {
            (true, None) => Some(None),
            (false, Some(severity)) => Some(Some(severity)),
            _ => {
                let place = f.place().clone();
                f.reader().error(&place, "a built-in alert is turned off or given a severity").help(
                    "write {off: true} or {severity: warning}; without an entry it keeps its own severity",
                );
                None
            }
        }
    })
}

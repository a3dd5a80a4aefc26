//! What only a start can change.
//!
//! Owns the list of such keys, by the names they have in the file. Compares with what the process runs with, not with the
//! file before: a change that waits for a restart is named with every reload until then.

use crate::config::AgentSettings;
use crate::transports::grpc::GrpcSettings;

/// The keys that differ and need a restart.
pub(super) fn needs_restart(running: &AgentSettings, wanted: &AgentSettings) -> Vec<&'static str> {
    // Without `..`: whoever adds a setting decides here what a reload does with it.
    let AgentSettings { id, data_dir, labels, flush: _, spool, admin, redact: _, grpc, sources: _ } =
        running;
    let GrpcSettings { endpoint, token, ca_pem, identity_pem, server_name } = grpc;
    let tls = (ca_pem, identity_pem, server_name);
    let other = &wanted.grpc;
    let changed = [
        ("agent.id", *id != wanted.id),
        ("agent.data_dir", *data_dir != wanted.data_dir),
        ("agent.labels", *labels != wanted.labels),
        ("agent.spool", *spool != wanted.spool),
        ("agent.admin", *admin != wanted.admin),
        ("collector.grpc.endpoint", *endpoint != other.endpoint),
        ("collector.grpc.token", *token != other.token),
        ("collector.grpc.tls", tls != (&other.ca_pem, &other.identity_pem, &other.server_name)),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

//! What only a start can change.
//!
//! Owns the list of such keys, by the names they have in the file. Compares with what the process runs with, not with the
//! file before: a change that waits for a restart is named with every reload until then.

use watchkeeper_amqp::BrokerSettings;

use crate::config::{AgentSettings, RoadSettings};
use crate::transports::RoadKind;
use crate::transports::grpc::GrpcSettings;

/// The keys that differ and need a restart.
pub(super) fn needs_restart(running: &AgentSettings, wanted: &AgentSettings) -> Vec<&'static str> {
    // Without `..`: whoever adds a setting decides here what a reload does with it.
    let AgentSettings {
        id,
        data_dir,
        labels,
        flush: _,
        spool,
        admin,
        redact: _,
        roads,
        sources: _,
    } = running;
    let (order, grpc, amqp) = apart(roads);
    let (other_order, other_grpc, other_amqp) = apart(&wanted.roads);
    let of_grpc = |differs: fn(&GrpcSettings, &GrpcSettings) -> bool| match (grpc, other_grpc) {
        (Some(one), Some(other)) => differs(one, other),
        _ => false,
    };
    let changed = [
        ("agent.id", *id != wanted.id),
        ("agent.data_dir", *data_dir != wanted.data_dir),
        ("agent.labels", *labels != wanted.labels),
        ("agent.spool", *spool != wanted.spool),
        ("agent.admin", *admin != wanted.admin),
        ("collector", order != other_order),
        ("collector.grpc.endpoint", of_grpc(|a, b| a.endpoint != b.endpoint)),
        ("collector.grpc.token", of_grpc(|a, b| a.token != b.token)),
        ("collector.grpc.tls", of_grpc(|a, b| tls(a) != tls(b))),
        ("collector.amqp", order == other_order && amqp != other_amqp),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// The order of the roads, and each of them.
fn apart(
    roads: &[RoadSettings],
) -> (Vec<RoadKind>, Option<&GrpcSettings>, Option<&BrokerSettings>) {
    let (mut order, mut grpc, mut amqp) = (Vec::new(), None, None);
    for road in roads {
        match road {
            RoadSettings::Grpc(settings) => {
                order.push(RoadKind::Grpc);
                grpc = Some(settings);
            }
            RoadSettings::Amqp(settings) => {
                order.push(RoadKind::Amqp);
                amqp = Some(settings);
            }
        }
    }
    (order, grpc, amqp)
}

/// Without `..`: whoever adds a setting decides here whether it belongs to TLS.
fn tls(settings: &GrpcSettings) -> impl PartialEq + use<'_> {
    let GrpcSettings { endpoint: _, token: _, ca_pem, identity_pem, server_name } = settings;
    (ca_pem, identity_pem, server_name)
}

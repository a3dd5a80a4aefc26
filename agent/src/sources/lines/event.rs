//! `events:`, which lines are kept whole.
//!
//! Owns the keys of one event.

use std::time::Duration;

use watchkeeper_agent_core::observe::{EventLimit, EventSettings};
use watchkeeper_config::{Located, Node, Reader, read};
use watchkeeper_model::Severity;

use super::known::Known;
use super::name::read_name;

/// Reads one event.
pub(super) fn read_event(
    node: &Node,
    reader: &mut Reader<'_>,
    known: &Known,
) -> Option<Located<EventSettings>> {
    let severities = [
        ("info", Severity::Info),
        ("warning", Severity::Warning),
        ("ticket", Severity::Warning),
        ("error", Severity::Error),
        ("critical", Severity::Critical),
        ("page", Severity::Critical),
    ];
    let keys = ["name", "where", "severity", "message", "correlation", "trace", "limit"];
    let event = node.fields(reader, &keys, |f| {
        let name = f.required("name", read_name);
        let filter = f.required("where", read::condition(known.scope()));
        let severity = f.or("severity", Severity::Info, read::choice(&severities));
        let message = f.optional("message", |node, reader| known.field(node, reader));
        let correlation = f.optional("correlation", |node, reader| known.field(node, reader));
        let trace = f.optional("trace", |node, reader| known.field(node, reader));
        let limit = f.optional("limit", read_limit);
        Some(EventSettings {
            name: name?,
            filter: filter?,
            severity,
            message,
            correlation,
            trace,
            limit,
        })
    })?;
    Some(Located { value: event, place: node.place().clone() })
}

/// `{events: 60, per: 1m}`.
fn read_limit(node: &Node, reader: &mut Reader<'_>) -> Option<EventLimit> {
    node.fields(reader, &["events", "per"], |f| {
        let events = f.required("events", read::integer(1..=1_000_000));
        let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
        let per = f.required("per", read::duration_in(range));
        Some(EventLimit { events: u32::try_from(events?).ok()?, per: per? })
    })
}

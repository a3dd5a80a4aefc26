//! `events:`, which lines are kept whole.
//!
//! Owns the keys of one event.

use watchkeeper_agent_core::observe::EventSettings;
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
    let event =
        node.fields(reader, &["name", "where", "severity", "message", "correlation"], |f| {
            let name = f.required("name", read_name);
            let filter = f.required("where", read::condition(known.scope()));
            let severity = f.or("severity", Severity::Info, read::choice(&severities));
            let message = f.optional("message", |node, reader| known.field(node, reader));
            let correlation = f.optional("correlation", |node, reader| known.field(node, reader));
            Some(EventSettings { name: name?, filter: filter?, severity, message, correlation })
        })?;
    Some(Located { value: event, place: node.place().clone() })
}

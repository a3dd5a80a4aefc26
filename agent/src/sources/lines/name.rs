//! Names of signals and events.
//!
//! Owns what a name may be, and that it is given once.

use watchkeeper_agent_core::observe::{EventSettings, SignalSettings};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_model::names::is_label_name;

/// The name of a signal or event.
pub(super) fn read_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    if is_label_name(&name) {
        return Some(name);
    }
    reader
        .error(node.place(), format!("`{}` is no name of a signal or event", name.escape_debug()))
        .help("letters, digits and `_`, no digit first");
    None
}

/// Refuses a name that is given twice.
pub(super) fn unique_names(
    f: &mut Fields<'_, '_, '_>,
    signals: &[Located<SignalSettings>],
    events: &[Located<EventSettings>],
) -> Option<()> {
    let signals = signals.iter().map(|s| ("signal", &s.value.name, &s.place));
    let events = events.iter().map(|e| ("event", &e.value.name, &e.place));
    let (mut seen, mut unique) = (Vec::new(), true);
    for (what, name, place) in signals.chain(events) {
        if seen.contains(&(what, name)) {
            f.reader()
                .error(place, format!("another {what} of this source is called {name:?} too"));
            unique = false;
        }
        seen.push((what, name));
    }
    unique.then_some(())
}

//! The keys about lines in the section of a source.
//!
//! Owns which keys these are, and that they make one [`LineSettings`].

use watchkeeper_agent_core::observe::LineSettings;
use watchkeeper_config::Fields;
use watchkeeper_model::Service;

use super::event::read_event;
use super::format::read_format;
use super::known::Known;
use super::name::unique_names;
use super::signal::read_signal;
use super::time::read_time;

/// The keys about lines.
pub const KEYS: [&str; 5] = ["format", "pattern", "time", "signals", "events"];

/// Reads the keys about lines. `given` names the fields that the source itself gives beside those of the line.
///
/// Problems go to the reader; `None` if there is one that leaves nothing to go on with.
pub fn read(
    f: &mut Fields<'_, '_, '_>,
    source: &str,
    service: Option<Service>,
    given: Vec<String>,
) -> Option<LineSettings> {
    let format = read_format(f);
    let known = Known::of(format.as_ref(), &given);
    let time = f.optional("time", |node, reader| read_time(node, reader, &known));
    let signals = f.list("signals", |node, reader| read_signal(node, reader, &known));
    let events = f.list("events", |node, reader| read_event(node, reader, &known));
    unique_names(f, &signals, &events)?;
    Some(LineSettings {
        source: source.to_owned(),
        service: service?,
        format: format?,
        given,
        time,
        signals: signals.into_iter().map(|s| s.value).collect(),
        events: events.into_iter().map(|e| e.value).collect(),
    })
}

//! Secrets that others could read on the way.
//!
//! Owns the warning. It is no error: that the service takes passwords in clear is its owner's choice, and every client's of it.

use watchkeeper_config::{Fields, is_loopback};

/// Warns if what stands at this key would go to another machine in clear.
pub(in super::super) fn warn_of_clear_text(
    f: &mut Fields<'_, '_, '_>,
    key: &'static str,
    host: &str,
    help: &str,
) {
    let place = f.node(key).map(|node| node.place().clone());
    if let Some(place) = place.filter(|_| !is_loopback(host)) {
        let problem = format!("`{key}` may be read on the way to another machine");
        f.reader().warning(&place, problem).help(help);
    }
}

//! Names with a grammar: services, signals, labels.
//!
//! Owns what a valid name is. Never decides what a name is for.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Label names that only Watchkeeper itself sets.
pub const RESERVED_LABELS: [&str; 5] = ["agent", "service", "signal", "severity", "alertname"];

/// A service: the unit of ownership and partitioning, `[a-z0-9_-]{1,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Service(Arc<str>);

impl Service {
    /// The service of that name, or `None` if the name is not `[a-z0-9_-]{1,63}`.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=63).contains(&name.len())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        fits.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `name` is a label, signal or field name: `[a-zA-Z_][a-zA-Z0-9_]*`, at most 128 bytes.
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 128
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_keep_to_their_grammar() {
        for (name, fits) in
            [("shop", true), ("web-1_a", true), ("", false), ("Shop", false), ("a.b", false)]
        {
            assert_eq!(Service::new(name).is_some(), fits, "{name:?}");
        }
        assert!(Service::new(&"a".repeat(64)).is_none());
    }

    #[test]
    fn label_names_keep_to_prometheus_grammar() {
        for (name, fits) in
            [("status", true), ("_x9", true), ("9x", false), ("a-b", false), ("", false)]
        {
            assert_eq!(is_label_name(name), fits, "{name:?}");
        }
    }
}

//! The identity of an alert: stable under a change of its labels, its severity or its wording.
//!
//! Owns fingerprints. Never depends on anything a person may edit without meaning another problem.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use watchkeeper_model::Labels;

/// What raises an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// An SLO.
    Slo,
    /// A rule.
    Rule,
    /// Watchkeeper, about itself and what it depends on.
    Builtin,
}

impl AlertKind {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slo => "slo",
            Self::Rule => "rule",
            Self::Builtin => "builtin",
        }
    }
}

/// Which alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// What raises it.
    pub kind: AlertKind,
    /// The name of the SLO, rule or built-in condition.
    pub name: String,
    /// The values of the labels it is split by.
    pub by: Labels,
}

impl AlertKey {
    /// The alert of an SLO.
    pub fn slo(name: &str) -> Self {
        Self { kind: AlertKind::Slo, name: name.to_owned(), by: Labels::default() }
    }

    /// The alert of one group of a rule.
    pub fn rule(name: &str, by: Labels) -> Self {
        Self { kind: AlertKind::Rule, name: name.to_owned(), by }
    }

    /// An alert of ours.
    pub fn builtin(builtin: super::Builtin, by: Labels) -> Self {
        Self { kind: AlertKind::Builtin, name: builtin.as_str().to_owned(), by }
    }

    /// 64 bits of a hash over all of it.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        part(self.kind.as_str());
        part(&self.name);
        for (name, value) in self.by.iter() {
            part(name);
            part(value);
        }
        let mut head = [0; 8];
        head.copy_from_slice(&hash.finalize()[..8]);
        Fingerprint(u64::from_be_bytes(head))
    }
}

/// Sixteen hexadecimal digits that name an alert everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits
            .then(|| u64::from_str_radix(text, 16).ok().map(Self))
            .flatten()
            .ok_or_else(|| format!("fingerprint {text:?}: not sixteen hexadecimal digits"))
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_depends_on_kind_name_and_by_and_reads_as_written() {
        let keys = [
            AlertKey::slo("a"),
            AlertKey::rule("a", Labels::default()),
            AlertKey::rule("b", Labels::default()),
            AlertKey::rule("a", Labels::new([("x", "1")])),
            AlertKey::rule("a", Labels::new([("x1", "")])),
        ];
        let prints: Vec<_> = keys.iter().map(AlertKey::fingerprint).collect();
        for print in &prints {
            assert_eq!(print.to_string().parse(), Ok(*print));
        }
        assert_eq!(prints[1], prints[4], "an empty label is no label");
        let distinct: std::collections::BTreeSet<_> = prints.into_iter().collect();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn a_fingerprint_never_changes_between_versions() {
        assert_eq!(AlertKey::slo("shop").fingerprint().to_string(), "94054c73fb1c43e9");
    }
}

//! Label sets: sorted, without empty values, cheap to clone and to compare.
//!
//! Owns the rule that an empty value and an absent label are the same. Never validates names: configuration does.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value that stands for all label values beyond a limit.
pub const OVERFLOW: &str = "__overflow__";

/// A set of labels, sorted by name; an empty value is the same as no label and is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The set of these pairs. The last value given for a name holds.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut all: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(all.len());
        for pair in all {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Self(kept.into())
    }

    /// The value of a label; "" if it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name)).map_or("", |i| &*self.0[i].1)
    }

    /// Name and value of each label, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This set with `other` laid over it: a name in both has `other`'s value.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(other.0.iter()).cloned())
    }

    /// This set with one label more, or another value for it; an empty value takes the label away.
    #[must_use]
    pub fn with_one(&self, name: &str, value: &str) -> Self {
        Self::new(self.0.iter().cloned().chain([(name.into(), value.into())]))
    }

    /// Only the labels named, absent ones left out.
    #[must_use]
    pub fn only<S: AsRef<str>>(&self, names: &[S]) -> Self {
        let named = |name: &Arc<str>| names.iter().any(|k| *k.as_ref() == **name);
        Self(self.0.iter().filter(|(name, _)| named(name)).cloned().collect())
    }
}

/// As Prometheus writes it: `{method="GET", status="500"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl<N: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::new(pairs)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of label names to strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Labels::new(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_no_label() {
        assert_eq!(Labels::new([("a", ""), ("b", "1")]), Labels::new([("b", "1")]));
        assert_eq!(Labels::new([("a", "1")]).with_one("a", ""), Labels::default());
    }

    #[test]
    fn the_set_laid_over_wins() {
        let agent = Labels::new([("env", "prod"), ("region", "eu")]);
        let source = Labels::new([("env", "test")]);
        assert_eq!(agent.with(&source).to_string(), r#"{env="test", region="eu"}"#);
    }

    #[test]
    fn an_absent_label_reads_as_empty() {
        assert_eq!(Labels::new([("b", "1")]).get("a"), "");
    }

    #[test]
    fn json_round_trips() {
        let labels = Labels::new([("b", "1"), ("a", "\"")]);
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(text, r#"{"a":"\"","b":"1"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
    }
}

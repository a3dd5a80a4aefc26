//! Labels and annotations of others.
//!
//! Owns which of them can be ours: names that are none, or that Watchkeeper sets itself, are left out with a warning. Never
//! fails a file for them.

use watchkeeper_config::{Entry, Located, Node, Place, Reader, read};
use watchkeeper_model::names::{RESERVED_LABELS, is_label_name};

use super::entry::literal;

/// Names with values, where a later one takes the place of an earlier one.
#[derive(Clone, Default)]
pub(super) struct Pairs(Vec<Entry>);

impl Pairs {
    /// Sets one.
    pub(super) fn set(&mut self, name: &Located<String>, value: Node) {
        self.0.retain(|entry| entry.key != name.value);
        let (key, key_place) = (name.value.clone(), name.place.clone());
        self.0.push(Entry { key, key_place, value });
    }

    /// Sets one that is not there yet.
    pub(super) fn set_if_absent(&mut self, name: &str, value: Option<Node>) {
        let Some(value) = value.filter(|_| self.get(name).is_none()) else { return };
        self.set(&Located { value: name.to_owned(), place: value.place().clone() }, value);
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// Their names, with the places of these.
    pub(super) fn names(&self) -> impl Iterator<Item = Located<String>> {
        let name = |e: &Entry| Located { value: e.key.clone(), place: e.key_place.clone() };
        self.0.iter().map(name)
    }

    /// As a map; `None` if there are none.
    pub(super) fn into_node(self, place: &Place) -> Option<Node> {
        (!self.0.is_empty()).then(|| Node::map_at(place, self.0))
    }
}

/// Adds the labels that can be ours. A list of values becomes one, with commas.
pub(super) fn read_labels(node: &Node, into: &mut Pairs, reader: &mut Reader<'_>) -> Option<()> {
    for (name, value) in read::map_of(read::node)(node, reader)? {
        if RESERVED_LABELS.contains(&name.value.as_str()) {
            reader
                .warning(&name.place, format!("the label {:?} is left out", name.value))
                .help("it is set by Watchkeeper");
        } else if is_named(&name, "label", reader) {
            let value = if value.is_list() {
                let values = read::list_of(read::text)(&value, reader)?;
                literal(value.place(), &values.join(","))
            } else {
                value
            };
            into.set(&name, value);
        }
    }
    Some(())
}

/// Adds the annotations that can be ours.
pub(super) fn read_annotations(
    node: &Node,
    into: &mut Pairs,
    reader: &mut Reader<'_>,
) -> Option<()> {
    for (name, value) in read::map_of(read::node)(node, reader)? {
        if is_named(&name, "annotation", reader) {
            into.set(&name, value);
        }
    }
    Some(())
}

/// Whether it can be a name here; if not, it is said that it is left out.
pub(super) fn is_named(name: &Located<String>, noun: &str, reader: &mut Reader<'_>) -> bool {
    let is_name = is_label_name(&name.value);
    if !is_name {
        reader
            .warning(&name.place, format!("the {noun} {:?} is left out", name.value))
            .help("a name has letters, digits and _ here, and does not begin with a digit");
    }
    is_name
}

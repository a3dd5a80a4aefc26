//! The slot table of a source: which fields of a line are needed, each once.
//!
//! Owns how a field's name becomes a place in a line. Never reads a line.

/// The fields that signals, events and conditions of one source need.
#[derive(Debug, Default)]
pub struct Slots {
    root: Node,
    names: Vec<String>,
    given: Vec<usize>,
}

/// The wanted keys of one object.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: Vec<Child>,
    /// A bit for each length of a wanted key, modulo 64: most keys of a line are of another, and known by that.
    lengths: u64,
}

/// One wanted key: itself, something inside it, or both.
#[derive(Debug)]
pub(super) struct Child {
    key: Box<[u8]>,
    pub(super) slot: Option<usize>,
    pub(super) inside: Option<Node>,
}

impl Slots {
    /// A table in which these fields do not come from the line, whatever the line says; their slots are 0, 1, ….
    pub fn with_given(names: &[String]) -> Self {
        Self { root: Node::default(), names: names.to_vec(), given: (0..names.len()).collect() }
    }

    /// The slots of fields that do not come from the line.
    pub(super) fn given(&self) -> &[usize] {
        &self.given
    }

    /// The slot of a field by name. `a.b` is `b` inside `a`, or a key that is written with the dot; the one that
    /// stands later in a line holds.
    pub fn slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.names.iter().position(|n| *n == name) {
            return slot;
        }
        let slot = self.names.len();
        self.names.push(name.to_owned());
        let keys: Vec<&str> = name.split('.').collect();
        self.root.want(&keys, slot);
        self.root.want(&[name], slot);
        slot
    }

    /// The fields' names, by slot.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no field is wanted.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The fields that come from the line as keys of one object, for formats that have no others inside.
    pub(super) fn flat(&self) -> Node {
        let mut node = Node::default();
        self.of_line().for_each(|(name, slot)| node.want(&[name], slot));
        node
    }

    /// The fields that come from the line, with their slots.
    pub(super) fn of_line(&self) -> impl Iterator<Item = (&str, usize)> {
        let named = self.names.iter().map(String::as_str).zip(0..);
        named.filter(|(_, slot)| !self.given.contains(slot))
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    fn want(&mut self, keys: &[&str], slot: usize) {
        let Some((key, rest)) = keys.split_first() else { return };
        let at =
            self.children.iter().position(|c| *c.key == *key.as_bytes()).unwrap_or_else(|| {
                self.children.push(Child { key: key.as_bytes().into(), slot: None, inside: None });
                self.children.len() - 1
            });
        self.lengths |= length_bit(key.as_bytes());
        let child = &mut self.children[at];
        if rest.is_empty() {
            child.slot.get_or_insert(slot);
        } else {
            child.inside.get_or_insert_default().want(rest, slot);
        }
    }

    /// The wanted key that this is.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<&Child> {
        if self.lengths & length_bit(key) == 0 {
            return None;
        }
        self.children.iter().find(|c| *c.key == *key)
    }

    /// Calls `with` for every slot at or below this node.
    pub(super) fn each_slot(&self, with: &mut impl FnMut(usize)) {
        for child in &self.children {
            child.slot.into_iter().for_each(&mut *with);
            if let Some(inside) = &child.inside {
                inside.each_slot(with);
            }
        }
    }
}

const fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_named_twice_has_one_slot() {
        let mut slots = Slots::default();
        assert_eq!((slots.slot("a"), slots.slot("a.b"), slots.slot("a")), (0, 1, 0));
        assert_eq!(slots.len(), 2);
    }
}

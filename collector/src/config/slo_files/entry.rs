//! An SLO in our own words, made of those of others.
//!
//! Owns that each word keeps the place where it was said, so that problems point into the file of others. Never judges.

use watchkeeper_config::{Entry, Node, Place};

/// An entry of `slos` while it is made.
pub(super) struct OwnSlo {
    place: Place,
    entries: Vec<Entry>,
}

impl OwnSlo {
    /// An SLO that is told of here, usually where its name stands.
    pub(super) fn at(place: &Place) -> Self {
        Self { place: place.clone(), entries: Vec::new() }
    }

    /// Says a key as it was written.
    pub(super) fn say(&mut self, key: &str, value: Node) -> &mut Self {
        self.entries.push(entry(key, value));
        self
    }

    /// Says a key if there is something to say.
    pub(super) fn say_if(&mut self, key: &str, value: Option<Node>) -> &mut Self {
        if let Some(value) = value {
            self.say(key, value);
        }
        self
    }

    /// As `slos` reads it.
    pub(super) fn finish(self) -> Node {
        Node::map_at(&self.place, self.entries)
    }
}

/// A key where its value stands.
pub(super) fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_place: value.place().clone(), value }
}

/// A text that has been read before, so that `${` in it is no variable any more.
pub(super) fn literal(place: &Place, text: &str) -> Node {
    Node::text_at(place, text.replace("${", "$${"))
}

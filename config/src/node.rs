//! A file's tree, each part with its place.
//!
//! Owns the shape. Never judges it: `yaml` makes it and readers ask it.

use crate::place::Place;

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) content: Content,
    pub(crate) place: Place,
}

#[derive(Clone)]
pub(crate) enum Content {
    Scalar { text: String, style: Style },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A file may hold secrets: only shapes are shown.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scalar { style, .. } => write!(f, "{style:?}"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => {
                f.debug_map().entries(entries.iter().map(|e| (&e.key, &e.value))).finish()
            }
        }
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// `|` or `>`.
    Block,
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_place: Place,
    /// What it says.
    pub value: Node,
}

/// What a plain scalar is in YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Number,
    Text,
}

impl Plain {
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ if watchkeeper_model::Decimal::parse(text).is_some() => Self::Number,
            _ => Self::Text,
        }
    }
}

impl Node {
    /// A text that stands for what is written at a place in other words.
    pub fn text_at(place: &Place, text: impl Into<String>) -> Self {
        let content = Content::Scalar { text: text.into(), style: Style::Quoted };
        Self { content, place: place.clone() }
    }

    /// The same without quotes: for what others can only write as texts, such as numbers in a map of strings.
    #[must_use]
    pub fn unquoted(mut self) -> Self {
        if let Content::Scalar { style, .. } = &mut self.content {
            *style = Style::Plain;
        }
        self
    }

    /// A list that stands for what is written at a place in other words.
    pub fn list_at(place: &Place, items: Vec<Self>) -> Self {
        Self { content: Content::List(items), place: place.clone() }
    }

    /// A map that stands for what is written at a place in other words. Its keys must differ.
    pub fn map_at(place: &Place, entries: Vec<Entry>) -> Self {
        Self { content: Content::Map(entries), place: place.clone() }
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it is a map.
    pub fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.content, Content::List(_))
    }

    /// Whether it says nothing: `key:` with no value, or `null`.
    pub fn is_null(&self) -> bool {
        self.plain() == Some(Plain::Null)
    }

    /// A scalar's text as written, quotes and escapes resolved.
    pub fn as_scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; of anything else none.
    pub fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map in the order written; of anything else none.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a map's key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// What an unquoted scalar is.
    pub(crate) fn plain(&self) -> Option<Plain> {
        match &self.content {
            Content::Scalar { text, style: Style::Plain } => Some(Plain::of(text)),
            _ => None,
        }
    }

    /// The noun for messages: what it is, not what it says.
    pub(crate) fn noun(&self) -> &'static str {
        match (&self.content, self.plain()) {
            (Content::List(_), _) => "a list",
            (Content::Map(_), _) => "a map",
            (_, Some(Plain::Null)) => "nothing",
            (_, Some(Plain::Bool(_))) => "true or false",
            (_, Some(Plain::Number)) => "a number",
            _ => "a text",
        }
    }
}

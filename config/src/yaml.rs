//! Text to tree. The only module that knows the YAML library.
//!
//! Owns limits (size, nodes, depth), duplicate keys, aliases and merge keys. Never reads a file and never guesses types:
//! a scalar stays as it was written until a reader says what it should be.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::node::{Content, Entry, Node, Style};
use crate::place::{Place, Source};
use crate::reader::Reader;

/// The largest file, in bytes.
pub(crate) const MAX_FILE: usize = 4 << 20;
/// The most nodes one file may have after its aliases are resolved.
const MAX_NODES: usize = 200_000;
const MAX_DEPTH: usize = 64;

/// The tree of a text; `None` if it is broken, which is then reported. An empty text is an empty map.
pub(crate) fn parse(source: &Arc<Source>, reader: &mut Reader<'_>) -> Option<Node> {
    let roots = parse_up_to(source, Documents::One, reader)?;
    Some(roots.into_iter().next().unwrap_or_else(|| empty_map(source)))
}

/// The trees of all documents of a text.
pub(crate) fn parse_all(source: &Arc<Source>, reader: &mut Reader<'_>) -> Option<Vec<Node>> {
    parse_up_to(source, Documents::Any, reader)
}

/// The tree of the first document that says something; what comes after it is not looked at.
pub(crate) fn parse_first(source: &Arc<Source>, reader: &mut Reader<'_>) -> Option<Node> {
    parse_up_to(source, Documents::First, reader)?.pop()
}

/// How many documents are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Documents {
    /// One, and a second one is a problem.
    One,
    /// Up to the first that says something.
    First,
    Any,
}

fn parse_up_to(
    source: &Arc<Source>,
    documents: Documents,
    reader: &mut Reader<'_>,
) -> Option<Vec<Node>> {
    if let Some(at) = source.text.find('\0') {
        let place = Place::new(source, at..at + 1);
        reader.error(&place, "a NUL character: this is no text file");
        return None;
    }
    let options = granit_parser::options! {
        block_nesting_limit: MAX_DEPTH,
        flow_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        source,
        reader,
        documents,
        open: Vec::new(),
        anchors: HashMap::new(),
        roots: Vec::new(),
        n_nodes: 0,
        n_documents: 0,
        refused: false,
    };
    for next in Parser::new_from_str_with_options(&source.text, options) {
        let going = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => builder.broken(&error),
        };
        going?;
        let is_found = builder.roots.last().is_some_and(|root| !root.is_null());
        if documents == Documents::First && is_found {
            break;
        }
    }
    let (roots, refused) = (builder.roots, builder.refused);
    (!refused).then_some(roots)
}

fn empty_map(source: &Arc<Source>) -> Node {
    Node { content: Content::Map(Vec::new()), place: Place::new(source, 0..0) }
}

/// A list or map whose end has not come.
struct Open {
    place: Place,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    /// Entries, and a key that waits for its value.
    Map(Vec<Entry>, Option<(String, Place)>),
}

struct Builder<'s, 'r, 'e> {
    source: &'s Arc<Source>,
    reader: &'r mut Reader<'e>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: Documents,
    /// One for each document.
    roots: Vec<Node>,
    n_nodes: usize,
    n_documents: usize,
    refused: bool,
}

impl Builder<'_, '_, '_> {
    /// Takes one event; `None` ends the parse.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = Place::new(self.source, bytes_of(&span));
        match event {
            Event::DocumentStart(..) => {
                self.n_documents += 1;
                // An anchor is its document's.
                self.anchors.clear();
                if self.n_documents > 1 && self.documents == Documents::One {
                    return self.refuse(
                        &place,
                        "a second document begins here",
                        "one file holds one document; SLO files of others, which hold several, go under `slo_files`",
                    );
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &place)?;
                let text_by_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let style = match style {
                    ScalarStyle::Plain if text_by_tag => Style::Quoted,
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    _ => Style::Block,
                };
                let content = Content::Scalar { text: text.into_owned(), style };
                self.complete(Node { content, place }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &place)?;
                self.open.push(Open { place, anchor, content: OpenContent::List(Vec::new()) });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &place)?;
                self.open.push(Open { place, anchor, content: OpenContent::Map(Vec::new(), None) });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&place)?,
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.n_nodes += size(&node);
                    self.complete(node, 0)?;
                }
                None => return self.refuse(&place, "an alias of something not yet complete", ""),
            },
            _ => {}
        }
        Some(())
    }

    fn refuse(&mut self, place: &Place, message: &str, help: &str) -> Option<()> {
        self.reader.error(place, message).help(help);
        self.refused = true;
        None
    }

    /// A tag of somebody else's would be silently without effect.
    fn refuse_tag(&mut self, tag: Option<&Tag>, place: &Place) -> Option<()> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() && tag.original() != "!" => {
                let message = format!("the tag `{}` means nothing here", tag.original());
                self.refuse(place, &message, "quote it, if it is part of a text")
            }
            _ => Some(()),
        }
    }

    fn close(&mut self, end: &Place) -> Option<()> {
        let Open { place, anchor, content } = self.open.pop()?;
        let content = match content {
            OpenContent::List(items) => Content::List(items),
            OpenContent::Map(entries, _) => Content::Map(self.merged(entries)),
        };
        let span = place.span.start..end.span.end.max(place.span.end);
        self.complete(Node { content, place: Place::new(self.source, span) }, anchor)
    }

    /// Puts a complete node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Option<()> {
        self.n_nodes += 1;
        if self.n_nodes > MAX_NODES {
            let place = node.place.clone();
            return self.refuse(&place, "the file is too large once its aliases are resolved", "");
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.roots.push(node),
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map(_, waiting @ None)) => match node.content {
                Content::Scalar { text, .. } => *waiting = Some((text, node.place)),
                _ => {
                    let place = node.place.clone();
                    return self.refuse(&place, "a key must be a text", "quote it, if it is one");
                }
            },
            Some(OpenContent::Map(entries, waiting)) => {
                let (key, key_place) = waiting.take()?;
                entries.push(Entry { key, key_place, value: node });
            }
        }
        Some(())
    }

    /// A map's entries with merge keys resolved and duplicates refused.
    fn merged(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut merges = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(entries.len());
        for entry in entries {
            if entry.key == "<<" {
                merges.push(entry.value);
                continue;
            }
            if let Some(first) = seen.get(&entry.key) {
                let line = kept[*first].key_place.line();
                let message = format!("`{}` is already said in line {line}", entry.key);
                self.reader.error(&entry.key_place, message).help("leave out one of them");
                self.refused = true;
                continue;
            }
            seen.insert(entry.key.clone(), kept.len());
            kept.push(entry);
        }
        let mut known: HashSet<String> = seen.into_keys().collect();
        for merge in merges {
            self.merge(&mut kept, &mut known, &merge);
        }
        kept
    }

    /// Adds what a merge key brings and the map does not say itself.
    fn merge(&mut self, into: &mut Vec<Entry>, known: &mut HashSet<String>, from: &Node) {
        match &from.content {
            Content::Map(entries) => {
                for entry in entries {
                    if known.insert(entry.key.clone()) {
                        into.push(entry.clone());
                    }
                }
            }
            Content::List(maps) => maps.iter().for_each(|map| self.merge(into, known, map)),
            Content::Scalar { .. } => {
                self.reader.error(&from.place, "`<<` merges maps, and this is none");
                self.refused = true;
            }
        }
    }

    fn broken(&mut self, error: &ScanError) -> Option<()> {
        let at = error.marker().byte_offset().unwrap_or(0);
        let place = Place::new(self.source, at..at + 1);
        let (message, help) = explain(error);
        self.refuse(&place, &format!("broken YAML: {message}"), help)
    }
}

fn explain(error: &ScanError) -> (String, &'static str) {
    let tab = matches!(
        error.kind(),
        ErrorKind::TabInIndentation
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabAtBlockScalarStart
    );
    let help = match error.kind() {
        _ if tab => "indent with spaces",
        ErrorKind::UnclosedQuotedScalar => "a closing quote is missing",
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "quote a text that has `: ` in it, and indent the keys of one map alike"
        }
        ErrorKind::UnexpectedCharacter { .. } => "quote a text that begins with this character",
        ErrorKind::UnknownAnchor => "an anchor `&name` stands before its alias `*name`",
        _ => "",
    };
    let message = match error.kind() {
        ErrorKind::UnknownAnchor => "an alias of an anchor that is not there".to_owned(),
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "a tab is no indentation".to_owned()
        }
        _ => error.info(),
    };
    (message, help)
}

fn size(node: &Node) -> usize {
    let mut n_nodes = 0;
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        n_nodes += 1;
        waiting.extend(node.items());
        waiting.extend(node.entries().iter().map(|entry| &entry.value));
    }
    n_nodes
}

fn bytes_of(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

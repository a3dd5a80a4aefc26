//! Lists, maps, places and paths: what holds other values.
//!
//! Owns how the parts of a container are read one by one, so that each reports its own problems.

use std::path::PathBuf;

use crate::node::{Content, Node};
use crate::place::Located;
use crate::read::text::string;
use crate::reader::Reader;

/// The elements of a list; anything else is reported.
pub(crate) fn elements<'n>(node: &'n Node, reader: &mut Reader<'_>) -> Option<&'n [Node]> {
    if let Content::List(items) = &node.content {
        return Some(items);
    }
    let problem = reader.error(&node.place, format!("a list is needed, not {}", node.noun()));
    if node.as_scalar().is_some() && !node.is_null() {
        problem.help("write it in brackets: […]");
    }
    None
}

/// A list. All elements are read; one that is wrong makes the list wrong.
pub fn list_of<T>(
    read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Vec<T>> {
    move |node, reader| {
        let items: Vec<Option<T>> =
            elements(node, reader)?.iter().map(|item| read(item, reader)).collect();
        items.into_iter().collect()
    }
}

/// A list with at least one element.
pub fn non_empty<T>(
    read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Vec<T>> {
    let read = list_of(read);
    move |node, reader| {
        let items = read(node, reader)?;
        if items.is_empty() {
            reader.error(&node.place, "the list is empty, and at least one element is needed");
            return None;
        }
        Some(items)
    }
}

/// A map with any keys, in the order written.
pub fn map_of<T>(
    read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Vec<(Located<String>, T)>> {
    move |node, reader| {
        if !node.is_map() {
            reader.error(&node.place, format!("a map is needed, not {}", node.noun()));
            return None;
        }
        let entries: Vec<Option<_>> = node
            .entries()
            .iter()
            .map(|entry| {
                let key = Located { value: entry.key.clone(), place: entry.key_place.clone() };
                read(&entry.value, reader).map(|value| (key, value))
            })
            .collect();
        entries.into_iter().collect()
    }
}

/// A value with its place, for checks that come later.
pub fn located<T>(
    read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Located<T>> {
    move |node, reader| read(node, reader).map(|value| Located { value, place: node.place.clone() })
}

/// The node itself, to be read later.
pub fn node(node: &Node, _: &mut Reader<'_>) -> Option<Node> {
    Some(node.clone())
}

/// A path, relative to the file that names it.
pub fn path(node: &Node, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = string(node, reader)?;
    if path.is_empty() {
        reader.error(&node.place, "a path is needed, and this is empty");
        return None;
    }
    Some(node.place.beside(&path))
}

//! Files of several documents, as other tools write them.
//!
//! Owns that each document is a tree with places of its own. Never merges them and never knows what they mean.

use std::collections::BTreeSet;
use std::path::Path;

use crate::environment::Environment;
use crate::files::{self, MAX_FILES};
use crate::node::Node;
use crate::place::{Place, Source};
use crate::read;
use crate::reader::Reader;
use crate::yaml;

/// The documents of a file, those that say nothing left out. `None` if it can't be read, which is reported then.
pub fn documents(path: &Path, reader: &mut Reader<'_>) -> Option<Vec<Node>> {
    let nowhere = Place::start_of(path);
    documents_of(path, &nowhere, reader)
}

/// The documents of a text as if it were a file of that name.
pub fn documents_str(name: &str, text: &str, reader: &mut Reader<'_>) -> Option<Vec<Node>> {
    yaml::parse_all(&Source::in_memory(name, text.to_owned()), reader).map(said)
}

/// The documents of all files that a list of patterns finds, each file once. Reports a file that can't be read, and
/// reads the others: `None` then.
pub fn documents_matching(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Node>> {
    let patterns = read::list_of(read::located(read::string))(node, reader)?;
    if !node.place.source.is_file {
        reader.error(&node.place, "only a file can name others");
        return None;
    }
    let (mut found, mut known, mut complete) = (Vec::new(), BTreeSet::new(), true);
    for pattern in &patterns {
        let Some(paths) = files::matching(pattern, reader) else {
            complete = false;
            continue;
        };
        for path in paths {
            if !known.insert(files::canonical(&path)) {
                continue;
            }
            if known.len() > MAX_FILES {
                reader.error(&pattern.place, format!("more than {MAX_FILES} files are named"));
                return None;
            }
            match documents_of(&path, &pattern.place, reader) {
                Some(documents) => found.extend(documents),
                None => complete = false,
            }
        }
    }
    complete.then_some(found)
}

/// The first document of a file, to see what the file is: `None` if there is none that can be read, whatever the reason.
/// What comes after it may be broken. A pipe could not be read again, and is left alone.
pub fn first_document(path: &Path, environment: &dyn Environment) -> Option<Node> {
    if !path.is_file() {
        return None;
    }
    let mut unheard = Reader::new(environment);
    let nowhere = Place::start_of(path);
    let source = files::source(path, &nowhere, &mut unheard)?;
    yaml::parse_first(&source, &mut unheard)
}

fn documents_of(path: &Path, asked: &Place, reader: &mut Reader<'_>) -> Option<Vec<Node>> {
    let source = files::source(path, asked, reader)?;
    yaml::parse_all(&source, reader).map(said)
}

fn said(documents: Vec<Node>) -> Vec<Node> {
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

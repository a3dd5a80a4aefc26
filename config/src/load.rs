//! From a path to one document, included files merged in.
//!
//! Owns what may be said in two files: lists add up, maps join if they share no key, nothing else. Never reads a file
//! twice, so that includes may overlap or go in circles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{self, MAX_FILES};
use crate::node::{Content, Entry, Node};
use crate::place::{Place, Source};
use crate::read;
use crate::reader::Reader;
use crate::yaml;

/// Any of these makes a file a collector's.
const COLLECTORS: [&str; 4] = ["slos", "slo_files", "rules", "alerting"];

/// A configuration: one tree out of one or more files.
#[derive(Clone, Debug)]
pub struct Document {
    root: Node,
    files: Vec<PathBuf>,
}

impl Document {
    /// The whole tree, a map.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Every file it was read from, the first first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether it is an agent's: it has `agent` or `sources`.
    pub fn is_agent(&self) -> bool {
        ["agent", "sources"].iter().any(|key| self.root.get(key).is_some())
    }

    /// Whether it is a collector's: it has `slos`, `slo_files`, `rules`, `alerting` or
    /// `collector.listen`.
    pub fn is_collector(&self) -> bool {
        let listens = self.root.get("collector").is_some_and(|c| c.get("listen").is_some());
        listens || COLLECTORS.iter().any(|key| self.root.get(key).is_some())
    }
}

/// Reads a file and those it includes. `None` if one cannot be used, which is reported then.
pub fn load(path: &Path, reader: &mut Reader<'_>) -> Option<Document> {
    let nowhere = Place::start_of(path);
    let mut loading = Loading { reader, files: Vec::new(), known: BTreeSet::new(), complete: true };
    let mut root = loading.file(path, &nowhere)?;
    let own = std::mem::replace(&mut root.content, Content::Map(Vec::new()));
    if let Content::Map(entries) = own {
        root.content = Content::Map(loading.with_included(entries));
    }
    let (files, complete) = (loading.files, loading.complete);
    complete.then_some(Document { root, files })
}

/// Reads a text as if it were a file of that name; it cannot include others.
pub fn load_str(name: &str, text: &str, reader: &mut Reader<'_>) -> Option<Document> {
    let source = Source::in_memory(name, text.to_owned());
    let root = tree(&source, reader)?;
    if let Some(entry) = root.entries().iter().find(|entry| entry.key == "include") {
        reader.error(&entry.key_place, "only a file can include others");
        return None;
    }
    Some(Document { root, files: vec![PathBuf::from(name)] })
}

fn tree(source: &Arc<Source>, reader: &mut Reader<'_>) -> Option<Node> {
    let mut root = yaml::parse(source, reader)?;
    if root.is_null() {
        root.content = Content::Map(Vec::new());
    }
    if !root.is_map() {
        let message = format!("a configuration is a map, not {}", root.noun());
        reader.error(&root.place, message).help("`key: value`, one per line");
        return None;
    }
    Some(root)
}

struct Loading<'r, 'e> {
    reader: &'r mut Reader<'e>,
    files: Vec<PathBuf>,
    /// The same files by their canonical names.
    known: BTreeSet<PathBuf>,
    complete: bool,
}

impl Loading<'_, '_> {
    /// Reads one file; `asked` is where it was asked for.
    fn file(&mut self, path: &Path, asked: &Place) -> Option<Node> {
        if self.files.len() == MAX_FILES {
            self.reader.error(asked, format!("more than {MAX_FILES} files are included"));
            return None;
        }
        self.known.insert(files::canonical(path));
        self.files.push(path.to_owned());
        let source = files::source(path, asked, self.reader)?;
        tree(&source, self.reader)
    }

    /// A file's entries with those of the files it includes, and theirs.
    fn with_included(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let Some(at) = entries.iter().position(|entry| entry.key == "include") else {
            return entries;
        };
        let include = entries.remove(at).value;
        let patterns = match read::list_of(read::located(read::string))(&include, self.reader) {
            Some(patterns) => patterns,
            None => {
                self.complete = false;
                return entries;
            }
        };
        for pattern in patterns {
            let Some(paths) = files::matching(&pattern, self.reader) else {
                self.complete = false;
                continue;
            };
            for path in paths {
                // Checked late: an earlier match may have included this one.
                if self.known.contains(&files::canonical(&path)) {
                    continue;
                }
                match self.file(&path, &pattern.place).map(|node| node.content) {
                    Some(Content::Map(more)) => {
                        let more = self.with_included(more);
                        self.merge(&mut entries, more);
                    }
                    _ => self.complete = false,
                }
            }
        }
        entries
    }

    /// Adds the top-level entries of an included file.
    fn merge(&mut self, into: &mut Vec<Entry>, from: Vec<Entry>) {
        for entry in from {
            let Some(known) = into.iter_mut().find(|known| known.key == entry.key) else {
                into.push(entry);
                continue;
            };
            match (&mut known.value.content, entry.value.content) {
                (Content::List(mine), Content::List(more)) => mine.extend(more),
                (Content::Map(mine), Content::Map(more)) => {
                    for part in more {
                        match mine.iter().find(|known| known.key == part.key) {
                            Some(known) => self.said_twice(&entry.key, known, &part),
                            None => mine.push(part),
                        }
                    }
                }
                _ => {
                    let message = format!("`{}` is already said in {}", entry.key, known.key_place);
                    self.reader.error(&entry.key_place, message).help("say it in one file only");
                    self.complete = false;
                }
            }
        }
    }

    fn said_twice(&mut self, map: &str, known: &Entry, again: &Entry) {
        let message = format!("`{map}.{}` is already said in {}", again.key, known.key_place);
        self.reader.error(&again.key_place, message).help("say it in one file only");
        self.complete = false;
    }
}

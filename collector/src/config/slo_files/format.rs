//! Which language a document is in, and the key `slo_files`.
//!
//! Owns telling documents apart. Never reads what they say: `openslo` and `sloth` do.

use std::path::Path;

use watchkeeper_config::{
    Document, Environment, Fields, Node, Place, Reader, documents, documents_matching,
    first_document,
};

use super::{openslo, sloth};
use crate::config::{annotations, objectives, slos};

/// A language in which others write SLOs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SloFormat {
    /// `apiVersion: openslo/v1`.
    OpenSlo,
    /// `version: prometheus/v1`.
    Sloth,
    /// Another version of these, or another tool's: told, and not read.
    Other,
}

impl SloFormat {
    /// As it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenSlo => "OpenSLO v1",
            Self::Sloth => "Sloth prometheus/v1",
            Self::Other => "unknown",
        }
    }

    /// That of a file, by its first document; `None` if it says none, or can't be read.
    pub fn of_file(path: &Path, environment: &dyn Environment) -> Option<Self> {
        Self::of(&first_document(path, environment)?)
    }

    fn of(document: &Node) -> Option<Self> {
        let (key, said) = version_of(document)?;
        Some(match (key, said.as_scalar()) {
            ("apiVersion", Some("openslo/v1")) => Self::OpenSlo,
            ("version", Some("prometheus/v1")) => Self::Sloth,
            _ => Self::Other,
        })
    }
}

/// The key that says which language a document is in, and what it says.
fn version_of(document: &Node) -> Option<(&'static str, &Node)> {
    if let Some(version) = document.get("apiVersion") {
        return Some(("apiVersion", version));
    }
    // A `version` alone is many a file's.
    let version = document.get("version")?;
    let is_of_sloth = version.as_scalar().is_some_and(|text| text.starts_with("prometheus/"));
    is_of_sloth.then_some(("version", version))
}

/// What an SLO file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SloFile {
    /// The language of its first document.
    pub format: SloFormat,
    /// How many SLOs are written in it, in either language.
    pub n_slos: usize,
}

/// Checks an SLO file by itself. What it refers to may stand in another file, which is a warning then. `None` if it can't
/// be read or holds nothing, which is reported.
pub fn check_slo_file(path: &Path, reader: &mut Reader<'_>) -> Option<SloFile> {
    let documents = documents(path, reader)?;
    let Some(first) = documents.first() else {
        reader.error(&Place::start_of(path), "there is no document in this file");
        return None;
    };
    let format = SloFormat::of(first);
    let entries = translate(&documents, false, reader);
    let read: Vec<_> =
        entries.iter().filter_map(|entry| slos::read_slo(entry, reader)).flatten().collect();
    objectives::refuse_same_names(&read, &[], reader);
    annotations::check_slos(&entries, &read, reader);
    let n_slos = documents.iter().map(n_written).sum();
    // If it is in neither language, that has been reported.
    Some(SloFile { format: format?, n_slos })
}

/// The SLOs of the files that `slo_files` finds, as entries of `slos`.
pub(in crate::config) fn read(f: &mut Fields<'_, '_, '_>) -> Vec<Node> {
    let documents = f.optional("slo_files", documents_matching).unwrap_or_default();
    translate(&documents, true, f.reader())
}

/// Refuses a document of others where one of ours should be, with a word on where it belongs.
pub(in crate::config) fn refuse_included(
    document: &Document,
    reader: &mut Reader<'_>,
) -> Option<()> {
    let Some((_, version)) = version_of(document.root()) else { return Some(()) };
    reader
        .error(version.place(), "SLO files of others are not included")
        .help("name the file under `slo_files` in the collector's file: slo_files: [slos/*.yaml]");
    None
}

/// Documents as entries of `slos`. `is_whole` says whether these are all there are, so that nothing may be missing.
pub(super) fn translate(documents: &[Node], is_whole: bool, reader: &mut Reader<'_>) -> Vec<Node> {
    let (mut entries, mut of_openslo) = (Vec::new(), Vec::new());
    for document in documents {
        match SloFormat::of(document) {
            Some(SloFormat::OpenSlo) => of_openslo.push(document),
            Some(SloFormat::Sloth) => entries.extend(sloth::translate(document, reader)),
            Some(SloFormat::Other) => refuse_version(document, reader),
            None => {
                reader
                    .error(document.place(), "this document is neither OpenSLO's nor Sloth's")
                    .help("it begins with apiVersion: openslo/v1, or version: prometheus/v1; files of Watchkeeper's own go under `include`");
            }
        }
    }
    entries.extend(openslo::translate(&of_openslo, is_whole, reader));
    entries
}

/// Another version has other words: nothing else is said of such a document.
fn refuse_version(document: &Node, reader: &mut Reader<'_>) {
    let Some((key, node)) = version_of(document) else { return };
    let said = node.as_scalar().unwrap_or_default();
    if said == "sloth.slok.dev/v1" {
        reader
            .error(node.place(), "Sloth's form for Kubernetes is not read")
            .help("write what is in its `spec` with version: prometheus/v1");
    } else {
        reader
            .error(node.place(), format!("{key} {said:?} is not read"))
            .help("of OpenSLO this is only openslo/v1, of Sloth prometheus/v1, whose words others don't share");
    }
}

fn n_written(document: &Node) -> usize {
    match SloFormat::of(document) {
        Some(SloFormat::OpenSlo) => {
            let kind = document.get("kind").and_then(Node::as_scalar);
            usize::from(kind == Some("SLO"))
        }
        Some(SloFormat::Sloth) => document.get("slos").map_or(0, |slos| slos.items().len()),
        Some(SloFormat::Other) | None => 0,
    }
}

//! Which source is read, and from where, when somebody asks for it by hand.
//!
//! Owns the choice between a source's own paths, files named on the command line and standard input, and when a choice
//! goes with no source. Which sources can be read at all, and how a refusal is worded, is decided by who asks. Never opens
//! a file.

use std::path::{Path, PathBuf};

use glob::Pattern;
use watchkeeper_agent_core::tail::{Compressed, StartAt};
use watchkeeper_expr::spelling::closest;

use crate::sources::SourceSettings;
use crate::sources::tail::TailSourceSettings;

/// What is to be read in place of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only this source.
    pub source: Option<String>,
    /// These files in place of the source's own paths.
    pub files: Vec<PathBuf>,
    /// Standard input in place of the source's files.
    pub stdin: bool,
}

/// A source to be read, each of its files from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) settings: TailSourceSettings,
    pub(crate) from: From,
}

/// Where its lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Its own paths.
    Paths,
    /// These files and no others; all of them have to be there.
    Files(Vec<PathBuf>),
    /// Standard input.
    Stdin,
}

/// There is no such source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What was asked for.
    pub name: String,
    /// What was probably meant, or else all there is.
    pub known: Vec<String>,
}

/// Files or standard input stand for one source, and there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Several {
    /// What was given.
    pub what: &'static str,
    /// The sources it could stand for.
    pub known: Vec<String>,
}

impl Choice {
    /// The sources that are asked for: the one named, or all.
    pub(crate) fn among(
        &self,
        sources: Vec<SourceSettings>,
    ) -> Result<Vec<SourceSettings>, Unknown> {
        let Some(name) = self.source.as_deref() else { return Ok(sources) };
        let known: Vec<String> = sources.iter().map(|s| s.name().to_owned()).collect();
        let found: Vec<_> = sources.into_iter().filter(|s| s.name() == name).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let meant = closest(name, known.iter().map(String::as_str)).map(|n| vec![n.to_owned()]);
        Err(Unknown { name: name.to_owned(), known: meant.unwrap_or(known) })
    }

    /// Where each of these sources is read from. Relative files are meant from `here`.
    pub(crate) fn from(
        &self,
        tails: Vec<TailSourceSettings>,
        here: &Path,
    ) -> Result<Vec<Chosen>, Several> {
        let is_for_one = self.stdin || !self.files.is_empty();
        if is_for_one && tails.len() > 1 {
            let what = if self.stdin { "standard input" } else { "files" };
            let known = tails.into_iter().map(|tail| tail.lines.source).collect();
            return Err(Several { what, known });
        }
        Ok(tails.into_iter().map(|tail| self.chosen(tail, here)).collect())
    }

    fn chosen(&self, mut settings: TailSourceSettings, here: &Path) -> Chosen {
        settings.tail.start_at = StartAt::Beginning;
        if self.stdin {
            return Chosen { settings, from: From::Stdin };
        }
        if self.files.is_empty() {
            return Chosen { settings, from: From::Paths };
        }
        let files: Vec<PathBuf> = self.files.iter().map(|file| here.join(file)).collect();
        // What is escaped is a pattern.
        let literal = |file: &PathBuf| Pattern::new(&Pattern::escape(&file.to_string_lossy())).ok();
        settings.paths = files.iter().filter_map(literal).collect();
        settings.exclude = Vec::new();
        // Who names a file wants it read.
        settings.tail.compressed = Compressed::Read;
        Chosen { settings, from: From::Files(files) }
    }
}

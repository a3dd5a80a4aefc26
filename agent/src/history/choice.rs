//! Which sources have a history, and where it lies.
//!
//! Owns the choice between a source's own paths, files named on the command line and standard input, and why a source is
//! left out. Never opens a file.

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

/// A source that has no history, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub source: String,
    /// Why, as the end of a sentence about it.
    pub why: String,
}

/// What was asked for can't be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is no such source.
    #[error("no source is called {name:?}; there {}", there_are(.known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Files or standard input stand for one source only.
    #[error("{what} can stand for one source only: name it with --source; there {}", there_are(.known))]
    Several {
        /// What was given.
        what: &'static str,
        /// What there is.
        known: Vec<String>,
    },
}

fn there_are(known: &[String]) -> String {
    match known {
        [] => "is none".to_owned(),
        [one] => format!("is {one}"),
        more => format!("are {}", more.join(", ")),
    }
}

/// A source to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) settings: TailSourceSettings,
    pub(super) from: From,
}

/// Where its lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Its own paths.
    Paths,
    /// These files, which have to be there.
    Files(Vec<PathBuf>),
    /// Standard input.
    Stdin,
}

/// Decides what is read. Relative files are meant from `here`.
pub(super) fn choose(
    sources: Vec<SourceSettings>,
    choice: &Choice,
    here: &Path,
) -> Result<(Vec<Chosen>, Vec<LeftOut>), Misuse> {
    let mut left_out = Vec::new();
    let mut tails = Vec::new();
    for source in named(sources, choice.source.as_deref())? {
        match with_history(source) {
            Ok(tail) => tails.push(tail),
            Err(left) => left_out.push(left),
        }
    }
    let is_for_one = choice.stdin || !choice.files.is_empty();
    if is_for_one && tails.len() > 1 {
        let what = if choice.stdin { "standard input" } else { "files" };
        let known = tails.into_iter().map(|tail| tail.lines.source).collect();
        return Err(Misuse::Several { what, known });
    }
    let chosen = tails.into_iter().map(|tail| chosen(tail, choice, here)).collect();
    Ok((chosen, left_out))
}

fn named(sources: Vec<SourceSettings>, name: Option<&str>) -> Result<Vec<SourceSettings>, Misuse> {
    let Some(name) = name else { return Ok(sources) };
    let known: Vec<String> = sources.iter().map(|s| s.name().to_owned()).collect();
    let found: Vec<_> = sources.into_iter().filter(|s| s.name() == name).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let meant = closest(name, known.iter().map(String::as_str)).map(|n| vec![n.to_owned()]);
    Err(Misuse::Unknown { name: name.to_owned(), known: meant.unwrap_or(known) })
}

/// The settings of a source of which files tell when something was.
fn with_history(source: SourceSettings) -> Result<TailSourceSettings, LeftOut> {
    let (name, kind) = (source.name().to_owned(), source.kind());
    let left_out = |why: String| LeftOut { source: name.clone(), why };
    let Some(mut tail) = source.into_tail() else {
        return Err(left_out(format!("is a `{kind}` source, and only files can be read again")));
    };
    if tail.lines.time.is_none() {
        let why = "has no `time`: nobody knows when its lines were written".to_owned();
        return Err(left_out(why));
    }
    tail.tail.start_at = StartAt::Beginning;
    // Nobody asks for their bodies, and they would only be carried about.
    tail.lines.events.clear();
    Ok(tail)
}

fn chosen(mut settings: TailSourceSettings, choice: &Choice, here: &Path) -> Chosen {
    if choice.stdin {
        return Chosen { settings, from: From::Stdin };
    }
    if choice.files.is_empty() {
        return Chosen { settings, from: From::Paths };
    }
    let files: Vec<PathBuf> = choice.files.iter().map(|file| here.join(file)).collect();
    // What is escaped is a pattern.
    let literal = |file: &PathBuf| Pattern::new(&Pattern::escape(&file.to_string_lossy())).ok();
    settings.paths = files.iter().filter_map(literal).collect();
    settings.exclude = Vec::new();
    // Who names a file wants it read.
    settings.tail.compressed = Compressed::Read;
    Chosen { settings, from: From::Files(files) }
}

//! Which sources have a history.
//!
//! Owns why a source is left out, and what is said of a choice that can't be read. Never opens a file.

use std::path::Path;

use crate::choice::{Choice, Chosen, Several, Unknown};
use crate::sources::SourceSettings;
use crate::sources::tail::TailSourceSettings;

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
    #[error("no source is called {:?}; there {}", .0.name, there_are(&.0.known))]
    Unknown(Unknown),
    /// Files or standard input stand for one source only.
    #[error("{} can stand for one source only: name it with --source; there {}", .0.what, there_are(&.0.known))]
    Several(Several),
}

fn there_are(known: &[String]) -> String {
    match known {
        [] => "is none".to_owned(),
        [one] => format!("is {one}"),
        more => format!("are {}", more.join(", ")),
    }
}

/// Decides what is read. Relative files are meant from `here`.
pub(super) fn choose(
    sources: Vec<SourceSettings>,
    choice: &Choice,
    here: &Path,
) -> Result<(Vec<Chosen>, Vec<LeftOut>), Misuse> {
    let (mut tails, mut left_out) = (Vec::new(), Vec::new());
    for source in choice.among(sources).map_err(Misuse::Unknown)? {
        match with_history(source) {
            Ok(tail) => tails.push(tail),
            Err(left) => left_out.push(left),
        }
    }
    let chosen = choice.from(tails, here).map_err(Misuse::Several)?;
    Ok((chosen, left_out))
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
    // Nobody asks for their bodies, and they would only be carried about.
    tail.lines.events.clear();
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_there_is() {
        let unknown = |known: &[&str]| {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            Misuse::Unknown(Unknown { name: "shp".to_owned(), known }).to_string()
        };
        assert_eq!(unknown(&[]), "no source is called \"shp\"; there is none");
        assert_eq!(unknown(&["shop"]), "no source is called \"shp\"; there is shop");
        assert_eq!(unknown(&["a", "b"]), "no source is called \"shp\"; there are a, b");
        let known = vec!["shop".to_owned(), "web".to_owned()];
        assert_eq!(
            Misuse::Several(Several { what: "files", known }).to_string(),
            "files can stand for one source only: name it with --source; there are shop, web"
        );
    }
}

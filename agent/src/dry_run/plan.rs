//! Which sources are read in a dry run, and from where.
//!
//! Owns the choice between a source's own paths, files named on the command line and standard input. Never opens one.

use std::path::{Path, PathBuf};

use glob::Pattern;
use watchkeeper_agent_core::tail::{Compressed, StartAt};
use watchkeeper_expr::spelling::closest;

use super::options::DryRunOptions;
use crate::sources::SourceSettings;
use crate::sources::tail::TailSourceSettings;

/// What a dry run is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) sources: Vec<Planned>,
    /// Name and kind of sources that a dry run can't read.
    pub(super) left_out: Vec<(String, &'static str)>,
}

/// One source to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Its settings, as they are read now: every file from its beginning.
    pub(super) settings: TailSourceSettings,
    pub(super) from: From,
}

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The source's own paths.
    Paths,
    /// These files and no others; all of them have to be there.
    Files(Vec<PathBuf>),
    /// Standard input.
    Stdin,
}

/// What was typed can't be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misuse {
    #[error("no source is called {name:?}{}", there_are(.known))]
    Unknown { name: String, known: Vec<String> },
    #[error("source {name:?} is a `{kind}` source: a dry run reads the lines of `tail` sources")]
    NoTail { name: String, kind: &'static str },
    #[error("{what} can stand for one source only: name it with --source{}", there_are(.known))]
    Several { what: &'static str, known: Vec<String> },
    #[error("this agent has no `tail` source, and a dry run reads no other{}", left_out(.0))]
    Nothing(Vec<(String, &'static str)>),
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) }
}

fn left_out(sources: &[(String, &'static str)]) -> String {
    let all = sources.iter().map(|(name, kind)| format!("{name} ({kind})")).collect::<Vec<_>>();
    if all.is_empty() { String::new() } else { format!("; left out: {}", all.join(", ")) }
}

/// Decides what is read. Relative files are meant from `here`.
pub(super) fn plan(
    sources: Vec<SourceSettings>,
    options: &DryRunOptions,
    here: &Path,
) -> Result<Plan, Misuse> {
    let sources = chosen(sources, options.source.as_deref())?;
    let (mut tails, mut left_out) = (Vec::new(), Vec::new());
    for source in sources {
        let (name, kind) = (source.name().to_owned(), source.kind());
        match source.into_tail() {
            Some(tail) => tails.push(tail),
            None => left_out.push((name, kind)),
        }
    }
    match (tails.len(), &options.source, left_out.first()) {
        (0, Some(_), Some((name, kind))) => {
            return Err(Misuse::NoTail { name: name.clone(), kind });
        }
        (0, ..) => return Err(Misuse::Nothing(left_out)),
        (1, ..) => {}
        _ if !options.stdin && options.files.is_empty() => {}
        _ => {
            let what = if options.stdin { "standard input" } else { "files" };
            let known = tails.iter().map(|t| t.lines.source.clone()).collect();
            return Err(Misuse::Several { what, known });
        }
    }
    let sources = tails.into_iter().map(|tail| planned(tail, options, here)).collect();
    Ok(Plan { sources, left_out })
}

fn chosen(sources: Vec<SourceSettings>, name: Option<&str>) -> Result<Vec<SourceSettings>, Misuse> {
    let Some(name) = name else { return Ok(sources) };
    let names: Vec<String> = sources.iter().map(|s| s.name().to_owned()).collect();
    let found: Vec<_> = sources.into_iter().filter(|s| s.name() == name).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let meant = closest(name, names.iter().map(String::as_str)).map(|n| vec![n.to_owned()]);
    Err(Misuse::Unknown { name: name.to_owned(), known: meant.unwrap_or(names) })
}

fn planned(mut settings: TailSourceSettings, options: &DryRunOptions, here: &Path) -> Planned {
    settings.tail.start_at = StartAt::Beginning;
    if options.stdin {
        return Planned { settings, from: From::Stdin };
    }
    if options.files.is_empty() {
        return Planned { settings, from: From::Paths };
    }
    let files: Vec<PathBuf> = options.files.iter().map(|file| here.join(file)).collect();
    // What is escaped is a pattern.
    let literal = |file: &PathBuf| Pattern::new(&Pattern::escape(&file.to_string_lossy())).ok();
    settings.paths = files.iter().filter_map(literal).collect();
    settings.exclude = Vec::new();
    // Who names a file wants it read.
    settings.tail.compressed = Compressed::Read;
    Planned { settings, from: From::Files(files) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dry_run::tests::settings;

    fn two() -> Vec<SourceSettings> {
        settings(
            "- tail: {name: shop, service: shop, paths: [/l/*.log], exclude: [/l/x.log]}\n\
             - tail: {name: web, service: web, paths: [/w/*.log], start_at: end}\n",
        )
    }

    fn planned(options: &DryRunOptions) -> Result<Plan, String> {
        plan(two(), options, Path::new("/here")).map_err(|e| e.to_string())
    }

    #[test]
    fn every_tail_is_read_from_its_beginning() {
        let plan = planned(&DryRunOptions::default()).unwrap();
        let names: Vec<_> = plan.sources.iter().map(|s| s.settings.lines.source.as_str()).collect();
        assert_eq!(names, ["shop", "web"]);
        for source in plan.sources {
            assert_eq!(source.settings.tail.start_at, StartAt::Beginning);
            assert_eq!(source.from, From::Paths);
        }
    }

    #[test]
    fn files_and_standard_input_stand_for_one_source() {
        let shop = DryRunOptions { source: Some("shop".into()), ..DryRunOptions::default() };
        let files = vec!["a[1].log".into(), "/b.log".into()];
        let with_files = DryRunOptions { files: files.clone(), ..shop.clone() };
        let plan = planned(&with_files).unwrap();
        let paths: Vec<_> = plan.sources[0].settings.paths.iter().map(Pattern::as_str).collect();
        assert_eq!(paths, ["/here/a[[]1[]].log", "/b.log"]);
        assert!(plan.sources[0].settings.exclude.is_empty());
        let stdin = DryRunOptions { stdin: true, ..shop };
        assert_eq!(planned(&stdin).unwrap().sources[0].from, From::Stdin);
        for (options, said) in [
            (
                DryRunOptions { source: None, ..stdin },
                "standard input can stand for one source only: name it with --source; there are shop, web",
            ),
            (
                DryRunOptions { source: None, files, ..with_files },
                "files can stand for one source only: name it with --source; there are shop, web",
            ),
            (
                DryRunOptions { source: Some("shp".into()), ..DryRunOptions::default() },
                "no source is called \"shp\"; there are shop",
            ),
        ] {
            assert_eq!(planned(&options).unwrap_err(), said);
        }
        let none = plan_of_nothing().unwrap_err().to_string();
        assert_eq!(none, "this agent has no `tail` source, and a dry run reads no other");
    }

    fn plan_of_nothing() -> Result<Plan, Misuse> {
        plan(Vec::new(), &DryRunOptions::default(), Path::new("/"))
    }
}

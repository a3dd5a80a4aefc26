//! Which sources a dry run reads.
//!
//! Owns what a dry run can read, and what is said of options that it can't follow. Never opens a file.

use std::path::Path;

use super::options::DryRunOptions;
use crate::choice::{Chosen, Several, Unknown};
use crate::sources::SourceSettings;

/// What a dry run is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) sources: Vec<Chosen>,
    /// Name and kind of sources that a dry run can't read.
    pub(super) left_out: Vec<(String, &'static str)>,
}

/// What was typed can't be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misuse {
    #[error("no source is called {:?}{}", .0.name, there_are(&.0.known))]
    Unknown(Unknown),
    #[error("source {name:?} is a `{kind}` source: a dry run reads the lines of `tail` sources")]
    NoTail { name: String, kind: &'static str },
    #[error("{} can stand for one source only: name it with --source{}", .0.what, there_are(&.0.known))]
    Several(Several),
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
    let choice = options.choice();
    let (mut tails, mut left_out) = (Vec::new(), Vec::new());
    for source in choice.among(sources).map_err(Misuse::Unknown)? {
        let (name, kind) = (source.name().to_owned(), source.kind());
        match source.into_tail() {
            Some(tail) => tails.push(tail),
            None => left_out.push((name, kind)),
        }
    }
    if tails.is_empty() {
        return Err(match (choice.source, left_out.first()) {
            (Some(_), Some((name, kind))) => Misuse::NoTail { name: name.clone(), kind },
            _ => Misuse::Nothing(left_out),
        });
    }
    let sources = choice.from(tails, here).map_err(Misuse::Several)?;
    Ok(Plan { sources, left_out })
}

#[cfg(test)]
mod tests {
    use glob::Pattern;
    use watchkeeper_agent_core::tail::StartAt;

    use super::*;
    use crate::choice::From;
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

//! `check`: what is wrong with configuration files, all of it at once, before a daemon reads them; and whether scenarios
//! go as expected.
//!
//! Owns telling an agent's file from a collector's. Reads them with the code of the daemons, so that it can't say
//! anything else than they do.

use std::path::{Path, PathBuf};

use serde::Serialize;
use watchkeeper_config::{
    Document, Environment, Node, Problems, ProcessEnv, Reader, ReportedProblem, load,
};

use crate::context::{Context, Outcome};
use crate::scenario;
use crate::terminal::{Screen, Tone, say};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files of agents and collectors
    #[arg(required_unless_present = "scenario", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Play scenarios, and fail if one does not go as expected; docs/scenarios.md says how to write them
    #[arg(long, num_args = 1.., value_name = "FILE")]
    scenario: Vec<PathBuf>,
    /// Exit with 1 if there are warnings
    #[arg(long)]
    strict: bool,
    /// Allow what is closed by default, as the daemons' --insecure does
    #[arg(long)]
    insecure: bool,
}

/// Checks files.
pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let read = |file: &PathBuf| Checked::read(file, args.insecure, &ProcessEnv);
    let play = |file: &PathBuf| Checked::play(file, &ProcessEnv);
    let checked: Vec<Checked> =
        args.files.iter().map(read).chain(args.scenario.iter().map(play)).collect();
    let shown = if context.is_json() {
        serde_json::to_string_pretty(&Json::of(&checked, args.strict))? + "\n"
    } else {
        checked.iter().map(|file| file.draw(args.strict, &context.screen)).collect()
    };
    context.print(&shown);
    Ok(Outcome::failed_if(checked.iter().any(|file| !file.is_ok(args.strict))))
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Agent,
    Collector,
    Scenario,
    Unknown,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Collector => "collector",
            Self::Scenario => "scenario",
            Self::Unknown => "unknown",
        }
    }
}

/// One file that was read.
struct Checked {
    file: String,
    kind: Kind,
    /// `3 sources, 5 signals`.
    contents: String,
    problems: Problems,
}

#[derive(Serialize)]
struct Json<'a> {
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize)]
struct FileJson<'a> {
    file: &'a str,
    kind: Kind,
    ok: bool,
    problems: Vec<ReportedProblem>,
}

impl<'a> Json<'a> {
    fn of(checked: &'a [Checked], strict: bool) -> Self {
        let files = checked.iter().map(|one| FileJson {
            file: &one.file,
            kind: one.kind,
            ok: one.is_ok(strict),
            problems: one.problems.report(),
        });
        Self { files: files.collect() }
    }
}

impl Checked {
    fn read(file: &Path, insecure: bool, environment: &dyn Environment) -> Self {
        let mut reader = Reader::new(environment);
        let document = load(file, &mut reader);
        let kind =
            document.as_ref().map_or(Kind::Unknown, |document| kind_of(document, &mut reader));
        let contents = document.as_ref().map(|document| contents(document.root(), kind));
        let is_read = document.and_then(|document| match kind {
            Kind::Agent => {
                watchkeeper_agent::config::read(&document, &mut reader, insecure).map(|_| ())
            }
            Kind::Collector => {
                watchkeeper_collector::config::read(&document, &mut reader, insecure).map(|_| ())
            }
            Kind::Scenario | Kind::Unknown => None,
        });
        let problems = match reader.finish(is_read) {
            Ok(((), problems)) | Err(problems) => problems,
        };
        let file = file.display().to_string();
        Self { file, kind, contents: contents.unwrap_or_default(), problems }
    }

    /// Plays a scenario: what did not go as expected is a problem at the place of the expectation.
    fn play(file: &Path, environment: &dyn Environment) -> Self {
        let mut reader = Reader::new(environment);
        let tried =
            load(file, &mut reader).and_then(|document| scenario::try_out(&document, &mut reader));
        let contents = tried.as_ref().map_or_else(String::new, |tried| {
            format!("{:?}, {}", tried.name, say::things(tried.n_expected, "expectation"))
        });
        let problems = match reader.finish(tried) {
            Ok((_, problems)) | Err(problems) => problems,
        };
        Self { file: file.display().to_string(), kind: Kind::Scenario, contents, problems }
    }

    fn is_ok(&self, strict: bool) -> bool {
        if strict { self.problems.is_empty() } else { !self.problems.has_errors() }
    }

    fn draw(&self, strict: bool, screen: &Screen) -> String {
        let n_errors = self.problems.n_errors();
        let n_all = self.problems.iter().count() + self.problems.n_dropped();
        let mut counts = Vec::new();
        for (n, noun) in [(n_errors, "error"), (n_all - n_errors, "warning")] {
            if n > 0 {
                counts.push(say::things(n, noun));
            }
        }
        let verdict = match (self.is_ok(strict), counts.is_empty()) {
            (true, true) => screen.paint(Tone::Good, "ok"),
            (true, false) => screen.paint(Tone::Warning, &format!("ok, {}", counts.join(", "))),
            (false, _) => screen.paint(Tone::Bad, &counts.join(", ")),
        };
        let what = match self.kind {
            Kind::Unknown => String::new(),
            kind if self.contents.is_empty() => format!("{}: ", kind.as_str()),
            kind => format!("{}, {}: ", kind.as_str(), self.contents),
        };
        format!("{}{}: {what}{verdict}\n", self.problems.render(), self.file)
    }
}

/// An agent's, a collector's, or neither, which is a problem.
fn kind_of(document: &Document, reader: &mut Reader<'_>) -> Kind {
    let place = document.root().place();
    if ["given", "expect"].iter().all(|key| document.root().get(key).is_some()) {
        reader
            .error(place, "this is a scenario")
            .help("play it with `watchkeeper check --scenario FILE`");
        return Kind::Unknown;
    }
    match (document.is_agent(), document.is_collector()) {
        (true, false) => Kind::Agent,
        (false, true) => Kind::Collector,
        (true, true) => {
            reader
                .error(place, "this is an agent's file and a collector's at once")
                .help("keep `agent` and `sources` in one file, `slos`, `rules`, `alerting` and `collector.listen` in another");
            Kind::Unknown
        }
        (false, false) => {
            reader
                .error(place, "this is neither an agent's file nor a collector's")
                .help("an agent's has `agent` or `sources`; a collector's `slos`, `rules`, `alerting` or `collector.listen`");
            Kind::Unknown
        }
    }
}

/// How much of everything there is, by what is written.
fn contents(root: &Node, kind: Kind) -> String {
    let n_items = |node: Option<&Node>| node.map_or(0, |node| node.items().len());
    let counts = match kind {
        Kind::Agent => {
            let sources = root.get("sources").map_or(&[][..], Node::items);
            let inner = || sources.iter().flat_map(Node::entries).map(|entry| &entry.value);
            let n_in = |key| inner().map(|source| n_items(source.get(key))).sum();
            vec![(sources.len(), "source"), (n_in("signals"), "signal"), (n_in("events"), "event")]
        }
        Kind::Collector => {
            let receivers = root.get("alerting").and_then(|alerting| alerting.get("receivers"));
            let n_slos = n_items(root.get("slos"));
            vec![
                (n_slos, "SLO"),
                (n_items(root.get("rules")), "rule"),
                (n_items(receivers), "receiver"),
            ]
        }
        Kind::Scenario | Kind::Unknown => Vec::new(),
    };
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    counts.map(|(n, noun)| say::things(n, noun)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    const AGENT: &str =
        "sources:\n  - tail: {service: shop, paths: [/x/*.log], signals: [{name: requests}]}\n";
    const COLLECTOR: &str =
        "slos:\n  - {name: a, service: s, signal: r, below: 1s, objective: 95, window: 30d}\n";

    fn checked(text: &str) -> Checked {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file.yaml");
        std::fs::write(&file, text).unwrap();
        Checked::read(&file, false, &|_: &str| None)
    }

    fn last_line(checked: &Checked, strict: bool) -> String {
        let shown = checked.draw(strict, &Screen::plain(None, Timestamp::EPOCH));
        shown.lines().last().unwrap().split_once("file.yaml: ").unwrap().1.to_owned()
    }

    #[test]
    fn each_file_is_summed_up_in_a_line() {
        for (text, kind, line) in [
            (AGENT, Kind::Agent, "agent, 1 source, 1 signal: ok"),
            (COLLECTOR, Kind::Collector, "collector, 1 SLO: ok"),
            ("collector: {listen: 127.0.0.1:7700}\n", Kind::Collector, "collector: ok"),
            ("{}\n", Kind::Unknown, "1 error"),
            ("slos: []\nsources: []\n", Kind::Unknown, "1 error"),
            ("sources: [1, 2\n", Kind::Unknown, "1 error"),
            ("slos: []\ngiven: []\nexpect: []\n", Kind::Unknown, "1 error"),
            ("sources: []\nnonsense: 1\nmore: 2\n", Kind::Agent, "agent: 2 errors"),
        ] {
            let checked = checked(text);
            assert_eq!((checked.kind, last_line(&checked, false).as_str()), (kind, line), "{text}");
        }
    }

    #[test]
    fn a_scenario_is_played_and_summed_up() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file.yaml");
        for (expect, line) in [
            ("{no_alert: a}", "scenario, \"calm\", 1 expectation: ok"),
            ("{slo: a, total: 7}", "scenario, \"calm\", 1 expectation: 1 error"),
            ("{slo: b, total: 7}", "scenario: 1 error"),
        ] {
            let given = "{from: 0m, to: 1m, service: s, signal: r, rate: 1/s, value: 10ms}";
            let text = format!("name: calm\n{COLLECTOR}given: [{given}]\nexpect: [{expect}]\n");
            std::fs::write(&file, text).unwrap();
            let checked = Checked::play(&file, &|_: &str| None);
            assert_eq!(last_line(&checked, true), line, "{expect}");
        }
    }

    #[test]
    fn warnings_fail_only_if_asked_to() {
        // A page at 14.4 times can't be with so low an objective.
        let warned = checked(&COLLECTOR.replace("95", "90"));
        assert!(warned.is_ok(false) && !warned.is_ok(true));
        assert_eq!(last_line(&warned, false), "collector, 1 SLO: ok, 1 warning");
        assert_eq!(last_line(&warned, true), "collector, 1 SLO: 1 warning");
    }

    #[test]
    fn a_file_that_is_not_there_is_a_problem_too() {
        let checked = Checked::read(Path::new("/nowhere/at/all.yaml"), false, &|_: &str| None);
        assert!(!checked.is_ok(false));
        let json = serde_json::to_value(Json::of(&[checked], false)).unwrap();
        assert_eq!(
            (&json["files"][0]["ok"], &json["files"][0]["kind"]),
            (&false.into(), &"unknown".into())
        );
        assert_eq!(json["files"][0]["problems"][0]["severity"], "error");
    }
}

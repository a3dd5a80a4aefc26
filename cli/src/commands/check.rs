//! `check`: what is wrong with configuration files, all of it at once, before a daemon reads them; and whether scenarios
//! go as expected.
//!
//! Owns telling an agent's file from a collector's, and from SLO files of others. Reads them with the code of the daemons, so that it can't say
//! anything else than they do.

use std::path::{Path, PathBuf};

use serde::Serialize;
use watchkeeper_agent::config::{AgentSettings, RoadSettings};
use watchkeeper_amqp::Side;
use watchkeeper_collector::config::{SloFormat, check_slo_file};
use watchkeeper_config::{
    Document, Environment, Node, Problems, ProcessEnv, Reader, ReportedProblem, load,
};

use super::connect::{Found, Named};
use crate::context::{Context, Outcome};
use crate::scenario;
use crate::terminal::{Screen, Tone, say};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files of agents and collectors, and SLO files in the form of OpenSLO v1 or of Sloth
    #[arg(required_unless_present = "scenario", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Play scenarios, and fail if one does not go as expected; docs/scenarios.md says how to write them
    #[arg(long, num_args = 1.., value_name = "FILE")]
    scenario: Vec<PathBuf>,
    /// Connect to the brokers that the files name, and say whether queues and permissions fit
    #[arg(long)]
    connect: bool,
    /// Print what would make the broker of a file fit, for `rabbitmqctl import_definitions`, and nothing else
    #[arg(long, conflicts_with_all = ["connect", "scenario"])]
    definitions: bool,
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
    let mut checked: Vec<Checked> =
        args.files.iter().map(read).chain(args.scenario.iter().map(play)).collect();
    if args.definitions {
        return print_definitions(&checked, context);
    }
    if args.connect {
        for file in checked.iter_mut().filter(|file| file.is_ok(false)) {
            file.found = file.broker.as_ref().map(Named::look).transpose()?.unwrap_or_default();
        }
    }
    let shown = if context.is_json() {
        serde_json::to_string_pretty(&Json::of(&checked, args.strict))? + "\n"
    } else {
        checked.iter().map(|file| file.draw(args.strict, &context.screen)).collect()
    };
    context.print(&shown);
    Ok(Outcome::failed_if(checked.iter().any(|file| !file.is_ok(args.strict))))
}

/// Of the first file that names a broker; what is wrong with the files instead, if anything is.
fn print_definitions(checked: &[Checked], context: &Context) -> anyhow::Result<Outcome> {
    let bad = checked.iter().filter(|file| !file.is_ok(false));
    let problems: String = bad.map(|file| file.draw(false, &context.screen)).collect();
    if !problems.is_empty() {
        context.print(&problems);
        return Ok(Outcome::failed_if(true));
    }
    let named = checked.iter().find_map(|file| file.broker.as_ref());
    let named = named.ok_or_else(|| {
        anyhow::anyhow!("none of these files names a broker: an agent's does in `collector.amqp`, a collector's in `intake.amqp`")
    })?;
    context.print(&(serde_json::to_string_pretty(&named.definitions())? + "\n"));
    Ok(Outcome::failed_if(false))
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Agent,
    Collector,
    OpenSlo,
    Sloth,
    Scenario,
    Unknown,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Collector => "collector",
            Self::OpenSlo => SloFormat::OpenSlo.as_str(),
            Self::Sloth => SloFormat::Sloth.as_str(),
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
    /// The broker that it names.
    broker: Option<Named>,
    /// What was found out about that broker, if it was looked at.
    found: Vec<Found>,
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
    #[serde(skip_serializing_if = "<[Found]>::is_empty")]
    broker: &'a [Found],
}

impl<'a> Json<'a> {
    fn of(checked: &'a [Checked], strict: bool) -> Self {
        let files = checked.iter().map(|one| FileJson {
            file: &one.file,
            kind: one.kind,
            ok: one.is_ok(strict),
            problems: one.problems.report(),
            broker: &one.found,
        });
        Self { files: files.collect() }
    }
}

impl Checked {
    fn read(file: &Path, insecure: bool, environment: &dyn Environment) -> Self {
        if let Some(format) = SloFormat::of_file(file, environment) {
            return Self::read_of_others(file, format, environment);
        }
        let mut reader = Reader::new(environment);
        let document = load(file, &mut reader);
        let kind =
            document.as_ref().map_or(Kind::Unknown, |document| kind_of(document, &mut reader));
        let mut n_slos = None;
        let mut broker = None;
        let is_read = document.as_ref().and_then(|document| match kind {
            Kind::Agent => {
                let settings = watchkeeper_agent::config::read(document, &mut reader, insecure);
                settings.map(|settings| broker = broker_of_agent(settings))
            }
            Kind::Collector => watchkeeper_collector::config::read(document, &mut reader, insecure)
                .map(|settings| {
                    n_slos = Some(settings.engine.slos.len());
                    let named = settings.amqp;
                    broker = named.map(|settings| Named { side: Side::Collector, settings });
                }),
            Kind::OpenSlo | Kind::Sloth | Kind::Scenario | Kind::Unknown => None,
        });
        let problems = match reader.finish(is_read) {
            Ok(((), problems)) | Err(problems) => problems,
        };
        let contents = document.map(|document| contents(document.root(), kind, n_slos));
        let file = file.display().to_string();
        let contents = contents.unwrap_or_default();
        Self { file, kind, contents, problems, broker, found: Vec::new() }
    }

    /// Checks an SLO file of others by itself.
    fn read_of_others(file: &Path, format: SloFormat, environment: &dyn Environment) -> Self {
        let mut reader = Reader::new(environment);
        let read = check_slo_file(file, &mut reader);
        let contents = read.map_or_else(String::new, |read| say::things(read.n_slos, "SLO"));
        let problems = match reader.finish(read) {
            Ok((_, problems)) | Err(problems) => problems,
        };
        let kind = match format {
            SloFormat::OpenSlo => Kind::OpenSlo,
            SloFormat::Sloth => Kind::Sloth,
            SloFormat::Other => Kind::Unknown,
        };
        let file = file.display().to_string();
        Self { file, kind, contents, problems, broker: None, found: Vec::new() }
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
        let (file, kind) = (file.display().to_string(), Kind::Scenario);
        Self { file, kind, contents, problems, broker: None, found: Vec::new() }
    }

    fn is_ok(&self, strict: bool) -> bool {
        let is_good = if strict { self.problems.is_empty() } else { !self.problems.has_errors() };
        is_good && !self.found.iter().any(Found::is_bad)
    }

    fn draw(&self, strict: bool, screen: &Screen) -> String {
        let n_bad = self.found.iter().filter(|found| found.is_bad()).count();
        let n_errors = self.problems.n_errors() + n_bad;
        let n_all = self.problems.iter().count() + self.problems.n_dropped() + n_bad;
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
            // Their own names have a version, and read better apart.
            kind @ (Kind::OpenSlo | Kind::Sloth) if !self.contents.is_empty() => {
                format!("{}: {}: ", kind.as_str(), self.contents)
            }
            kind if self.contents.is_empty() => format!("{}: ", kind.as_str()),
            kind => format!("{}, {}: ", kind.as_str(), self.contents),
        };
        let found: String = self.found.iter().map(|found| found.draw(screen)).collect();
        format!("{}{}: {what}{verdict}\n{found}", self.problems.render(), self.file)
    }
}

fn broker_of_agent(settings: AgentSettings) -> Option<Named> {
    settings.roads.into_iter().find_map(|road| match road {
        RoadSettings::Amqp(settings) => Some(Named { side: Side::Agent, settings }),
        RoadSettings::Grpc(_) => None,
    })
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
                .help("keep `agent` and `sources` in one file, `slos`, `slo_files`, `rules`, `alerting` and `collector.listen` in another");
            Kind::Unknown
        }
        (false, false) => {
            reader
                .error(place, "this is neither an agent's file nor a collector's")
                .help("an agent's has `agent` or `sources`; a collector's `slos`, `slo_files`, `rules`, `alerting` or `collector.listen`");
            Kind::Unknown
        }
    }
}

/// How much of everything there is, by what is written; of SLOs those that were read, if they could be: an entry may have
/// several objectives, and `slo_files` brings more.
fn contents(root: &Node, kind: Kind, n_slos: Option<usize>) -> String {
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
            let n_slos = n_slos.unwrap_or_else(|| n_items(root.get("slos")));
            vec![
                (n_slos, "SLO"),
                (n_items(root.get("rules")), "rule"),
                (n_items(receivers), "receiver"),
            ]
        }
        Kind::OpenSlo | Kind::Sloth | Kind::Scenario | Kind::Unknown => Vec::new(),
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

    const OPENSLO: &str = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec:\n  service: s\n  \
        budgetingMethod: Occurrences\n  timeWindow: [{duration: 30d}]\n  objectives: [{op: lte, value: 1, target: 0.95}]\n  \
        indicator: {spec: {thresholdMetric: {metricSource: {type: watchkeeper, spec: {signal: r}}}}}\n";
    const SLOTH: &str = "version: prometheus/v1\nservice: s\nslos:\n  - {name: a, objective: 95, sli: {plugin: {id: \
        watchkeeper, options: {signal: r, below: 1s}}}}\n";

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
            (&format!("{OPENSLO}---\n{OPENSLO}"), Kind::OpenSlo, "OpenSLO v1: 2 SLOs: 1 error"),
            (OPENSLO, Kind::OpenSlo, "OpenSLO v1: 1 SLO: ok"),
            (
                &OPENSLO.replace("watchkeeper", "Datadog"),
                Kind::OpenSlo,
                "OpenSLO v1: 1 SLO: 1 error",
            ),
            (&format!("{OPENSLO}---\na: [\n"), Kind::OpenSlo, "OpenSLO v1: 1 error"),
            ("apiVersion: v1\nkind: Pod\n", Kind::Unknown, "1 error"),
            (&SLOTH.replace("s/v1", "s/v2"), Kind::Unknown, "1 error"),
            ("sources: []\nversion: 2\n", Kind::Agent, "agent: 1 error"),
            (SLOTH, Kind::Sloth, "Sloth prometheus/v1: 1 SLO: ok"),
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
    fn slos_in_files_of_others_count_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yaml"), OPENSLO).unwrap();
        std::fs::write(dir.path().join("b.yaml"), SLOTH).unwrap();
        let file = dir.path().join("file.yaml");
        std::fs::write(&file, "slo_files: [a.yaml, b.yaml]\n").unwrap();
        let checked = Checked::read(&file, false, &|_: &str| None);
        assert_eq!(last_line(&checked, true), "collector, 2 SLOs: ok");
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

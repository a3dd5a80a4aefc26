//! The loop of a replay.
//!
//! Owns its options, which go together, the order of its parts, and the exit code: 0 done, 1 something could not be
//! read, 2 misuse, 130 stopped before the end.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use watchkeeper_agent::config::AgentSettings;
use watchkeeper_agent::history::{Choice, History, Step};
use watchkeeper_collector::api;
use watchkeeper_collector::config::CollectorSettings;
use watchkeeper_config::{Environment, Problems, ProcessEnv};
use watchkeeper_model::Timestamp;

use super::against::{Against, compare};
use super::bar::Bar;
use super::draw::{self, Shown};
use super::faults::{self, Fault};
use super::play::{Ended, Play};
use super::report::{Lines, Report};
use super::stop;
use crate::commands::moment::Moment;
use crate::context::{Context, Outcome};
use crate::terminal::Screen;

/// So many seconds of the past go by between two looks at signals and the clock.
const TOGETHER: usize = 256;

/// Options of `replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Reads the files of the agent's `tail` sources that have a `time`, rotated ones among them, each from \
                  its beginning; LOG stands in place of a source's files, and `-` is standard input. What was counted is \
                  judged at the times in the lines, as if it had just been written. Nothing is sent, no file is \
                  written, no socket is opened.\n\n\
                  Exits with 1 if something could not be read, and with 130 if it was stopped before the end."
)]
pub(crate) struct Args {
    /// The agent's file: what is read and counted
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// The collector's file: SLOs, rules, who is told
    #[arg(long, value_name = "FILE")]
    collector: PathBuf,
    /// Show what happened from then on; lines before count as far back as the longest window of an SLO or rule reaches
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<Moment>,
    /// Only count lines before then; files are not read much further
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<Moment>,
    /// Compare what fires with known faults: a JSON list of {"start" or "time", "end" or "duration", "service", …}
    #[arg(long, value_name = "FAULTS")]
    against: Option<PathBuf>,
    /// How long a fault is that has no end
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = span, requires = "against")]
    fault_length: Duration,
    /// How long after a fault's end an alert may still be of it
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = span, requires = "against")]
    grace: Duration,
    /// Only this source; needed for LOG where there are several
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Read these files in place of the source's own, or `-` for standard input
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
}

fn span(text: &str) -> Result<Duration, String> {
    let nanos = watchkeeper_expr::duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| "is below zero".to_owned())
}

/// Replays.
pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let stopped = stop::on_signals()?;
    match replay(args, &context.screen, &ProcessEnv, &stopped)? {
        Err(Refused { why, outcome }) => {
            // If nobody reads what went wrong, the exit code still says that it did.
            let _ = write!(std::io::stderr(), "{why}");
            Ok(outcome)
        }
        Ok(replayed) => {
            let outcome = replayed.outcome();
            let shown = if context.is_json() {
                serde_json::to_string_pretty(&replayed.report)? + "\n"
            } else {
                draw::all(&replayed.report, &replayed.shown, &context.screen)
            };
            if !replayed.warnings.is_empty() {
                let _ = write!(std::io::stderr(), "{}", replayed.warnings);
            }
            context.print(&shown);
            Ok(outcome)
        }
    }
}

/// What can't be done, told with its line ends.
pub(super) struct Refused {
    pub(super) why: String,
    pub(super) outcome: Outcome,
}

impl Refused {
    fn misuse(why: impl std::fmt::Display) -> Self {
        Self { why: format!("error: {why}\n"), outcome: Outcome::Misused }
    }
}

/// What came of a replay.
pub(super) struct Replayed {
    pub(super) report: Report,
    pub(super) shown: Shown,
    /// For standard error.
    pub(super) warnings: String,
}

impl Replayed {
    pub(super) fn outcome(&self) -> Outcome {
        if !self.report.complete {
            return Outcome::Stopped;
        }
        Outcome::failed_if(!self.report.problems.is_empty())
    }
}

pub(super) fn replay(
    args: &Args,
    screen: &Screen,
    environment: &dyn Environment,
    stop: &AtomicBool,
) -> anyhow::Result<Result<Replayed, Refused>> {
    let span = match asked_for(args, screen) {
        Ok(span) => span,
        Err(refused) => return Ok(Err(refused)),
    };
    let faults = args.against.as_deref().map(|path| faults::read(path, args.fault_length));
    let faults = faults.transpose()?;
    let (agent, collector, mut warnings) = match settings(args, environment) {
        Ok(settings) => settings,
        Err(problems) => {
            let why = problems.render();
            return Ok(Err(Refused { why, outcome: Outcome::Failed }));
        }
    };
    let counts = span.start - Play::look_back(&collector)..span.end;
    let here = std::env::current_dir().unwrap_or_default();
    let opened = History::open(agent, &choice(args), counts, (&here, Screen::clock()));
    let mut history = match opened {
        Ok(history) => history,
        Err(misuse) => return Ok(Err(Refused::misuse(misuse))),
    };
    for left in history.left_out() {
        warnings += &format!("warning: source {:?} {}: left out\n", left.source, left.why);
    }
    if history.sources().is_empty() {
        warnings += "error: this agent has no source of which the past can be read\n";
        return Ok(Err(Refused { why: warnings, outcome: Outcome::Failed }));
    }
    Play::ask_for_bounds(&collector, &mut history);
    let mut play = Play::new(collector, history.agent().clone(), span.clone());
    let bar = Bar::new();
    let (is_complete, spent) = lead(&mut history, &mut play, bar, stop);
    for source in history.sources() {
        for what in &source.not_read {
            warnings += &format!("warning: source {:?}: {what}: not read\n", source.name);
        }
        for what in &source.problems {
            warnings += &format!("error: source {:?}: {what}\n", source.name);
        }
    }
    let ended = play.end(Screen::clock());
    let against = faults.map(|faults| compared(&faults, &ended, args.grace));
    Ok(Ok(answer(ended, &history, against, (is_complete, spent, warnings), &span)))
}

/// The time asked for.
fn asked_for(args: &Args, screen: &Screen) -> Result<Range<Timestamp>, Refused> {
    let resolve = |moment: &Option<Moment>| moment.as_ref().map(|m| m.resolve(screen));
    let (from, to) = (resolve(&args.from), resolve(&args.to));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let why = format!("--from {from} is not before --to {to}");
        return Err(Refused::misuse(why));
    }
    if args.logs.iter().any(|log| log == Path::new("-")) && args.logs.len() > 1 {
        return Err(Refused::misuse("standard input and files can't be read together"));
    }
    Ok(from.unwrap_or(Timestamp(i64::MIN))..to.unwrap_or(Timestamp::MAX))
}

fn choice(args: &Args) -> Choice {
    let stdin = args.logs.iter().any(|log| log == Path::new("-"));
    let files = if stdin { Vec::new() } else { args.logs.clone() };
    Choice { source: args.source.clone(), files, stdin }
}

/// Both files, and what is wrong with both told together.
fn settings(
    args: &Args,
    environment: &dyn Environment,
) -> Result<(AgentSettings, CollectorSettings, String), Problems> {
    // Nothing listens here, so nothing can listen where it should not.
    let agent = watchkeeper_agent::config::load_settings(&args.agent, environment, true);
    let collector =
        watchkeeper_collector::config::load_settings(&args.collector, environment, true);
    match (agent, collector) {
        (Ok((agent, mut warnings)), Ok((collector, more))) => {
            warnings.append(more);
            Ok((agent, collector, warnings.render()))
        }
        (Err(mut problems), Ok((_, more)) | Err(more)) => {
            problems.append(more);
            Err(problems)
        }
        (Ok((_, mut warnings)), Err(problems)) => {
            warnings.append(problems);
            Err(warnings)
        }
    }
}

/// Leads everything there is from the files to the collector; whether it was everything, and how long it took.
fn lead(
    history: &mut History,
    play: &mut Play,
    mut bar: Bar,
    stop: &AtomicBool,
) -> (bool, Duration) {
    loop {
        if stop.load(Ordering::Relaxed) {
            return (false, bar.finish());
        }
        let now = Screen::clock();
        for _ in 0..TOGETHER {
            match history.step(now) {
                Step::Second(second) => play.second(second),
                Step::Working => break,
                Step::End => return (true, bar.finish()),
            }
        }
        if bar.is_due() {
            bar.draw(&history.progress());
        }
    }
}

fn compared(faults: &[Fault], ended: &Ended, grace: Duration) -> Against {
    compare(faults, &ended.record, &ended.presence, grace)
}

fn answer(
    ended: Ended,
    history: &History,
    against: Option<Against>,
    (is_complete, spent, warnings): (bool, Duration, String),
    span: &Range<Timestamp>,
) -> Replayed {
    let Ended { record, first, end, rehearsal, .. } = ended;
    let slos = serde_json::to_value(api::as_answer(rehearsal.slos())).unwrap_or_default();
    let firing: Vec<String> = record.firing_at(span.start).map(|e| e.alert.clone()).collect();
    let sources = history.sources();
    let problems = sources.iter().flat_map(|source| {
        source.problems.iter().map(|what| format!("source {:?}: {what}", source.name))
    });
    let shown = Shown {
        agent: history.agent().to_string(),
        progress: history.progress(),
        n_files: sources.iter().map(|source| source.n_files).sum(),
        spent,
        first,
        end,
        firing_already: firing,
    };
    let report = Report {
        transitions: record.moved.into_iter().map(Into::into).collect(),
        notifications: record.told.into_iter().map(Into::into).collect(),
        slos: slos.get("slos").cloned().unwrap_or_default(),
        lines: Lines::of(sources),
        against,
        problems: problems.collect(),
        complete: is_complete,
    };
    Replayed { report, shown, warnings }
}

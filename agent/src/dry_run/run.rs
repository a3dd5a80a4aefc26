//! The loop of a dry run.
//!
//! Owns turns, frames, the end and the exit code: 0 done, 1 something could not be read, 2 misuse, 130 stopped before the
//! end. Everything happens on one thread; standard input and signals have their own.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Timestamp};

use super::layout::Look;
use super::options::{DryRunOptions, Output};
use super::plan::{Misuse, Plan, plan};
use super::reading::Reading;
use super::report::{LeftOut, Report, SourceReport};
use super::screen::{self, Screen};
use super::show::{self, Doing};
use crate::choice::{Chosen, From};
use crate::config::AgentSettings;
use crate::sources::{Waker, Wakes};

/// The longest sleep: a stop is noticed at once, all else can wait so long.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Stopped by a signal, as shells count it.
const STOPPED: u8 = 130;

/// Reads what the options say with an agent's settings and shows what came of it.
pub fn run(settings: AgentSettings, config: &Path, options: &DryRunOptions) -> ExitCode {
    let here = std::env::current_dir().unwrap_or_default();
    let Plan { sources, left_out } = match plan(settings.sources, options, &here) {
        Ok(plan) => plan,
        Err(misuse) => {
            eprintln!("error: {misuse}");
            let is_nothing = matches!(misuse, Misuse::Nothing(_));
            return ExitCode::from(if is_nothing { 1 } else { 2 });
        }
    };
    let wakes = Wakes::new();
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = stop_on_signals(Arc::clone(&stop), wakes.waker()) {
        eprintln!("error: cannot listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    let mut run = Run {
        readings: start(sources, &settings.id, &wakes),
        config: config.display().to_string(),
        left_out,
        is_following: options.follow,
    };
    let mut screen = Screen::of_stdout();
    // What is typed moves the lines below a frame.
    let is_typed = options.stdin && std::io::stdin().is_terminal();
    if is_typed {
        eprintln!("reading standard input; Ctrl-D ends it");
    }
    let frames = (options.output == Output::Table && !is_typed).then_some(&mut screen);
    let is_complete = run.read(&wakes, &stop, frames);
    let report = run.report(is_complete);
    let written = match options.output {
        Output::Table => {
            let lines = show::table(&report, screen.look(), show::Detail::FULL, clock::now());
            screen.finish(&lines)
        }
        Output::Json => {
            let json = serde_json::to_string_pretty(&report).expect("texts and numbers are JSON");
            screen::write(&(json + "\n"))
        }
    };
    if let Err(error) = written {
        eprintln!("error: standard output: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::from(exit_code(&report))
}

fn start(sources: Vec<Chosen>, agent: &AgentId, wakes: &Wakes) -> Vec<Reading> {
    sources.into_iter().map(|chosen| Reading::start(chosen, agent, wakes.waker())).collect()
}

/// Everything that is being read.
struct Run {
    readings: Vec<Reading>,
    config: String,
    left_out: Vec<(String, &'static str)>,
    is_following: bool,
}

impl Run {
    /// Reads until the end or a stop; whether it was the end.
    fn read(&mut self, wakes: &Wakes, stop: &AtomicBool, mut frames: Option<&mut Screen>) -> bool {
        loop {
            let now = clock::now();
            let next = self.step(now);
            let is_stopped = stop.load(Ordering::Relaxed);
            if is_stopped || self.readings.iter().all(Reading::is_done) {
                let is_complete = self.is_following || !is_stopped;
                self.readings.iter_mut().for_each(|r| r.finish(clock::now()));
                return is_complete;
            }
            let mut sleep = next.since(clock::now()).min(LONGEST_SLEEP);
            if let Some(screen) = &mut frames {
                if screen.is_due() {
                    screen.draw(|look, n_lines| self.frame(look, n_lines));
                }
                sleep = sleep.min(screen.wait().unwrap_or(LONGEST_SLEEP));
            }
            if !sleep.is_zero() {
                wakes.wait(sleep);
            }
        }
    }

    /// A turn for every source that is not at its end; when there may be more to do.
    fn step(&mut self, now: Timestamp) -> Timestamp {
        let mut next = Timestamp::MAX;
        for reading in self.readings.iter_mut().filter(|r| !r.is_done()) {
            next = next.min(reading.step(now));
            if !self.is_following && reading.has_reached_the_end() {
                reading.finish(now);
            }
        }
        next
    }

    fn frame(&mut self, look: Look, n_lines: usize) -> Vec<String> {
        self.readings.iter_mut().for_each(|r| r.settle(clock::now()));
        let report = self.report(true);
        let mut lines = show::fitted(&report, look, n_lines.saturating_sub(2), clock::now());
        let is_stream = self.readings.iter().any(|r| r.from == From::Stdin);
        let doing = match () {
            () if self.is_following => Doing::Following,
            () if is_stream => Doing::Listening,
            () => Doing::Reading,
        };
        lines.extend([String::new(), show::progress(&report, look, doing)]);
        lines.truncate(n_lines);
        lines
    }

    fn report(&self, is_complete: bool) -> Report {
        let left_out = self.left_out.iter();
        Report {
            config: self.config.clone(),
            complete: is_complete,
            sources: self.readings.iter().map(SourceReport::of).collect(),
            left_out: left_out
                .map(|(name, kind)| LeftOut { name: name.clone(), kind: (*kind).to_owned() })
                .collect(),
        }
    }
}

fn exit_code(report: &Report) -> u8 {
    let is_any_read = report.sources.iter().any(|s| s.n_files > 0);
    let has_problem = report.sources.iter().any(|s| s.n_problems > 0);
    match () {
        () if !report.complete => STOPPED,
        () if has_problem || !is_any_read => 1,
        () => 0,
    }
}

/// Asks the loop to stop on the first signal; on the second there is no more patience.
fn stop_on_signals(stop: Arc<AtomicBool>, waker: Waker) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _context = runtime.enter();
        let hear = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = hear.map(signal);
        (interrupt?, terminate?, hangup?)
    };
    let listen = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                // The terminal is gone: nobody looks any more.
                _ = hangup.recv() => {}
            }
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(STOPPED));
            }
            waker.wake();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(listen))?;
    Ok(())
}

/// Runs without a terminal and without signals: the report, and the exit code there would be.
#[cfg(test)]
pub(super) fn report_of(
    sources: Vec<crate::sources::SourceSettings>,
    options: &DryRunOptions,
) -> Result<(Report, u8), Misuse> {
    let Plan { sources, left_out } = plan(sources, options, Path::new("/"))?;
    let wakes = Wakes::new();
    let readings = start(sources, &AgentId::new("web-1"), &wakes);
    let config = "agent.yaml".to_owned();
    let mut run = Run { readings, config, left_out, is_following: false };
    let is_complete = run.read(&wakes, &AtomicBool::new(false), None);
    let report = run.report(is_complete);
    let code = exit_code(&report);
    Ok((report, code))
}

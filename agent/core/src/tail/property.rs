//! Random rotation, copying, cutting, deleting, compressing, crashing and failing seals against a model.
//!
//! Owns one sentence: each line is counted exactly once, or what became of it is reported. The model knows which lines
//! stood in a file at the moment it was cut, or was deleted while nobody held it; only those may be missing, and only if
//! that many bytes were reported.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::disk::Ending;
use super::memory::Agent;

#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    WriteHalf,
    Rename,
    RenameAndDelete,
    CopyTruncate {
        look_between: bool,
    },
    Delete,
    /// What logrotate's `compress` does to the oldest plain sibling: a part of it, and then the rest.
    Compress {
        part: u8,
    },
    Poll,
    PollWithoutReading,
    Seal,
    FailToSeal,
    Crash,
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6_u8).prop_map(Step::Write),
        2 => Just(Step::WriteHalf),
        2 => Just(Step::Rename),
        1 => Just(Step::RenameAndDelete),
        2 => any::<bool>().prop_map(|look_between| Step::CopyTruncate { look_between }),
        1 => Just(Step::Delete),
        6 => Just(Step::Poll),
        2 => Just(Step::PollWithoutReading),
        4 => Just(Step::Seal),
        1 => Just(Step::FailToSeal),
        2 => Just(Step::Crash),
        2 => (0..20_u8).prop_map(Step::Wait),
    ]
}

fn step_with_compression() -> impl Strategy<Value = Step> {
    prop_oneof![8 => step(), 2 => (0..=4_u8).prop_map(|part| Step::Compress { part })]
}

const PATH: &str = "/l/app.log";

struct Model {
    agent: Agent,
    n_lines: usize,
    half: Option<String>,
    running: bool,
    /// Lines that stood in a file that was deleted, or bytes that stood in one that was cut.
    at_risk: BTreeSet<String>,
    n_copies: usize,
    /// What is being compressed, and how much of it is done.
    compressing: Option<(String, usize)>,
}

impl Model {
    fn write(&mut self, n: u8) {
        let mut text = self.half.take().map_or(String::new(), |_| " end\n".to_owned());
        for _ in 0..n {
            text += &format!("line {}\n", self.n_lines);
            self.n_lines += 1;
        }
        self.agent.world().append(PATH, text);
    }

    /// A rotation waits for the end of a line: no writer splits one over two files.
    fn end_line(&mut self) {
        if self.half.take().is_some() {
            self.agent.world().append(PATH, " end\n");
        }
    }

    fn lines_in(&self, path: &str) -> Vec<String> {
        let content = self.agent.world().content(path);
        String::from_utf8(content).unwrap().lines().map(str::to_owned).collect()
    }

    fn shift_siblings(&mut self) {
        // One rotation ends before the next begins.
        self.compress(4);
        let mut world = self.agent.world();
        for i in (1..20).rev() {
            for ending in ["", ".gz"] {
                let from = format!("{PATH}.{i}{ending}");
                if world.exists(&from) {
                    world.rename(&from, &format!("{PATH}.{}{ending}", i + 1));
                }
            }
        }
    }

    /// Goes on with what is being compressed, for so many quarters of it.
    fn compress(&mut self, n_quarters: u8) {
        let Some((path, done)) = self.compressing.take() else { return };
        let content = self.agent.world().content(&path);
        let to = content.len().min(done + content.len() * usize::from(n_quarters) / 4);
        let ending = if to == content.len() { Ending::Whole } else { Ending::Unfinished };
        self.agent.world().append_compressed(&format!("{path}.gz"), &content[done..to], ending);
        if ending == Ending::Whole {
            self.agent.world().remove(&path);
        } else {
            self.compressing = Some((path, to));
        }
    }

    fn exists(&self) -> bool {
        self.agent.world().exists(PATH)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Write(n) => self.write(*n),
            Step::WriteHalf if self.half.is_none() => {
                let half = format!("line {}", self.n_lines);
                self.n_lines += 1;
                self.agent.world().append(PATH, &half);
                self.half = Some(half);
            }
            Step::Rename if self.exists() => {
                self.end_line();
                self.shift_siblings();
                self.agent.world().rename(PATH, &format!("{PATH}.1"));
            }
            Step::RenameAndDelete if self.exists() => {
                self.end_line();
                let lines = self.lines_in(PATH);
                self.at_risk.extend(lines);
                self.agent.world().rename(PATH, "/l/away");
                self.agent.world().remove("/l/away");
            }
            Step::CopyTruncate { look_between } if self.exists() => {
                self.end_line();
                self.shift_siblings();
                self.agent.world().copy(PATH, &format!("{PATH}.1"));
                if *look_between && self.running {
                    self.agent.poll();
                }
                self.agent.world().truncate(PATH, 0);
                self.n_copies += 1;
                // A writer that goes on before anybody looked makes the cut hard to see; at least its bytes differ.
                self.write(1);
            }
            Step::Delete if self.exists() => {
                self.end_line();
                let lines = self.lines_in(PATH);
                self.at_risk.extend(lines);
                self.agent.world().remove(PATH);
            }
            Step::Compress { part } => {
                let oldest = (1..=20).rev().map(|i| format!("{PATH}.{i}"));
                let mut plain = oldest.filter(|path| self.agent.world().exists(path));
                let next = plain.next().map(|path| (path, 0));
                self.compressing = self.compressing.take().or(next);
                self.compress(*part);
            }
            Step::Poll => {
                self.running = true;
                self.agent.poll();
            }
            Step::PollWithoutReading => {
                self.running = true;
                self.agent.poll_with(false);
            }
            Step::Seal if self.running => self.agent.seal(),
            Step::FailToSeal if self.running => self.agent.fail_to_seal(),
            Step::Crash => {
                self.running = false;
                self.agent.crash();
            }
            Step::Wait(secs) => self.agent.wait_for(u64::from(*secs)),
            _ => {}
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn each_line_is_counted_once_or_reported(steps in proptest::collection::vec(step(), 1..60)) {
        run(Agent::new(), &steps)?;
    }

    #[test]
    fn each_line_is_counted_once_where_files_are_compressed(
        steps in proptest::collection::vec(step_with_compression(), 1..60),
    ) {
        run(Agent::reading_compressed(), &steps)?;
    }
}

fn run(agent: Agent, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model {
        agent,
        n_lines: 0,
        half: None,
        running: false,
        at_risk: BTreeSet::new(),
        n_copies: 0,
        compressing: None,
    };
    // A source that has run before.
    model.agent.poll();
    model.agent.seal();
    model.running = true;
    for step in steps {
        model.take(step);
    }
    model.end_line();
    model.compress(4);
    for _ in 0..4 {
        model.agent.wait_for(40);
        model.agent.catch_up();
        model.agent.seal();
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in &model.agent.sealed.lines {
        *seen.entry(line.trim_end_matches(" end").to_owned()).or_default() += 1;
    }
    let at_risk: BTreeSet<&str> =
        model.at_risk.iter().map(|l| l.trim_end_matches(" end")).collect();
    let mut missing = 0;
    for i in 0..model.n_lines {
        let line = format!("line {i}");
        match seen.remove(&line) {
            Some(1) => {}
            None if at_risk.contains(line.as_str()) => missing += 1,
            n => prop_assert!(false, "{line} was counted {n:?} times"),
        }
    }
    prop_assert!(seen.is_empty(), "made up: {seen:?}");
    prop_assert_eq!(model.agent.tail().lag_bytes(), 0);
    if model.at_risk.is_empty() {
        prop_assert_eq!(missing, 0);
        prop_assert_eq!(model.agent.sealed.abandoned + model.agent.sealed.unknown, 0);
    }
    prop_assert!(model.agent.sealed.n_truncated <= model.n_copies as u64);
    Ok(())
}

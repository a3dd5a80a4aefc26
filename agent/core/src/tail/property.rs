//! Random rotation, copying, cutting, deleting, crashing and failing seals against a model.
//!
//! Owns one sentence: each line is counted exactly once, or what became of it is reported. The model knows which lines
//! stood in a file at the moment it was cut, or was deleted while nobody held it; only those may be missing, and only if
//! that many bytes were reported.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::memory::Agent;

#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    WriteHalf,
    Rename,
    RenameAndDelete,
    CopyTruncate { look_between: bool },
    Delete,
    Poll,
    PollWithoutReading,
    Seal,
    FailToSeal,
    Crash,
    Wait(u8),
    RenameSource,
    LookElsewhereAndBack,
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
        1 => Just(Step::RenameSource),
        1 => Just(Step::LookElsewhereAndBack),
    ]
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
        let mut world = self.agent.world();
        for i in (1..20).rev() {
            let (from, to) = (format!("{PATH}.{i}"), format!("{PATH}.{}", i + 1));
            if world.exists(&from) {
                world.rename(&from, &to);
            }
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
            Step::RenameSource => {
                let name = if self.agent.settings.source == "s" { "t" } else { "s" };
                self.agent.rename_source(name);
            }
            Step::LookElsewhereAndBack if self.running => {
                self.agent.look_for(("/l/", ".txt"));
                self.agent.look_for(("/l/", ".log"));
            }
            Step::Wait(secs) => self.agent.wait_for(u64::from(*secs)),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]
    #[test]
    fn each_line_is_counted_once_or_reported(steps in proptest::collection::vec(step(), 1..60)) {
        let mut model = Model {
            agent: Agent::new(),
            n_lines: 0,
            half: None,
            running: false,
            at_risk: BTreeSet::new(),
            n_copies: 0,
        };
        // A source that has run before.
        model.agent.poll();
        model.agent.seal();
        model.running = true;
        for step in &steps {
            model.take(step);
        }
        model.end_line();
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
        for ((source, file), (begin, to, covered)) in &model.agent.coverage {
            prop_assert_eq!(to - begin, *covered, "{} of {:?} seems to be missing", source, file);
        }
        prop_assert_eq!(model.agent.tail().lag_bytes(), 0);
        if model.at_risk.is_empty() {
            prop_assert_eq!(missing, 0);
            prop_assert_eq!(model.agent.sealed.abandoned + model.agent.sealed.unknown, 0);
        }
        prop_assert!(model.agent.sealed.n_truncated <= model.n_copies as u64);
    }
}

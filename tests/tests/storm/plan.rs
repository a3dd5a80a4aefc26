//! What will go wrong, and when: a list made of a seed, a number of rounds and a road.
//!
//! Owns the order. Touches nothing: the same seed is the same list on every machine, and a failing one can be read.

use std::fmt;

use super::chance::Chance;
use super::kinds::{Draw, Fault, Kind, N_AGENTS, Road, kinds};

/// Steps between two moments of calm, in which everything is healed and the counts have to be the truth.
const CHAPTER: usize = 40;

/// What happens to a log besides being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Nothing.
    No,
    /// It is renamed, and a new one made.
    Rename,
    /// As before, and what was renamed becomes a gzip file at once.
    Compress,
    /// It is copied and emptied, once it is read.
    CopyTruncate,
}

/// Lines are written, a log may rotate, something goes wrong, and then there is a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What goes wrong.
    pub(crate) fault: Fault,
    /// Lines that each agent's service writes before.
    pub(crate) n_lines: [u64; N_AGENTS],
    /// Which agent's log rotates, and how.
    pub(crate) rotation: (usize, Rotation),
    /// Whether most lines are errors.
    pub(crate) is_trouble: bool,
    /// How long the next step waits, in milliseconds.
    pub(crate) pause_ms: u64,
}

/// The first restore comes behind a backup.
const IN_THIS_ORDER: [&str; 2] = ["backup", "restore"];

/// A seed's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In order.
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    /// That of a seed with so many steps on a road; calm ones come on top, and last.
    pub(crate) fn of(seed: u64, n_rounds: usize, road: Road) -> Self {
        let mut chance = Chance(seed);
        let mut steps = Vec::new();
        let mut left = Vec::new();
        for n in 0..n_rounds {
            if n > 0 && n.is_multiple_of(CHAPTER) {
                steps.push(step(&mut chance, Fault::Calm, false));
            }
            if left.is_empty() {
                left = shuffled(kinds(road), &mut chance);
            }
            let draw = left.pop().expect("just filled");
            let fault = draw(&mut chance, road);
            // One stretch of trouble, so that it is one problem and not one that comes and goes.
            let is_trouble = (n_rounds / 5..n_rounds / 5 + 12).contains(&n);
            steps.push(step(&mut chance, fault, is_trouble));
        }
        steps.push(step(&mut chance, Fault::Calm, false));
        Self { steps }
    }
}

fn step(chance: &mut Chance, fault: Fault, is_trouble: bool) -> Step {
    let mut n_lines = [0; N_AGENTS];
    for n in &mut n_lines {
        *n = chance.one_of(&[0, 10, 50, 200]);
    }
    let all = [Rotation::No, Rotation::Rename, Rotation::Compress, Rotation::CopyTruncate];
    let rotation = chance.one_of(&all);
    let rotation = (chance.below(N_AGENTS as u64) as usize, rotation);
    Step { fault, n_lines, rotation, is_trouble, pause_ms: 100 + chance.below(1_400) }
}

/// All kinds in some order, the last one first.
fn shuffled(mut kinds: Vec<Kind>, chance: &mut Chance) -> Vec<Draw> {
    for i in (1..kinds.len()).rev() {
        kinds.swap(i, chance.below(i as u64 + 1) as usize);
    }
    let place = |name: &str| kinds.iter().position(|(known, _)| *known == name);
    let [Some(first), Some(second)] = IN_THIS_ORDER.map(place) else {
        unreachable!("they are kinds")
    };
    if first < second {
        kinds.swap(first, second);
    }
    kinds.into_iter().map(|(_, draw)| draw).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, n_lines, rotation, is_trouble, pause_ms } = self;
        let trouble = if *is_trouble { ", trouble" } else { "" };
        write!(f, "{fault:?}; lines {n_lines:?}{trouble}, log {rotation:?}, then {pause_ms} ms")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.steps.iter().enumerate() {
            writeln!(f, "{n:4}  {step}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::kinds::name;
    use std::collections::BTreeSet;

    const ROADS: [Road; 3] = [Road::Grpc, Road::Amqp, Road::Both];

    #[test]
    fn the_same_seed_is_the_same_plan_and_another_is_another() {
        for road in ROADS {
            for seed in [0, 1, u64::MAX] {
                assert_eq!(Plan::of(seed, 90, road), Plan::of(seed, 90, road));
                assert_ne!(Plan::of(seed, 90, road), Plan::of(seed ^ 2, 90, road));
            }
        }
    }

    #[test]
    fn every_kind_of_fault_comes_in_as_many_steps_as_there_are_kinds() {
        for seed in 0..100 {
            for road in ROADS {
                let n_kinds = kinds(road).len();
                let plan = Plan::of(seed, n_kinds, road);
                // No two kinds are counted under one name.
                let seen: BTreeSet<String> = plan.steps.iter().map(|s| name(s.fault)).collect();
                assert_eq!(seen.len(), n_kinds + 1, "seed {seed}: {seen:?}\n{plan}");
                assert_eq!(plan.steps.last().unwrap().fault, Fault::Calm);
                let is_there = |word: &str| seen.iter().any(|name| name.ends_with(word));
                assert_eq!(is_there(" broker"), road.has_broker(), "{seen:?}");
                assert!(road != Road::Amqp || !is_there(" grpc"), "{seen:?}");
                assert!(road != Road::Grpc || !is_there(" amqp"), "{seen:?}");
            }
        }
    }

    #[test]
    fn the_first_restore_comes_behind_a_backup() {
        for seed in 0..100 {
            let plan = Plan::of(seed, kinds(Road::Amqp).len(), Road::Amqp);
            let place = |is: fn(Fault) -> bool| plan.steps.iter().position(|s| is(s.fault));
            let backup = place(|fault| fault == Fault::Backup);
            let restore = place(|fault| matches!(fault, Fault::Restore(_)));
            assert!(backup.is_some() && backup < restore, "seed {seed}");
        }
    }

    #[test]
    fn long_plans_have_calm_moments_and_one_stretch_of_trouble() {
        for road in ROADS {
            let plan = Plan::of(3, 10 * CHAPTER, road);
            assert_eq!(plan.steps.iter().filter(|step| step.fault == Fault::Calm).count(), 10);
            let pairs = plan.steps.windows(2);
            let begins = pairs.filter(|pair| !pair[0].is_trouble && pair[1].is_trouble);
            assert!((1..=2).contains(&begins.count()));
            assert_eq!(plan.to_string().lines().count(), plan.steps.len());
        }
    }
}

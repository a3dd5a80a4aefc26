//! Who goes a journey.
//!
//! Owns that the first step which is not as expected ends it, and is named. Each step has a connection of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;
use watchkeeper_agent_core::probe::{Carried, Failure, Part, Reason, Said, Seen, met};
use watchkeeper_daemon::clock;

use super::config::{Carry, Step, StepsProbe};
use crate::sources::probe::kinds::http::HttpProber;
use crate::sources::probe::kinds::kind::{Asking, Prober};

/// Goes all steps.
pub(super) struct StepsProber {
    steps: Vec<(Step, HttpProber)>,
}

impl StepsProber {
    /// One who goes these.
    pub(super) fn new(probe: &StepsProbe) -> Self {
        let with_prober = |step: &Step| {
            let roots: Vec<&str> = step.carry.iter().map(|carry| root(&carry.path)).collect();
            let prober = HttpProber::new(step.http.clone(), &step.expectations).keeping(&roots);
            (step.clone(), prober)
        };
        Self { steps: probe.steps.iter().map(with_prober).collect() }
    }

    async fn journey(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut carried = Carried::with_unique(unique());
        for (step, prober) in &mut self.steps {
            seen.clear_values();
            // Until it has come to its end.
            let part =
                Part { name: step.name.clone(), reason: Reason::Timeout, took: Default::default() };
            seen.parts.push(part);
            let begun = Instant::now();
            let came = prober.ask_with(&carried, seen).await;
            let took = begun.elapsed();
            seen.say("latency", Said::Span(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)));
            let came = came.and_then(|()| met(seen, &step.expectations)).and_then(|()| {
                step.carry.iter().try_for_each(|carry| take(carry, seen, &mut carried))
            });
            if let Some(part) = seen.parts.last_mut() {
                part.took = took;
                part.reason = came.as_ref().map_or_else(|failure| failure.reason, |()| Reason::Ok);
            }
            came.map_err(|failure| {
                let what = format!("step {}: {}", step.name, failure.what);
                Failure { what, ..failure }
            })?;
        }
        Ok(())
    }
}

/// Carries on what a step says.
fn take(carry: &Carry, seen: &Seen, carried: &mut Carried) -> Result<(), Failure> {
    let Carry { name, path, pattern } = carry;
    let missing = |why: &str| {
        Failure::new(Reason::Expect, format!("`{name}` can't be carried on: {path} {why}"))
    };
    let text = seen.text_at(path).ok_or_else(|| missing("is no text, or absent"))?;
    let value = match pattern {
        None => text,
        Some(pattern) => {
            let found = pattern.captures(&text).ok_or_else(|| missing("does not match"))?;
            let group = found.get(1).or_else(|| found.get(0));
            group.map(|group| group.as_str().to_owned()).unwrap_or_default()
        }
    };
    if carried.carry(name, value) { Ok(()) } else { Err(missing("is too long")) }
}

fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// A text that no other attempt has.
fn unique() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{number:x}", clock::now().nanos())
}

impl Prober for StepsProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.journey(seen))
    }
}

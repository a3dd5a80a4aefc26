//! Who asks by running a program.
//!
//! Owns the names under which its end and its output are told.

use std::os::unix::process::ExitStatusExt as _;

use watchkeeper_agent_core::probe::{Expectations, Failure, Said, Seen};

use super::config::ExecProbe;
use super::process::{Run, run};
use crate::sources::probe::kinds::kind::{Asking, Prober};

/// What shells add to the number of the signal that ended a program.
const BY_SIGNAL: i64 = 128;

/// Asks by running a program.
pub(super) struct ExecProber {
    probe: ExecProbe,
    wants_json: bool,
}

impl ExecProber {
    /// One who runs this.
    pub(super) fn new(probe: ExecProbe, expectations: &Expectations) -> Self {
        Self { probe, wants_json: expectations.reads("json") }
    }

    async fn attempt(&self, seen: &mut Seen) -> Result<(), Failure> {
        let Run { status, output, errors } = run(&self.probe, seen).await?;
        let signal = status.signal().map(|signal| BY_SIGNAL + i64::from(signal));
        if let Some(exit) = status.code().map(i64::from).or(signal) {
            seen.say("exit", Said::Int(exit));
        }
        if output.is_cut {
            seen.cut = vec!["output", "json"];
            let has_first_line = output.bytes.contains(&b'\n');
            seen.cut.extend((!has_first_line).then_some("value"));
        }
        seen.cut.extend(errors.is_cut.then_some("errors"));
        let text = output.text();
        if let Some(value) = number(&text) {
            seen.say("value", Said::Double(value));
        }
        if self.wants_json
            && let Ok(json) = serde_json::from_slice(&output.bytes)
        {
            seen.say("json", Said::Json(json));
        }
        seen.say("output", Said::Text(text));
        seen.say("errors", Said::Text(errors.text()));
        Ok(())
    }
}

/// The first line as a number, if it is one.
fn number(text: &str) -> Option<f64> {
    let number: f64 = text.lines().next()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

impl Prober for ExecProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}

//! The main process of something that systemd or launchd runs.
//!
//! Owns when the supervisor is asked. A call costs some milliseconds of its time and ours, so while its process lives it is
//! asked twice a minute, for restarts that were too fast to be seen, and at once when that process has ended. Its program
//! and not D-Bus: that would add some 30 crates, and the process's own descriptor tells its end as early.

use std::time::Duration;

use watchkeeper_agent_core::process::{
    Exit, SYSTEMD_PROPERTIES, Unit, UnitState, launchd, systemd,
};

use super::ask::ask;
use super::whom::{Knower, Whom};
use crate::sources::{Beside, Errand, Lost};

/// How often it is asked while all is well.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    program: String,
    /// Calls that are tried in turn until one knows it.
    calls: Vec<Vec<String>>,
    read: fn(&str) -> Option<Unit>,
    /// The unit or label.
    name: String,
}

/// Something a supervisor runs.
#[derive(Debug)]
pub(super) struct ByUnit {
    supervisor: Supervisor,
    errand: Option<Errand<Result<Option<Unit>, String>>>,
    asked_at: Option<Duration>,
    is_outdated: bool,
    /// The process that ended, until whoever runs it knows of that.
    dead: Option<u32>,
    answer: Option<Result<Option<Unit>, String>>,
    /// The count of the answer before.
    n_starts: Option<u64>,
    /// Of starts that were not told yet.
    n_restarts: u64,
}

impl Supervisor {
    pub(super) fn systemd(unit: &str) -> Self {
        let properties = format!("--property={SYSTEMD_PROPERTIES}");
        let call = ["show", "--no-pager", &properties, "--", unit].map(str::to_owned);
        let (program, calls) = ("systemctl".to_owned(), vec![call.to_vec()]);
        Self { program, calls, read: systemd, name: format!("unit {unit}") }
    }

    pub(super) fn launchd(label: &str) -> Self {
        let user = rustix::process::getuid().as_raw();
        let domains = ["system".to_owned(), format!("gui/{user}"), format!("user/{user}")];
        let call = |domain: String| vec!["print".to_owned(), format!("{domain}/{label}")];
        let (program, calls) = ("launchctl".to_owned(), domains.map(call).to_vec());
        Self { program, calls, read: launchd, name: format!("job {label}") }
    }

    /// The same by another program.
    #[cfg(test)]
    pub(super) fn by(self, program: &std::path::Path) -> Self {
        Self { program: program.display().to_string(), ..self }
    }

    /// What is said of it; `None` if it is not known.
    async fn answer(self) -> Result<Option<Unit>, String> {
        let mut complaint = String::new();
        for call in &self.calls {
            let said = ask(&self.program, call).await?;
            match (self.read)(&said.output) {
                Some(unit) => return Ok(Some(unit).filter(|u| u.state != UnitState::Unknown)),
                None if complaint.is_empty() => complaint = said.complaint,
                None => {}
            }
        }
        // launchctl says so where systemctl answers.
        if complaint.is_empty() || complaint.contains("ould not find") {
            return Ok(None);
        }
        Err(format!("{}: {complaint}", self.program))
    }
}

impl ByUnit {
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self {
            supervisor,
            errand: None,
            asked_at: None,
            is_outdated: true,
            dead: None,
            answer: None,
            n_starts: None,
            n_restarts: 0,
        }
    }

    fn unit(&self) -> Option<&Unit> {
        self.answer.as_ref()?.as_ref().ok()?.as_ref()
    }

    /// Its process lives, as far as is known.
    fn is_well(&self) -> bool {
        !self.is_outdated && self.unit().is_some_and(|unit| unit.pid.is_some())
    }
}

impl Knower for ByUnit {
    fn ask(&mut self, beside: &Beside, running: Duration) {
        let is_fresh = self.asked_at.is_some_and(|at| running < at + ASK_EVERY);
        if self.errand.is_some() || (self.is_well() && is_fresh) {
            return;
        }
        self.asked_at = Some(running);
        self.is_outdated = false;
        self.errand = Some(beside.wait_for(self.supervisor.clone().answer()));
    }

    fn take(&mut self) -> bool {
        let Some(answer) = self.errand.as_mut().and_then(Errand::take) else { return false };
        self.errand = None;
        let lost =
            |Lost| Err(format!("{} can't be asked: no thread for it", self.supervisor.program));
        let answer = answer.unwrap_or_else(lost);
        self.answer = Some(answer);
        if let Some(n) = self.unit().and_then(|unit| unit.n_starts) {
            let grown = self.n_starts.replace(n).map_or(0, |before| n.saturating_sub(before));
            self.n_restarts = self.n_restarts.saturating_add(grown);
        }
        let named = self.unit().and_then(|unit| unit.pid);
        self.dead = self.dead.filter(|dead| named == Some(*dead));
        self.is_outdated |= self.dead.is_some();
        true
    }

    fn whom(&mut self) -> Whom {
        let name = &self.supervisor.name;
        match &self.answer {
            None => Whom::NotYet,
            Some(Err(problem)) => Whom::Unclear(problem.clone()),
            Some(Ok(None)) => Whom::Unclear(format!("{} knows no {name}", self.supervisor.program)),
            Some(Ok(Some(unit))) => match (unit.pid, unit.state) {
                // Whatever it is called: one that begins or is stopped runs as well.
                (Some(pid), _) => Whom::These { pids: vec![pid], n_more: 0 },
                (None, UnitState::Up) => Whom::NoProcess,
                (None, _) => Whom::Nobody(format!("{name} is {}", unit.words)),
            },
        }
    }

    fn died(&mut self, pid: u32) {
        self.is_outdated = true;
        self.dead = Some(pid);
    }

    fn exit(&self, pid: u32) -> Option<Exit> {
        if self.is_outdated || self.errand.is_some() {
            return None;
        }
        Some(match self.unit().and_then(|unit| unit.last_exit) {
            Some((of, exit)) if of.is_none_or(|of| of == pid) => exit,
            _ => Exit::Unknown,
        })
    }

    fn n_restarts(&mut self) -> u64 {
        std::mem::take(&mut self.n_restarts)
    }
}

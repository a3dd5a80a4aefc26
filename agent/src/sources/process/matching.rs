//! The processes whose command line matches.
//!
//! Owns looking through all processes, beside the worker, and doing so cheaply: what a command line is, is asked once of each
//! process, a few times while it is young, because a process that was just made has its parent's, of one that has the number of
//! another, and of all of them now and then, because a process may change its own. A young one whose parent matches is taken when it is older: most become
//! another program at once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use regex::Regex;
use watchkeeper_agent_core::process::MAX_PROCESSES;

use super::table::{Called, Listed, Table};
use super::whom::{Knower, Whom};
use crate::sources::{Beside, Errand, Lost};

/// So often is looked at a process that is new.
const LOOKS_AT_NEW: u8 = 3;

/// After so many looks all are looked at again, and after so long.
const ALL_AGAIN: (u32, Duration) = (16, Duration::from_secs(60));

/// A process that is younger is likely to become another program.
const YOUNG: Duration = Duration::from_secs(1);

/// A look that takes longer than this hangs: the kernel answers for no process while its memory is changed.
const PATIENCE: Duration = Duration::from_secs(10);

/// All processes, as far as an expression is concerned with them.
#[derive(Debug)]
pub(super) struct ByMatch {
    scan: Option<Scan>,
    errand: Option<Errand<(Scan, Found)>>,
    regex: Regex,
    table: Table,
    whom: Whom,
}

type Found = Result<Vec<u32>, String>;

#[derive(Debug)]
struct Scan {
    table: Table,
    regex: Regex,
    known: HashMap<u32, Known>,
    /// How many looks ago all were looked at, and when.
    all: Option<(u32, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its entry in the list: another one is another process.
    entry: u64,
    started: u64,
    matches: bool,
    n_looks: u8,
    /// The parent of one that is young.
    young_of: Option<u32>,
}

impl Known {
    fn is_settled(&self) -> bool {
        self.n_looks >= LOOKS_AT_NEW && self.young_of.is_none()
    }
}

impl ByMatch {
    pub(super) fn new(regex: Regex, table: Table) -> Self {
        Self { scan: None, errand: None, regex, table, whom: Whom::NotYet }
    }
}

impl Knower for ByMatch {
    fn ask(&mut self, beside: &Beside, running: Duration) {
        if self.errand.is_some() {
            return;
        }
        let new = || Scan::new(self.table.clone(), self.regex.clone());
        let mut scan = self.scan.take().unwrap_or_else(new);
        self.errand = Some(beside.work(move || {
            let found = scan.look(running);
            (scan, found)
        }));
    }

    fn take(&mut self) -> bool {
        let Some(answer) = self.errand.as_mut().and_then(Errand::take) else { return false };
        self.errand = None;
        self.whom = match answer {
            Ok((scan, Ok(mut pids))) => {
                self.scan = Some(scan);
                let n_more = pids.len().saturating_sub(MAX_PROCESSES);
                pids.truncate(MAX_PROCESSES);
                match pids.is_empty() {
                    true => Whom::Nobody(format!("no process matches {:?}", self.regex.as_str())),
                    false => Whom::These { pids, n_more },
                }
            }
            Ok((scan, Err(problem))) => {
                self.scan = Some(scan);
                Whom::Unclear(problem)
            }
            Err(Lost) => {
                Whom::Unclear("processes can't be looked through: no thread for it".to_owned())
            }
        };
        true
    }

    fn whom(&mut self) -> Whom {
        if self.errand.as_ref().is_some_and(|errand| errand.age() > PATIENCE) {
            let why = "processes can't be looked through: the command line of one does not answer";
            return Whom::Unclear(why.to_owned());
        }
        self.whom.clone()
    }

    fn died(&mut self, pid: u32) {
        if let Whom::These { pids, .. } = &mut self.whom {
            pids.retain(|known| *known != pid);
            if pids.is_empty() {
                self.whom = Whom::Nobody(format!("no process matches {:?}", self.regex.as_str()));
            }
        }
    }
}

impl Scan {
    fn new(table: Table, regex: Regex) -> Self {
        Self { table, regex, known: HashMap::new(), all: None }
    }

    /// The numbers of those that match, those that began first first: a new one takes nobody's place. Never the agent itself.
    fn look(&mut self, running: Duration) -> Found {
        let listed = self.table.list().map_err(|e| format!("processes can't be listed: {e}"))?;
        let looks_at_all = self.looks_at_all(running);
        let mut before = std::mem::take(&mut self.known);
        let mut found = Vec::new();
        let mut unknown: Option<(usize, io::Error)> = None;
        for Listed { pid, entry } in listed {
            let known = before.remove(&pid);
            let is_settled = known.is_some_and(|known| known.is_settled() && known.entry == entry);
            let asked = match is_settled && !looks_at_all {
                true => Ok(known),
                false => self.ask(pid, entry, known),
            };
            // One that can't be asked is there, and nothing new is known of it.
            let known = asked.unwrap_or_else(|error| {
                if known.is_none() {
                    unknown.get_or_insert((0, error)).0 += 1;
                }
                known
            });
            let Some(known) = known else { continue };
            if known.matches && pid != std::process::id() {
                found.push(pid);
            }
            self.known.insert(pid, known);
        }
        match unknown {
            Some((n, error)) if found.is_empty() => {
                Err(format!("command lines can't be read, {n} of them: {error}"))
            }
            _ => {
                let all: HashSet<u32> = found.iter().copied().collect();
                let young_of = |pid: &u32| self.known.get(pid)?.young_of;
                found.retain(|pid| young_of(pid).is_none_or(|parent| !all.contains(&parent)));
                found.sort_unstable_by_key(|pid| (self.known.get(pid).map(|k| k.started), *pid));
                Ok(found)
            }
        }
    }

    /// Whether it is time for that.
    fn looks_at_all(&mut self, running: Duration) -> bool {
        let (after, length) = ALL_AGAIN;
        let since = self.all.filter(|(n, at)| *n < after && running < *at + length);
        let (n, at) = since.unwrap_or((0, running));
        self.all = Some((n + 1, at));
        since.is_none()
    }

    fn ask(&self, pid: u32, entry: u64, before: Option<Known>) -> io::Result<Option<Known>> {
        Ok(self.table.called(pid)?.map(|Called { started, age, parent, command }| {
            let n_looks = before.filter(|b| b.started == started).map_or(0, |b| b.n_looks);
            Known {
                entry,
                started,
                matches: !command.is_empty() && self.regex.is_match(&command),
                n_looks: n_looks.saturating_add(1),
                young_of: (age < YOUNG).then_some(parent),
            }
        }))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sources::process::tests::strange::{FIRST, hour, process};

    #[test]
    fn a_process_that_has_the_number_of_another_is_seen_at_the_next_look() {
        let proc = tempfile::tempdir().unwrap();
        let new = tempfile::tempdir_in(proc.path()).unwrap();
        process(proc.path(), FIRST, 10, "another");
        process(new.path(), FIRST, 20, "shop");
        let table = Table::at(proc.path().to_owned(), hour);
        let mut scan = Scan::new(table, Regex::new("^shop").unwrap());
        (0..5).for_each(|i| assert_eq!(scan.look(Duration::from_secs(i)), Ok(vec![])));
        let place = proc.path().join(FIRST.to_string());
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::rename(new.path().join(FIRST.to_string()), place).unwrap();
        assert_eq!(scan.look(Duration::from_secs(5)), Ok(vec![FIRST]));
    }

    #[test]
    fn another_name_is_seen_after_some_looks_or_a_minute() {
        let proc = tempfile::tempdir().unwrap();
        let table = Table::at(proc.path().to_owned(), hour);
        let regex = Regex::new("^shop").unwrap();
        for (every, n_looks) in [(1, 16), (10, 6), (3_600, 1)] {
            process(proc.path(), FIRST, 10, "sh start.sh");
            let mut scan = Scan::new(table.clone(), regex.clone());
            // Just after all were looked at.
            let begun = (0..LOOKS_AT_NEW).find(|_| scan.look(Duration::ZERO) != Ok(vec![]));
            assert_eq!(begun, None);
            scan.all = Some((1, Duration::ZERO));
            process(proc.path(), FIRST, 10, "shop");
            let look = |n: &u64| scan.look(Duration::from_secs(*n * every)) == Ok(vec![FIRST]);
            assert_eq!((1..100).find(look), Some(n_looks), "every {every} s");
        }
    }
}

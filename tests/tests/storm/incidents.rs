//! What the storm's collector tells PagerDuty, and whether it was right to.
//!
//! Owns the integration's key and the verdict over incidents.

use std::collections::{BTreeMap, BTreeSet};

use watchkeeper_tests::fakes::PagerDuty;
use watchkeeper_tests::fakes::pagerduty::Incident;

/// The key of the integration.
pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A PagerDuty, and what is known of it.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where incidents are.
    pub(crate) pagerduty: PagerDuty,
    /// Keys that there were when a collector went back to an older backup: of these it may be told once more.
    before_restore: BTreeSet<String>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let pagerduty = PagerDuty::start(&[ROUTING_KEY]).await.unwrap();
        Self { pagerduty, before_restore: BTreeSet::new() }
    }

    /// A collector goes back in time, and names the incidents that it does not know any more: somebody closes them.
    pub(crate) fn restored(&mut self, orphans: &[String]) {
        let keys = self.pagerduty.incidents().into_iter().map(|incident| incident.dedup_key);
        self.before_restore.extend(keys);
        orphans.iter().for_each(|key| self.pagerduty.close_by_hand(key));
    }

    /// What is still open.
    pub(crate) fn open(&self) -> Vec<Incident> {
        let all = self.pagerduty.incidents().into_iter();
        all.filter(|incident| !incident.is_resolved).collect()
    }

    /// One line for each incident.
    pub(crate) fn story(&self) -> String {
        let line = |it: &Incident| {
            let open = if it.is_resolved { "" } else { " OPEN" };
            format!("{}: {}{open}", it.dedup_key, it.says["payload"]["summary"])
        };
        self.pagerduty.incidents().iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// No incident was opened a second time under its key, and the trouble was told.
    pub(crate) fn assert_right(&self, had_trouble: bool) {
        let mut n_opened: BTreeMap<String, usize> = BTreeMap::new();
        for incident in self.pagerduty.incidents() {
            *n_opened.entry(incident.dedup_key).or_default() += 1;
        }
        n_opened.retain(|key, n| *n > 1 && !self.before_restore.contains(key));
        assert!(n_opened.is_empty(), "opened twice: {n_opened:?}\n{}", self.story());
        let is_of_shop = |it: &Incident| it.says.to_string().contains("shop-availability");
        let is_told = self.pagerduty.incidents().iter().any(is_of_shop);
        assert!(is_told || !had_trouble, "nobody was told of the trouble\n{}", self.story());
    }
}

//! Counts of judged observations.
//!
//! Owns their sum: counts add up, ratios never do. Never judges.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeeper_model::{AgentId, Window};

use crate::series::Part;

/// What became of observations in one SLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Judged good.
    pub good: u64,
    /// Judged at all.
    pub total: u64,
    /// A condition ended in an error: in neither of the above.
    pub unjudged: u64,
    /// Of `total`, judged by the histogram and not by an exact bound.
    pub estimated: u64,
}

impl Counts {
    /// Judged and not good.
    pub const fn bad(&self) -> u64 {
        self.total.saturating_sub(self.good)
    }

    /// Good ÷ total; `None` without any.
    pub fn ratio(&self) -> Option<f64> {
        (self.total > 0).then(|| self.good as f64 / self.total as f64)
    }

    /// Bad ÷ total; `None` without any.
    pub fn bad_ratio(&self) -> Option<f64> {
        (self.total > 0).then(|| self.bad() as f64 / self.total as f64)
    }

    /// Takes `other`, which was added before, away again.
    pub const fn remove(&mut self, other: &Self) {
        self.good = self.good.saturating_sub(other.good);
        self.total = self.total.saturating_sub(other.total);
        self.unjudged = self.unjudged.saturating_sub(other.unjudged);
        self.estimated = self.estimated.saturating_sub(other.estimated);
    }
}

impl Part for Counts {
    fn add(&mut self, other: &Self) {
        self.good = self.good.saturating_add(other.good);
        self.total = self.total.saturating_add(other.total);
        self.unjudged = self.unjudged.saturating_add(other.unjudged);
        self.estimated = self.estimated.saturating_add(other.estimated);
    }

    fn is_empty(&self) -> bool {
        self.total == 0 && self.unjudged == 0
    }
}

/// One window of one series, judged for one SLO, once, in the transaction that stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The SLO's name.
    pub slo: Arc<str>,
    /// Who observed.
    pub agent: AgentId,
    /// When, in event time.
    pub window: Window,
    /// With what result; never empty.
    pub counts: Counts,
}

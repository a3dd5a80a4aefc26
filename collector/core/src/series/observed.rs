//! What the intake hands over once it is on disk.
//!
//! Owns how a label is looked up in an observed window. Never judges it.

use std::sync::Arc;

use watchkeeper_model::{Dimension, Distribution, Labels, Service, Window};

/// One part of one window of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Whose.
    pub service: Service,
    /// Which signal.
    pub signal: Arc<str>,
    /// What its values measure; outside units follow from it.
    pub dimension: Dimension,
    /// The observation's labels, the agent's labels and `agent`.
    pub labels: Labels,
    /// When, in event time.
    pub window: Window,
    /// What was counted.
    pub distribution: Distribution,
}

impl Observed {
    /// The value of a label, `service` and `signal` among them; "" if it is absent.
    pub fn label(&self, name: &str) -> &str {
        match name {
            "service" => self.service.as_str(),
            "signal" => &self.signal,
            _ => self.labels.get(name),
        }
    }

    /// The values of the labels named; absent ones are left out.
    pub fn group(&self, by: &[String]) -> Labels {
        Labels::new(by.iter().map(|name| (name.as_str(), self.label(name))))
    }
}

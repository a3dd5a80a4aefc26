//! How warm parts of the host are.
//!
//! Owns their names: that of the chip and that of the sensor, and a number where several are called the same. Some sensors
//! take long to answer (a disk that sleeps, firmware that is asked), so they are asked beside the worker.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_agent_core::host::Sensor;

use super::machine;
use crate::sources::{Beside, Errand};

/// Sensors that take longer than this hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// All sensors of a host.
#[derive(Debug, Default)]
pub(super) struct Sensors(Option<Errand<Vec<Sensor>>>);

impl Sensors {
    /// Asks them, if they have answered.
    pub(super) fn ask(&mut self, beside: &Beside) {
        if self.0.is_none() {
            self.0 = Some(beside.work(|| numbered(machine::sensors())));
        }
    }

    /// What they have answered since.
    pub(super) fn take(&mut self) -> Vec<Sensor> {
        let Some(answer) = self.0.as_mut().and_then(Errand::take) else { return Vec::new() };
        self.0 = None;
        answer.unwrap_or_default()
    }

    /// What can't be told at present.
    pub(super) fn problem(&self) -> Option<String> {
        let hangs = self.0.as_ref().is_some_and(|errand| errand.age() > PATIENCE);
        hangs.then(|| "a sensor of temperature does not answer".to_owned())
    }
}

/// The same with names that differ: of several with one name all but the first get a number.
pub(super) fn numbered(mut all: Vec<Sensor>) -> Vec<Sensor> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for sensor in &mut all {
        let n = seen.entry(sensor.name.clone()).or_default();
        *n += 1;
        if *n > 1 {
            sensor.name = format!("{} {n}", sensor.name);
        }
    }
    all
}

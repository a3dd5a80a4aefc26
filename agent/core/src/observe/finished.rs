//! Windows that are finished and not sealed yet.
//!
//! Owns that parts of the same window add up, whether they were counted under other bounds, in another width, or are back
//! from a seal that failed.

use std::collections::BTreeMap;

use watchkeeper_model::{
    Distribution, Labels, SeriesWindows, Service, TimeBasis, Unit, Window, WindowPart,
};

/// Which series, in the order they are sealed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) service: Service,
    pub(super) signal: String,
    pub(super) unit: Unit,
    pub(super) labels: Labels,
    pub(super) basis: TimeBasis,
}

/// Windows of all series.
#[derive(Debug, Default)]
pub(super) struct Finished(BTreeMap<SeriesKey, Parts>);

/// Windows of one series, each once, in order.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<WindowPart>);

impl Finished {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The windows of a series, to be added to.
    pub(super) fn of(&mut self, key: SeriesKey) -> &mut Parts {
        self.0.entry(key).or_default()
    }

    /// Takes all of them, none narrower than `width_secs`, in the order of their services.
    pub(super) fn take(
        &mut self,
        width_secs: u32,
    ) -> impl Iterator<Item = (Service, SeriesWindows)> {
        std::mem::take(&mut self.0).into_iter().map(move |(key, parts)| {
            let SeriesKey { service, signal, unit, labels, basis } = key;
            let windows = parts.coarsened(width_secs).0;
            (service, SeriesWindows { signal, unit, labels, basis, windows })
        })
    }
}

impl Parts {
    pub(super) fn add(&mut self, window: Window, distribution: Distribution) {
        match self.0.binary_search_by_key(&window, |part| part.window) {
            Ok(at) => self.0[at].distribution.merge(&distribution),
            Err(at) => self.0.insert(at, WindowPart { window, distribution }),
        }
    }

    /// The same with narrower ones folded into those of `width_secs`.
    fn coarsened(self, width_secs: u32) -> Self {
        if self.0.iter().all(|part| part.window.width_secs >= width_secs) {
            return self;
        }
        let mut coarse = Self::default();
        for WindowPart { window, distribution } in self.0 {
            let width_secs = width_secs.max(window.width_secs);
            coarse.add(Window::holding(window.start, width_secs), distribution);
        }
        coarse
    }
}

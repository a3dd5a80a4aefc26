//! Which SLOs are to be looked at, and when.
//!
//! Owns an index, so that nobody walks through all SLOs to find the few that are due. Never decides when that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeeper_model::Timestamp;

/// When one SLO is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Appointment {
    /// When time alone may change something; `None` if never.
    pub(super) at: Option<Timestamp>,
    /// Whether it has been silent for too long. What is said of that depends on its agents, so it is looked at whenever
    /// anything is.
    pub(super) is_silent: bool,
}

/// The appointments of all SLOs.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    /// The name once more as it stands in the sets: what is looked for is borrowed.
    all: BTreeMap<Arc<str>, (Arc<str>, Appointment)>,
    /// Those with a time.
    by_time: BTreeSet<(Timestamp, Arc<str>)>,
    silent: BTreeSet<Arc<str>>,
}

impl Agenda {
    /// Makes an appointment in place of the one there was.
    pub(super) fn set(&mut self, name: &str, new: Appointment) {
        let (name, old) = match self.all.get_mut(name) {
            Some((name, known)) => (Arc::clone(name), std::mem::replace(known, new)),
            None => {
                let name: Arc<str> = name.into();
                self.all.insert(Arc::clone(&name), (Arc::clone(&name), new));
                (name, Appointment { at: None, is_silent: false })
            }
        };
        if old.is_silent != new.is_silent {
            match new.is_silent {
                true => self.silent.insert(Arc::clone(&name)),
                false => self.silent.remove(&name),
            };
        }
        if old.at != new.at {
            self.move_to(name, old.at, new.at);
        }
    }

    fn move_to(&mut self, name: Arc<str>, from: Option<Timestamp>, to: Option<Timestamp>) {
        let mut slot = (from.unwrap_or_default(), name);
        if from.is_some() {
            self.by_time.remove(&slot);
        }
        if let Some(to) = to {
            slot.0 = to;
            self.by_time.insert(slot);
        }
    }

    /// Those whose time has come, the earliest first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        self.by_time.iter().take_while(move |(at, _)| *at <= now).map(|(_, name)| name)
    }

    /// Those that have been silent for too long, by name.
    pub(super) fn silent(&self) -> impl Iterator<Item = &Arc<str>> {
        self.silent.iter()
    }

    /// The time of the first appointment.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Appointment)> {
        self.all.iter().map(|(name, (_, appointment))| (&**name, *appointment))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_walk_through_all_finds(
            steps in prop::collection::vec((0_u8..5, prop::option::of(0_i64..9), any::<bool>()), 0..60),
            now in 0_i64..9,
        ) {
            let (mut agenda, mut plain) = (Agenda::default(), BTreeMap::new());
            for (name, at, is_silent) in steps {
                let appointment = Appointment { at: at.map(Timestamp), is_silent };
                agenda.set(&name.to_string(), appointment);
                plain.insert(name.to_string(), appointment);
            }
            let now = Timestamp(now);
            let named = |of: &dyn Fn(&Appointment) -> bool| -> Vec<String> {
                plain.iter().filter(|(_, a)| of(a)).map(|(name, _)| name.clone()).collect()
            };
            let mut due: Vec<String> = agenda.due(now).map(|name| name.to_string()).collect();
            due.sort();
            prop_assert_eq!(due, named(&|a| a.at.is_some_and(|at| at <= now)));
            let silent: Vec<String> = agenda.silent().map(|name| name.to_string()).collect();
            prop_assert_eq!(silent, named(&|a| a.is_silent));
            prop_assert_eq!(agenda.earliest(), plain.values().filter_map(|a| a.at).min());
            let all: BTreeMap<String, Appointment> =
                agenda.all().map(|(name, a)| (name.to_owned(), a)).collect();
            prop_assert_eq!(all, plain);
        }
    }
}

//! From counters that only grow to what they grew by.
//!
//! Owns the last value of each. A counter that is seen for the first time, or that has fallen (its driver was loaded again,
//! its interface made anew), says nothing until it is seen again: what it counted in between is not known.

use std::collections::BTreeMap;

/// The last values of counters.
#[derive(Clone, Debug)]
pub struct Growth<K> {
    seen: BTreeMap<K, Seen>,
    look: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    value: u64,
    look: u64,
}

impl<K: Ord> Default for Growth<K> {
    fn default() -> Self {
        Self { seen: BTreeMap::new(), look: 0 }
    }
}

impl<K: Ord> Growth<K> {
    /// A new look begins.
    pub fn begin(&mut self) {
        self.look += 1;
    }

    /// What this counter has grown by since the look before.
    pub fn of(&mut self, key: K, value: u64) -> Option<u64> {
        let now = Seen { value, look: self.look };
        let before = self.seen.insert(key, now)?;
        // One that was away for a look has counted for longer than since the look before.
        (before.look + 1 == self.look).then(|| value.checked_sub(before.value))?
    }

    /// The look ends: counters that were not in it are forgotten.
    pub fn end(&mut self) {
        let look = self.look;
        self.seen.retain(|_, seen| seen.look == look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_says_what_it_grew_by_and_nothing_of_what_is_not_known() {
        for (sentence, looks, increases) in [
            ("the first look says nothing", vec![Some(5)], vec![None]),
            ("it grows", vec![Some(5), Some(5), Some(9)], vec![None, Some(0), Some(4)]),
            ("it falls, and goes on", vec![Some(5), Some(2), Some(3)], vec![None, None, Some(1)]),
            (
                "it was away",
                vec![Some(5), None, Some(9), Some(10)],
                vec![None, None, None, Some(1)],
            ),
            ("to the end", vec![Some(0), Some(u64::MAX)], vec![None, Some(u64::MAX)]),
        ] {
            let mut growth = Growth::default();
            let mut told = Vec::new();
            for value in looks {
                growth.begin();
                told.push(value.and_then(|value| growth.of("a", value)));
                growth.end();
            }
            assert_eq!(told, increases, "{sentence}");
        }
    }
}

//! Texts that must not be repeated to people, wherever they turn up.
//!
//! Owns the replacement. Never says which texts these are.

use std::fmt;

/// What stands in place of one.
const MASK: &str = "***";

/// Texts that must not be repeated.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masks(Vec<String>);

/// How many there are, and none of them.
impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

impl Masks {
    /// Adds a text of at least `min_bytes`: what is shorter stands in many words by chance.
    pub fn add(&mut self, text: &str, min_bytes: usize) {
        if text.len() >= min_bytes.max(1) && !self.0.iter().any(|known| known == text) {
            self.0.push(text.to_owned());
            // One that holds another goes first.
            self.0.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: &Self) {
        others.0.iter().for_each(|text| self.add(text, 1));
    }

    /// The text with everything masked.
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, mask| text.replace(mask.as_str(), MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_is_in_no_text_and_longer_ones_go_first() {
        let mut masks = Masks::default();
        for text in ["hunter2", "hunter2-and-more", "ab", ""] {
            masks.add(text, 3);
        }
        assert_eq!(masks.apply("ab: hunter2-and-more, hunter2"), "ab: ***, ***");
        assert_eq!(format!("{masks:?}"), "Masks(2)");
    }
}

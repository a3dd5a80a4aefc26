//! Where dead letters are kept, as a list of places that are asked in turn.
//!
//! Owns the seam: a place lists, opens, retries and drops its own letters, and knows nothing of the others. Which place a
//! letter is in, its id says. Never keeps a letter itself.

use std::fmt;

use futures_util::future::BoxFuture;

use super::letter::{Letter, Opened, Retried};
use crate::store::StoreError;

/// What one place has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its letters, without their content.
    pub letters: Vec<Letter>,
    /// How many more there are, which it does not look at while there are these.
    pub n_left_out: u64,
}

/// What all places have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their letters, the newest first; those without a time last.
    pub letters: Vec<Letter>,
    /// Places that can't be asked, and why.
    pub unreachable: Vec<String>,
    /// Places that have more, and how many.
    pub left_out: Vec<String>,
}

/// Something that keeps dead letters: not more than some thousands, or [`Place::letters`] leaves the newest out.
pub trait Place: Send + Sync {
    /// What ids of its letters begin with, before the dash; no other place has it.
    fn name(&self) -> &'static str;
    /// All its letters, without their content.
    fn letters(&self) -> BoxFuture<'_, Result<Listed, PlaceError>>;
    /// The letter of this number with its content, if there is one.
    fn open(&self, number: u64) -> BoxFuture<'_, Result<Option<Opened>, PlaceError>>;
    /// Leads it through the intake again; `None` if there is no such letter.
    fn retry(&self, number: u64) -> BoxFuture<'_, Result<Option<Retried>, PlaceError>>;
    /// Takes it away without counting it; whether there was one.
    fn drop_letter(&self, number: u64) -> BoxFuture<'_, Result<bool, PlaceError>>;
}

/// A place that can't answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The store can't.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is elsewhere, and can't be reached.
    #[error("dead letters of the {place}: {detail}")]
    Unreachable {
        /// Which place.
        place: &'static str,
        /// Why.
        detail: String,
    },
}

/// All places.
pub struct Places(Vec<Box<dyn Place>>);

impl Places {
    /// These, each with a name of its own.
    pub fn new(places: Vec<Box<dyn Place>>) -> Self {
        Self(places)
    }

    /// All letters of all places that answer, and what keeps the others from it: that they can't be reached hides nobody
    /// else's letters, and is not silence.
    ///
    /// # Errors
    /// If the store can't answer.
    pub async fn letters(&self) -> Result<Found, PlaceError> {
        let mut found = Found::default();
        for place in &self.0 {
            match place.letters().await {
                Ok(Listed { letters, n_left_out }) => {
                    if n_left_out > 0 {
                        let (name, n_shown) = (place.name(), letters.len());
                        found.left_out.push(format!(
                            "{n_left_out} more of the {name} lie behind these {n_shown}"
                        ));
                    }
                    found.letters.extend(letters);
                }
                Err(error @ PlaceError::Unreachable { .. }) => {
                    found.unreachable.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        found.letters.sort_by(|a, b| (&b.at, &b.id).cmp(&(&a.at, &a.id)));
        Ok(found)
    }

    /// The place of a letter by its id, and the letter's number there.
    pub fn find(&self, id: &str) -> Option<(&dyn Place, u64)> {
        let (name, number) = id.rsplit_once('-')?;
        let place = self.0.iter().find(|place| place.name() == name)?;
        Some((place.as_ref(), number.parse().ok()?))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|place| place.name())).finish()
    }
}

//! Dead letters: batches that nobody can count, wherever they are kept, for a person to look at.
//!
//! In reading order: `letter` is what one looks like, `content` what can be seen of its inside, `place` the seam to whatever
//! keeps some, `kept` the collector's own tables, `broker` the queue of a RabbitMQ. A further place is one file beside `kept` and one entry where the app
//! puts the list together.

mod broker;
mod content;
mod kept;
mod letter;
mod place;
#[cfg(test)]
mod tests;

pub use broker::BrokerLetters;
pub use content::{CONTENT_ITEMS, content};
pub use kept::KeptLetters;
pub use letter::{Letter, Opened, Retried, RetryOutcome};
pub use place::{Found, Listed, Place, PlaceError, Places};

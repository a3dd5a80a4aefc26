//! What must not leave the host in texts: e-mail addresses, card numbers, tokens, passwords in URLs, and what the user adds.
//!
//! In reading order: `settings` is what to look for, `span` what was found and what stands in its place; `email`, `card`,
//! `bearer`, `url` and `own` each find one kind of thing in a plain text; `view` unfolds escapes, so that an `@` written
//! `\u0040` is one; `json` keeps JSON valid; `redactor` leads a text through all of it. Work is linear in the text. Nothing
//! here knows events or labels.

mod bearer;
mod card;
mod email;
mod json;
mod own;
mod redactor;
mod settings;
mod span;
#[cfg(test)]
mod tests;
mod url;
mod view;

pub use own::{OwnPattern, PatternError};
pub use redactor::Redactor;
pub use settings::{Detector, RedactSettings};

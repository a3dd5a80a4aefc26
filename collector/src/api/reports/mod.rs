//! `GET reports`: what SLOs were worth over a past period.
//!
//! In reading order: `ask` reads the question and the store, `shape` is the answer in JSON; `markdown` and `html` give its
//! text a form.

mod ask;
mod html;
mod markdown;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use ask::get;

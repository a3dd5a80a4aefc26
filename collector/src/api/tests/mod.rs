//! The API over real counts and a made-up engine: shapes of answers, refusals, bounds, and that all of it is described.

mod acts;
mod answers;
mod described;
mod reports;
mod stage;

//! What several fuzz targets need: taking an input apart, and lines with everything that can be said about them.
//!
//! Owns no target. What a target checks stands in `targets/`, one file each; inputs to begin with in `seeds/`.

mod feed;
mod lines;
mod yaml;

pub use feed::Feed;
pub use lines::{NOW, Seen, formats, settings, time_formats, with_time};
pub use yaml::{Allowed, check_problems, document};

//! What several fuzz targets need: taking an input apart, lines with everything that can be said about them, and what
//! targets hold the code against where that is longer than a target.
//!
//! Owns no target. What a target checks stands in `targets/`, one file each; inputs to begin with in `seeds/`.

mod feed;
mod joined;
mod lines;
mod secrets;
mod wrapper;
mod yaml;

pub use feed::Feed;
pub use joined::{Joined, by_stream, join_settings, joined, reference};
pub use lines::{NOW, Seen, formats, settings, time_formats, with_time};
pub use secrets::secret;
pub use wrapper::{MAX_WRAPPER_TIME, WRAPPER_TIME};
pub use yaml::{Allowed, check_problems, document};

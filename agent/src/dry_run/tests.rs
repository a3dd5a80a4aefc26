//! Dry runs over real files, and what their reports say.
//!
//! Owns the sentences about a whole run. What single words and lines look like is tested beside them.

use watchkeeper_config::{Reader, load_str};

use crate::sources::SourceSettings;

/// The sources of a file whose list this is.
pub(super) fn settings(sources: &str) -> Vec<SourceSettings> {
    let mut reader = Reader::new(&|_: &str| None);
    let yaml = format!("sources:\n{sources}");
    let settings = load_str("agent.yaml", &yaml, &mut reader)
        .and_then(|document| crate::config::read(&document, &mut reader, false));
    reader.finish(settings).unwrap().0.sources
}

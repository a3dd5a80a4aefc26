//! Arbitrary text as a collector's file: settings, or problems with their places; and settings make an engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchkeeper_collector_core::engine::{Engine, Restored};
use watchkeeper_config::Reader;
use watchkeeper_fuzz::{Allowed, NOW, check_problems, document};

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(&Allowed);
    let settings = document(data, &mut reader)
        .and_then(|document| watchkeeper_collector::config::read(&document, &mut reader, false));
    if std::str::from_utf8(data).is_err() {
        return;
    }
    match reader.finish(settings) {
        Ok((settings, problems)) => {
            assert!(!problems.has_errors());
            check_problems(&problems, data);
            let _ = Engine::new((*settings.engine).clone(), Restored::default(), NOW);
        }
        Err(problems) => {
            assert!(problems.has_errors(), "refused without a reason");
            check_problems(&problems, data);
        }
    }
});

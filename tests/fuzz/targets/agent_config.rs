//! Arbitrary text as an agent's file: settings, or problems with their places; and settings make observers of lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent::sources::tail::TailSourceSettings;
use watchkeeper_agent_core::observe::{Accumulator, LineObserver};
use watchkeeper_config::Reader;
use watchkeeper_fuzz::{Allowed, NOW, check_problems, document};

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(&Allowed);
    let settings = document(data, &mut reader)
        .and_then(|document| watchkeeper_agent::config::read(&document, &mut reader, false));
    if std::str::from_utf8(data).is_err() {
        return;
    }
    let settings = match reader.finish(settings) {
        Ok((settings, problems)) => {
            assert!(!problems.has_errors());
            check_problems(&problems, data);
            settings
        }
        Err(problems) => {
            assert!(problems.has_errors(), "refused without a reason");
            return check_problems(&problems, data);
        }
    };
    let mut acc = Accumulator::new(settings.id.clone(), settings.labels.clone());
    for source in &settings.sources {
        let Some(tail) = source.as_kind::<TailSourceSettings>() else { continue };
        let mut lines = LineObserver::new(&tail.lines, &mut acc);
        lines.observe(br#"{"status":500,"msg":"x","level":"error"}"#, NOW, &mut acc);
    }
});

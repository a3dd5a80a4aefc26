//! Arbitrary lines through an observer with everything switched on: each is counted or skipped, and nothing twice.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::observe::{Accumulator, LineObserver, LineSettings};
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_fuzz::{Feed, NOW, Seen, formats, settings, time_formats, with_time};
use watchkeeper_model::{AgentId, Labels, SkipReason};

/// Settings of each format without a time and with each format of times; compiling conditions takes longer than reading
/// lines.
fn all_settings() -> &'static [Vec<LineSettings>] {
    static ALL: OnceLock<Vec<Vec<LineSettings>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let of = |(format, scope)| {
            let plain = settings(format, scope);
            let timed = time_formats().into_iter().map(Some).chain([None]);
            timed.map(|format| with_time(&plain, format)).collect()
        };
        formats().into_iter().map(of).collect()
    })
}

// The format in the first byte, the format of times in the second (none behind the last), how often to seal in the third,
// then lines.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let of_format = &all_settings()[feed.choice(all_settings().len())];
    let settings = &of_format[feed.choice(of_format.len())];
    let every = feed.choice(64) as u64 + 1;

    let mut acc = Accumulator::new(AgentId::new("web-1"), Labels::new([("env", "prod")]));
    let mut lines = LineObserver::new(settings, &mut acc);
    let (mut seen, mut n_lines) = (Seen::default(), 0);
    let mut now = NOW;
    while !feed.is_empty() {
        let line = feed.line();
        if line.len() % 3 == 0 {
            lines.give(0, "pod-1");
        }
        lines.observe(line, now, &mut acc);
        now = now.shifted(300_000_000);
        n_lines += 1;
        if n_lines % every == 0 {
            let widths = [1, 10, 60];
            let width_secs = widths[(n_lines / every) as usize % widths.len()];
            let sealed =
                acc.seal(now, &SealOrder { width_secs, ..SealOrder::default() }, Vec::new());
            assert!(acc.is_empty());
            if n_lines % 2 == 0 {
                seen.add(&sealed);
            } else {
                // It could not be stored.
                acc.restore(sealed);
            }
        }
    }
    seen.add(&acc.seal(now, &SealOrder::default(), Vec::new()));

    assert_eq!(seen.tally.read, n_lines);
    assert_eq!(seen.count("all") + seen.n_skipped_lines(), n_lines, "{seen:?}");
    // The two signals with a value are the only ones that can lack it.
    let without_value = seen.skipped(SkipReason::NoValue);
    assert!(seen.count("timed") <= seen.count("all"));
    assert!(without_value >= seen.count("all") - seen.count("timed"));
    assert!(without_value <= seen.count("all") - seen.count("timed") + seen.count("all"));
    assert!(seen.count("some") <= seen.count("all"));
    assert_eq!(seen.tally.events, seen.n_events);
    assert_eq!(seen.tally.events_dropped, 0);
});

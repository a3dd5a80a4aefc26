//! Arbitrary bytes as a file of parts and lines: however it is read and wherever reading is interrupted, the records are
//! those that somebody finds who has all of it; what is held is bounded, and nothing is waited for without an end.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Mutex;

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::tail::join::{Joiner, Joining, Piece};
use watchkeeper_agent_core::tail::{Framer, Record};
use watchkeeper_fuzz::{Feed, Joined, NOW, by_stream, join_settings, joined, reference};
use watchkeeper_model::Timestamp;

/// The lines of a file, each with its end, when so many bytes are read at a time.
fn framed(bytes: &[u8], joining: &Joining, steps: &[u8]) -> Vec<(Joined, u64)> {
    let (mut framer, mut lines, form) = (Framer::default(), Vec::new(), joining.line_form());
    let mut steps = steps.iter().map(|b| usize::from(*b) + 1).cycle();
    let (mut at, mut end) = (0, 0);
    while end < bytes.len() {
        end = end.saturating_add(steps.next().unwrap_or(usize::MAX)).min(bytes.len());
        let out = |r: Record<'_>, to| lines.push((joined(r), (at + to) as u64));
        let used = framer.frame(&bytes[at..end], form, out).used;
        at += used;
    }
    framer.finish(&bytes[at..], form, |r| lines.push((joined(r), bytes.len() as u64)));
    lines
}

/// How much text is held of each stream.
fn held_bytes(joiner: &Joiner) -> Vec<usize> {
    let of = |held| {
        let mut bytes = 0;
        Joiner::restored(vec![held], 0, NOW).finish_apart(&mut |record| {
            if let Joined::Text(_, _, text) = joined(record) {
                bytes += text.len();
            }
        });
        bytes
    };
    joiner.held().iter().cloned().map(of).collect()
}

/// By settings and longest line: compiling an expression takes longer than reading a file.
static ALL: Mutex<BTreeMap<(usize, usize), Joining>> = Mutex::new(BTreeMap::new());

/// The records, if it takes so many seconds to the next line, and reading is interrupted or not.
fn read(
    joining: &mut Joining,
    max: usize,
    lines: &[(Joined, u64)],
    waits: &[u8],
    is_cut: bool,
) -> Vec<Joined> {
    let (mut joiner, mut out, mut start, mut now) = (Joiner::default(), Vec::new(), 0, NOW);
    let mut waits = waits.iter().cycle();
    for (line, end) in lines {
        let piece = Piece { record: line.record(), start, end: *end };
        joiner.take(joining, now, piece, &mut |r| out.push(joined(r)));
        start = *end;
        let held = held_bytes(&joiner);
        assert!(held.len() <= 2 && held.iter().all(|n| *n <= max + 1), "{held:?} are held");
        if is_cut && end % 3 == 0 {
            joiner = Joiner::restored(joiner.held().to_vec(), start, now);
        }
        now = Timestamp(now.0 + i64::from(*waits.next().unwrap_or(&0)) * 1_000_000_000);
        let is_due = joiner.deadline(joining).is_some_and(|at| at <= now);
        let n_before = out.len();
        joiner.give_due(joining, now, &mut |r| out.push(joined(r)));
        assert!(is_due || out.len() == n_before, "given out before its time");
        // The end of a line that was too long leaves its record to the next look.
        joiner.give_due(joining, now, &mut |r| out.push(joined(r)));
        assert!(joiner.deadline(joining).is_none_or(|at| at > now), "it was due and is held");
    }
    joiner.finish(joining, now, &mut |r| out.push(joined(r)));
    assert!(joiner.is_empty() && out.len() <= lines.len(), "a line is counted twice");
    out
}

// The settings in the first byte, the longest line in the second, how much is read at a time in the bytes of the line
// behind them, seconds between lines in those of the next, then the file.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let (n, max) = (feed.choice(9), feed.choice(75) + 1);
    let (steps, waits) = (feed.line(), feed.line());
    let mut all = ALL.lock().expect("nobody panicked and went on");
    let new = || Joining::new(join_settings(n), max);
    let joining = all.entry((n, max)).or_insert_with(new);
    let lines = framed(feed.rest(), joining, &[]);
    assert_eq!(framed(feed.rest(), joining, steps), lines);

    let wanted = reference(joining.settings(), max, &lines);
    for is_cut in [false, true] {
        assert_eq!(by_stream(read(joining, max, &lines, &[], is_cut)), wanted, "{n} {max}");
        // What was interrupted waits anew: other records, and the same promises.
        read(joining, max, &lines, waits, is_cut);
    }
});

//! Arbitrary bytes as a file: the same records however it is read, those that a plain look at the whole of it finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchkeeper_agent_core::tail::{Framer, LineForm, Record};
use watchkeeper_fuzz::Feed;

#[derive(Debug, PartialEq, Eq)]
enum Owned {
    Line(Vec<u8>),
    TooLong,
    Blank,
}

fn owned(record: Record<'_>) -> Owned {
    match record {
        Record::Line(line) => Owned::Line(line.to_vec()),
        Record::TooLong => Owned::TooLong,
        Record::Blank => Owned::Blank,
        Record::Wrapped(_) | Record::Unparsable(_) => unreachable!("a framer takes off no wrapper"),
    }
}

fn line(bytes: &[u8], form: LineForm) -> Owned {
    let without = bytes.strip_suffix(b"\r").filter(|_| !form.keeps_cr);
    let bytes = without.unwrap_or(bytes);
    if bytes.len() > form.max_bytes { Owned::TooLong } else { Owned::Line(bytes.to_vec()) }
}

/// The records that ended, each with its end, where the last one did, and the one that the end of the file ends.
fn reference(bytes: &[u8], form: LineForm) -> (Vec<(Owned, usize)>, usize, Option<Owned>) {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest[0] == 0 {
            let Some(n) = rest.iter().position(|&b| b != 0) else {
                return (records, at, Some(Owned::Blank));
            };
            at += n + usize::from(rest[n] == b'\n');
            records.push((Owned::Blank, at));
        } else {
            let Some(n) = rest.iter().position(|&b| b == b'\n') else {
                return (records, at, Some(line(rest, form)));
            };
            at += n + 1;
            records.push((line(&rest[..n], form), at));
        }
    }
    (records, at, None)
}

// The longest line in the first byte, and from `X` on that a CR is kept; how much is read at a time in the bytes of the
// first line behind it, then the file.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let choice = feed.choice(80);
    let form = LineForm { max_bytes: choice % 40 + 1, keeps_cr: choice >= 40 };
    let steps: Vec<usize> = feed.line().iter().map(|&b| usize::from(b % 64) + 1).collect();
    let bytes = feed.rest();
    let (wanted, wanted_boundary, wanted_last) = reference(bytes, form);

    let mut framer = Framer::default();
    let (mut records, mut at, mut boundary) = (Vec::new(), 0, 0);
    let mut steps = steps.iter().copied().cycle();
    let mut more = 0;
    loop {
        let end = (at + steps.next().unwrap_or(bytes.len()).saturating_add(more)).min(bytes.len());
        let framed =
            framer.frame(&bytes[at..end], form, |r, end| records.push((owned(r), at + end)));
        assert!(framed.boundary.is_none_or(|b| b <= framed.used) && framed.used <= end - at);
        if let Some(b) = framed.boundary {
            boundary = at + b;
        }
        assert!(end - at - framed.used <= form.max_bytes + 1, "more is held than one line");
        at += framed.used;
        if end == bytes.len() {
            break;
        }
        // What is held is given again together with more.
        more = end - at;
    }
    assert_eq!((&records, boundary), (&wanted, wanted_boundary));
    let mut last = None;
    framer.finish(&bytes[at..], form, |r| assert!(last.replace(owned(r)).is_none()));
    assert_eq!(last, wanted_last);
});

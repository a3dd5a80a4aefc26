//! How large things are on the wire, at most.
//!
//! Owns the estimate by which batches are cut: never less than the protobuf encoding, rarely much more. Knows field
//! sizes, not field numbers; the wire types are the transports' business.

use watchkeeper_model::{Event, Frontier, SeriesWindows, SourceTally, Values, WindowPart};

/// Tag and length of an embedded message or string.
const PREFIX: usize = 6;
/// A number with its tag, whatever it is.
const NUMBER: usize = 11;

fn text(text: &str) -> usize {
    PREFIX + text.len()
}

const fn varint(n: u64) -> usize {
    (70 - (n | 1).leading_zeros() as usize) / 7
}

const fn zigzag(n: i32) -> u64 {
    ((n << 1) ^ (n >> 31)) as u32 as u64
}

/// A series without its windows.
pub(super) fn series(series: &SeriesWindows) -> usize {
    let labels = series.labels.iter().map(|(n, v)| PREFIX + text(n) + text(v));
    PREFIX + text(&series.signal) + text(series.unit.as_str()) + NUMBER + labels.sum::<usize>()
}

/// One part of a window.
pub(super) fn window(part: &WindowPart) -> usize {
    PREFIX + 3 * NUMBER + part.distribution.values.as_deref().map_or(0, values)
}

fn values(values: &Values) -> usize {
    const SUM: usize = PREFIX + 16;
    const LAST: usize = PREFIX + 3 * NUMBER;
    const BOUND: usize = PREFIX + 3 * NUMBER;
    let mut before = 0;
    let buckets = values.histogram.buckets().iter().map(|&(index, count)| {
        let delta = i32::from(index) - before;
        before = i32::from(index);
        varint(zigzag(delta)) + varint(count)
    });
    let packed = 2 * PREFIX + buckets.sum::<usize>();
    PREFIX + 3 * NUMBER + SUM + LAST + values.bounds.len() * BOUND + packed
}

/// One source's tally.
pub(super) fn tally(tally: &SourceTally) -> usize {
    PREFIX + text(&tally.source) + 11 * NUMBER + tally.skipped.len() * (2 * PREFIX + 16 + NUMBER)
}

/// One file's frontier.
pub(super) fn frontier(frontier: &Frontier) -> usize {
    const GUARD: usize = PREFIX + 2 * NUMBER;
    PREFIX + text(&frontier.source) + text(&frontier.path) + 5 * NUMBER + 2 * GUARD
}

/// One event.
pub(super) fn event(event: &Event) -> usize {
    let ids = [&event.source, &event.name, &event.correlation, &event.trace];
    let texts = ids.into_iter().chain([&event.message, &event.fields]);
    PREFIX + 3 * NUMBER + PREFIX + texts.map(|t| text(t)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_protobuf_needs() {
        for (n, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            assert_eq!(varint(n), bytes, "{n}");
        }
        assert_eq!((zigzag(0), zigzag(-1), zigzag(1), zigzag(-16_000)), (0, 1, 2, 31_999));
    }
}

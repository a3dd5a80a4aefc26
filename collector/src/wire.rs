//! Between the wire and the domain: what a batch says, and how the collector answers.
//!
//! Owns the decoding of bodies with every limit on what comes from outside, and the mapping of every message. A body that
//! cannot be read is an error with its reason, never a panic and never a guess.

use prost::Message as _;
use watchkeeper_collector_core::dedupe::Coverage;
use watchkeeper_model::distribution::Last;
use watchkeeper_model::names::{RESERVED_LABELS, is_label_name};
use watchkeeper_model::{
    AgentId, BatchKey, Body, Bound, Digest, Distribution, Epoch, Event, FileRef, Frontier, Guard,
    Histogram, Kind, Labels, SeqSet, SeriesWindows, Service, Severity, SkipReason, SourceTally,
    StreamKey, TimeBasis, Timestamp, Unit, Values, Window, WindowPart,
};
use watchkeeper_proto::v1;

/// The most a body may come to when unpacked; sealed bodies are ≤ 768 KiB.
pub const MAX_BODY_BYTES: usize = 8 << 20;
/// The most bytes of a name, label value or path.
const MAX_TEXT_BYTES: usize = 4096;
/// The most labels of a series.
const MAX_LABELS: usize = 64;
/// The most that one batch may count: sums of many stay far below 64 bits.
const MAX_COUNT: u64 = 1 << 48;
/// Buckets of HdrHistogram's layout at 2 digits over 64 bits.
const MAX_BUCKET: i32 = 7424;
/// The most bounds of a distribution.
const MAX_BOUNDS: usize = 256;

/// What was read out of a body.
#[derive(Debug)]
pub struct Decoded {
    /// When it was sealed, by the agent's clock.
    pub sealed_at: Timestamp,
    /// What it says.
    pub body: Body,
}

/// How large a sealed body says it is when unpacked; the most it may be if it does not say.
pub fn unpacked_bytes(sealed: &[u8]) -> usize {
    let said = zstd::zstd_safe::get_frame_content_size(sealed).ok().flatten();
    said.and_then(|n| usize::try_from(n).ok()).unwrap_or(MAX_BODY_BYTES)
}

/// Reads a sealed body.
///
/// # Errors
/// In words: why it can never be counted.
pub fn decode_body(key: &BatchKey, sealed: &[u8]) -> Result<Decoded, String> {
    let bytes = zstd::bulk::decompress(sealed, MAX_BODY_BYTES)
        .map_err(|e| format!("its body cannot be unpacked: {e}"))?;
    match key.stream.kind {
        Kind::Windows => {
            let windows = v1::Windows::decode(&*bytes)
                .map_err(|e| format!("its body is no windows message: {e}"))?;
            let series = windows
                .series
                .into_iter()
                .map(|s| series_from_wire(key, s))
                .collect::<Result<_, _>>()?;
            let body = Body::Windows {
                series,
                tallies: windows
                    .tallies
                    .into_iter()
                    .map(tally_from_wire)
                    .collect::<Result<_, _>>()?,
                frontiers: frontiers_from_wire(windows.frontiers)?,
                samples: events_from_wire(windows.samples)?,
                continued: windows.continued,
            };
            Ok(Decoded { sealed_at: Timestamp(windows.sealed_at_ns), body })
        }
        Kind::Events => {
            let events = v1::Events::decode(&*bytes)
                .map_err(|e| format!("its body is no events message: {e}"))?;
            let body = Body::Events {
                events: events_from_wire(events.events)?,
                frontiers: frontiers_from_wire(events.frontiers)?,
            };
            Ok(Decoded { sealed_at: Timestamp(events.sealed_at_ns), body })
        }
    }
}

fn text(value: String, what: &str) -> Result<String, String> {
    if value.len() <= MAX_TEXT_BYTES {
        Ok(value)
    } else {
        Err(format!("{what} is longer than {MAX_TEXT_BYTES} bytes"))
    }
}

fn series_from_wire(key: &BatchKey, series: v1::Series) -> Result<SeriesWindows, String> {
    let signal = text(series.signal, "a signal's name")?;
    if !is_label_name(&signal) {
        return Err(format!("{signal:?} is no name of a signal"));
    }
    let unit = Unit::parse(&series.unit).ok_or_else(|| format!("{:?} is no unit", series.unit))?;
    if series.labels.len() > MAX_LABELS {
        return Err(format!("signal {signal:?} has more than {MAX_LABELS} labels"));
    }
    let mut labels = Vec::with_capacity(series.labels.len());
    for label in series.labels {
        if !is_label_name(&label.name) || RESERVED_LABELS.contains(&label.name.as_str()) {
            return Err(format!("{:?} is no name of a label", label.name));
        }
        labels.push((label.name, text(label.value, "a label's value")?));
    }
    let windows =
        series.windows.into_iter().map(|w| part_from_wire(key, w)).collect::<Result<_, _>>()?;
    let basis = if series.agent_time { TimeBasis::Agent } else { TimeBasis::Line };
    Ok(SeriesWindows { signal, unit, labels: Labels::new(labels), basis, windows })
}

fn part_from_wire(key: &BatchKey, part: v1::WindowPart) -> Result<WindowPart, String> {
    if part.width_secs == 0 || part.width_secs > 86_400 {
        return Err(format!("a window is {} s wide", part.width_secs));
    }
    let window = Window::holding(Timestamp(part.start_ns), part.width_secs);
    if window.start.nanos() != part.start_ns {
        return Err(format!("a window of {} s starts at {} ns", part.width_secs, part.start_ns));
    }
    let values = match part.values {
        None => None,
        Some(values) => Some(Box::new(values_from_wire(key, values)?)),
    };
    if part.count >= MAX_COUNT {
        return Err(format!("a window counts {}", part.count));
    }
    if values.as_ref().is_some_and(|v| v.count > part.count) {
        return Err("a distribution has more values than observations".to_owned());
    }
    Ok(WindowPart { window, distribution: Distribution { count: part.count, values } })
}

fn values_from_wire(key: &BatchKey, values: v1::Values) -> Result<Values, String> {
    if values.index_deltas.len() != values.counts.len() {
        return Err("a histogram has other numbers of indices and counts".to_owned());
    }
    let mut index = 0_i32;
    let mut buckets = Vec::with_capacity(values.counts.len());
    for (delta, count) in values.index_deltas.iter().zip(&values.counts) {
        index = index.saturating_add(*delta);
        let known = (-MAX_BUCKET..MAX_BUCKET).contains(&index);
        let index = i16::try_from(index)
            .ok()
            .filter(|_| known)
            .ok_or_else(|| format!("a histogram has no bucket {index}"))?;
        buckets.push((index, *count));
    }
    let histogram = Histogram::from_buckets(buckets);
    if histogram.count() != values.count {
        return Err(format!("a histogram holds {} of {} values", histogram.count(), values.count));
    }
    if values.bounds.len() > MAX_BOUNDS {
        return Err(format!("a distribution has more than {MAX_BOUNDS} bounds"));
    }
    let mut bounds: Vec<Bound> = values
        .bounds
        .iter()
        .map(|b| Bound { at: b.at, within: b.within, covered: b.covered })
        .collect();
    bounds.sort_unstable();
    bounds.dedup_by_key(|b| b.at);
    if bounds.iter().any(|b| b.within > b.covered || b.covered > values.count) {
        return Err("a bound counts more than there is".to_owned());
    }
    let last = values.last.ok_or("a distribution has values but no last one")?;
    Ok(Values {
        count: values.count,
        sum: sum_from_wire(&values.sum)?,
        min: values.min,
        max: values.max,
        last: Last {
            at: Timestamp(last.at_ns),
            agent: key.stream.agent.clone(),
            seq: key.seq,
            index: last.index,
            value: last.value,
        },
        bounds,
        histogram,
    })
}

fn sum_from_wire(bytes: &[u8]) -> Result<i128, String> {
    let negative = bytes.last().is_some_and(|b| *b >= 0x80);
    let mut full = [if negative { 0xff } else { 0 }; 16];
    let target = full.get_mut(..bytes.len()).ok_or("a sum is longer than 128 bits")?;
    target.copy_from_slice(bytes);
    Ok(i128::from_le_bytes(full))
}

fn tally_from_wire(tally: v1::SourceTally) -> Result<SourceTally, String> {
    let mut read = SourceTally {
        source: text(tally.source, "a source's name")?,
        read: tally.read,
        skipped: Vec::new(),
        clamped: tally.clamped,
        bytes: tally.bytes,
        bytes_abandoned: tally.bytes_abandoned,
        bytes_unknown: tally.bytes_unknown,
        truncations: tally.truncations,
        events: tally.events,
        events_dropped: tally.events_dropped,
        overflowed: tally.overflowed,
        redacted: tally.redacted,
        events_held_back: tally.events_held_back,
    };
    let sums = [tally.read, tally.clamped, tally.bytes, tally.bytes_abandoned, tally.bytes_unknown];
    let others = [tally.truncations, tally.overflowed, tally.redacted];
    let events = [tally.events, tally.events_dropped, tally.events_held_back];
    let skips = tally.skipped.iter().map(|s| s.count);
    if sums.into_iter().chain(others).chain(events).chain(skips).any(|n| n >= MAX_COUNT) {
        return Err(format!("source {:?} counts more than can be", read.source));
    }
    for skipped in tally.skipped {
        let reason = SkipReason::parse(&skipped.reason)
            .ok_or_else(|| format!("{:?} is no reason to skip a line", skipped.reason))?;
        read.skip(reason, skipped.count);
    }
    Ok(read)
}

fn events_from_wire(events: Vec<v1::Event>) -> Result<Vec<Event>, String> {
    events.into_iter().map(event_from_wire).collect()
}

fn event_from_wire(event: v1::Event) -> Result<Event, String> {
    let severity = Severity::parse(&event.severity)
        .ok_or_else(|| format!("{:?} is no severity", event.severity))?;
    Ok(Event {
        at: Timestamp(event.at_ns),
        source: text(event.source, "a source's name")?,
        name: text(event.name, "an event's name")?,
        severity,
        message: event.message,
        correlation: text(event.correlation, "a correlation id")?,
        trace: text(event.trace, "a trace id")?,
        fields: event.fields,
        truncated: event.truncated,
    })
}

fn frontiers_from_wire(frontiers: Vec<v1::Frontier>) -> Result<Vec<Frontier>, String> {
    let guard =
        |g: Option<v1::Guard>| g.map_or(Guard::default(), |g| Guard { len: g.len, hash: g.hash });
    frontiers
        .into_iter()
        .map(|f| {
            if f.from > f.to || f.begin > f.from || f.to >= MAX_COUNT {
                return Err(format!(
                    "a frontier goes from {} over {} to {}",
                    f.begin, f.from, f.to
                ));
            }
            Ok(Frontier {
                source: text(f.source, "a source's name")?,
                path: text(f.path, "a path")?,
                file: FileRef { inode: f.inode, born: Timestamp(f.born_ns) },
                prefix: guard(f.prefix),
                begin: f.begin,
                from: f.from,
                to: f.to,
                guard: guard(f.guard),
            })
        })
        .collect()
}

/// How far a file was read, as the agent that lost its spool is told.
pub fn coverage_to_wire(
    source: &str,
    path: &str,
    file: FileRef,
    coverage: &Coverage,
) -> v1::Frontier {
    let guard = |g: Guard| Some(v1::Guard { len: g.len, hash: g.hash });
    v1::Frontier {
        source: source.to_owned(),
        path: path.to_owned(),
        inode: file.inode,
        born_ns: file.born.nanos(),
        prefix: guard(coverage.prefix),
        begin: coverage.begin,
        from: coverage.max_to,
        to: coverage.max_to,
        guard: guard(coverage.guard),
    }
}

/// An epoch out of a message.
pub fn epoch_from_wire(epoch: Option<&v1::Epoch>) -> Option<Epoch> {
    let epoch = epoch?;
    Some(Epoch { created_at: Timestamp(epoch.created_at_ns), random: epoch.random })
}

fn epoch_to_wire(epoch: Epoch) -> v1::Epoch {
    v1::Epoch { created_at_ns: epoch.created_at.nanos(), random: epoch.random }
}

/// The identity of a batch.
///
/// # Errors
/// In words: what of it makes no sense.
pub fn key_from_wire(agent: &AgentId, batch: &v1::Batch) -> Result<(BatchKey, Digest), String> {
    let epoch = epoch_from_wire(batch.epoch.as_ref()).ok_or("a batch without an epoch")?;
    let service = Service::new(&batch.service)
        .ok_or_else(|| format!("{:?} is no name of a service", batch.service))?;
    let kind = match v1::Kind::try_from(batch.kind) {
        Ok(v1::Kind::Windows) => Kind::Windows,
        Ok(v1::Kind::Events) => Kind::Events,
        _ => return Err(format!("{} is no kind of batch", batch.kind)),
    };
    if batch.seq == 0 || i64::try_from(batch.seq).is_err() {
        return Err(format!("{} is no number of a batch", batch.seq));
    }
    let digest: [u8; 16] =
        (&*batch.digest).try_into().map_err(|_| "a digest has 16 bytes".to_owned())?;
    let stream = StreamKey { agent: agent.clone(), epoch, service, kind };
    Ok((BatchKey { stream, seq: batch.seq }, Digest(digest)))
}

/// What the collector has of a stream, for the welcome.
pub fn stream_to_wire(stream: &StreamKey, answered: &SeqSet) -> v1::StreamState {
    let kind = match stream.kind {
        Kind::Windows => v1::Kind::Windows,
        Kind::Events => v1::Kind::Events,
    };
    v1::StreamState {
        epoch: Some(epoch_to_wire(stream.epoch)),
        service: stream.service.as_str().to_owned(),
        kind: kind.into(),
        low_water: answered.low_water(),
        ranges: answered.ranges().iter().map(|&(first, last)| v1::Range { first, last }).collect(),
    }
}

/// A batch's trace context, for the log; "" if it is none (`00-TRACE-SPAN-FLAGS`, all in hexadecimal digits).
pub(crate) fn traceparent(batch: &v1::Batch) -> String {
    let text = &batch.traceparent;
    let is_one = text.len() == 55
        && text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if is_one { text.clone() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind) -> BatchKey {
        let epoch = Epoch { created_at: Timestamp(1), random: 2 };
        let service = Service::new("shop").unwrap();
        BatchKey {
            stream: StreamKey { agent: AgentId::new("web-1"), epoch, service, kind },
            seq: 3,
        }
    }

    fn packed(windows: &v1::Windows) -> Vec<u8> {
        zstd::bulk::compress(&windows.encode_to_vec(), 3).unwrap()
    }

    fn values() -> v1::Values {
        v1::Values {
            count: 2,
            sum: vec![10],
            min: 3,
            max: 7,
            last: Some(v1::Last { at_ns: 5, index: 1, value: 7 }),
            bounds: vec![v1::Bound { at: 5, within: 1, covered: 2 }],
            index_deltas: vec![3, 4],
            counts: vec![1, 1],
        }
    }

    fn windows(change: impl FnOnce(&mut v1::Series)) -> v1::Windows {
        let part = v1::WindowPart {
            start_ns: 1_000_000_000,
            width_secs: 1,
            count: 2,
            values: Some(values()),
        };
        let mut series = v1::Series {
            signal: "requests".into(),
            unit: "ms".into(),
            labels: vec![v1::Label { name: "status".into(), value: "200".into() }],
            agent_time: false,
            windows: vec![part],
        };
        change(&mut series);
        v1::Windows { series: vec![series], ..v1::Windows::default() }
    }

    #[test]
    fn a_good_body_is_read_whole() {
        let decoded = decode_body(&key(Kind::Windows), &packed(&windows(|_| ()))).unwrap();
        let Body::Windows { series, .. } = decoded.body else { panic!("windows") };
        let values = series[0].windows[0].distribution.values.as_ref().unwrap();
        assert_eq!((values.sum, values.last.seq, values.bounds[0].within), (10, 3, 1));
    }

    #[test]
    fn what_an_older_agent_does_not_say_is_nothing() {
        let event = |trace: &str| v1::Event {
            severity: "error".into(),
            trace: trace.into(),
            ..v1::Event::default()
        };
        let tally = |redacted, events_held_back| v1::SourceTally {
            source: "log".into(),
            redacted,
            events_held_back,
            ..v1::SourceTally::default()
        };
        for (trace, redacted, held_back) in [("", 0, 0), ("4bf9", 5, 6)] {
            let body = v1::Windows {
                tallies: vec![tally(redacted, held_back)],
                samples: vec![event(trace)],
                ..v1::Windows::default()
            };
            let decoded = decode_body(&key(Kind::Windows), &packed(&body)).unwrap();
            let Body::Windows { tallies, samples, .. } = decoded.body else { panic!("windows") };
            assert_eq!(samples[0].trace, trace);
            assert_eq!((tallies[0].redacted, tallies[0].events_held_back), (redacted, held_back));
        }
        let long =
            v1::Windows { samples: vec![event(&"x".repeat(5_000))], ..v1::Windows::default() };
        let refused = decode_body(&key(Kind::Windows), &packed(&long)).unwrap_err();
        assert!(refused.contains("a trace id is longer than 4096 bytes"), "{refused}");
        let many = v1::Windows { tallies: vec![tally(1 << 48, 0)], ..v1::Windows::default() };
        assert!(decode_body(&key(Kind::Windows), &packed(&many)).is_err());
    }

    #[test]
    fn a_body_that_contradicts_itself_is_refused_with_its_reason() {
        type Change = fn(&mut v1::Series);
        let cases: [(&str, Change); 10] = [
            ("a window counts", |s| s.windows[0].count = u64::MAX),
            ("no bucket", |s| s.windows[0].values.as_mut().unwrap().index_deltas[1] = 9000),
            ("is no unit", |s| s.unit = "parsec".into()),
            ("is no name of a signal", |s| s.signal = "a b".into()),
            ("is no name of a label", |s| s.labels[0].name = "agent".into()),
            ("is longer than 4096 bytes", |s| s.labels[0].value = "x".repeat(5000)),
            ("s wide", |s| s.windows[0].width_secs = 0),
            ("starts at", |s| s.windows[0].start_ns = 1),
            ("more values than observations", |s| s.windows[0].count = 1),
            ("holds 1 of 2 values", |s| {
                let values = s.windows[0].values.as_mut().unwrap();
                values.index_deltas.pop();
                values.counts.pop();
            }),
        ];
        for (said, change) in cases {
            let error = decode_body(&key(Kind::Windows), &packed(&windows(change))).unwrap_err();
            assert!(error.contains(said), "{error:?} should say {said:?}");
        }
    }

    #[test]
    fn what_is_no_zstd_or_no_message_is_refused() {
        assert!(decode_body(&key(Kind::Windows), b"garbage").unwrap_err().contains("unpacked"));
        let packed = zstd::bulk::compress(b"\xff\xff\xff", 3).unwrap();
        assert!(
            decode_body(&key(Kind::Events), &packed).unwrap_err().contains("no events message")
        );
    }

    #[test]
    fn a_small_body_that_unpacks_to_a_huge_one_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_BODY_BYTES + 1], 3).unwrap();
        assert!(bomb.len() < 10_000);
        assert!(decode_body(&key(Kind::Windows), &bomb).unwrap_err().contains("unpacked"));
    }

    #[test]
    fn a_body_says_how_large_it_is() {
        let body = windows(|_| ());
        assert_eq!(unpacked_bytes(&packed(&body)), body.encoded_len());
        for other in [&b""[..], b"no zstd", &packed(&body)[..3]] {
            assert_eq!(unpacked_bytes(other), MAX_BODY_BYTES);
        }
    }

    #[test]
    fn sums_of_any_sign_are_read() {
        for sum in [0, 1, -1, 128, -129, i128::MAX, i128::MIN] {
            assert_eq!(sum_from_wire(&sum.to_le_bytes()), Ok(sum));
        }
        assert!(sum_from_wire(&[0; 17]).is_err());
    }

    #[test]
    fn only_what_looks_like_a_trace_context_reaches_the_log() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (text, is_one) in [
            (good.to_owned(), true),
            (String::new(), false),
            (good.to_uppercase(), false),
            (format!("{good}-more"), false),
            (good.replace('0', "\n"), false),
        ] {
            let batch = v1::Batch { traceparent: text.clone(), ..v1::Batch::default() };
            assert_eq!(!traceparent(&batch).is_empty(), is_one, "{text:?}");
        }
    }
}

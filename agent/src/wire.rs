//! Between the domain and the wire: what a batch is sealed as, and what the collector's words mean.
//!
//! Owns the encoding of bodies (protobuf, zstd once, digest) and the mapping of every message. Never sends anything.

use std::io;

use prost::Message as _;
use watchkeeper_agent_core::deliver::{Farewell, Outcome, StreamAnswer};
use watchkeeper_model::{
    AgentId, BatchKey, Body, Digest, Distribution, Epoch, Event, FileRef, Frontier, Guard, Kind,
    SeqSet, SeriesWindows, Service, SourceTally, StreamKey, TimeBasis, Timestamp, Values,
    WindowPart,
};
use watchkeeper_proto::v1;

/// zstd's own default: beyond it the time grows faster than the gain on protobuf of this size.
const ZSTD_LEVEL: i32 = 3;

/// A body as it is stored, sent and digested: never changed after sealing.
#[derive(Clone, Debug)]
pub struct SealedBody {
    /// zstd of the encoded message.
    pub bytes: Vec<u8>,
    /// Of `bytes`.
    pub digest: Digest,
}

/// Seals one body.
///
/// # Errors
/// Only if zstd cannot allocate.
pub fn seal_body(body: &Body, sealed_at: Timestamp) -> io::Result<SealedBody> {
    let encoded = match body {
        Body::Windows { series, tallies, frontiers, samples, continued } => v1::Windows {
            sealed_at_ns: sealed_at.nanos(),
            traceparent: String::new(),
            series: series.iter().map(series_to_wire).collect(),
            tallies: tallies.iter().map(tally_to_wire).collect(),
            frontiers: frontiers.iter().map(frontier_to_wire).collect(),
            samples: samples.iter().map(event_to_wire).collect(),
            continued: *continued,
        }
        .encode_to_vec(),
        Body::Events { events, frontiers } => v1::Events {
            sealed_at_ns: sealed_at.nanos(),
            traceparent: String::new(),
            events: events.iter().map(event_to_wire).collect(),
            frontiers: frontiers.iter().map(frontier_to_wire).collect(),
        }
        .encode_to_vec(),
    };
    let bytes = zstd::bulk::compress(&encoded, ZSTD_LEVEL)?;
    let digest = Digest::of(&bytes);
    Ok(SealedBody { bytes, digest })
}

fn series_to_wire(series: &SeriesWindows) -> v1::Series {
    v1::Series {
        signal: series.signal.clone(),
        unit: series.unit.as_str().to_owned(),
        labels: series
            .labels
            .iter()
            .map(|(name, value)| v1::Label { name: name.to_owned(), value: value.to_owned() })
            .collect(),
        agent_time: series.basis == TimeBasis::Agent,
        windows: series.windows.iter().map(part_to_wire).collect(),
    }
}

fn part_to_wire(part: &WindowPart) -> v1::WindowPart {
    let Distribution { count, values } = &part.distribution;
    v1::WindowPart {
        start_ns: part.window.start.nanos(),
        width_secs: part.window.width_secs,
        count: *count,
        values: values.as_deref().map(values_to_wire),
    }
}

fn values_to_wire(values: &Values) -> v1::Values {
    let mut before = 0;
    let buckets = values.histogram.buckets();
    let index_deltas = buckets
        .iter()
        .map(|&(index, _)| {
            let delta = i32::from(index) - before;
            before = i32::from(index);
            delta
        })
        .collect();
    v1::Values {
        count: values.count,
        sum: shortest(values.sum),
        min: values.min,
        max: values.max,
        last: Some(v1::Last {
            at_ns: values.last.at.nanos(),
            index: values.last.index,
            value: values.last.value,
        }),
        bounds: values
            .bounds
            .iter()
            .map(|b| v1::Bound { at: b.at, within: b.within, covered: b.covered })
            .collect(),
        index_deltas,
        counts: buckets.iter().map(|b| b.1).collect(),
    }
}

/// Two's complement, little-endian, without bytes that only repeat the sign.
fn shortest(sum: i128) -> Vec<u8> {
    let bytes = sum.to_le_bytes();
    let filler = if sum < 0 { 0xff } else { 0 };
    let mut len = bytes.len();
    while len > 1 && bytes[len - 1] == filler && (bytes[len - 2] >= 0x80) == (sum < 0) {
        len -= 1;
    }
    bytes[..len].to_vec()
}

fn tally_to_wire(tally: &SourceTally) -> v1::SourceTally {
    v1::SourceTally {
        source: tally.source.clone(),
        read: tally.read,
        skipped: tally
            .skipped
            .iter()
            .map(|&(reason, count)| v1::Skipped { reason: reason.as_str().to_owned(), count })
            .collect(),
        clamped: tally.clamped,
        bytes: tally.bytes,
        bytes_abandoned: tally.bytes_abandoned,
        bytes_unknown: tally.bytes_unknown,
        truncations: tally.truncations,
        events_dropped: tally.events_dropped,
        overflowed: tally.overflowed,
        events: tally.events,
        redacted: tally.redacted,
        events_held_back: tally.events_held_back,
    }
}

fn event_to_wire(event: &Event) -> v1::Event {
    v1::Event {
        at_ns: event.at.nanos(),
        source: event.source.clone(),
        name: event.name.clone(),
        severity: event.severity.as_str().to_owned(),
        message: event.message.clone(),
        correlation: event.correlation.clone(),
        trace: event.trace.clone(),
        fields: event.fields.clone(),
        truncated: event.truncated,
    }
}

fn guard_to_wire(guard: Guard) -> v1::Guard {
    v1::Guard { len: guard.len, hash: guard.hash }
}

fn frontier_to_wire(frontier: &Frontier) -> v1::Frontier {
    v1::Frontier {
        source: frontier.source.clone(),
        path: frontier.path.clone(),
        inode: frontier.file.inode,
        born_ns: frontier.file.born.nanos(),
        prefix: Some(guard_to_wire(frontier.prefix)),
        begin: frontier.begin,
        from: frontier.from,
        to: frontier.to,
        guard: Some(guard_to_wire(frontier.guard)),
    }
}

/// An epoch for the wire.
pub fn epoch_to_wire(epoch: Epoch) -> v1::Epoch {
    v1::Epoch { created_at_ns: epoch.created_at.nanos(), random: epoch.random }
}

fn epoch_from_wire(epoch: Option<v1::Epoch>) -> Option<Epoch> {
    let epoch = epoch?;
    Some(Epoch { created_at: Timestamp(epoch.created_at_ns), random: epoch.random })
}

/// A kind for the wire.
pub fn kind_to_wire(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Windows => v1::Kind::Windows,
        Kind::Events => v1::Kind::Events,
    }
}

fn kind_from_wire(kind: i32) -> Option<Kind> {
    match v1::Kind::try_from(kind) {
        Ok(v1::Kind::Windows) => Some(Kind::Windows),
        Ok(v1::Kind::Events) => Some(Kind::Events),
        _ => None,
    }
}

/// Why the agent leaves, for the wire.
pub fn farewell_to_wire(farewell: Farewell) -> v1::Bye {
    let reason = match farewell {
        Farewell::Stop => v1::bye::Reason::Stop,
        Farewell::Upgrade => v1::bye::Reason::Upgrade,
        Farewell::Sleep => v1::bye::Reason::Sleep,
        Farewell::Shutdown => v1::bye::Reason::Shutdown,
    };
    v1::Bye { reason: reason.into() }
}

fn stream_from_wire(
    agent: &AgentId,
    epoch: Option<v1::Epoch>,
    service: &str,
    kind: i32,
) -> Option<StreamKey> {
    Some(StreamKey {
        agent: agent.clone(),
        epoch: epoch_from_wire(epoch)?,
        service: Service::new(service)?,
        kind: kind_from_wire(kind)?,
    })
}

/// What the collector has, out of its welcome; entries that make no sense are left out, as if it had nothing.
pub fn answers_from_wire(agent: &AgentId, streams: Vec<v1::StreamState>) -> Vec<StreamAnswer> {
    let answer = |s: v1::StreamState| {
        let stream = stream_from_wire(agent, s.epoch, &s.service, s.kind)?;
        let ranges = s.ranges.iter().map(|r| (r.first, r.last));
        Some(StreamAnswer { stream, answered: SeqSet::from_parts(s.low_water, ranges) })
    };
    streams.into_iter().filter_map(answer).collect()
}

/// The batch a receipt is for and what it says; `None` if it makes no sense.
pub fn receipt_from_wire(
    agent: &AgentId,
    receipt: v1::Receipt,
) -> Option<(BatchKey, Outcome, String)> {
    let outcome = match v1::Outcome::try_from(receipt.outcome).ok()? {
        v1::Outcome::Unspecified => return None,
        v1::Outcome::Durable => Outcome::Durable,
        v1::Outcome::Forked => Outcome::Forked,
        v1::Outcome::Refused => Outcome::Refused,
        v1::Outcome::NotYet => Outcome::NotYet,
        v1::Outcome::Damaged => Outcome::Damaged,
    };
    let stream = stream_from_wire(agent, receipt.epoch, &receipt.service, receipt.kind)?;
    Some((BatchKey { stream, seq: receipt.seq }, outcome, receipt.reason))
}

/// A frontier out of the welcome.
pub fn frontier_from_wire(frontier: v1::Frontier) -> Frontier {
    let guard =
        |g: Option<v1::Guard>| g.map_or(Guard::default(), |g| Guard { len: g.len, hash: g.hash });
    Frontier {
        source: frontier.source,
        path: frontier.path,
        file: FileRef { inode: frontier.inode, born: Timestamp(frontier.born_ns) },
        prefix: guard(frontier.prefix),
        begin: frontier.begin,
        from: frontier.from,
        to: frontier.to,
        guard: guard(frontier.guard),
    }
}

/// The bounds the collector wants: service, signal, bounds in base units.
pub fn bounds_from_wire(bounds: Vec<v1::WantedBounds>) -> Vec<(Service, String, Vec<i64>)> {
    bounds.into_iter().filter_map(|b| Some((Service::new(&b.service)?, b.signal, b.at))).collect()
}

/// The W3C trace context of a batch (version 00, <https://www.w3.org/TR/trace-context/>): the digest is the trace, which
/// batch it is the span. Nothing is stored for it, and every repetition is the same trace.
pub(crate) fn traceparent(key: &BatchKey, digest: Digest) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let span = Digest::of(key.to_string().as_bytes());
    format!("00-{}-{}-01", hex(&digest.0), hex(&span.0[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Labels;

    fn labels_from_wire(labels: &[v1::Label]) -> Labels {
        labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect()
    }

    #[test]
    fn sums_take_as_many_bytes_as_they_need() {
        for (sum, bytes) in [
            (0_i128, vec![0]),
            (127, vec![127]),
            (128, vec![128, 0]),
            (-1, vec![255]),
            (-129, vec![0x7f, 0xff]),
            (i128::MAX, {
                let mut b = vec![0xff; 15];
                b.push(0x7f);
                b
            }),
        ] {
            assert_eq!(shortest(sum), bytes, "{sum}");
        }
    }

    #[test]
    fn what_was_taken_out_and_held_back_and_the_trace_cross_the_wire() {
        let tally = SourceTally { redacted: 3, events_held_back: 4, ..SourceTally::default() };
        let sent = tally_to_wire(&tally);
        assert_eq!((sent.redacted, sent.events_held_back), (3, 4));
        let event = Event {
            at: Timestamp(1),
            source: "s".into(),
            name: "e".into(),
            severity: watchkeeper_model::Severity::Error,
            message: "m".into(),
            correlation: "c".into(),
            trace: "t".into(),
            fields: "{}".into(),
            truncated: false,
        };
        let sent = event_to_wire(&event);
        assert_eq!((sent.correlation.as_str(), sent.trace.as_str()), ("c", "t"));
    }

    #[test]
    fn labels_cross_the_wire_in_order() {
        let labels = Labels::new([("b", "2"), ("a", "1")]);
        let series = SeriesWindows {
            signal: "requests".into(),
            unit: watchkeeper_model::Unit::Ms,
            labels: labels.clone(),
            basis: TimeBasis::Line,
            windows: vec![],
        };
        assert_eq!(labels_from_wire(&series_to_wire(&series).labels), labels);
    }

    #[test]
    fn every_repetition_of_a_batch_is_the_same_trace() {
        let stream = StreamKey {
            agent: watchkeeper_model::AgentId::new("web-1"),
            epoch: Epoch { created_at: Timestamp(1), random: 2 },
            service: watchkeeper_model::Service::new("shop").unwrap(),
            kind: Kind::Windows,
        };
        let key = |seq| BatchKey { stream: stream.clone(), seq };
        let digest = Digest::of(b"body");
        let one = traceparent(&key(1), digest);
        assert_eq!(one, traceparent(&key(1), digest));
        let parts: Vec<&str> = one.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!((parts[0], parts[3], lengths.as_slice()), ("00", "01", &[2, 32, 16, 2][..]));
        let other = traceparent(&key(2), digest);
        assert_eq!(other[..36], one[..36], "the body is the trace");
        assert_ne!(other, one, "which batch it is is the span");
    }
}

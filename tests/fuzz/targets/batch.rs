//! Arbitrary bytes as a batch from the wire: refused with a reason, or within every limit and encoded again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use watchkeeper_collector::wire::{decode_body, key_from_wire};
use watchkeeper_fuzz::Feed;
use watchkeeper_model::{AgentId, BatchKey, Body, Epoch, Kind, Service, StreamKey, Timestamp};
use watchkeeper_proto::v1;

fn key(kind: Kind) -> BatchKey {
    let stream = StreamKey {
        agent: AgentId::new("web-1"),
        epoch: Epoch { created_at: Timestamp(1), random: 2 },
        service: Service::new("shop").expect("a name of a service"),
        kind,
    };
    BatchKey { stream, seq: 7 }
}

fn check(kind: Kind, sealed: &[u8]) {
    let decoded = match decode_body(&key(kind), sealed) {
        Ok(decoded) => decoded,
        Err(reason) => return assert!(!reason.is_empty(), "refused without a reason"),
    };
    if let Body::Windows { series, .. } = &decoded.body {
        for part in series.iter().flat_map(|s| &s.windows) {
            let values = part.distribution.values.as_deref();
            assert!(values.is_none_or(|v| v.count <= part.distribution.count));
        }
    }
    let again = watchkeeper_agent::wire::seal_body(&decoded.body, decoded.sealed_at)
        .expect("zstd has memory enough");
    let again = decode_body(&key(kind), &again.bytes).expect("what was read can be read again");
    assert_eq!((again.sealed_at, again.body), (decoded.sealed_at, decoded.body));
}

// What it is in the first byte: 0 and 1 a body as it comes, 2 and 3 what lies in the compressed body, 4 the envelope.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    match feed.choice(5) {
        0 => check(Kind::Windows, feed.rest()),
        1 => check(Kind::Events, feed.rest()),
        packed @ (2 | 3) => {
            let kind = if packed == 2 { Kind::Windows } else { Kind::Events };
            // Level 1: this is about what lies inside.
            let sealed = zstd::bulk::compress(feed.rest(), 1).expect("zstd has memory enough");
            check(kind, &sealed);
        }
        _ => {
            let Ok(batch) = v1::Batch::decode(feed.rest()) else { return };
            match key_from_wire(&AgentId::new("web-1"), &batch) {
                Ok((key, _)) => assert!(key.seq > 0),
                Err(reason) => assert!(!reason.is_empty(), "refused without a reason"),
            }
        }
    }
});

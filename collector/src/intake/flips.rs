//! Bits that flip on the way, in every place of a message: nothing counts twice, nothing is buried, nothing is taken for
//! lost, and nobody is welcomed who is not there.

use std::sync::Arc;

use prost::Message as _;
use watchkeeper_collector_core::engine::Road;
use watchkeeper_model::{AgentId, Digest, Kind, Timestamp};
use watchkeeper_proto::{Checked as _, v1};

use super::Intake;
use super::restoring::settings;
use super::session::Session;
use crate::store::tests::contract::total;
use crate::store::tests::parts::{NOW, open, stream};

/// One observation.
fn body(n: u64) -> Vec<u8> {
    let start_ns = Timestamp::from_secs(NOW).nanos();
    let part = v1::WindowPart { start_ns, width_secs: 1, count: 1, values: None };
    let labels = vec![v1::Label { name: "n".into(), value: (n % 10).to_string() }];
    let (signal, unit, windows) = ("requests".into(), "ms".into(), vec![part]);
    let series = v1::Series { signal, unit, labels, windows, ..v1::Series::default() };
    let windows = v1::Windows { series: vec![series], ..v1::Windows::default() };
    zstd::bulk::compress(&windows.encode_to_vec(), 3).unwrap()
}

fn sent(agent: &AgentId, seq: u64) -> v1::Batch {
    let (epoch, body) = (stream(Kind::Windows).epoch, body(seq));
    let mut batch = v1::Batch {
        epoch: Some(v1::Epoch { created_at_ns: epoch.created_at.nanos(), random: epoch.random }),
        service: "shop".into(),
        kind: v1::Kind::Windows.into(),
        seq,
        digest: Digest::of(&body).0.to_vec(),
        settled_below: seq,
        format: watchkeeper_proto::FORMAT,
        body: body.into(),
        ..v1::Batch::default()
    };
    batch.check = watchkeeper_proto::check(agent.as_str(), &batch);
    batch
}

#[tokio::test]
async fn a_bit_that_flips_anywhere_in_a_batch_counts_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
    let intake = Intake::new(store.clone(), crate::hub::channel().0, settings);
    let agent = AgentId::new("web-1");
    // Numbers of two bytes, so that all messages are of one length.
    let first = 200;
    let n_bits = sent(&agent, first).encoded_len() as u64 * 8;
    for bit in 0..n_bits {
        let batch = sent(&agent, first + bit);
        let mut bytes = batch.encode_to_vec();
        if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
        // What can't be read ends the connection.
        if let Ok(flipped) = v1::Batch::decode(&*bytes) {
            intake.batch(&agent, flipped).await;
        }
        let reply = intake.batch(&agent, batch).await;
        assert_eq!(reply.outcome, v1::Outcome::Durable, "bit {bit}: {}", reply.reason);
    }
    assert_eq!(total(&store), n_bits);
    assert_eq!(store.reads().n_dead_letters().unwrap(), 0);
    let streams = store.reads().streams_of(&agent).unwrap();
    assert_eq!(streams.len(), 1, "no other stream was made: {streams:?}");
    assert_eq!(streams[0].settled_below, first + n_bits - 1, "nothing more is taken for settled");
}

#[tokio::test]
async fn a_hello_in_which_a_bit_flipped_is_to_be_said_again_and_answers_can_be_checked() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let settings = tokio::sync::watch::channel(Arc::new(settings(Vec::new()))).1;
    // Kept: who is welcomed is told to the hub.
    let (hub, _told) = crate::hub::channel();
    let intake = Arc::new(Intake::new(store, hub, settings));
    let epoch = stream(Kind::Windows).epoch;
    let epoch = v1::Epoch { created_at_ns: epoch.created_at.nanos(), random: epoch.random };
    // A spool that is new puts up a fence: what is said by mistake buries batches.
    let hello = v1::Hello {
        agent: "web-1".into(),
        epoch: Some(epoch),
        instance: 5,
        version: "1".into(),
        held: vec![epoch],
        ..v1::Hello::default()
    }
    .checked();
    let whole = hello.encode_to_vec();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(flipped) = v1::Hello::decode(&*bytes) else { continue };
        if Session::greet(&intake, &flipped, Road::Grpc).await.is_ok() {
            // Nothing but what is for people, or the check itself, may be otherwise.
            let said = v1::Hello { version: "1".into(), ..flipped.saying(hello.check) };
            assert_eq!(said, hello, "bit {bit}");
        }
    }
    let (session, welcome) = Session::greet(&intake, &hello, Road::Grpc).await.unwrap();
    assert!(welcome.check != 0 && !welcome.is_damaged(), "{welcome:?}");
    let receipt = session.receipt_for(sent(&AgentId::new("web-1"), 1)).await;
    assert!(receipt.check != 0 && !receipt.is_damaged(), "{receipt:?}");
}

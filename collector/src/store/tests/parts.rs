//! Data for tests of the store and of queries.

use proptest::prelude::*;
use watchkeeper_model::{
    AgentId, Bound, Digest, Distribution, Epoch, Event, Kind, Labels, Last, Service, Severity,
    StreamKey, Timestamp, Unit, Values, Window,
};

use crate::store::{
    BatchCommit, EventsBody, EventsCommit, Fate, JournalRow, OpenSettings, Retention, SeriesKey,
    Store, WindowsBody, WindowsCommit,
};

/// A Sunday evening.
pub(crate) const NOW: i64 = 1_793_491_200;

pub(crate) fn settings(dir: &std::path::Path) -> OpenSettings {
    OpenSettings {
        data_dir: dir.to_owned(),
        machine_id: "machine-1".to_owned(),
        new_incarnation: 0xfeed_0001,
        retention: Retention::default(),
        max_bytes: 10 << 30,
        ballast_bytes: 64 * 1024,
    }
}

pub(crate) fn open(dir: &std::path::Path) -> Store {
    Store::open(settings(dir)).unwrap()
}

pub(crate) fn stream(kind: Kind) -> StreamKey {
    StreamKey {
        agent: AgentId::new("web-1"),
        epoch: Epoch { created_at: Timestamp::from_secs(NOW - 1_000), random: u64::MAX - 5 },
        service: Service::new("shop").unwrap(),
        kind,
    }
}

pub(crate) fn digest(n: u8) -> Digest {
    Digest([n; 16])
}

pub(crate) fn batch<B>(kind: Kind, seq: u64, fate: Fate<B>) -> BatchCommit<B> {
    BatchCommit {
        stream: stream(kind),
        seq,
        digest: digest(seq as u8),
        settled_below: 0,
        received_at: Timestamp::from_secs(NOW),
        fate,
    }
}

pub(crate) fn series(agent: &str, status: &str) -> SeriesKey {
    SeriesKey {
        service: Service::new("shop").unwrap(),
        signal: "requests".into(),
        unit: Unit::Ms,
        labels: Labels::new([("agent", agent), ("status", status)]),
    }
}

pub(crate) fn row(status: &str, start: i64, count: u64) -> JournalRow {
    row_of(series("web-1", status), start, 1, Distribution::counted(count))
}

pub(crate) fn row_of(
    series: SeriesKey,
    start: i64,
    width_secs: u32,
    distribution: Distribution,
) -> JournalRow {
    let window = Window { start: Timestamp::from_secs(start), width_secs };
    JournalRow { series, window, distribution }
}

pub(crate) fn windows(seq: u64, rows: Vec<JournalRow>) -> WindowsCommit {
    let body = WindowsBody { rows, ..WindowsBody::default() };
    let batches = vec![batch(Kind::Windows, seq, Fate::Counted(body))];
    WindowsCommit { batches, ..WindowsCommit::default() }
}

pub(crate) fn event(at: i64, name: &str, severity: Severity, message: &str) -> Event {
    Event {
        at: Timestamp::from_secs(at),
        source: "log".to_owned(),
        name: name.to_owned(),
        severity,
        message: message.to_owned(),
        correlation: format!("req-{at}"),
        trace: format!("trace-{}", at % 2),
        fields: format!(r#"{{"message":"{message}"}}"#),
        truncated: false,
    }
}

pub(crate) fn events(seq: u64, events: Vec<Event>) -> EventsCommit {
    EventsCommit {
        batches: vec![batch(
            Kind::Events,
            seq,
            Fate::Counted(EventsBody { events, frontiers: Vec::new() }),
        )],
    }
}

/// A distribution of these values, in base units.
pub(crate) fn distribution(values: &[i64], at: i64) -> Distribution {
    let mut all = Distribution::default();
    for (index, &value) in values.iter().enumerate() {
        let last = Last {
            at: Timestamp::from_secs(at),
            agent: AgentId::new("web-1"),
            seq: 1,
            index: index as u64,
            value,
        };
        all.merge(&Distribution { count: 1, values: Some(Box::new(Values::of(last))) });
    }
    all
}

pub(crate) fn any_distribution() -> impl Strategy<Value = Distribution> {
    let value = prop_oneof![any::<i64>(), 0..1_000_000_000_i64];
    let values = proptest::collection::vec(
        (value, 0..9_i64, proptest::collection::vec(any::<i64>(), 0..3)),
        0..6,
    );
    (values, 0..3_u64).prop_map(|(values, without)| {
        let mut all = Distribution::counted(without);
        for (index, (value, at, mut bounds)) in values.into_iter().enumerate() {
            bounds.sort_unstable();
            bounds.dedup();
            let last = Last {
                at: Timestamp(at),
                agent: AgentId::new("web-1"),
                seq: 1,
                index: index as u64,
                value,
            };
            let mut of = Values::of(last);
            of.bounds = bounds
                .iter()
                .map(|&b| Bound { at: b, within: u64::from(value <= b), covered: 1 })
                .collect();
            all.merge(&Distribution { count: 1, values: Some(Box::new(of)) });
        }
        all
    })
}

//! What reports ask: the stored counts of SLOs over a stretch of time, and what was told in it.
//!
//! Owns the bound on rows of one report. Everything is read on one connection within one limit of time, and counts are
//! handed over one by one: a year of many SLOs is never in memory at once.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use watchkeeper_collector_core::notify::IncidentRow;
use watchkeeper_collector_core::report::{IncidentFacts, Word};
use watchkeeper_collector_core::slo::Counts;
use watchkeeper_model::Timestamp;

use super::engine_rows;
use super::error::{InFile, StoreError};
use super::numbers::{bits, from_bits, unsigned};
use super::sources::bucket_in;

const INTAKE: &str = "intake";
const LEDGER: &str = "ledger";

/// Stored rows that one question may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastLimits {
    /// Buckets of SLOs, of all together.
    pub buckets: u64,
    /// Incidents.
    pub incidents: u64,
    /// Deliveries in their time.
    pub deliveries: u64,
}

impl Default for PastLimits {
    fn default() -> Self {
        Self { buckets: 6_000_000, incidents: 20_000, deliveries: 500_000 }
    }
}

/// Which counts are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastWanted {
    /// SLOs by name, each with what it counts.
    pub slos: Vec<(String, u64)>,
    /// From here, included.
    pub from: Timestamp,
    /// Before here.
    pub to: Timestamp,
}

/// How far the counts of one SLO go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its first bucket of all.
    pub kept_from: Option<Timestamp>,
    /// Whether in the time asked for it was also counted by another definition.
    pub counted_otherwise: bool,
}

/// Hands over the buckets of the time asked for, with the place of their SLO in the list; `None` if there are more than
/// `most`.
pub(super) fn slo_counts(
    conn: &Connection,
    wanted: &PastWanted,
    most: u64,
    visit: &mut dyn FnMut(usize, Timestamp, &Counts),
) -> Result<Option<Vec<Extent>>, StoreError> {
    let mut n_left = most;
    let mut extents = Vec::with_capacity(wanted.slos.len());
    for (at, (slo, definition)) in wanted.slos.iter().enumerate() {
        extents.push(extent(conn, slo, *definition, wanted)?);
        let mut statement = conn
            .prepare_cached(
                "SELECT bucket, good, total, unjudged, estimated FROM slo_counts
                 WHERE slo = ?1 AND definition = ?2 AND bucket >= ?3 AND bucket < ?4 ORDER BY bucket",
            )
            .in_file(INTAKE)?;
        let (from, to) = (wanted.from.nanos(), wanted.to.nanos());
        let mut rows =
            statement.query(params![slo, bits(*definition), from, to]).in_file(INTAKE)?;
        while let Some(row) = rows.next().in_file(INTAKE)? {
            let Some(left) = n_left.checked_sub(1) else { return Ok(None) };
            n_left = left;
            let (bucket, counts) = bucket_in(row).in_file(INTAKE)?;
            visit(at, bucket, &counts);
        }
    }
    Ok(Some(extents))
}

fn extent(
    conn: &Connection,
    slo: &str,
    definition: u64,
    wanted: &PastWanted,
) -> Result<Extent, StoreError> {
    let kept_from: Option<i64> = conn
        .prepare_cached("SELECT min(bucket) FROM slo_counts WHERE slo = ?1 AND definition = ?2")
        .and_then(|mut s| s.query_row(params![slo, bits(definition)], |row| row.get(0)))
        .in_file(INTAKE)?;
    let mut counted_otherwise = false;
    let mut after: Option<i64> = None;
    // From one definition to the next: what lies between is not read.
    while let Some(other) = next_definition(conn, slo, after)? {
        after = Some(other);
        if from_bits(other) != definition && !counted_otherwise {
            counted_otherwise = has_counts(conn, slo, other, wanted)?;
        }
    }
    Ok(Extent { kept_from: kept_from.map(Timestamp), counted_otherwise })
}

fn next_definition(
    conn: &Connection,
    slo: &str,
    after: Option<i64>,
) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached(
        "SELECT definition FROM slo_counts WHERE slo = ?1 AND (?2 IS NULL OR definition > ?2)
         ORDER BY definition LIMIT 1",
    )
    .and_then(|mut s| s.query_row(params![slo, after], |row| row.get(0)).optional())
    .in_file(INTAKE)
}

fn has_counts(
    conn: &Connection,
    slo: &str,
    definition: i64,
    wanted: &PastWanted,
) -> Result<bool, StoreError> {
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM slo_counts WHERE slo = ?1 AND definition = ?2 AND bucket >= ?3 AND bucket < ?4)",
    )
    .and_then(|mut s| {
        let (from, to) = (wanted.from.nanos(), wanted.to.nanos());
        s.query_row(params![slo, definition, from, to], |row| row.get(0))
    })
    .in_file(INTAKE)
}

/// Incidents that were on at some time in `from..to`, by number, with what was sent about them; `None` if there are too many.
pub(super) fn incidents(
    conn: &Connection,
    from: Timestamp,
    to: Timestamp,
    limits: &PastLimits,
) -> Result<Option<Vec<IncidentFacts>>, StoreError> {
    // What is over was written last when it ended.
    let bodies: Vec<(String, String)> = conn
        .prepare_cached(
            "SELECT key, body FROM state
             WHERE kind = 'incident' AND (live = 1 OR (live = 0 AND updated_at >= ?1)) LIMIT ?2",
        )
        .and_then(|mut s| {
            let most = i64::try_from(limits.incidents).unwrap_or(i64::MAX - 1) + 1;
            s.query_map(params![from.nanos(), most], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .in_file(LEDGER)?;
    if bodies.len() as u64 > limits.incidents {
        return Ok(None);
    }
    let rows: Vec<IncidentRow> = engine_rows::read("incident", bodies)?;
    let mut found: BTreeMap<u64, IncidentFacts> = rows
        .into_iter()
        .filter(|row| row.opened_at < to && row.closed_at.is_none_or(|closed| closed > from))
        .map(|row| (row.number, IncidentFacts { row, words: Vec::new() }))
        .collect();
    let is_all = add_words(conn, &mut found, limits.deliveries)?;
    Ok(is_all.then(|| found.into_values().collect()))
}

/// Adds what was sent about incidents; whether that is all of it.
fn add_words(
    conn: &Connection,
    incidents: &mut BTreeMap<u64, IncidentFacts>,
    most: u64,
) -> Result<bool, StoreError> {
    let Some(first) = incidents.values().map(|facts| facts.row.opened_at).min() else {
        return Ok(true);
    };
    let end = |facts: &IncidentFacts| facts.row.closed_at.unwrap_or(Timestamp::MAX);
    let last = incidents.values().map(end).max().unwrap_or(Timestamp::MAX);
    let mut statement = conn
        .prepare_cached(
            "SELECT incident, at, outcome, error, alerts, fingerprints FROM deliveries
             WHERE at >= ?1 AND at <= ?2 ORDER BY at, id",
        )
        .in_file(LEDGER)?;
    let mut rows = statement.query([first.nanos(), last.nanos()]).in_file(LEDGER)?;
    let mut n_left = most;
    while let Some(row) = rows.next().in_file(LEDGER)? {
        let Some(left) = n_left.checked_sub(1) else { return Ok(false) };
        n_left = left;
        let number: i64 = row.get(0).in_file(LEDGER)?;
        if let Some(facts) = incidents.get_mut(&unsigned(number)) {
            facts.words.push(word_in(row).in_file(LEDGER)?);
        }
    }
    Ok(true)
}

fn word_in(row: &Row<'_>) -> rusqlite::Result<Word> {
    let list = |column: usize| -> rusqlite::Result<Vec<String>> {
        let text: String = row.get(column)?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    };
    Ok(Word {
        at: Timestamp(row.get(1)?),
        outcome: row.get(2)?,
        error: row.get(3)?,
        alerts: list(4)?,
        fingerprints: list(5)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::parts::{NOW, open};
    use super::super::{
        LedgerWrite, SloIncrement, StateKind, Store, StoredDelivery, WindowsCommit,
    };
    use super::*;

    const BUCKET: i64 = 300;

    fn gain(slo: &str, definition: u64, bucket: i64, bad: u64) -> SloIncrement {
        SloIncrement {
            slo: slo.to_owned(),
            definition,
            bucket: Timestamp::from_secs(NOW + bucket * BUCKET),
            good: 10,
            total: 10 + bad,
            unjudged: 1,
            estimated: 2,
        }
    }

    async fn with_counts(store: &Store) {
        let slo = vec![
            gain("a", u64::MAX, -3, 0),
            gain("a", u64::MAX, 0, 1),
            gain("a", u64::MAX, 1, 2),
            gain("a", u64::MAX, 2, 3),
            gain("a", 7, 2, 9),
            gain("b", 7, 1, 4),
            gain("b", 8, 5, 4),
        ];
        store.commit_windows(WindowsCommit { slo, ..WindowsCommit::default() }).await.unwrap();
    }

    type Seen = Vec<(usize, i64, u64)>;

    fn ask(store: &Store, slos: &[(&str, u64)], most: u64) -> (Option<Vec<Extent>>, Seen) {
        let wanted = PastWanted {
            slos: slos.iter().map(|(slo, definition)| ((*slo).to_owned(), *definition)).collect(),
            from: Timestamp::from_secs(NOW),
            to: Timestamp::from_secs(NOW + 2 * BUCKET),
        };
        let mut seen = Vec::new();
        let limits = PastLimits { buckets: most, ..PastLimits::default() };
        let extents = store
            .reads()
            .past_counts(&wanted, &limits, &mut |at, bucket, counts| {
                seen.push((at, (bucket.secs() - NOW) / BUCKET, counts.bad()));
            })
            .unwrap();
        (extents, seen)
    }

    #[tokio::test]
    async fn counts_of_the_time_are_handed_over_with_how_far_they_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        with_counts(&store).await;
        let (extents, seen) = ask(&store, &[("b", 7), ("a", u64::MAX), ("c", 1), ("a", 7)], 10);
        assert_eq!(seen, [(0, 1, 4), (1, 0, 1), (1, 1, 2)]);
        let kept = |bucket: i64| Some(Timestamp::from_secs(NOW + bucket * BUCKET));
        let expected = [(kept(1), false), (kept(-3), false), (None, false), (kept(2), true)];
        let found: Vec<_> =
            extents.unwrap().iter().map(|e| (e.kept_from, e.counted_otherwise)).collect();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn too_many_buckets_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        with_counts(&store).await;
        let all = [("a", u64::MAX), ("b", 7)];
        assert!(ask(&store, &all, 3).0.is_some());
        assert_eq!(ask(&store, &all, 2).0, None);
    }

    fn incident(number: u64, opened: i64, closed: Option<i64>) -> LedgerWrite {
        let at = |secs: i64| Timestamp::from_secs(NOW + secs).nanos();
        let state = if closed.is_some() { "closed" } else { "open" };
        let body = serde_json::json!({
            "number": number, "group_key": "", "receiver": "chat", "integration": "slack[0]", "kind": "slack",
            "send_resolved": true, "dedup_key": "", "state": state, "opened_at": at(opened),
            "closed_at": closed.map(at), "in_flight": null, "told_at": null, "told": {}, "maybe_open": true,
            "closing_since": null, "n_close_failures": 0, "retry_at": null,
        });
        LedgerWrite::Save {
            kind: StateKind::Incident,
            key: number.to_string(),
            body: body.to_string(),
            live: closed.is_none(),
        }
    }

    fn delivery(id: u64, incident: u64, at: i64) -> LedgerWrite {
        LedgerWrite::Delivery(Box::new(StoredDelivery {
            id,
            incident,
            receiver: "chat".to_owned(),
            integration: "slack[0]".to_owned(),
            kind: "slack".to_owned(),
            action: "open".to_owned(),
            reason: "first".to_owned(),
            at: Timestamp::from_secs(NOW + at),
            attempt: 1,
            outcome: "ok".to_owned(),
            status: Some(200),
            error: None,
            next_at: None,
            alerts: vec!["a".to_owned()],
            fingerprints: vec!["00".to_owned()],
            body: None,
        }))
    }

    #[tokio::test]
    async fn incidents_of_the_time_come_with_what_was_sent() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        // Each is written as it stands at its end, or its beginning.
        for (write, at) in [
            (incident(1, -500, Some(-100)), -100),
            (incident(2, -500, Some(100)), 100),
            (incident(3, -900, None), -900),
            (incident(4, 150, Some(400)), 400),
            (incident(5, 200, Some(400)), 400),
            (delivery(1, 3, -900), -900),
            (delivery(2, 2, -500), -500),
            (delivery(3, 2, 100), 100),
            (delivery(4, 4, 150), 150),
            (delivery(5, 0, 150), 150),
        ] {
            let now = Timestamp::from_secs(NOW + at);
            store.persist(vec![write], now).await.unwrap();
        }
        let (from, to) = (Timestamp::from_secs(NOW), Timestamp::from_secs(NOW + 200));
        let limits = PastLimits::default();
        let found = store.reads().past_incidents(from, to, &limits).unwrap().unwrap();
        let numbers: Vec<_> = found.iter().map(|f| (f.row.number, f.words.len())).collect();
        assert_eq!(numbers, [(2, 2), (3, 1), (4, 1)]);
        assert_eq!(found[0].words[1].at, from + Duration::from_secs(100));
        for few in [PastLimits { incidents: 2, ..limits }, PastLimits { deliveries: 4, ..limits }] {
            assert_eq!(store.reads().past_incidents(from, to, &few).unwrap(), None);
        }
    }
}

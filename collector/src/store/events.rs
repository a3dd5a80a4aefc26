//! `events.db`: what batches of events leave behind, and how it is found again.
//!
//! Owns the transaction that makes events and their own dedupe state durable together, apart from counts, so that neither
//! waits for the other. Never cuts or judges an event.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchkeeper_model::{AgentId, Event, Frontier, Kind, Severity, Timestamp};

use super::database::{Database, FileKind};
use super::error::{InFile, StoreError};
use super::intake::Committed;
use super::page::{Page, Paged, page_out};
use super::sources::{self, Reach};
use super::streams::{BatchCommit, Fate, Stored, Streams};
use super::writer::Committer;

pub(super) const STREAMS: Streams = Streams { file: "events", kind: Kind::Events };

pub(super) const KIND: FileKind = FileKind {
    name: "events",
    migrations: &[
        include_str!("migrations/events_0001.sql"),
        include_str!("migrations/events_0002.sql"),
        include_str!("migrations/events_0003.sql"),
    ],
    vital_tables: &["meta", "streams", "digests"],
    loss: "every event so far and the memory of what was delivered",
    cache_kib: 4 * 1024,
};

/// Batches of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsCommit {
    /// The batches.
    pub batches: Vec<BatchCommit<EventsBody>>,
}

/// What a batch of events adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsBody {
    /// The events.
    pub events: Vec<Event>,
    /// How far files were read when they were sealed.
    pub frontiers: Vec<Frontier>,
}

/// An event with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Whose service.
    pub service: String,
    /// Who saw it.
    pub agent: AgentId,
    /// What happened.
    pub event: Event,
}

/// Which events are asked for; empty fields don't restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this service.
    pub service: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// At least this bad.
    pub severity: Option<Severity>,
    /// With this text in the message or the fields, upper or lower case.
    pub text: Option<String>,
    /// With this correlation id, or of this trace.
    pub correlation: Option<String>,
    /// From here on.
    pub from: Option<Timestamp>,
    /// Before here.
    pub to: Option<Timestamp>,
}

/// The writing side of `events.db`.
#[derive(Debug)]
pub(super) struct EventsDb {
    pub(super) database: Database,
}

impl EventsDb {
    pub(super) fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open(KIND, data_dir)? })
    }
}

impl Committer for EventsDb {
    type Job = EventsCommit;
    type Done = Committed;

    fn file(&self) -> &'static str {
        KIND.name
    }

    fn commit_all(&mut self, jobs: &[EventsCommit]) -> Result<Vec<Committed>, StoreError> {
        self.database.transact(|tx| jobs.iter().map(|job| commit(tx, job)).collect())
    }
}

fn commit(conn: &Connection, job: &EventsCommit) -> Result<Committed, StoreError> {
    let mut done = Committed::default();
    for batch in &job.batches {
        let stored = STREAMS.note(conn, batch)?;
        if let (Stored::Counted, Fate::Counted(body)) = (stored, &batch.fate) {
            let (service, agent) = (batch.stream.service.as_str(), batch.stream.agent.as_str());
            body.events.iter().try_for_each(|event| insert(conn, service, agent, event))?;
            for frontier in &body.frontiers {
                let how = (Reach::Only, batch.received_at);
                sources::add_frontier(conn, KIND.name, &batch.stream, frontier, how)?;
            }
        }
        done.batches.push(stored);
    }
    Ok(done)
}

fn insert(conn: &Connection, service: &str, agent: &str, event: &Event) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO events (at, service, agent, source, name, severity, message, correlation, trace, fields,
         truncated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .and_then(|mut s| {
        s.execute(params![
            event.at.nanos(),
            service,
            agent,
            event.source,
            event.name,
            rank(event.severity),
            event.message,
            event.correlation,
            event.trace,
            event.fields,
            event.truncated
        ])
    })
    .in_file(KIND.name)
    .map(drop)
}

const fn rank(severity: Severity) -> i64 {
    severity as i64
}

fn severity_of(rank: i64) -> Severity {
    [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical]
        .into_iter()
        .find(|s| self::rank(*s) == rank)
        .unwrap_or(Severity::Error)
}

/// Events that match, newest first.
pub(super) fn select(
    conn: &Connection,
    filter: &EventFilter,
    page: &Page,
) -> Result<Paged<StoredEvent>, StoreError> {
    let (sql, values) = asking(filter, page);
    let rows: Vec<((i64, i64), StoredEvent)> = conn
        .prepare_cached(&sql)
        .and_then(|mut s| s.query_map(params_from_iter(values), event_in)?.collect())
        .in_file(KIND.name)?;
    Ok(page_out(rows, page.limit))
}

/// The question in SQL, and its values.
fn asking(filter: &EventFilter, page: &Page) -> (String, Vec<Value>) {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    if let Some(id) = &filter.correlation {
        conditions.push("((correlation = ? AND correlation != '') OR (trace = ? AND trace != ''))");
        values.extend([id.clone().into(), id.clone().into()]);
    }
    let mut add = |condition, value: Value| {
        conditions.push(condition);
        values.push(value);
    };
    // An id is rarer than anything else: with one, the index of services must not be taken.
    let service = if filter.correlation.is_some() { "+service = ?" } else { "service = ?" };
    for (condition, text) in [(service, &filter.service), ("name = ?", &filter.name)] {
        if let Some(text) = text {
            add(condition, text.clone().into());
        }
    }
    if let Some(severity) = filter.severity {
        add("severity >= ?", rank(severity).into());
    }
    if let Some(from) = filter.from {
        add("at >= ?", from.nanos().into());
    }
    if let Some(to) = filter.to {
        add("at < ?", to.nanos().into());
    }
    if let Some(text) = &filter.text {
        let pattern =
            format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        add("message || char(10) || fields LIKE ? ESCAPE '\\'", pattern.into());
    }
    if let Some((at, id)) = page.after {
        add("(at, id) < (?, ?)", at.into());
        values.push(id.into());
    }
    let wanted = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
    values.push(i64::from(page.limit + 1).into());
    let sql = format!(
        "SELECT at, id, service, agent, source, name, severity, message, correlation, trace, fields, truncated
         FROM events WHERE {wanted} ORDER BY at DESC, id DESC LIMIT ?"
    );
    (sql, values)
}

fn event_in(row: &Row<'_>) -> rusqlite::Result<((i64, i64), StoredEvent)> {
    let at: i64 = row.get(0)?;
    let event = Event {
        at: Timestamp(at),
        source: row.get(4)?,
        name: row.get(5)?,
        severity: severity_of(row.get(6)?),
        message: row.get(7)?,
        correlation: row.get(8)?,
        trace: row.get(9)?,
        fields: row.get(10)?,
        truncated: row.get(11)?,
    };
    let agent = AgentId::new(&row.get::<_, String>(3)?);
    Ok(((at, row.get(1)?), StoredEvent { service: row.get(2)?, agent, event }))
}

/// Deletes some of the events before `before`.
pub(super) fn delete_before(
    conn: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<usize, StoreError> {
    conn.prepare_cached(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ?1 ORDER BY at, id LIMIT ?2)",
    )
    .and_then(|mut s| s.execute(params![before.nanos(), limit]))
    .in_file(KIND.name)
}

/// Deletes the oldest events; up to when, if there were any.
pub(super) fn delete_oldest(
    conn: &Connection,
    limit: u32,
) -> Result<Option<Timestamp>, StoreError> {
    let last: Option<(i64, i64)> = conn
        .prepare_cached(
            "SELECT at, id FROM (SELECT at, id FROM events ORDER BY at, id LIMIT ?1)
             ORDER BY at DESC, id DESC LIMIT 1",
        )
        .and_then(|mut s| s.query_row([limit], |r| Ok((r.get(0)?, r.get(1)?))).optional())
        .in_file(KIND.name)?;
    let Some((at, id)) = last else { return Ok(None) };
    conn.prepare_cached("DELETE FROM events WHERE (at, id) <= (?1, ?2)")
        .and_then(|mut s| s.execute([at, id]))
        .in_file(KIND.name)?;
    Ok(Some(Timestamp(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_looked_up_whatever_else_is_asked() {
        let conn = Connection::open_in_memory().unwrap();
        KIND.migrations.iter().for_each(|sql| conn.execute_batch(sql).unwrap());
        let at = Some(Timestamp(1));
        let text = |text: &str| Some(text.to_owned());
        let id = EventFilter { correlation: text("a"), ..EventFilter::default() };
        let after = Page { after: Some((1, 1)), ..Page::first(10) };
        for (filter, page) in [
            (id.clone(), Page::first(10)),
            (EventFilter { service: text("shop"), ..id.clone() }, Page::first(10)),
            (EventFilter { service: text("shop"), from: at, to: at, name: text("e"), ..id }, after),
        ] {
            let (sql, values) = asking(&filter, &page);
            let plan: Vec<String> = conn
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map(params_from_iter(values), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let plan = plan.join("\n");
            for index in ["events_by_correlation (correlation=?", "events_by_trace (trace=?"] {
                assert!(plan.contains(index), "{sql}\n{plan}");
            }
        }
    }
}

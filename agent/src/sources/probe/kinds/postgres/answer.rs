//! What a PostgreSQL server says, as values.
//!
//! Owns what a server is asked about itself, and how texts become numbers. Rows beyond [`MAX_ROWS`] are not read.

use serde_json::{Map, Value as Json};
use tokio_postgres::SimpleQueryRow;
use watchkeeper_agent_core::probe::{Expectations, Said, Seen};

/// The most rows of an answer that are read.
pub(super) const MAX_ROWS: usize = 1_000;

/// What a server says of itself; all of it is open to every user. A replica that has replayed all it received has no lag only as long as
/// it receives: without a receiver nobody knows what it lacks, and the time since the last transaction counts. Those
/// connected are counted from `pg_stat_database`, because `pg_stat_activity` hides others from who is nobody special.
pub(super) const SELF: &str = "SELECT pg_is_in_recovery(), current_setting('server_version'), \
    (SELECT coalesce(sum(numbackends), 0) FROM pg_stat_database), \
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, \
    CASE WHEN NOT pg_is_in_recovery() THEN 0 \
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
    AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0 \
    ELSE greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END";

/// The names that need [`SELF`].
const OF_SELF: [&str; 6] =
    ["replica", "version", "connections", "max_connections", "connections_ratio", "lag"];

/// Whether a condition reads what a server says of itself.
pub(super) fn wants_self(expectations: &Expectations) -> bool {
    OF_SELF.iter().any(|name| expectations.reads(name))
}

/// What it says of itself.
pub(super) fn say_self(row: &SimpleQueryRow, seen: &mut Seen) {
    let text = |at| row.try_get(at).ok().flatten();
    let number = |at| text(at).and_then(|said| said.parse::<f64>().ok());
    if let Some(said) = text(0) {
        seen.say("replica", Said::Bool(said == "t"));
    }
    if let Some(said) = text(1) {
        seen.say("version", Said::Text(said.to_owned()));
    }
    if let (Some(used), Some(limit)) = (number(2), number(3)) {
        // `as` saturates.
        seen.say("connections", Said::Int(used as i64));
        seen.say("max_connections", Said::Int(limit as i64));
        if limit > 0.0 {
            seen.say("connections_ratio", Said::Double(used / limit));
        }
    }
    if let Some(seconds) = number(4) {
        seen.say("lag", Said::Span((seconds * 1e9) as i64));
    }
}

/// The first row of an answer.
pub(super) fn say_first(row: &SimpleQueryRow, seen: &mut Seen) {
    let value = |at: usize| row.try_get(at).ok().flatten().map_or(Json::Null, value);
    let names = row.columns().iter().map(|column| column.name().to_owned());
    let all: Map<String, Json> = names.enumerate().map(|(at, name)| (name, value(at))).collect();
    seen.say("value", Said::Json(value(0)));
    seen.say("row", Said::Json(Json::Object(all)));
}

/// A number if it is written as one; else a text. What is true is `t`, as the server writes it.
fn value(said: &str) -> Json {
    if let Ok(whole) = said.parse::<i64>()
        && whole.to_string() == said
    {
        return Json::from(whole);
    }
    let is_plain = |c: char| c.is_ascii_digit() || "-.e+".contains(c);
    match said.parse::<f64>() {
        Ok(number) if said.contains('.') && said.chars().all(is_plain) => Json::from(number),
        _ => Json::from(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_a_number_is_one() {
        for (said, json) in [
            ("7", Json::from(7)),
            ("-7", Json::from(-7)),
            ("007", Json::from("007")),
            ("0.25", Json::from(0.25)),
            ("1.5e+10", Json::from(1.5e10)),
            ("1.2.3", Json::from("1.2.3")),
            ("NaN", Json::from("NaN")),
            ("t", Json::from("t")),
            ("", Json::from("")),
        ] {
            assert_eq!(value(said), json, "{said}");
        }
    }
}

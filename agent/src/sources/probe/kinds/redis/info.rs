//! What a Redis server says of itself, as values (redis.io, "INFO").
//!
//! Owns that numbers are numbers, and that `db0:keys=1,expires=0` is an object.

use serde_json::{Map, Value as Json};

/// The most fields that are kept.
const MAX_FIELDS: usize = 2_000;

/// The fields of all sections.
pub(super) fn fields(text: &str) -> Json {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(':')).take(MAX_FIELDS);
    Json::Object(pairs.map(|(name, said)| (name.to_owned(), field(said))).collect())
}

fn field(said: &str) -> Json {
    let parts = said.split(',').map(|part| part.split_once('='));
    match parts.collect::<Option<Vec<_>>>() {
        Some(parts) => {
            let all: Map<String, Json> =
                parts.into_iter().map(|(name, said)| (name.to_owned(), value(said))).collect();
            Json::Object(all)
        }
        None => value(said),
    }
}

/// A number if it is written as one; else a text.
pub(super) fn value(said: &str) -> Json {
    if let Ok(whole) = said.parse::<i64>()
        && whole.to_string() == said
    {
        return Json::from(whole);
    }
    let is_plain = |c: char| c.is_ascii_digit() || "-.".contains(c);
    match said.parse::<f64>() {
        Ok(number) if said.contains('.') && said.chars().all(is_plain) => Json::from(number),
        _ => Json::from(said),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_numbers_and_the_rest_is_text() {
        let text = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:12\r\nmem_ratio:1.25\r\nrole:master\r\n\
                    run_id:0123\r\nempty:\r\n\r\n# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\nnonsense\r\n";
        assert_eq!(
            fields(text),
            json!({
                "redis_version": "7.0.15", "uptime_in_seconds": 12, "mem_ratio": 1.25, "role": "master",
                "run_id": "0123", "empty": "", "db0": {"keys": 2, "expires": 0, "avg_ttl": 0},
            })
        );
    }
}

//! The form of what is published: kinds, properties, headers.
//!
//! Owns what both ends must agree on besides the body. Reads what others wrote with suspicion: whoever may publish to our
//! exchange can send anything.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// What every message of ours says it is.
pub const CONTENT_TYPE: &str = "application/x-watchkeeper+protobuf";
/// The version of this form. A reader refuses a newer one.
pub const WIRE: u32 = 1;
/// The largest body; whatever is larger is refused before it is looked into.
pub const MAX_BODY_BYTES: usize = 2 << 20;

const HEADER_WIRE: &str = "x-watchkeeper-wire";
/// How long a message that is only about now may wait, in ms.
const BRIEFLY_MS: &str = "10000";
/// A beat says what time it is: one that waited would look like a clock that is wrong. Below what counts as wrong, 2 s.
const BEAT_MS: &str = "1500";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// An agent asks whether a collector listens.
    Ping,
    /// An agent's first word.
    Hello,
    /// Counts or events.
    Batch,
    /// An agent lives.
    Beat,
    /// An agent leaves.
    Bye,
    /// A collector's answer.
    Answer,
    /// A collector refuses an agent, in words.
    Refusal,
}

impl MessageKind {
    const ALL: [Self; 7] =
        [Self::Ping, Self::Hello, Self::Batch, Self::Beat, Self::Bye, Self::Answer, Self::Refusal];

    /// Its word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Hello => "hello",
            Self::Batch => "batch",
            Self::Beat => "beat",
            Self::Bye => "bye",
            Self::Answer => "answer",
            Self::Refusal => "refusal",
        }
    }
}

/// Properties of a message of ours; `headers` are added to those that all have.
pub fn properties(kind: MessageKind, headers: &[(&str, &str)]) -> BasicProperties {
    let mut table = FieldTable::default();
    table.insert(HEADER_WIRE.into(), AMQPValue::LongUInt(WIRE));
    for (name, value) in headers {
        // Text of any length: what tracing tools look for.
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_type(kind.as_str().into())
        .with_app_id("watchkeeper".into())
        .with_headers(table);
    match kind {
        MessageKind::Batch => properties.with_delivery_mode(2),
        MessageKind::Beat => properties.with_delivery_mode(1).with_expiration(BEAT_MS.into()),
        _ => properties.with_delivery_mode(1).with_expiration(BRIEFLY_MS.into()),
    }
}

/// Why a message is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// Another program's, or nothing.
    #[error("{0}")]
    Foreign(String),
    /// Of a version that does not exist yet here.
    #[error("form {0} of a message is newer than this collector")]
    Newer(u64),
}

/// What kind of message this is, by its properties and size.
///
/// # Errors
/// Why it is none of ours.
pub fn read_kind(properties: &BasicProperties, n_bytes: usize) -> Result<MessageKind, Odd> {
    let foreign = |text: String| Err(Odd::Foreign(text));
    match properties.content_type().as_ref().map(ShortString::as_str) {
        Some(CONTENT_TYPE) => {}
        Some(other) => return foreign(format!("its content type is {}", shown(other))),
        None => return foreign("it has no content type".to_owned()),
    }
    match properties.headers().as_ref().and_then(|h| number(h, HEADER_WIRE)) {
        Some(n) if n == u64::from(WIRE) => {}
        Some(n) if n > u64::from(WIRE) => return Err(Odd::Newer(n)),
        _ => return foreign(format!("it has no header {HEADER_WIRE} of a known version")),
    }
    let word = properties.kind().as_ref().map_or("", ShortString::as_str);
    let Some(kind) = MessageKind::ALL.into_iter().find(|k| k.as_str() == word) else {
        return foreign(format!("its type is {}", shown(word)));
    };
    if n_bytes > MAX_BODY_BYTES {
        return foreign(format!("it has {n_bytes} bytes, and at most {MAX_BODY_BYTES} are ours"));
    }
    if n_bytes == 0 && kind != MessageKind::Ping {
        return foreign("it is empty".to_owned());
    }
    Ok(kind)
}

/// A header's text, however it was written.
pub fn read_text(properties: &BasicProperties, name: &str) -> Option<String> {
    let bytes = match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => text.as_bytes().to_vec(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes().to_vec(),
        AMQPValue::ByteArray(bytes) => bytes.as_slice().to_vec(),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

fn number(headers: &FieldTable, name: &str) -> Option<u64> {
    match headers.inner().get(name)? {
        AMQPValue::LongUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// Text of others, short and on one line.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_type(properties: BasicProperties, word: &str) -> BasicProperties {
        properties.with_type(word.into())
    }

    #[test]
    fn every_kind_is_recognised_again() {
        for kind in MessageKind::ALL {
            assert_eq!(read_kind(&properties(kind, &[]), 1), Ok(kind));
        }
        let ours = properties(MessageKind::Batch, &[("agent", "web-1")]);
        assert_eq!(read_text(&ours, "agent").as_deref(), Some("web-1"));
        assert_eq!(*ours.delivery_mode(), Some(2));
        assert_eq!(*properties(MessageKind::Beat, &[]).delivery_mode(), Some(1));
    }

    #[test]
    fn messages_of_others_are_told_apart() {
        let ours = || properties(MessageKind::Batch, &[]);
        for (properties, n_bytes, said) in [
            (BasicProperties::default(), 5, "no content type"),
            (ours().with_content_type("application/json".into()), 5, "application/json"),
            (ours().with_headers(FieldTable::default()), 5, "no header"),
            (with_type(ours(), "order"), 5, "its type is \"order\""),
            (ours(), 0, "empty"),
            (ours(), MAX_BODY_BYTES + 1, "2097153 bytes"),
        ] {
            let odd = read_kind(&properties, n_bytes).expect_err(said).to_string();
            assert!(odd.contains(said), "{odd}");
        }
    }

    #[test]
    fn a_newer_form_is_not_taken_for_another_programs() {
        let mut table = FieldTable::default();
        table.insert(HEADER_WIRE.into(), AMQPValue::LongInt(7));
        let newer = properties(MessageKind::Batch, &[]).with_headers(table);
        assert_eq!(read_kind(&newer, 5), Err(Odd::Newer(7)));
    }

    #[test]
    fn headers_are_read_as_text_or_bytes() {
        let mut table = FieldTable::default();
        table.insert("a".into(), AMQPValue::ByteArray(b"x".to_vec().into()));
        table.insert("b".into(), AMQPValue::ShortString("y".into()));
        table.insert("c".into(), AMQPValue::Boolean(true));
        let properties = BasicProperties::default().with_headers(table);
        assert_eq!(read_text(&properties, "a").as_deref(), Some("x"));
        assert_eq!(read_text(&properties, "b").as_deref(), Some("y"));
        assert_eq!(read_text(&properties, "c"), None);
    }
}

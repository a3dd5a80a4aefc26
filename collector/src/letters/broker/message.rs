//! One message of the queue as a letter: whose it is, why it is there, since when.
//!
//! Owns reading it with suspicion: whoever may publish to our exchange can send anything. Never judges whether it counts;
//! that is the intake's business.

use prost::Message as _;
use watchkeeper_amqp::lapin::BasicProperties;
use watchkeeper_amqp::lapin::message::Delivery;
use watchkeeper_amqp::lapin::types::{AMQPValue, FieldTable, ShortString};
use watchkeeper_amqp::{MessageKind, Odd, read_kind, read_text};
use watchkeeper_model::{AgentId, Digest, Timestamp};
use watchkeeper_proto::v1;
use watchkeeper_proto::v1::to_collector;

use crate::intake::amqp::parked;
use crate::letters::letter::Letter;
use crate::wire;

/// What ids of its letters begin with.
pub(super) const NAME: &str = "broker";
/// So much is shown of a text of others.
const MAX_TEXT_CHARS: usize = 500;
/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Why a message can't be offered to the intake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoBatch {
    /// Of a form that a newer collector may read.
    Newer(String),
    /// It never will be one.
    Never(String),
}

/// The batch in a message, and which agent sent it.
///
/// # Errors
/// Why there is none.
pub(super) fn batch_of(
    properties: &BasicProperties,
    data: &[u8],
) -> Result<(String, v1::Batch), NoBatch> {
    let never = |why: &str| NoBatch::Never(why.to_owned());
    let kind = read_kind(properties, data.len()).map_err(|odd| match odd {
        Odd::Newer(_) => NoBatch::Newer(format!("{odd}: upgrade the collector")),
        Odd::Foreign(why) => NoBatch::Never(why),
    })?;
    if kind != MessageKind::Batch {
        return Err(never("it is no batch: there is nothing to count"));
    }
    if number(properties, parked::BYTES).is_some_and(|n| n > data.len() as u64) {
        return Err(never("only its beginning was kept"));
    }
    let message = v1::ToCollector::decode(data);
    let Ok(v1::ToCollector { message: Some(to_collector::Message::Batch(batch)) }) = message else {
        return Err(never("its body is no batch"));
    };
    let agent = read_text(properties, "agent");
    Ok((agent.ok_or_else(|| never("it does not say which agent sent it"))?, batch))
}

/// The message as a letter, and its number, which is the same whenever it is looked at.
pub(super) fn letter_of(delivery: &Delivery) -> (u64, Letter) {
    let (properties, data) = (&delivery.properties, &delivery.data[..]);
    let found = batch_of(properties, data);
    let known = found.as_ref().ok().and_then(|(agent, batch)| {
        let identity = wire::key_from_wire(&AgentId::new(agent.as_str()), batch).ok()?;
        Some((identity, batch))
    });
    let whole = read_text(properties, parked::DIGEST).map(|text| shown(&text));
    let mut letter = Letter {
        id: String::new(),
        place: NAME.to_owned(),
        agent: read_text(properties, "agent").map(|text| shown(&text)).unwrap_or_default(),
        epoch: String::new(),
        service: String::new(),
        kind: String::new(),
        seq: 0,
        digest: whole.unwrap_or_else(|| Digest::of(data).to_string()),
        reason: reason(properties),
        at: since(properties).map(Timestamp::rfc3339),
        bytes: number(properties, parked::BYTES).unwrap_or(data.len() as u64),
        copies: 1,
        retryable: found.is_ok(),
    };
    if let Some(((key, digest), batch)) = &known {
        let of_batch = Letter::of(String::new(), NAME, key, *digest, Timestamp(0));
        letter = Letter {
            reason: letter.reason,
            at: letter.at,
            bytes: batch.body.len() as u64,
            agent: shown(&of_batch.agent),
            ..of_batch
        };
    }
    let number = match &known {
        // Said when sending, and not part of the batch: how far the agent had come, and so the check over it.
        Some(((key, digest), batch)) => hash(&[
            key.to_string().as_bytes(),
            &digest.0,
            &Digest::of(&batch.body).0,
            &batch.format.to_be_bytes(),
        ]),
        None => hash(&[
            short(properties.content_type().as_ref()),
            short(properties.kind().as_ref()),
            short(properties.message_id().as_ref()),
            letter.digest.as_bytes(),
            &Digest::of(data).0,
        ]),
    };
    letter.id = format!("{NAME}-{number}");
    (number, letter)
}

fn short(text: Option<&ShortString>) -> &[u8] {
    text.map_or(&[], |text| text.as_str().as_bytes())
}

/// 64 bits that nobody has twice by chance.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut all = Vec::new();
    for part in parts {
        all.extend((part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    Digest::of(&all).0.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

/// Why it is there: as the intake said when it parked it, else as RabbitMQ says.
fn reason(properties: &BasicProperties) -> String {
    if let Some(said) = read_text(properties, parked::REASON) {
        let queue = read_text(properties, parked::QUEUE).unwrap_or_default();
        return shown(&format!("{said} (came by {queue})"));
    }
    let Some(death) = death(properties) else {
        return "nothing says why: somebody published it here".to_owned();
    };
    let text = |name: &str| match death.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        Some(AMQPValue::ShortString(text)) => text.as_str().to_owned(),
        _ => String::new(),
    };
    let (word, queue) = (text("reason"), text("queue"));
    let said = match word.as_str() {
        "delivery_limit" => format!(
            "RabbitMQ gave it up: it came back to queue {queue} more often than allowed, as it does when a collector dies with it"
        ),
        "rejected" => format!("somebody who read queue {queue} rejected it"),
        "expired" => format!("it waited longer than it may in queue {queue}"),
        "maxlen" => format!("there was no room for it in queue {queue}"),
        other => format!("RabbitMQ took it out of queue {queue}: {other}"),
    };
    let n_times = death.inner().get("count").and_then(whole);
    shown(&match n_times {
        Some(n) if n > 1 => format!("{said} ({n} times)"),
        _ => said,
    })
}

/// Since when it is there, if that is known.
fn since(properties: &BasicProperties) -> Option<Timestamp> {
    let parked = number(properties, parked::AT_MS).map(|ms| (ms / 1_000, ms % 1_000));
    let died = || match death(properties)?.inner().get("time")? {
        AMQPValue::Timestamp(secs) => Some((*secs, 0)),
        _ => None,
    };
    let (secs, ms) = parked.or_else(died).filter(|(secs, _)| *secs <= LAST_SECOND)?;
    let start = Timestamp::from_secs(i64::try_from(secs).ok()?);
    Some(start.shifted(i64::try_from(ms).ok()? * 1_000_000))
}

/// What RabbitMQ wrote last about its being a dead letter.
fn death(properties: &BasicProperties) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(all) = properties.headers().as_ref()?.inner().get("x-death")? else {
        return None;
    };
    match all.as_slice().first()? {
        AMQPValue::FieldTable(table) => Some(table),
        _ => None,
    }
}

fn number(properties: &BasicProperties, name: &str) -> Option<u64> {
    whole(properties.headers().as_ref()?.inner().get(name)?)
}

/// How often it was given out, as a quorum queue counts.
pub(super) fn n_deliveries(properties: &BasicProperties) -> u64 {
    number(properties, "x-delivery-count").unwrap_or(0)
}

fn whole(value: &AMQPValue) -> Option<u64> {
    match value {
        AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortUInt(n) => Some(u64::from(*n)),
        _ => None,
    }
}

/// Text of others: on one line, without what a terminal would obey, and not too long.
fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MAX_TEXT_CHARS).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use watchkeeper_amqp::properties;
    use watchkeeper_model::Digest;

    use super::*;

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn delivery(properties: BasicProperties, data: &[u8]) -> Delivery {
        let mut delivery = Delivery::mock(1, "x".into(), "windows".into(), false, data.to_vec());
        delivery.properties = properties;
        delivery
    }

    fn with(properties: BasicProperties, more: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut headers = properties.headers().clone().unwrap_or_default();
        for (name, value) in more {
            headers.insert((*name).into(), value.clone());
        }
        properties.with_headers(headers)
    }

    fn died(word: &str, count: i64, time: u64) -> (&'static str, AMQPValue) {
        let mut death = FieldTable::default();
        death.insert("reason".into(), text(word));
        death.insert("queue".into(), text("wk.windows"));
        death.insert("count".into(), AMQPValue::LongLongInt(count));
        death.insert("time".into(), AMQPValue::Timestamp(time));
        ("x-death", AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into()))
    }

    fn sealed(settled_below: u64, body: &[u8]) -> Vec<u8> {
        let batch = v1::Batch {
            epoch: Some(v1::Epoch { created_at_ns: 5, random: 6 }),
            service: "shop".into(),
            kind: v1::Kind::Windows.into(),
            seq: 7,
            digest: Digest::of(b"body").0.to_vec(),
            format: 1,
            settled_below,
            body: body.to_vec().into(),
            ..v1::Batch::default()
        };
        v1::ToCollector { message: Some(to_collector::Message::Batch(batch)) }.encode_to_vec()
    }

    fn ours() -> BasicProperties {
        properties(MessageKind::Batch, &[("agent", "web-1")])
    }

    #[test]
    fn a_batch_is_known_by_its_key_however_and_how_often_it_came() {
        let (number, letter) =
            letter_of(&delivery(with(ours(), &[died("expired", 1, 9)]), &sealed(1, b"body")));
        assert_eq!(
            (letter.agent.as_str(), letter.service.as_str(), letter.seq),
            ("web-1", "shop", 7)
        );
        assert_eq!((letter.kind.as_str(), letter.bytes, letter.retryable), ("windows", 4, true));
        assert_eq!((letter.place.as_str(), &letter.id), ("broker", &format!("broker-{number}")));
        assert_eq!(letter.at.as_deref(), Some("1970-01-01T00:00:09Z"));
        let number_of = |properties, data: &[u8]| letter_of(&delivery(properties, data)).0;
        let later = with(ours(), &[died("rejected", 3, 70)]);
        assert_eq!(number_of(later, &sealed(5, b"body")), number, "sent again, and given up again");
        let other = properties(MessageKind::Batch, &[("agent", "web-2")]);
        assert_ne!(number_of(other, &sealed(1, b"body")), number, "another agent's");
        assert_ne!(number_of(ours(), &sealed(1, b"bady")), number, "with a flipped bit");
    }

    #[test]
    fn a_message_of_others_is_known_by_what_it_says_and_brings() {
        let json = || BasicProperties::default().with_content_type("application/json".into());
        let number_of = |properties, data: &[u8]| letter_of(&delivery(properties, data)).0;
        let number = number_of(json(), b"{}");
        assert_eq!(number_of(with(json(), &[died("maxlen", 1, 1)]), b"{}"), number);
        for (sentence, properties, data) in [
            ("other content", json(), &b"[]"[..]),
            ("another type", json().with_type("x".into()), b"{}"),
            ("another id", json().with_message_id("x".into()), b"{}"),
            ("nothing said", BasicProperties::default(), b"{}"),
            (
                "the beginning of something larger",
                with(json(), &[(parked::DIGEST, text("ab"))]),
                b"{}",
            ),
        ] {
            assert_ne!(number_of(properties, data), number, "{sentence}");
        }
    }

    #[test]
    fn every_letter_says_why_it_is_there() {
        let parked = [
            (parked::REASON, text("it is \u{1b}[31mempty\n")),
            (parked::QUEUE, text("windows")),
            (parked::AT_MS, AMQPValue::LongLongInt(1_500)),
            (parked::BYTES, AMQPValue::LongLongInt(10 << 20)),
            (parked::DIGEST, text("abcd")),
        ];
        for (more, said, at) in [
            (
                &parked[..],
                "it is \u{fffd}[31mempty\u{fffd} (came by windows)",
                Some("1970-01-01T00:00:01.5Z"),
            ),
            (
                &[died("delivery_limit", 1, 3)],
                "came back to queue wk.windows more often than",
                Some("1970-01-01T00:00:03Z"),
            ),
            (
                &[died("rejected", 1, 3)],
                "who read queue wk.windows rejected it",
                Some("1970-01-01T00:00:03Z"),
            ),
            (
                &[died("expired", 4, u64::MAX)],
                "longer than it may in queue wk.windows (4 times)",
                None,
            ),
            (
                &[died("maxlen", -1, 0)],
                "no room for it in queue wk.windows",
                Some("1970-01-01T00:00:00Z"),
            ),
            (
                &[died("something new", 1, 0)],
                "out of queue wk.windows: something new",
                Some("1970-01-01T00:00:00Z"),
            ),
            (&[("x-death", text("no list"))], "nothing says why", None),
            (
                &[("x-death", AMQPValue::FieldArray(vec![text("no table")].into()))],
                "nothing says why",
                None,
            ),
            (&[], "nothing says why", None),
        ] {
            let letter = letter_of(&delivery(with(BasicProperties::default(), more), b"x")).1;
            assert!(letter.reason.contains(said), "{said}: {}", letter.reason);
            assert_eq!(letter.at.as_deref(), at, "{said}");
            assert!(!letter.retryable);
        }
        let (_, large) =
            letter_of(&delivery(with(BasicProperties::default(), &parked), b"beginning"));
        assert_eq!((large.bytes, large.digest.as_str()), (10 << 20, "abcd"));
        let long = [(parked::REASON, text(&"é".repeat(100_000)))];
        let (_, long) = letter_of(&delivery(with(BasicProperties::default(), &long), b""));
        assert!(long.reason.chars().count() <= MAX_TEXT_CHARS);
    }

    #[test]
    fn what_cannot_be_offered_says_why() {
        let newer = with(ours(), &[("x-watchkeeper-wire", AMQPValue::LongUInt(9))]);
        let cut = with(ours(), &[(parked::BYTES, AMQPValue::LongLongInt(3 << 20))]);
        let hello =
            v1::ToCollector { message: Some(to_collector::Message::Hello(v1::Hello::default())) };
        for (properties, data, is_newer, said) in [
            (newer, sealed(1, b"body"), true, "newer than this collector: upgrade"),
            (cut, sealed(1, b"body"), false, "only its beginning"),
            (BasicProperties::default(), sealed(1, b"body"), false, "no content type"),
            (properties(MessageKind::Batch, &[]), sealed(1, b"body"), false, "which agent sent it"),
            (properties(MessageKind::Hello, &[]), sealed(1, b"body"), false, "it is no batch"),
            (ours(), hello.encode_to_vec(), false, "its body is no batch"),
            (ours(), vec![0xff; 9], false, "its body is no batch"),
            (ours(), Vec::new(), false, "it is empty"),
        ] {
            let why = batch_of(&properties, &data).expect_err(said);
            let (NoBatch::Newer(text) | NoBatch::Never(text)) = &why;
            assert!(text.contains(said), "{said}: {text}");
            assert_eq!(matches!(why, NoBatch::Newer(_)), is_newer, "{said}");
        }
        let (agent, batch) = batch_of(&ours(), &sealed(1, b"body")).unwrap();
        assert_eq!((agent.as_str(), batch.seq), ("web-1", 7));
    }
}

//! What of an event's body may leave the host, and how much of it.
//!
//! Owns the limits of message, ids and fields, which together stay within 256 KiB, and that nothing is cut before it is
//! redacted: half of a token is still a secret, and no longer looks like one. Never decides what becomes an event.

use watchkeeper_model::Event;

use super::redact::Redactor;

/// The whole body.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// What a person reads first.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// How much of a line stands for a message if there is none.
const MAX_LINE_AS_MESSAGE_BYTES: usize = 512;
/// An id.
const MAX_ID_BYTES: usize = 1024;
/// Time, name, source and the like.
const HEADROOM_BYTES: usize = 4 * 1024;
/// What is left of the body.
const MAX_FIELDS_BYTES: usize =
    MAX_BODY_BYTES - MAX_MESSAGE_BYTES - 2 * MAX_ID_BYTES - HEADROOM_BYTES;

/// Where an event's message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageIs {
    /// Somebody wrote it as one.
    Said,
    /// It is the line, of which the fields hold everything: its beginning will do.
    TheLine,
}

/// Takes out what must not leave the host, cuts what is too long and says so. Also says how much was taken out.
pub(super) fn made_fit(mut event: Event, message: MessageIs, redactor: &Redactor) -> (Event, u64) {
    let mut n_redacted = 0;
    let mut fit = |text: &mut String, max: usize| {
        let mut is_cut = text.len() > max;
        if let Some((redacted, n)) = redactor.redact_head(text, max) {
            *text = redacted;
            n_redacted += n;
        }
        is_cut |= text.len() > max;
        text.truncate(text.floor_char_boundary(max));
        if is_cut {
            // What was cut off must not stay in memory until the seal.
            text.shrink_to_fit();
        }
        is_cut
    };
    let mut is_cut = match message {
        MessageIs::Said => fit(&mut event.message, MAX_MESSAGE_BYTES),
        MessageIs::TheLine => {
            fit(&mut event.message, MAX_LINE_AS_MESSAGE_BYTES);
            false
        }
    };
    is_cut |= fit(&mut event.correlation, MAX_ID_BYTES);
    // Some trace ids are long decimal numbers: one in a hundred would pass for that of a card.
    if !event.trace.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        is_cut |= fit(&mut event.trace, MAX_ID_BYTES);
    }
    is_cut |= fit(&mut event.fields, MAX_FIELDS_BYTES);
    event.trace.truncate(MAX_ID_BYTES);
    event.truncated |= is_cut;
    (event, n_redacted)
}

/// About how much memory an event takes.
pub(super) fn held_bytes(event: &Event) -> usize {
    let texts = [&event.message, &event.correlation, &event.trace, &event.fields];
    size_of::<Event>() + texts.into_iter().map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::{Severity, Timestamp};

    fn event(message: &str, fields: &str) -> Event {
        Event {
            at: Timestamp(0),
            source: "s".into(),
            name: "error".into(),
            severity: Severity::Error,
            message: message.into(),
            correlation: "c".into(),
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            fields: fields.into(),
            truncated: false,
        }
    }

    fn fit(event: &Event, message: MessageIs) -> (Event, u64) {
        made_fit(event.clone(), message, &Redactor::default())
    }

    #[test]
    fn a_body_is_cut_between_characters_and_says_so() {
        let long = event(&"é".repeat(200_000), &"ü".repeat(200_000));
        let (cut, n) = fit(&long, MessageIs::Said);
        assert!(cut.truncated && n == 0);
        assert!(cut.message.len() + cut.fields.len() + cut.correlation.len() <= MAX_BODY_BYTES);
        assert!(cut.fields.len() > 200_000);
        let short = event("m", "{}");
        assert_eq!(fit(&short, MessageIs::Said), (short, 0));
        let ids =
            Event { trace: "0".repeat(5_000), correlation: "x".repeat(5_000), ..event("m", "{}") };
        let (cut, _) = fit(&ids, MessageIs::Said);
        assert_eq!((cut.trace.len(), cut.correlation.len()), (MAX_ID_BYTES, MAX_ID_BYTES));
    }

    #[test]
    fn a_line_as_message_is_no_cut_body() {
        let line = format!(r#"{{"mail":"bob@example.com","a":"{}"}}"#, "x".repeat(600));
        let (cut, n) = fit(&event(&line, &line), MessageIs::TheLine);
        assert!(!cut.truncated && n == 2 && cut.message.len() <= MAX_LINE_AS_MESSAGE_BYTES);
        assert!(cut.message.starts_with(r#"{"mail":"[email]","a":"xx"#), "{}", cut.message);
    }

    #[test]
    fn every_text_is_redacted_before_it_is_cut() {
        let secret = "Bearer 0123456789abcdef";
        for room in 0..secret.len() {
            let before = |max: usize| "x ".repeat((max - room) / 2);
            let texts = [MAX_MESSAGE_BYTES, MAX_ID_BYTES, MAX_ID_BYTES, MAX_FIELDS_BYTES]
                .map(|max| format!("{}{secret} and more", before(max)));
            let [message, correlation, trace, fields] = texts;
            let event = Event { correlation, trace, ..event(&message, &fields) };
            let (event, n) = fit(&event, MessageIs::Said);
            for text in [&event.message, &event.correlation, &event.trace, &event.fields] {
                assert!(!text.contains("012"), "{room}: {}", &text[text.len() - 40..]);
            }
            assert!(event.truncated && (n == 4 || room < 9), "{room}: {n}");
        }
    }

    #[test]
    fn an_id_of_digits_is_no_card() {
        let event = Event { trace: "4111111111111111".into(), ..event("m", "{}") };
        let (kept, n) = fit(&event, MessageIs::Said);
        assert_eq!((kept.trace.as_str(), n), ("4111111111111111", 0));
    }
}

//! Keeping an event's body within its bounds.
//!
//! Owns the limits of message, correlation and fields, which together stay within 256 KiB. Never decides what becomes
//! an event.

use watchkeeper_model::Event;

/// The whole body.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// What a person reads first.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// An id.
const MAX_CORRELATION_BYTES: usize = 1024;
/// Time, name, source and the like.
const HEADROOM_BYTES: usize = 4 * 1024;

/// The longest head of `text` that has at most `max` bytes and ends between characters.
pub(super) fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Cuts what is too long and says so.
pub(super) fn bounded(mut event: Event) -> Event {
    let mut cut = false;
    for (text, max) in [
        (&mut event.message, MAX_MESSAGE_BYTES),
        (&mut event.correlation, MAX_CORRELATION_BYTES),
        (
            &mut event.fields,
            MAX_BODY_BYTES - MAX_MESSAGE_BYTES - MAX_CORRELATION_BYTES - HEADROOM_BYTES,
        ),
    ] {
        if text.len() > max {
            text.truncate(head(text, max).len());
            cut = true;
        }
    }
    event.truncated |= cut;
    event
}

/// About how much memory an event takes.
pub(super) fn held_bytes(event: &Event) -> usize {
    size_of::<Event>() + event.message.len() + event.correlation.len() + event.fields.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::{Severity, Timestamp};

    #[test]
    fn a_body_is_cut_between_characters_and_says_so() {
        let event = Event {
            at: Timestamp(0),
            source: "s".into(),
            name: "error".into(),
            severity: Severity::Error,
            message: "é".repeat(200_000),
            correlation: "c".into(),
            fields: "ü".repeat(200_000),
            truncated: false,
        };
        let cut = bounded(event.clone());
        assert!(cut.truncated);
        assert!(cut.message.len() + cut.fields.len() + cut.correlation.len() <= MAX_BODY_BYTES);
        assert!(cut.fields.len() > 200_000);
        let short = Event { message: "m".into(), fields: "{}".into(), ..event };
        assert_eq!(bounded(short.clone()), short);
    }
}

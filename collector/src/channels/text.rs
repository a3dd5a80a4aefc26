//! Words and numbers for people, and the cutting of what others wrote.
//!
//! Owns how spans, burn rates, shares and counts read, and that foreign text is bounded and without control
//! characters. Never escapes for a channel: each has its own rules.

use std::time::Duration;

use watchkeeper_collector_core::notify::{Notification, SloFacts};
use watchkeeper_collector_core::slo::budget_words;
use watchkeeper_model::readable::is_hidden;
use watchkeeper_model::{Timestamp, readable};

pub(crate) use watchkeeper_model::readable::count;

/// A span in its two largest units: `45s`, `4m 12s`, `2h 5m`, `3d 4h`. Below a second in milliseconds.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        0 if !span.is_zero() => format!("{}ms", span.as_millis().max(1)),
        _ => readable::span(span),
    }
}

/// A burn rate: `21.3x`, `0.4x`, `143x`; bounded, whatever arithmetic made of it.
pub(crate) fn factor(burn: f64) -> String {
    let burn = burn.clamp(0.0, 99_999.0);
    if burn >= 100.0 { format!("{burn:.0}x") } else { format!("{burn:.1}x") }
}

/// A share of 1 in percent, as exact as it is worth: `87.4%`, `99.95%`, `-12.0%`.
pub(crate) fn percent(share: f64) -> String {
    let percent = (share * 100.0).clamp(-99_999.0, 99_999.0);
    if percent > 99.0 && percent < 100.0 {
        format!("{percent:.2}%")
    } else {
        format!("{percent:.1}%")
    }
}

/// Foreign text on one line: whitespace runs become one space, control characters and marks that turn the reading
/// direction are left out, and it ends with `…` after `max_chars`.
pub(crate) fn line(text: &str, max_chars: usize) -> String {
    cut(text, max_chars, false)
}

/// Foreign text with its line breaks kept, otherwise as [`line`]; at most two in a row.
pub(crate) fn paragraph(text: &str, max_chars: usize) -> String {
    cut(text, max_chars, true)
}

fn cut(text: &str, max_chars: usize, keep_breaks: bool) -> String {
    let mut kept = String::new();
    let (mut n_chars, mut gap, mut n_breaks) = (0, false, 0);
    for c in text.chars() {
        if c == '\n' && keep_breaks {
            n_breaks += 1;
            continue;
        }
        if c.is_whitespace() || is_hidden(c) {
            gap |= c.is_whitespace() || c.is_control();
            continue;
        }
        let lead = match (n_chars, n_breaks, gap) {
            (0, ..) | (_, 0, false) => "",
            (_, 0, true) => " ",
            (_, 1, _) => "\n",
            _ => "\n\n",
        };
        (gap, n_breaks) = (false, 0);
        if n_chars + lead.len() + 1 > max_chars {
            pop_to(&mut kept, max_chars.saturating_sub(1));
            kept.push('…');
            return kept;
        }
        kept.push_str(lead);
        kept.push(c);
        n_chars += lead.len() + 1;
    }
    kept
}

/// Shortens to `max_chars` characters.
fn pop_to(text: &mut String, max_chars: usize) {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
}

/// `incident 12 at chat`; `chat` for what belongs to no incident.
pub(crate) fn whereabouts(told: &Notification) -> String {
    let receiver = line(&told.receiver, 60);
    match told.incident {
        0 => receiver,
        n => format!("incident {n} at {receiver}"),
    }
}

/// What is left of an error budget: `87.4%`; `none: 12.5% overspent`, `none: spent 110 times over`. Nothing where that is
/// not known.
pub(crate) fn budget_left(remaining: f64) -> Option<String> {
    match remaining {
        left if !left.is_finite() => None,
        left if left > 0.0 => Some(percent(left)),
        0.0 => Some("none".to_owned()),
        gone => Some(format!("none: {}", budget_words(gone).replace(" %", "%"))),
    }
}

/// The same with the window, and while it burns until when it lasts, by `moment`:
/// `87.4% of 30d, gone in 3h 12m at this rate (21:19 UTC)`; nothing where nothing is known.
pub(crate) fn budget(
    slo: &SloFacts,
    is_firing: bool,
    now: Timestamp,
    window: &str,
    moment: impl Fn(Timestamp) -> String,
) -> String {
    let Some(left) = budget_left(slo.budget_remaining) else {
        return String::new();
    };
    let left = match left.strip_prefix("none") {
        Some(overspent) => format!("none of {window}{overspent}"),
        None => format!("{left} of {window}"),
    };
    match slo.exhausts_at.filter(|at| is_firing && *at > now && slo.budget_remaining > 0.0) {
        Some(at) => {
            format!("{left}, gone in {} at this rate ({})", span(at.since(now)), moment(at))
        }
        None => left,
    }
}

/// `21.3x over 5m, 18.9x over 1h`.
pub(crate) fn burn(slo: &SloFacts) -> String {
    let rates = slo.burn.iter().filter(|(_, rate)| rate.is_finite()).take(6);
    let parts: Vec<String> =
        rates.map(|(window, rate)| format!("{} over {}", factor(*rate), span(*window))).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_gone_is_no_negative_number() {
        for (remaining, left) in [
            (0.874, Some("87.4%")),
            (0.0, Some("none")),
            (-0.125, Some("none: 12.5% overspent")),
            (-110.11, Some("none: spent 111 times over")),
            (f64::NAN, None),
        ] {
            assert_eq!(budget_left(remaining).as_deref(), left, "{remaining}");
        }
    }

    #[test]
    fn what_took_no_second_still_took_something() {
        for (ms, text) in
            [(0, "0s"), (250, "250ms"), (999, "999ms"), (45_000, "45s"), (252_000, "4m 12s")]
        {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        assert_eq!(span(Duration::from_nanos(1)), "1ms");
    }

    #[test]
    fn numbers_are_as_exact_as_they_are_worth() {
        assert_eq!([factor(21.34), factor(0.4), factor(142.9)], ["21.3x", "0.4x", "143x"]);
        assert_eq!(
            [percent(0.874), percent(0.9995), percent(-0.12)],
            ["87.4%", "99.95%", "-12.0%"]
        );
    }

    #[test]
    fn foreign_text_is_bounded_and_harmless() {
        for (text, max, want) in [
            ("a\tb\r\n  c", 99, "a b c"),
            ("a\u{0}\u{1b}[31mred", 99, "a [31mred"),
            ("left\u{202e}right", 99, "leftright"),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("äöüßé", 3, "äö…"),
            ("", 3, ""),
            ("   ", 3, ""),
        ] {
            assert_eq!(line(text, max), want, "{text:?}");
        }
        assert_eq!(paragraph("one\r\n\n\n\ntwo\nthree\n", 99), "one\n\ntwo\nthree");
    }
}

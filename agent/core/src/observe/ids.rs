//! The ids that tie events together, where the configuration names no field for them.
//!
//! Owns which fields are tried and what a W3C `traceparent` says. They are looked for in lines that become events and in
//! no others: a second look at a few lines costs less than a dozen more wanted fields on every line.

use super::fields::Fields;
use super::parser::{Format, Parser};
use super::slots::Slots;

/// Where the id of a request is looked for.
const CORRELATION: [&str; 4] = ["correlation_id", "request_id", "requestId", "x_request_id"];

/// Where the id of a trace is looked for: OpenTelemetry's names, those of its older bridges, W3C's header, Datadog's.
const TRACE: [&str; 6] =
    ["trace_id", "traceId", "trace.id", TRACEPARENT, "dd.trace_id", "otelTraceID"];

const TRACEPARENT: &str = "traceparent";

/// Looks for ids in one line after another.
#[derive(Debug)]
pub(super) struct IdFinder {
    parser: Parser,
    correlation: Vec<usize>,
    trace: Vec<(usize, bool)>,
}

/// What was found in a line; "" if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) correlation: String,
    pub(super) trace: String,
}

impl IdFinder {
    pub(super) fn new(format: &Format) -> Self {
        let mut slots = Slots::default();
        let correlation = CORRELATION.map(|field| slots.slot(field)).to_vec();
        let trace = TRACE.map(|field| (slots.slot(field), field == TRACEPARENT)).to_vec();
        Self { parser: Parser::new(format, slots), correlation, trace }
    }

    /// The first of each that the line has.
    pub(super) fn find(&mut self, line: &str) -> Ids {
        let Ok(fields) = self.parser.read(line) else { return Ids::default() };
        let text = |slot| fields.get(slot).as_label();
        let correlation = self.correlation.iter().map(|&slot| text(slot)).find(|id| !id.is_empty());
        let trace = self.trace.iter().filter_map(|&(slot, is_header)| match is_header {
            true => trace_of_parent(text(slot)),
            false => trace_id(text(slot)),
        });
        Ids {
            correlation: correlation.unwrap_or_default().to_owned(),
            trace: trace.into_iter().next().unwrap_or_default().to_owned(),
        }
    }
}

/// The id of a trace in a field that the configuration names.
pub(super) fn trace_in<'a>(fields: &Fields<'a>, slot: usize) -> &'a str {
    trace_id(fields.get(slot).as_label()).unwrap_or_default()
}

/// The id in a field that holds one, or a `traceparent`. All zeros say that there is no trace.
fn trace_id(text: &str) -> Option<&str> {
    let id = trace_of_parent(text).unwrap_or(text);
    (!id.bytes().all(|b| matches!(b, b'0' | b'-'))).then_some(id)
}

/// The trace's id in a `traceparent`, as of W3C Trace Context, section 3.2.2: `00-<32 hex>-<16 hex>-<2 hex>`. Later
/// versions may have more behind that; version `ff` is none.
fn trace_of_parent(text: &str) -> Option<&str> {
    let mut parts = text.splitn(5, '-');
    let mut hex = |n: usize| {
        let part = parts.next()?;
        (part.len() == n && part.bytes().all(|b| b.is_ascii_hexdigit())).then_some(part)
    };
    let (version, trace) = (hex(2)?, hex(32)?);
    let (parent, _flags) = (hex(16)?, hex(2)?);
    let is_known = match version {
        "00" => parts.next().is_none(),
        other => !other.eq_ignore_ascii_case("ff"),
    };
    let is_zero = |id: &str| id.bytes().all(|b| b == b'0');
    (is_known && !is_zero(trace) && !is_zero(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_first_field_that_is_there_holds() {
        let mut finder = IdFinder::new(&Format::Json);
        let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
        for (line, correlation, trace) in [
            ("{}".to_owned(), "", ""),
            (
                r#"{"requestId":"r","request_id":7,"traceId":"b","trace_id":"a"}"#.to_owned(),
                "7",
                "a",
            ),
            (r#"{"x_request_id":"x","request_id":"","trace.id":"c"}"#.to_owned(), "x", "c"),
            (
                r#"{"correlation_id":"k","trace":{"id":"d"},"dd":{"trace_id":12}}"#.to_owned(),
                "k",
                "d",
            ),
            (r#"{"dd.trace_id":"12","otelTraceID":"e"}"#.to_owned(), "", "12"),
            (r#"{"otelTraceID":"e","request_id":null,"requestId":{"a":1}}"#.to_owned(), "", "e"),
            (format!(r#"{{"traceparent":"{parent}","otelTraceID":"e"}}"#), "", TRACE_ID),
            (format!(r#"{{"trace_id":"{parent}"}}"#), "", TRACE_ID),
            (r#"{"traceparent":"nonsense","otelTraceID":"e"}"#.to_owned(), "", "e"),
            (
                r#"{"trace_id":"00000000000000000000000000000000","otelTraceID":"0"}"#.to_owned(),
                "",
                "",
            ),
            (r#"{"trace_id":"0","traceId":"b"}"#.to_owned(), "", "b"),
            ("no line".to_owned(), "", ""),
        ] {
            let expected = Ids { correlation: correlation.to_owned(), trace: trace.to_owned() };
            assert_eq!(finder.find(&line), expected, "{line}");
        }
    }

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let parent = "00f067aa0ba902b7";
        for (text, is_one) in [
            (format!("00-{TRACE_ID}-{parent}-01"), true),
            (format!("00-{TRACE_ID}-{parent}-01-more"), false),
            (format!("cc-{TRACE_ID}-{parent}-01-more"), true),
            (format!("cc-{TRACE_ID}-{parent}-01"), true),
            (format!("cc-{TRACE_ID}-{parent}-01.more"), false),
            (format!("ff-{TRACE_ID}-{parent}-01"), false),
            (format!("00-{}-{parent}-01", "0".repeat(32)), false),
            (format!("00-{TRACE_ID}-{}-01", "0".repeat(16)), false),
            (format!("00-{TRACE_ID}-{parent}"), false),
            (format!("0-{TRACE_ID}-{parent}-01"), false),
            (format!("00-{}-{parent}-01", &TRACE_ID[1..]), false),
            (format!("00-{}-{parent}-01", "g".repeat(32)), false),
            (String::new(), false),
        ] {
            assert_eq!(trace_of_parent(&text), is_one.then_some(TRACE_ID), "{text}");
        }
    }
}

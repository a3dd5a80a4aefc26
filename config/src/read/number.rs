//! Numbers and measures: durations, sizes, and values whose dimension the signal decides.
//!
//! Owns the grammar of sizes and quantities. Never goes through floating point where base units are whole.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use watchkeeper_expr::duration as span;
use watchkeeper_model::{Decimal, Dimension, Unit};

use crate::format;
use crate::node::{Content, Node, Plain, Style};
use crate::read::text::{expand, quoted, string};
use crate::reader::Reader;

/// `true` or `false`.
pub fn bool(node: &Node, reader: &mut Reader<'_>) -> Option<bool> {
    if let Some(Plain::Bool(value)) = node.plain() {
        return Some(value);
    }
    let help = match node.as_scalar() {
        Some("true" | "yes" | "on" | "Yes" | "On") => "write true, without quotes",
        Some("false" | "no" | "off" | "No" | "Off") => "write false, without quotes",
        _ => "",
    };
    reader.error(&node.place, format!("true or false is needed, not {}", told(node))).help(help);
    None
}

/// A whole number in a range.
pub fn integer(range: RangeInclusive<i64>) -> impl Fn(&Node, &mut Reader<'_>) -> Option<i64> {
    move |node, reader| {
        let text = number_text(node, "a whole number", reader)?;
        match text.parse::<i64>() {
            Ok(number) => in_range(number, &range, i64::to_string, node, reader),
            Err(_) => {
                reader.error(&node.place, format!("a whole number is needed, not {}", told(node)));
                None
            }
        }
    }
}

/// A number in a range.
pub fn float(range: RangeInclusive<f64>) -> impl Fn(&Node, &mut Reader<'_>) -> Option<f64> {
    move |node, reader| {
        let text = number_text(node, "a number", reader)?;
        match Decimal::parse(&text) {
            Some(number) => in_range(number.to_f64(), &range, f64::to_string, node, reader),
            None => {
                reader.error(&node.place, format!("a number is needed, not {}", told(node)));
                None
            }
        }
    }
}

/// The text of a plain scalar, variables expanded: `${PORT}` may be a number.
fn number_text(node: &Node, needed: &str, reader: &mut Reader<'_>) -> Option<String> {
    match &node.content {
        Content::Scalar { text, style: Style::Plain } if !node.is_null() => {
            expand(text, node, reader)
        }
        Content::Scalar { text, style: Style::Quoted } if text.contains("${") => {
            expand(text, node, reader)
        }
        _ => {
            let number = matches!(&node.content, Content::Scalar { text, .. }
                if Decimal::parse(text).is_some());
            let help = if number { "leave out the quotes" } else { "" };
            reader.error(&node.place, format!("{needed} is needed, not {}", told(node))).help(help);
            None
        }
    }
}

fn in_range<T: PartialOrd + Display>(
    value: T,
    range: &RangeInclusive<T>,
    written: impl Fn(&T) -> String,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<T> {
    if range.contains(&value) {
        return Some(value);
    }
    let (low, high) = (written(range.start()), written(range.end()));
    reader
        .error(&node.place, format!("{} is out of range", quoted(node)))
        .help(format!("between {low} and {high}"));
    None
}

/// A scalar by what it says, anything else by what it is.
fn told(node: &Node) -> String {
    if node.as_scalar().is_some() && !node.is_null() {
        quoted(node)
    } else {
        node.noun().to_owned()
    }
}

/// A duration: a sum of `ms s m h d w` such as `1h30m`.
pub fn duration(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    if !matches!(node.content, Content::Scalar { .. }) || node.is_null() {
        reader
            .error(&node.place, format!("a duration is needed, not {}", node.noun()))
            .help("such as 250ms, 10s, 1h30m");
        return None;
    }
    let text = string(node, reader)?;
    match span::parse(&text) {
        Ok(nanos) => Some(Duration::from_nanos(nanos.unsigned_abs())),
        Err(error) => {
            let help = match error {
                span::DurationError::NoUnit => {
                    format!("write {text}s for seconds, or another of ms s m h d w")
                }
                _ => {
                    "a sum of numbers with units ms s m h d w, such as 250ms, 10s, 1h30m".to_owned()
                }
            };
            let message = format!("{} is no duration: {error}", quoted(node));
            reader.error(&node.place, message).help(help);
            None
        }
    }
}

/// A duration in a range.
pub fn duration_in(
    range: RangeInclusive<Duration>,
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Duration> {
    move |node, reader| {
        let value = duration(node, reader)?;
        if range.contains(&value) {
            return Some(value);
        }
        let (low, high) = (format::duration(*range.start()), format::duration(*range.end()));
        reader
            .error(&node.place, format!("{} is out of range", quoted(node)))
            .help(format!("between {low} and {high}"));
        None
    }
}

/// A size in bytes: `64MiB`, `1.5GB`, `512B`.
pub fn size(node: &Node, reader: &mut Reader<'_>) -> Option<u64> {
    let text = match node.as_scalar() {
        Some(_) if !node.is_null() => string(node, reader)?,
        _ => {
            reader
                .error(&node.place, format!("a size is needed, not {}", node.noun()))
                .help("such as 64MiB, 1GB, 512B");
            return None;
        }
    };
    let size = parse_size(&text).and_then(|bytes| u64::try_from(bytes).ok());
    if size.is_none() {
        let help = match Decimal::parse(&text) {
            Some(_) => format!("write {text}B for bytes, or another of KB MB GB KiB MiB GiB"),
            None => "a number and one of B KB MB GB KiB MiB GiB, such as 64MiB".to_owned(),
        };
        reader.error(&node.place, format!("{} is no size", quoted(node))).help(help);
    }
    size
}

/// A size in a range.
pub fn size_in(range: RangeInclusive<u64>) -> impl Fn(&Node, &mut Reader<'_>) -> Option<u64> {
    move |node, reader| {
        let bytes = size(node, reader)?;
        in_range(bytes, &range, |bytes| format::size(*bytes), node, reader)
    }
}

fn parse_size(text: &str) -> Option<i64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let unit = Unit::parse(&text[split..]).filter(|unit| unit.dimension() == Dimension::Bytes)?;
    Decimal::parse(&text[..split])?.scale(unit.base_factor())
}

/// A value as written, before it is known what its signal measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantity {
    text: String,
    written: Written,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    /// In seconds, bytes, as a ratio or plain: the signal decides.
    Bare(Decimal),
    /// In base units of a dimension.
    In(Dimension, i64),
}

impl Quantity {
    /// Reads `200ms`, `1GiB`, `1%`, `0.01`; all but durations may be negative.
    pub fn parse(text: &str) -> Option<Self> {
        let written = if let Some(number) = Decimal::parse(text) {
            Written::Bare(number)
        } else if let Some(percent) = text.strip_suffix('%') {
            let ratio = Decimal::parse(percent.trim_end())?.scale(Unit::Percent.base_factor())?;
            Written::In(Dimension::Ratio, ratio)
        } else if let Some(bytes) = parse_size(text) {
            Written::In(Dimension::Bytes, bytes)
        } else {
            Written::In(Dimension::Time, span::parse(text).ok()?)
        };
        Some(Self { text: text.to_owned(), written })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it measures, if it says so.
    pub fn dimension(&self) -> Option<Dimension> {
        match self.written {
            Written::Bare(_) => None,
            Written::In(dimension, _) => Some(dimension),
        }
    }

    /// In base units of a dimension; what is wrong, if it is of another.
    pub fn to_base(&self, dimension: Dimension) -> Result<i64, String> {
        match &self.written {
            Written::Bare(number) => number
                .scale(dimension.base_per_unit())
                .ok_or_else(|| format!("`{}` is too large", self.text)),
            Written::In(own, base) if *own == dimension => Ok(*base),
            Written::In(own, _) => Err(format!(
                "`{}` is {}; {} is needed",
                self.text,
                own.noun().split(" such as").next().unwrap_or_default(),
                dimension.noun()
            )),
        }
    }
}

/// A value whose dimension is decided later.
pub fn quantity(node: &Node, reader: &mut Reader<'_>) -> Option<Quantity> {
    let text = match node.as_scalar() {
        Some(_) if !node.is_null() => string(node, reader)?,
        _ => {
            reader
                .error(&node.place, format!("a value is needed, not {}", node.noun()))
                .help("such as 200ms, 1GiB, 1%, 0.01");
            return None;
        }
    };
    let quantity = Quantity::parse(&text);
    if quantity.is_none() {
        reader
            .error(&node.place, format!("{} is no value", quoted(node)))
            .help("such as 200ms, 1GiB, 1%, 0.01");
    }
    quantity
}

/// A value of a dimension, in its base units.
pub fn value(dimension: Dimension) -> impl Fn(&Node, &mut Reader<'_>) -> Option<i64> {
    move |node, reader| match quantity(node, reader)?.to_base(dimension) {
        Ok(base) => Some(base),
        Err(message) => {
            reader.error(&node.place, message);
            None
        }
    }
}

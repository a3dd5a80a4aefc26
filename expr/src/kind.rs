//! What is known of a part's value before any record is seen, and what to say when kinds do not fit.
//!
//! Owns the wording of "is a label and labels are strings". Never refuses what only a record can tell.

use crate::duration;
use crate::node::{Constant, Node, Relation};

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A field of a line, or a part of JSON: only the record can tell.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Str,
    Duration,
    List,
    Map,
}

impl Kind {
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Any => "a value of any kind",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number",
            Self::Str => "a text",
            Self::Duration => "a duration",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Whether values of the two kinds may be compared.
    pub(crate) fn compares_with(self, other: Self, relation: Relation) -> bool {
        match (self, other) {
            (Self::Any, Self::Duration) | (Self::Duration, Self::Any) => false,
            (Self::Any, _) | (_, Self::Any) => true,
            (a, b) if a.is_number() && b.is_number() => true,
            (a, b) => a == b && (relation.is_equality() || !matches!(a, Self::List | Self::Map)),
        }
    }
}

/// A checked part.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) node: Node,
    pub(crate) kind: Kind,
    pub(crate) said: Said,
}

/// What a part is to the reader of a message.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Label(String),
    Field(String),
    Variable(String),
    /// Anything composed, or written out.
    Other,
}

impl Typed {
    pub(crate) fn new(node: Node, kind: Kind) -> Self {
        Self { node, kind, said: Said::Other }
    }

    /// The value written out, if it is.
    pub(crate) fn constant(&self) -> Option<&Constant> {
        match &self.node {
            Node::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match &self.said {
            Said::Label(name) | Said::Field(name) | Said::Variable(name) => Some(name),
            Said::Other => None,
        }
    }

    /// "`status` is a label and labels are strings".
    pub(crate) fn describe(&self) -> String {
        match (&self.said, self.kind) {
            (Said::Label(name), _) => format!("`{name}` is a label and labels are strings"),
            (Said::Field(name), Kind::Str) => {
                format!("`{name}` is a field, and fields of this format are strings")
            }
            (Said::Field(name), Kind::Any) => format!("`{name}` is a field of any kind"),
            (Said::Field(name) | Said::Variable(name), kind) => {
                format!("`{name}` is {}", kind.noun())
            }
            (Said::Other, kind) => format!("this is {}", kind.noun()),
        }
    }
}

/// What to say when two parts cannot be compared: message and help.
pub(crate) fn mismatch(left: &Typed, relation: Relation, right: &Typed) -> (String, String) {
    let about_left = left.name().is_some() || right.name().is_none();
    let (named, other) = if about_left { (left, right) } else { (right, left) };
    let message = match (named.name(), named.kind) {
        _ if left.kind == Kind::Null || right.kind == Kind::Null && named.kind == Kind::Any => {
            "null has no order".to_owned()
        }
        (Some(_), Kind::Str) if !matches!(named.said, Said::Variable(_)) => named.describe(),
        (Some(name), Kind::Any) => {
            format!("only a duration compares with one, and `{name}` may be anything")
        }
        (Some(_), _) => format!("{}, not {}", named.describe(), other.kind.noun()),
        (None, _) => format!("{} and {} cannot be compared", left.kind.noun(), right.kind.noun()),
    };
    let help = remedy(named, other).map(|(a, b)| {
        let (a, b) = if about_left { (a, b) } else { (b, a) };
        format!("write {a} {} {b}", relation.as_str())
    });
    (message, help.unwrap_or_default())
}

/// The two sides as they would compare, if the right way is plain.
fn remedy(named: &Typed, other: &Typed) -> Option<(String, String)> {
    let name = named.name()?;
    let written = other.constant().map(literal);
    Some(match (named.kind, other.kind) {
        (Kind::Str, Kind::Int) => (format!("int({name})"), written.unwrap_or("…".into())),
        (Kind::Str, Kind::Double) => (format!("double({name})"), written.unwrap_or("…".into())),
        (Kind::Str, Kind::Bool) => (name.into(), format!("\"{}\"", written?)),
        (Kind::Str, Kind::Null) => (name.into(), "\"\"".into()),
        (Kind::Str | Kind::Any, Kind::Duration) => {
            let span = match other.constant() {
                Some(Constant::Int(nanos)) => duration::format(*nanos),
                _ => "…".to_owned(),
            };
            (format!("duration({name})"), format!("duration(\"{span}\")"))
        }
        (Kind::Duration, Kind::Str) => match other.constant() {
            Some(Constant::Str(text)) if duration::parse(text).is_ok() => {
                (name.into(), format!("duration(\"{text}\")"))
            }
            _ => (name.into(), "duration(\"…\")".into()),
        },
        (Kind::Duration, Kind::Int | Kind::Double) => {
            (name.into(), format!("duration(\"{}s\")", written?))
        }
        (Kind::Int | Kind::Double, Kind::Str) => match other.constant() {
            Some(Constant::Str(text)) if text.parse::<f64>().is_ok() => {
                (name.into(), text.to_string())
            }
            _ => return None,
        },
        (Kind::Bool, Kind::Str) => match other.constant() {
            Some(Constant::Str(text)) if &**text == "true" || &**text == "false" => {
                (name.into(), text.to_string())
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn literal(constant: &Constant) -> String {
    match constant {
        Constant::Null => "null".to_owned(),
        Constant::Bool(b) => b.to_string(),
        Constant::Int(i) => i.to_string(),
        Constant::Double(d) => format!("{d:?}"),
        Constant::Str(text) => format!("{text:?}"),
    }
}

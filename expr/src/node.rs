//! A checked condition as a tree.
//!
//! Owns its shapes. The first group is what nearly every condition consists of and is answered without allocating;
//! the second is everything else. Never holds a name: fields are numbers by now.

use regex::Regex;

use crate::val::{Arithmetic, Val};

/// A part of a condition. Fields are positions in [`Condition::fields`](crate::Condition::fields).
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Constant(Constant),
    Field(usize),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    /// A field, perhaps converted, against a constant.
    Compare(Source, Relation, Constant),
    /// A field, perhaps converted, among constants.
    OneOf(Source, Box<[Constant]>),
    /// A field's text.
    Text(usize, TextTest),
    Has(usize),

    /// The variable of a macro, counted from the outermost.
    Local(usize),
    Relation(Relation, Box<(Node, Node)>),
    IsNull(Box<Node>),
    In(Box<(Node, Node)>),
    Arithmetic(Arithmetic, Box<(Node, Node)>),
    Negate(Box<Node>),
    Choose(Box<(Node, Node, Node)>),
    Convert(Conversion, Box<Node>),
    TextOf(Box<Node>, TextTest),
    /// `startsWith` and its like with an argument that is no constant.
    TextPair(TextPair, Box<(Node, Node)>),
    Index(Box<(Node, Node)>),
    Part(Box<Node>, Box<str>),
    HasPart(Box<Node>, Box<str>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Macro(Macro, Box<(Node, Node)>),
}

/// A value written in the condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Box<str>),
}

impl Constant {
    pub(crate) fn val(&self) -> Val<'_> {
        match self {
            Self::Null => Val::Null,
            Self::Bool(b) => Val::Bool(*b),
            Self::Int(i) => Val::Int(*i),
            Self::Double(d) => Val::Double(*d),
            Self::Str(s) => Val::Str((&**s).into()),
        }
    }
}

/// A field and what becomes of it before it is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) field: usize,
    pub(crate) conversion: Option<Conversion>,
}

/// `int(x)` and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    Int,
    Double,
    String,
    Bool,
    /// In our grammar, to nanoseconds.
    Duration,
    Size,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// The same said from the other side.
    pub(crate) const fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// Whether only equality is asked.
    pub(crate) const fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }

    /// Whether it holds for this order; where one side is no number, only `!=` does.
    pub(crate) fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else {
            return self == Self::NotEqual;
        };
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A test of a text against a constant.
#[derive(Clone, Debug)]
pub(crate) enum TextTest {
    Pair(TextPair, Box<str>),
    Matches(Regex),
}

impl TextTest {
    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Pair(pair, part) => pair.holds(text, part),
            Self::Matches(pattern) => pattern.is_match(text),
        }
    }
}

/// A test of one text against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextPair {
    StartsWith,
    EndsWith,
    Contains,
}

impl TextPair {
    pub(crate) fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            Self::Contains => text.contains(part),
        }
    }
}

/// A macro over a list, or over the keys of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

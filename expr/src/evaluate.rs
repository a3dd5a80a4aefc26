//! Asks a condition's tree about one record.
//!
//! Owns absorption (`true || error` holds, in either order) and the bound on what one evaluation may cost. Never
//! allocates for the first group of nodes; never recurses deeper than the tree, whose depth `check` bounds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::duration;
use crate::node::{Constant, Conversion, Macro, Node, Relation, Source};
use crate::record::{Record, Value, Verdict};
use crate::val::{Fault, Val, int_and_double};

/// Elements that the macros of one evaluation may visit; more can't be judged. That many take about as long as reading them
/// from JSON does.
pub const MAX_VISITS: u32 = 100_000;

/// Elements that `in` looks through within a macro in the time of one visit.
const LOOKED_THROUGH: usize = 1_000;

/// One evaluation.
pub(crate) struct Evaluation<'a, R: ?Sized> {
    record: &'a R,
    slots: &'a [usize],
    locals: Vec<Val<'a>>,
    /// Fields that hold JSON, read once: a macro may ask for one at each visit.
    parsed: BTreeMap<usize, Val<'a>>,
    visits_left: u32,
    is_exhausted: bool,
}

impl<'a, R: Record + ?Sized> Evaluation<'a, R> {
    pub(crate) fn new(record: &'a R, slots: &'a [usize]) -> Self {
        Self {
            record,
            slots,
            locals: Vec::new(),
            parsed: BTreeMap::new(),
            visits_left: MAX_VISITS,
            is_exhausted: false,
        }
    }

    /// Whether there were more elements than may be visited.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    fn field(&self, field: usize) -> Value<'a> {
        self.record.value(self.slots[field])
    }

    fn field_value(&mut self, field: usize) -> Result<Val<'a>, Fault> {
        let value = self.field(field);
        if !matches!(value, Value::Json(_)) {
            return Val::of(value);
        }
        if let Some(known) = self.parsed.get(&field) {
            return Ok(known.clone());
        }
        let read = Val::of(value)?;
        self.parsed.insert(field, read.clone());
        Ok(read)
    }

    /// Whether a condition holds.
    pub(crate) fn test(&mut self, node: &'a Node) -> Verdict {
        match node {
            Node::And(parts) => self.absorb(parts, Verdict::NoMatch),
            Node::Or(parts) => self.absorb(parts, Verdict::Match),
            Node::Not(part) => match self.test(part) {
                Verdict::Match => Verdict::NoMatch,
                Verdict::NoMatch => Verdict::Match,
                Verdict::Unjudged => Verdict::Unjudged,
            },
            Node::Compare(source, relation, constant) => {
                verdict(self.compare(*source, constant).map(|order| relation.holds(order)))
            }
            Node::OneOf(source, constants) => self.one_of(*source, constants),
            Node::Text(field, test) => match self.field(*field) {
                Value::Str(text) => test.holds(text).into(),
                _ => Verdict::Unjudged,
            },
            Node::Has(field) => (self.field(*field) != Value::Absent).into(),
            Node::Field(field) => match self.field(*field) {
                Value::Bool(holds) => holds.into(),
                _ => Verdict::Unjudged,
            },
            Node::Constant(Constant::Bool(holds)) => (*holds).into(),
            _ => verdict(self.general_test(node)),
        }
    }

    /// `decisive` settles the whole, whatever the other parts are; else an error does.
    fn absorb(&mut self, parts: &'a [Node], decisive: Verdict) -> Verdict {
        let mut unjudged = false;
        for part in parts {
            match self.test(part) {
                Verdict::Unjudged => unjudged = true,
                verdict if verdict == decisive => return decisive,
                _ => {}
            }
        }
        match (unjudged, decisive) {
            (true, _) => Verdict::Unjudged,
            (false, Verdict::Match) => Verdict::NoMatch,
            (false, _) => Verdict::Match,
        }
    }

    fn compare(&mut self, source: Source, constant: &Constant) -> Result<Option<Ordering>, Fault> {
        let value = self.field(source.field);
        let value = match (source.conversion, value) {
            (None, _) => value,
            (Some(Conversion::String), _) => return self.compare_as_text(value, constant),
            (Some(conversion), Value::Json(_)) => {
                let value = self.field_value(source.field)?;
                match convert(conversion, &value)? {
                    Val::Int(i) => Value::Int(i),
                    _ => return Err(Fault),
                }
            }
            (Some(conversion), _) => scalar(conversion, value)?,
        };
        order(value, constant)
    }

    fn compare_as_text(
        &self,
        value: Value<'a>,
        constant: &Constant,
    ) -> Result<Option<Ordering>, Fault> {
        match value {
            Value::Str(_) => order(value, constant),
            _ => convert(Conversion::String, &Val::of(value)?)?.compare(&constant.val()),
        }
    }

    fn one_of(&mut self, source: Source, constants: &[Constant]) -> Verdict {
        let mut comparable =
            constants.is_empty() && !matches!(self.field(source.field), Value::Absent);
        for constant in constants {
            match self.compare(source, constant) {
                Ok(Some(Ordering::Equal)) => return Verdict::Match,
                Ok(_) => comparable = true,
                Err(Fault) => {}
            }
        }
        if comparable { Verdict::NoMatch } else { Verdict::Unjudged }
    }

    fn general_test(&mut self, node: &'a Node) -> Result<bool, Fault> {
        Ok(match node {
            Node::Relation(relation, sides) => {
                let (left, right) = (self.value(&sides.0)?, self.value(&sides.1)?);
                match relation {
                    Relation::Equal => left.equals(&right)?,
                    Relation::NotEqual => !left.equals(&right)?,
                    _ => relation.holds(left.compare(&right)?),
                }
            }
            Node::IsNull(part) => matches!(self.value(part)?, Val::Null),
            Node::In(sides) => {
                let (wanted, within) = (self.value(&sides.0)?, self.value(&sides.1)?);
                if let (Val::List(parts), false) = (&within, self.locals.is_empty()) {
                    self.visit(parts.len() / LOOKED_THROUGH)?;
                }
                is_in(&wanted, &within)?
            }
            Node::TextOf(part, test) => match self.value(part)? {
                Val::Str(text) => test.holds(&text),
                _ => return Err(Fault),
            },
            Node::TextPair(pair, sides) => match (self.value(&sides.0)?, self.value(&sides.1)?) {
                (Val::Str(text), Val::Str(part)) => pair.holds(&text, &part),
                _ => return Err(Fault),
            },
            Node::HasPart(whole, name) => match self.value(whole)? {
                Val::Map(parts) => parts.contains_key(&**name),
                _ => return Err(Fault),
            },
            Node::Macro(Macro::All | Macro::Exists | Macro::ExistsOne, _) => self.quantify(node)?,
            _ => match self.value(node)? {
                Val::Bool(holds) => holds,
                _ => return Err(Fault),
            },
        })
    }

    /// What a part is worth.
    fn value(&mut self, node: &'a Node) -> Result<Val<'a>, Fault> {
        match node {
            Node::Constant(constant) => Ok(constant.val()),
            Node::Field(field) => self.field_value(*field),
            Node::Local(depth) => self.locals.get(*depth).cloned().ok_or(Fault),
            Node::Arithmetic(operator, sides) => {
                operator.apply(&self.value(&sides.0)?, &self.value(&sides.1)?)
            }
            Node::Negate(part) => match self.value(part)? {
                Val::Int(i) => i.checked_neg().map(Val::Int).ok_or(Fault),
                Val::Double(d) => Ok(Val::Double(-d)),
                _ => Err(Fault),
            },
            Node::Choose(parts) => match self.test(&parts.0) {
                Verdict::Match => self.value(&parts.1),
                Verdict::NoMatch => self.value(&parts.2),
                Verdict::Unjudged => Err(Fault),
            },
            Node::Convert(conversion, part) => convert(*conversion, &self.value(part)?),
            Node::Index(sides) => index(&self.value(&sides.0)?, &self.value(&sides.1)?),
            Node::Part(whole, name) => match self.value(whole)? {
                Val::Map(parts) => parts.get(&**name).cloned().ok_or(Fault),
                _ => Err(Fault),
            },
            Node::List(parts) => {
                let parts: Result<Vec<_>, _> = parts.iter().map(|part| self.value(part)).collect();
                Ok(Val::List(Rc::new(parts?)))
            }
            Node::Map(entries) => self.map(entries),
            Node::Macro(Macro::Filter | Macro::Map, sides) => self.transform(node, &sides.0),
            _ => match self.test(node) {
                Verdict::Match => Ok(Val::Bool(true)),
                Verdict::NoMatch => Ok(Val::Bool(false)),
                Verdict::Unjudged => Err(Fault),
            },
        }
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result<Val<'a>, Fault> {
        let mut parts = BTreeMap::new();
        for (name, part) in entries {
            let Val::Str(name) = self.value(name)? else {
                return Err(Fault);
            };
            parts.insert(name.into_owned(), self.value(part)?);
        }
        Ok(Val::Map(Rc::new(parts)))
    }

    /// `all`, `exists` and `exists_one`.
    fn quantify(&mut self, node: &'a Node) -> Result<bool, Fault> {
        let Node::Macro(kind, sides) = node else {
            return Err(Fault);
        };
        let (mut n_true, mut fault) = (0, false);
        for element in elements(self.value(&sides.0)?)? {
            match (kind, self.with_local(element, |this| this.test(&sides.1))?) {
                (Macro::All, Verdict::NoMatch) => return Ok(false),
                (Macro::Exists, Verdict::Match) => return Ok(true),
                (_, Verdict::Match) => n_true += 1,
                (_, Verdict::NoMatch) => {}
                (_, Verdict::Unjudged) => fault = true,
            }
        }
        match (fault, kind) {
            (true, _) => Err(Fault),
            (false, Macro::ExistsOne) => Ok(n_true == 1),
            (false, kind) => Ok(*kind == Macro::All),
        }
    }

    /// `filter` and `map`.
    fn transform(&mut self, node: &'a Node, over: &'a Node) -> Result<Val<'a>, Fault> {
        let Node::Macro(kind, sides) = node else {
            return Err(Fault);
        };
        let mut kept = Vec::new();
        for element in elements(self.value(over)?)? {
            if *kind == Macro::Map {
                kept.push(self.with_local(element, |this| this.value(&sides.1))??);
                continue;
            }
            match self.with_local(element.clone(), |this| this.test(&sides.1))? {
                Verdict::Match => kept.push(element),
                Verdict::NoMatch => {}
                Verdict::Unjudged => return Err(Fault),
            }
        }
        Ok(Val::List(Rc::new(kept)))
    }

    fn with_local<T>(
        &mut self,
        element: Val<'a>,
        body: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Fault> {
        self.visit(1)?;
        self.locals.push(element);
        let result = body(self);
        self.locals.pop();
        Ok(result)
    }

    /// Whether so many more may be visited.
    fn visit(&mut self, n: usize) -> Result<(), Fault> {
        let left = u32::try_from(n).ok().and_then(|n| self.visits_left.checked_sub(n));
        self.is_exhausted |= left.is_none();
        // What comes after it fails too, however small it is.
        self.visits_left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Fault)
    }
}

fn verdict(result: Result<bool, Fault>) -> Verdict {
    result.map_or(Verdict::Unjudged, Verdict::from)
}

/// A field against a constant, without allocating.
fn order(value: Value<'_>, constant: &Constant) -> Result<Option<Ordering>, Fault> {
    Ok(match (value, constant) {
        (Value::Str(a), Constant::Str(b)) => Some(a.cmp(b)),
        (Value::Int(a), Constant::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Constant::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Constant::Double(b)) => int_and_double(a, *b),
        (Value::Double(a), Constant::Int(b)) => int_and_double(*b, a).map(Ordering::reverse),
        (Value::Bool(a), Constant::Bool(b)) => Some(a.cmp(b)),
        _ => return Err(Fault),
    })
}

/// A field converted to a number or a truth, without allocating.
fn scalar(conversion: Conversion, value: Value<'_>) -> Result<Value<'static>, Fault> {
    match convert(conversion, &Val::of(value)?)? {
        Val::Int(i) => Ok(Value::Int(i)),
        Val::Double(d) => Ok(Value::Double(d)),
        Val::Bool(b) => Ok(Value::Bool(b)),
        _ => Err(Fault),
    }
}

/// `int(x)` and its like.
pub(crate) fn convert<'a>(conversion: Conversion, value: &Val<'a>) -> Result<Val<'a>, Fault> {
    match conversion {
        Conversion::Int => to_int(value).map(Val::Int),
        Conversion::Double => match value {
            Val::Int(i) => Ok(Val::Double(*i as f64)),
            Val::Double(d) => Ok(Val::Double(*d)),
            Val::Str(text) => text.parse().map(Val::Double).map_err(|_| Fault),
            _ => Err(Fault),
        },
        Conversion::String => match value {
            Val::Str(_) => Ok(value.clone()),
            Val::Int(i) => Ok(Val::Str(Cow::Owned(i.to_string()))),
            Val::Double(d) => Ok(Val::Str(Cow::Owned(d.to_string()))),
            Val::Bool(b) => Ok(Val::Str(Cow::Borrowed(if *b { "true" } else { "false" }))),
            _ => Err(Fault),
        },
        Conversion::Bool => match value {
            Val::Bool(b) => Ok(Val::Bool(*b)),
            Val::Str(text) => text.parse().map(Val::Bool).map_err(|_| Fault),
            _ => Err(Fault),
        },
        Conversion::Duration => match value {
            Val::Str(text) => duration::parse(text).map(Val::Int).map_err(|_| Fault),
            _ => Err(Fault),
        },
        Conversion::Size => {
            let size = match value {
                Val::Str(text) => text.chars().count(),
                Val::List(parts) => parts.len(),
                Val::Map(parts) => parts.len(),
                _ => return Err(Fault),
            };
            i64::try_from(size).map(Val::Int).map_err(|_| Fault)
        }
    }
}

fn to_int(value: &Val<'_>) -> Result<i64, Fault> {
    match value {
        Val::Int(i) => Ok(*i),
        Val::Double(d) => {
            let whole = d.trunc();
            let fits = int_and_double(i64::MAX, whole) == Some(Ordering::Greater)
                && int_and_double(i64::MIN, whole).is_some_and(Ordering::is_le);
            if fits { Ok(whole as i64) } else { Err(Fault) }
        }
        Val::Str(text) => text.parse().map_err(|_| Fault),
        _ => Err(Fault),
    }
}

fn is_in(wanted: &Val<'_>, within: &Val<'_>) -> Result<bool, Fault> {
    match within {
        Val::List(parts) => {
            let mut comparable = parts.is_empty();
            for part in parts.iter() {
                match wanted.equals(part) {
                    Ok(true) => return Ok(true),
                    Ok(false) => comparable = true,
                    Err(Fault) => {}
                }
            }
            if comparable { Ok(false) } else { Err(Fault) }
        }
        Val::Map(parts) => match wanted {
            Val::Str(name) => Ok(parts.contains_key(&**name)),
            _ => Err(Fault),
        },
        _ => Err(Fault),
    }
}

fn index<'a>(whole: &Val<'a>, at: &Val<'a>) -> Result<Val<'a>, Fault> {
    match (whole, at) {
        (Val::List(parts), Val::Int(i)) => {
            usize::try_from(*i).ok().and_then(|i| parts.get(i)).cloned().ok_or(Fault)
        }
        (Val::Map(parts), Val::Str(name)) => parts.get(&**name).cloned().ok_or(Fault),
        _ => Err(Fault),
    }
}

/// What a macro goes over, one by one: a list's elements or a map's keys.
fn elements<'a>(whole: Val<'a>) -> Result<impl Iterator<Item = Val<'a>>, Fault> {
    let (parts, keys) = match whole {
        Val::List(parts) => (Some(parts), Vec::new()),
        Val::Map(parts) => (None, parts.keys().cloned().collect()),
        _ => return Err(Fault),
    };
    let parts = parts.into_iter().flat_map(|parts| (0..parts.len()).map(move |i| parts[i].clone()));
    Ok(parts.chain(keys.into_iter().map(|name| Val::Str(Cow::Owned(name)))))
}

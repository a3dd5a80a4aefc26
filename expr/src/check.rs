//! Gives every part of a condition a kind, and builds its tree.
//!
//! Owns which operators go with which kinds, and the choice of the cheap nodes. Reports every problem of a condition,
//! not just the first. Never evaluates.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use std::ops::Range;

use crate::kind::{Kind, Said, Typed, mismatch};
use crate::names::Path;
use crate::node::{Constant, Node, Relation, Source};
use crate::problem::ExprProblem;
use crate::record::Scope;
use crate::syntax::Syntax;
use crate::val::Arithmetic;

/// How deep a tree may be; evaluation recurses as deep.
const MAX_DEPTH: usize = 96;

/// A checked condition: its tree and the fields it reads.
pub(crate) struct Checked {
    pub(crate) root: Node,
    pub(crate) fields: Vec<String>,
}

/// Checks a parsed condition.
pub(crate) fn check(syntax: &Syntax<'_>, scope: Scope<'_>) -> Result<Checked, Vec<ExprProblem>> {
    let mut checker = Checker {
        syntax,
        scope,
        fields: Vec::new(),
        locals: Vec::new(),
        problems: Vec::new(),
        depth: 0,
    };
    let root = checker.truth(&syntax.root);
    match root {
        Some(root) if checker.problems.is_empty() => Ok(Checked { root, fields: checker.fields }),
        _ => Err(checker.problems),
    }
}

/// A check under way. Where a part has a problem its result is `None`, and the others are still checked.
pub(crate) struct Checker<'s> {
    syntax: &'s Syntax<'s>,
    pub(crate) scope: Scope<'s>,
    fields: Vec<String>,
    /// Variables of the macros around this part.
    pub(crate) locals: Vec<String>,
    problems: Vec<ExprProblem>,
    depth: usize,
}

impl Checker<'_> {
    /// The position of a field among those the condition reads.
    pub(crate) fn field(&mut self, name: &str) -> usize {
        self.fields.iter().position(|known| known == name).unwrap_or_else(|| {
            self.fields.push(name.to_owned());
            self.fields.len() - 1
        })
    }

    pub(crate) fn span(&self, expr: &IdedExpr) -> Range<usize> {
        self.syntax.span(expr)
    }

    pub(crate) fn own_span(&self, expr: &IdedExpr) -> Range<usize> {
        self.syntax.own_span(expr)
    }

    pub(crate) fn refuse<T>(&mut self, problem: ExprProblem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    /// A part that must be true or false.
    pub(crate) fn truth(&mut self, expr: &IdedExpr) -> Option<Node> {
        let part = self.part(expr)?;
        if matches!(part.kind, Kind::Bool | Kind::Any) {
            return Some(part.node);
        }
        let mut message = part.describe();
        if part.name().is_none() {
            message = format!("a condition is true or false, and {message}");
        }
        let help = match (part.name(), part.kind) {
            (Some(name), Kind::Str) => format!("compare it: {name} == \"…\""),
            (Some(name), Kind::Duration) => format!("compare it: {name} < duration(\"…\")"),
            (Some(name), _) => format!("compare it: {name} == …"),
            (None, _) => String::new(),
        };
        let problem = ExprProblem::at(self.span(expr), message).help(help);
        self.refuse(problem)
    }

    /// Any part.
    pub(crate) fn part(&mut self, expr: &IdedExpr) -> Option<Typed> {
        if self.depth == MAX_DEPTH {
            let problem =
                ExprProblem::at(self.own_span(expr), "the condition is nested too deeply");
            return self.refuse(problem);
        }
        self.depth += 1;
        let part = self.any_part(expr);
        self.depth -= 1;
        part
    }

    fn any_part(&mut self, expr: &IdedExpr) -> Option<Typed> {
        if let Some(path) = Path::of(expr) {
            return match self.locals.iter().rposition(|local| local == path.root) {
                Some(local) => Some(local_part(local, &path)),
                None => self.resolve(expr, &path),
            };
        }
        match &expr.expr {
            Expr::Literal(value) => self.literal(expr, value),
            Expr::Call(call) => self.operator_or_call(expr, call),
            Expr::Select(select) => {
                let whole = self.part(&select.operand)?;
                self.parts_of(&whole, &select.operand)?;
                let node = Node::Part(Box::new(whole.node), select.field.as_str().into());
                Some(Typed::new(node, Kind::Any))
            }
            Expr::List(list) => {
                let parts: Vec<_> = list.elements.iter().map(|e| self.part(e)).collect();
                let parts: Option<Vec<_>> = parts.into_iter().map(|p| p.map(|p| p.node)).collect();
                Some(Typed::new(Node::List(parts?.into()), Kind::List))
            }
            Expr::Map(map) => self.map(map.entries.iter().map(|entry| &entry.expr)),
            Expr::Ident(_) | Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                let problem =
                    ExprProblem::at(self.own_span(expr), "not something a condition can hold");
                self.refuse(problem)
            }
        }
    }

    fn literal(&mut self, expr: &IdedExpr, value: &LiteralValue) -> Option<Typed> {
        let (constant, kind) = match value {
            LiteralValue::Null => (Constant::Null, Kind::Null),
            LiteralValue::Boolean(b) => (Constant::Bool(*b.inner()), Kind::Bool),
            LiteralValue::Int(i) => (Constant::Int(*i.inner()), Kind::Int),
            LiteralValue::Double(d) => (Constant::Double(*d.inner()), Kind::Double),
            LiteralValue::String(s) => (Constant::Str(s.inner().into()), Kind::Str),
            LiteralValue::UInt(u) => match i64::try_from(*u.inner()) {
                Ok(i) => (Constant::Int(i), Kind::Int),
                Err(_) => (Constant::Double(*u.inner() as f64), Kind::Double),
            },
            LiteralValue::Bytes(_) => {
                let problem =
                    ExprProblem::at(self.own_span(expr), "there are no bytes in a record")
                        .help("leave out the b before the quote");
                return self.refuse(problem);
            }
        };
        Some(Typed::new(Node::Constant(constant), kind))
    }

    fn map<'e>(&mut self, entries: impl Iterator<Item = &'e EntryExpr>) -> Option<Typed> {
        let mut parts = Vec::new();
        for entry in entries {
            let EntryExpr::MapEntry(entry) = entry else {
                return None;
            };
            let (name, part) = (self.part(&entry.key), self.part(&entry.value));
            parts.push((name?.node, part?.node));
        }
        Some(Typed::new(Node::Map(parts.into()), Kind::Map))
    }

    /// Refuses to look into what has no parts.
    pub(crate) fn parts_of(&mut self, whole: &Typed, expr: &IdedExpr) -> Option<()> {
        if matches!(whole.kind, Kind::Any | Kind::List | Kind::Map) {
            return Some(());
        }
        let problem =
            ExprProblem::at(self.span(expr), format!("{} and has no parts", whole.describe()));
        self.refuse(problem)
    }

    fn operator_or_call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Option<Typed> {
        let relation = match call.func_name.as_str() {
            operators::EQUALS => Some(Relation::Equal),
            operators::NOT_EQUALS => Some(Relation::NotEqual),
            operators::LESS => Some(Relation::Less),
            operators::LESS_EQUALS => Some(Relation::LessOrEqual),
            operators::GREATER => Some(Relation::Greater),
            operators::GREATER_EQUALS => Some(Relation::GreaterOrEqual),
            _ => None,
        };
        let arithmetic = match call.func_name.as_str() {
            operators::ADD => Some(Arithmetic::Add),
            operators::SUBSTRACT => Some(Arithmetic::Subtract),
            operators::MULTIPLY => Some(Arithmetic::Multiply),
            operators::DIVIDE => Some(Arithmetic::Divide),
            operators::MODULO => Some(Arithmetic::Remainder),
            _ => None,
        };
        match (relation, arithmetic, call.args.as_slice()) {
            (Some(relation), _, [left, right]) => {
                let (l, r) = (self.part(left), self.part(right));
                self.relation(expr, l?, relation, r?)
            }
            (_, Some(arithmetic), [left, right]) => {
                let (l, r) = (self.part(left), self.part(right));
                self.arithmetic(expr, l?, arithmetic, r?)
            }
            (_, _, args) => self.other_operator(expr, call, args),
        }
    }

    fn other_operator(
        &mut self,
        expr: &IdedExpr,
        call: &CallExpr,
        args: &[IdedExpr],
    ) -> Option<Typed> {
        let node = match (call.func_name.as_str(), args) {
            (operators::LOGICAL_AND, _) => Node::And(self.flat(&call.func_name, args)?.into()),
            (operators::LOGICAL_OR, _) => Node::Or(self.flat(&call.func_name, args)?.into()),
            (operators::LOGICAL_NOT, [part]) => Node::Not(Box::new(self.truth(part)?)),
            (operators::NEGATE, [part]) => return self.negate(part),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let (condition, yes, no) = (self.truth(condition), self.part(yes), self.part(no));
                let (yes, no) = (yes?, no?);
                let kind = if yes.kind == no.kind { yes.kind } else { Kind::Any };
                let node = Node::Choose(Box::new((condition?, yes.node, no.node)));
                return Some(Typed::new(node, kind));
            }
            (operators::INDEX, [whole, at]) => return self.index(whole, at),
            (operators::IN, [wanted, within]) => return self.membership(wanted, within),
            _ => return self.call(expr, call),
        };
        Some(Typed::new(node, Kind::Bool))
    }

    /// The parts of a chain of one logical operator, however the parser grouped them.
    fn flat(&mut self, operator: &str, args: &[IdedExpr]) -> Option<Vec<Node>> {
        let mut waiting: Vec<&IdedExpr> = args.iter().rev().collect();
        let mut parts = Vec::new();
        while let Some(expr) = waiting.pop() {
            match &expr.expr {
                Expr::Call(call) if call.func_name == operator => {
                    waiting.extend(call.args.iter().rev())
                }
                _ => parts.push(self.truth(expr)),
            }
        }
        parts.into_iter().collect()
    }

    fn negate(&mut self, expr: &IdedExpr) -> Option<Typed> {
        let part = self.part(expr)?;
        match (part.constant(), part.kind) {
            (_, Kind::Any | Kind::Int | Kind::Double | Kind::Duration) => {
                Some(Typed::new(Node::Negate(Box::new(part.node)), part.kind))
            }
            _ => {
                let message = format!("{}, and only a number has a sign", part.describe());
                let problem = ExprProblem::at(self.span(expr), message);
                self.refuse(problem)
            }
        }
    }

    fn index(&mut self, whole: &IdedExpr, at: &IdedExpr) -> Option<Typed> {
        let (within, by) = (self.part(whole)?, self.part(at)?);
        self.parts_of(&within, whole)?;
        let node = Node::Index(Box::new((within.node, by.node)));
        Some(Typed::new(node, Kind::Any))
    }

    fn relation(
        &mut self,
        expr: &IdedExpr,
        left: Typed,
        relation: Relation,
        right: Typed,
    ) -> Option<Typed> {
        let null = |side: &Typed| side.constant() == Some(&Constant::Null);
        let mixed = match (null(&left), null(&right)) {
            (true, true) => !relation.is_equality(),
            (true, false) => right.kind != Kind::Any || !relation.is_equality(),
            (false, true) => left.kind != Kind::Any || !relation.is_equality(),
            (false, false) => !left.kind.compares_with(right.kind, relation),
        };
        if mixed {
            let (message, help) = mismatch(&left, relation, &right);
            let meant = self.meant(&left, right.kind).or_else(|| self.meant(&right, left.kind));
            let help = meant.unwrap_or(help);
            let problem = ExprProblem::at(self.span(expr), message).help(help);
            return self.refuse(problem);
        }
        let node = if null(&left) || null(&right) {
            let part = if null(&left) { right.node } else { left.node };
            let is_null = Node::IsNull(Box::new(part));
            if relation == Relation::Equal { is_null } else { Node::Not(Box::new(is_null)) }
        } else {
            match (source(&left.node), &right.node, source(&right.node), &left.node) {
                (Some(source), Node::Constant(constant), _, _) => {
                    Node::Compare(source, relation, constant.clone())
                }
                (_, _, Some(source), Node::Constant(constant)) => {
                    Node::Compare(source, relation.flipped(), constant.clone())
                }
                _ => Node::Relation(relation, Box::new((left.node, right.node))),
            }
        };
        Some(Typed::new(node, Kind::Bool))
    }

    fn arithmetic(
        &mut self,
        expr: &IdedExpr,
        left: Typed,
        operator: Arithmetic,
        right: Typed,
    ) -> Option<Typed> {
        let additive = matches!(operator, Arithmetic::Add | Arithmetic::Subtract);
        let adding = operator == Arithmetic::Add;
        let kind = match (left.kind, right.kind) {
            (Kind::Duration, Kind::Duration) if additive => Kind::Duration,
            (Kind::Duration, Kind::Int) if !additive => Kind::Duration,
            (Kind::Int, Kind::Duration) if operator == Arithmetic::Multiply => Kind::Duration,
            (Kind::Any, Kind::Duration) | (Kind::Duration, Kind::Any) => {
                return self.no_arithmetic(expr, &left, &right);
            }
            (Kind::Any, other) | (other, Kind::Any)
                if other.is_number() || other == Kind::Any || adding =>
            {
                Kind::Any
            }
            (Kind::Int, Kind::Int) => Kind::Int,
            (a, b) if a.is_number() && b.is_number() => Kind::Double,
            (Kind::Str, Kind::Str) if adding => Kind::Str,
            (Kind::List, Kind::List) if adding => Kind::List,
            _ => return self.no_arithmetic(expr, &left, &right),
        };
        Some(Typed::new(Node::Arithmetic(operator, Box::new((left.node, right.node))), kind))
    }

    fn no_arithmetic(&mut self, expr: &IdedExpr, left: &Typed, right: &Typed) -> Option<Typed> {
        let text = [left, right].into_iter().find(|side| side.kind == Kind::Str);
        let problem = match text {
            Some(text) => ExprProblem::at(
                self.span(expr),
                format!("{}: arithmetic takes numbers", text.describe()),
            )
            .help(
                text.name().map(|n| format!("write int({n}) or double({n})")).unwrap_or_default(),
            ),
            None => ExprProblem::at(
                self.span(expr),
                format!("{} and {} do not add up", left.kind.noun(), right.kind.noun()),
            ),
        };
        self.refuse(problem)
    }

    fn membership(&mut self, wanted: &IdedExpr, within: &IdedExpr) -> Option<Typed> {
        let (left, right) = (self.part(wanted), self.part(within));
        let (left, right) = (left?, right?);
        if !matches!(right.kind, Kind::Any | Kind::List | Kind::Map) {
            let mut problem = ExprProblem::at(
                self.span(within),
                format!("`in` looks into a list, and {}", right.describe()),
            );
            if let (Kind::Str, Some(name)) = (right.kind, right.name()) {
                problem = problem.help(format!("write {name}.contains(…)"));
            }
            return self.refuse(problem);
        }
        if let (Expr::List(list), Node::List(parts)) = (&within.expr, &right.node) {
            self.elements_compare(&left, &list.elements)?;
            let constants: Option<Vec<_>> = parts.iter().map(constant_of).collect();
            if let (Some(source), Some(constants)) = (source(&left.node), constants) {
                return Some(Typed::new(Node::OneOf(source, constants.into()), Kind::Bool));
            }
        }
        Some(Typed::new(Node::In(Box::new((left.node, right.node))), Kind::Bool))
    }

    /// Refuses a list with an element that could never be found.
    fn elements_compare(&mut self, wanted: &Typed, elements: &[IdedExpr]) -> Option<()> {
        let mut all_compare = true;
        for element in elements {
            let part = self.part(element)?;
            if wanted.kind.compares_with(part.kind, Relation::Equal) {
                continue;
            }
            all_compare = false;
            let (message, help) = mismatch(wanted, Relation::Equal, &part);
            let help = match (wanted.kind, part.kind, wanted.name()) {
                (Kind::Str, Kind::Int, Some(name)) => format!("write int({name}) in […]"),
                (Kind::Str, Kind::Double, Some(name)) => format!("write double({name}) in […]"),
                _ => help,
            };
            self.problems.push(ExprProblem::at(self.span(element), message).help(help));
        }
        all_compare.then_some(())
    }
}

/// A macro's variable, or a part of it.
fn local_part(local: usize, path: &Path<'_>) -> Typed {
    let node = path
        .parts
        .iter()
        .fold(Node::Local(local), |whole, part| Node::Part(Box::new(whole), (*part).into()));
    Typed { node, kind: Kind::Any, said: Said::Field(path.root.to_owned()) }
}

fn constant_of(node: &Node) -> Option<Constant> {
    match node {
        Node::Constant(constant) if *constant != Constant::Null => Some(constant.clone()),
        _ => None,
    }
}

/// A field, or one conversion of a field.
fn source(node: &Node) -> Option<Source> {
    match node {
        Node::Field(field) => Some(Source { field: *field, conversion: None }),
        Node::Convert(conversion, part) => match **part {
            Node::Field(field) => Some(Source { field, conversion: Some(*conversion) }),
            _ => None,
        },
        _ => None,
    }
}

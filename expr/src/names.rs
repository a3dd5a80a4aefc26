//! What a name or a path in a condition stands for.
//!
//! Owns the scopes. Never looks at a record: a path becomes a field that the record finds, or does not.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use crate::check::Checker;
use crate::kind::{Kind, Said, Typed};
use crate::node::Node;
use crate::problem::ExprProblem;
use crate::record::{Scope, Type};
use crate::spelling::closest;

/// `a.b["c"]` as its names.
pub(crate) struct Path<'e> {
    pub(crate) root: &'e str,
    pub(crate) parts: Vec<&'e str>,
}

impl<'e> Path<'e> {
    /// The path an expression spells, if it spells one.
    pub(crate) fn of(mut expr: &'e IdedExpr) -> Option<Self> {
        let mut parts = Vec::new();
        loop {
            match &expr.expr {
                Expr::Ident(name) => {
                    parts.reverse();
                    return Some(Self { root: name.trim_start_matches('.'), parts });
                }
                Expr::Select(select) if !select.test => {
                    parts.push(select.field.as_str());
                    expr = &select.operand;
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [whole, at] = call.args.as_slice() else {
                        return None;
                    };
                    parts.push(text_literal(at)?);
                    expr = whole;
                }
                _ => return None,
            }
        }
    }

    fn spelled(&self) -> String {
        let mut all = vec![self.root];
        all.extend(&self.parts);
        all.join(".")
    }
}

/// The text an expression is, if it is one written out.
pub(crate) fn text_literal(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

impl Checker<'_> {
    /// A path whose root is no macro's variable.
    pub(crate) fn resolve(&mut self, expr: &IdedExpr, path: &Path<'_>) -> Option<Typed> {
        match self.scope {
            Scope::Line => self.line_field(expr, path, Kind::Any, None),
            Scope::TextLine => self.line_field(expr, path, Kind::Str, None),
            Scope::TextFields(known) => self.line_field(expr, path, Kind::Str, Some(known)),
            Scope::Labels => self.label(expr, path),
            Scope::Known(known) => self.variable(expr, path, known),
        }
    }

    /// The path of a field of a line, `fields` itself left out; one of those known, if they are.
    fn line_field(
        &mut self,
        expr: &IdedExpr,
        path: &Path<'_>,
        kind: Kind,
        known: Option<&[String]>,
    ) -> Option<Typed> {
        let name = match path.root {
            "fields" if path.parts.is_empty() => {
                let problem =
                    ExprProblem::at(self.span(expr), "`fields` stands for the whole line")
                        .help("name one: fields.status, or fields[\"status-code\"]");
                return self.refuse(problem);
            }
            "fields" => path.parts.join("."),
            _ => path.spelled(),
        };
        if let Some(known) = known
            && !known.contains(&name)
        {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let problem = ExprProblem::at(self.span(expr), format!("lines have no field `{name}`"))
                .help(known_names(&name, &known));
            return self.refuse(problem);
        }
        let node = Node::Field(self.field(&name));
        Some(Typed { node, kind, said: Said::Field(name) })
    }

    fn label(&mut self, expr: &IdedExpr, path: &Path<'_>) -> Option<Typed> {
        if let Some(part) = path.parts.first() {
            let message = format!("`{}` is a label and labels have no parts", path.root);
            let mut problem = ExprProblem::at(self.span(expr), message);
            if matches!(path.root, "labels" | "fields") {
                problem = problem.help(format!("write {part}"));
            }
            return self.refuse(problem);
        }
        let node = Node::Field(self.field(path.root));
        Some(Typed { node, kind: Kind::Str, said: Said::Label(path.root.to_owned()) })
    }

    /// What may be meant by a part of JSON that is held against another kind: those parts of the same JSON that are known
    /// to be of that kind.
    pub(crate) fn meant(&self, part: &Typed, kind: Kind) -> Option<String> {
        let (Scope::Known(known), Said::Variable(name), Kind::Any) =
            (self.scope, &part.said, part.kind)
        else {
            return None;
        };
        let (holder, _) = known.iter().find(|(holder, _)| is_part_of(name, holder))?;
        let fits = |(other, t): &&(&str, Type)| is_part_of(other, holder) && kind_of(*t) == kind;
        let fitting: Vec<&str> = known.iter().filter(fits).map(|(other, _)| *other).collect();
        (!fitting.is_empty()).then(|| known_names(name, &fitting))
    }

    fn variable(
        &mut self,
        expr: &IdedExpr,
        path: &Path<'_>,
        known: &[(&str, Type)],
    ) -> Option<Typed> {
        let spelled = path.spelled();
        if let Some((name, kind)) = known.iter().find(|(name, _)| *name == spelled) {
            let node = Node::Field(self.field(name));
            return Some(Typed { node, kind: kind_of(*kind), said: Said::Variable(spelled) });
        }
        let holder = known
            .iter()
            .filter(|(name, _)| is_part_of(&spelled, name))
            .max_by_key(|(n, _)| n.len());
        match holder {
            Some((_, Type::Json)) => {
                let node = Node::Field(self.field(&spelled));
                Some(Typed { node, kind: Kind::Any, said: Said::Variable(spelled) })
            }
            Some((name, kind)) => {
                let message = format!("`{name}` is {} and has no parts", kind_of(*kind).noun());
                let problem = ExprProblem::at(self.span(expr), message);
                self.refuse(problem)
            }
            None => {
                let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let problem = ExprProblem::at(self.span(expr), format!("unknown name `{spelled}`"))
                    .help(known_names(&spelled, &known));
                self.refuse(problem)
            }
        }
    }
}

fn kind_of(kind: Type) -> Kind {
    match kind {
        Type::Int => Kind::Int,
        Type::Double => Kind::Double,
        Type::String => Kind::Str,
        Type::Bool => Kind::Bool,
        Type::Duration => Kind::Duration,
        Type::Json => Kind::Any,
    }
}

fn is_part_of(spelled: &str, name: &str) -> bool {
    spelled.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

fn known_names(spelled: &str, known: &[&str]) -> String {
    match closest(spelled, known.iter().copied().chain(["true", "false", "null"])) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "no names are known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

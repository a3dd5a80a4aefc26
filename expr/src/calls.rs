//! Functions and macros: `int(x)`, `x.startsWith("/api")`, `has(fields.x)`, `tags.exists(t, t == "a")`.
//!
//! Owns which there are and what they take. Never lets a regular expression be made per line: patterns are constants.

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use regex::RegexBuilder;

use crate::check::Checker;
use crate::duration::{self, DurationError};
use crate::evaluate::convert;
use crate::kind::{Kind, Said, Typed};
use crate::names::{Path, text_literal};
use crate::node::{Constant, Conversion, Macro, Node, TextPair, TextTest};
use crate::problem::ExprProblem;
use crate::record::Scope;
use crate::spelling::closest;

/// The size a compiled regular expression may have, in bytes.
const MAX_REGEX: usize = 1 << 20;

const FUNCTIONS: [&str; 8] =
    ["has", "int", "double", "string", "bool", "duration", "size", "matches"];
const METHODS: [&str; 10] = [
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "size",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
];

impl Checker<'_> {
    /// A call that is no operator.
    pub(crate) fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Option<Typed> {
        let name = call.func_name.as_str();
        match (&call.target, call.args.as_slice()) {
            (None, [part]) if name == "has" => self.has(expr, part),
            (None, [part]) if conversion(name).is_some() => {
                self.conversion(part, conversion(name)?)
            }
            (None, [text, pattern]) if name == "matches" => self.matches(text, pattern),
            (Some(text), [pattern]) if name == "matches" => self.matches(text, pattern),
            (Some(whole), []) if name == "size" => self.conversion(whole, Conversion::Size),
            (Some(text), [part]) if text_pair(name).is_some() => {
                self.text_pair(text, text_pair(name)?, part)
            }
            (Some(over), [variable, body]) if macro_named(name).is_some() => {
                self.macro_call(over, macro_named(name)?, variable, body)
            }
            (Some(over), [variable, keep, body]) if name == "map" => {
                self.filtered_map(over, variable, keep, body)
            }
            (target, args) => self.unknown_call(expr, name, target.as_deref(), args.len()),
        }
    }

    fn unknown_call(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        n_args: usize,
    ) -> Option<Typed> {
        let span = self.own_span(expr);
        let (here, there) = if target.is_some() {
            (&METHODS[..], &FUNCTIONS[..])
        } else {
            (&FUNCTIONS[..], &METHODS[..])
        };
        let problem = if here.contains(&name) {
            let plural = if n_args == 1 { "" } else { "s" };
            ExprProblem::at(span, format!("`{name}` does not take {n_args} argument{plural}"))
                .help(usage(name))
        } else if there.contains(&name) {
            ExprProblem::at(span, format!("`{name}` is not called so")).help(usage(name))
        } else {
            ExprProblem::at(span, format!("there is no function `{name}`")).help(
                match closest(name, FUNCTIONS.into_iter().chain(METHODS)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", all_functions().join(", ")),
                },
            )
        };
        self.refuse(problem)
    }

    /// `has(fields.x)`: whether a field is there at all.
    fn has(&mut self, expr: &IdedExpr, part: &IdedExpr) -> Option<Typed> {
        let path = Path::of(part);
        let node = match (path, &part.expr) {
            (Some(path), _) if path.parts.is_empty() => return self.has_of_name(expr, path.root),
            (Some(path), _) if self.locals.iter().any(|local| local == path.root) => {
                match self.part(part)?.node {
                    Node::Part(whole, name) => Node::HasPart(whole, name),
                    _ => return None,
                }
            }
            (Some(path), _) => match self.resolve(part, &path)?.node {
                Node::Field(field) => Node::Has(field),
                _ => return None,
            },
            (None, Expr::Select(select)) => {
                let whole = self.part(&select.operand)?;
                self.parts_of(&whole, &select.operand)?;
                Node::HasPart(Box::new(whole.node), select.field.as_str().into())
            }
            (None, _) => {
                let problem = ExprProblem::at(self.span(part), "`has` asks for a field")
                    .help("write has(fields.x)");
                return self.refuse(problem);
            }
        };
        Some(Typed::new(node, Kind::Bool))
    }

    fn has_of_name(&mut self, expr: &IdedExpr, name: &str) -> Option<Typed> {
        let (message, help) = match self.scope {
            Scope::Line | Scope::TextLine | Scope::TextFields(_) => {
                ("`has` asks for a field", format!("write has(fields.{name})"))
            }
            Scope::Labels => {
                ("every label is there; an absent one is \"\"", format!("write {name} != \"\""))
            }
            Scope::Known(_) => ("`has` asks for a part of a value", String::new()),
        };
        let problem = ExprProblem::at(self.span(expr), message).help(help);
        self.refuse(problem)
    }

    fn conversion(&mut self, expr: &IdedExpr, conversion: Conversion) -> Option<Typed> {
        let part = self.part(expr)?;
        let (takes, kind): (&[Kind], Kind) = match conversion {
            Conversion::Int => (&[Kind::Int, Kind::Double, Kind::Str], Kind::Int),
            Conversion::Double => (&[Kind::Int, Kind::Double, Kind::Str], Kind::Double),
            Conversion::String => (&[Kind::Int, Kind::Double, Kind::Str, Kind::Bool], Kind::Str),
            Conversion::Bool => (&[Kind::Bool, Kind::Str], Kind::Bool),
            Conversion::Duration => (&[Kind::Str], Kind::Duration),
            Conversion::Size => (&[Kind::Str, Kind::List, Kind::Map], Kind::Int),
        };
        if part.kind != Kind::Any && !takes.contains(&part.kind) {
            let message = match conversion {
                Conversion::Size => format!("{} and has no size", part.describe()),
                _ => format!("{} and becomes no {}", part.describe(), bare(kind)),
            };
            let help = match (conversion, part.constant()) {
                (Conversion::Duration, Some(Constant::Int(i))) => {
                    format!("write duration(\"{i}s\")")
                }
                _ => String::new(),
            };
            let problem = ExprProblem::at(self.span(expr), message).help(help);
            return self.refuse(problem);
        }
        match part.constant() {
            Some(constant) => self.constant_conversion(expr, conversion, constant, kind),
            None => Some(Typed::new(Node::Convert(conversion, Box::new(part.node)), kind)),
        }
    }

    /// Converts now what is written out, so that it costs nothing later and fails before anything runs.
    fn constant_conversion(
        &mut self,
        expr: &IdedExpr,
        conversion: Conversion,
        constant: &Constant,
        kind: Kind,
    ) -> Option<Typed> {
        use crate::val::Val;
        let converted = match convert(conversion, &constant.val()) {
            Ok(Val::Int(i)) => Constant::Int(i),
            Ok(Val::Double(d)) => Constant::Double(d),
            Ok(Val::Bool(b)) => Constant::Bool(b),
            Ok(Val::Str(text)) => Constant::Str(text.as_ref().into()),
            _ => {
                let problem = match (conversion, constant) {
                    (Conversion::Duration, Constant::Str(text)) => {
                        let why = duration::parse(text).err().unwrap_or(DurationError::NoNumber);
                        ExprProblem::at(self.span(expr), why.to_string())
                            .help("write a sum such as 300ms, 1h30m, 7d")
                    }
                    _ => {
                        ExprProblem::at(self.span(expr), format!("this becomes no {}", bare(kind)))
                    }
                };
                return self.refuse(problem);
            }
        };
        Some(Typed::new(Node::Constant(converted), kind))
    }

    /// A part that must be a text.
    fn text(&mut self, expr: &IdedExpr) -> Option<Typed> {
        let part = self.part(expr)?;
        if matches!(part.kind, Kind::Str | Kind::Any) {
            return Some(part);
        }
        let help = part.name().map(|name| format!("write string({name})")).unwrap_or_default();
        let problem =
            ExprProblem::at(self.span(expr), format!("{}, not a text", part.describe())).help(help);
        self.refuse(problem)
    }

    fn text_pair(&mut self, text: &IdedExpr, pair: TextPair, part: &IdedExpr) -> Option<Typed> {
        let (text, part) = (self.text(text), self.text(part));
        let (text, part) = (text?, part?);
        let node = match (text.node, part.node) {
            (text, Node::Constant(Constant::Str(part))) => {
                text_test(text, TextTest::Pair(pair, part))
            }
            (text, part) => Node::TextPair(pair, Box::new((text, part))),
        };
        Some(Typed::new(node, Kind::Bool))
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Option<Typed> {
        let text = self.text(text);
        let Some(source) = text_literal(pattern) else {
            let problem = ExprProblem::at(self.span(pattern), "the pattern must be written out")
                .help("write matches(\"…\") with a regular expression in quotes");
            return self.refuse(problem);
        };
        match RegexBuilder::new(source).size_limit(MAX_REGEX).build() {
            Ok(regex) => {
                Some(Typed::new(text_test(text?.node, TextTest::Matches(regex)), Kind::Bool))
            }
            Err(error) => {
                let problem = ExprProblem::at(self.span(pattern), regex_message(&error));
                self.refuse(problem)
            }
        }
    }

    fn macro_call(
        &mut self,
        over: &IdedExpr,
        kind: Macro,
        variable: &IdedExpr,
        body: &IdedExpr,
    ) -> Option<Typed> {
        let over = self.elements(over);
        let name = self.variable_name(variable)?;
        self.locals.push(name);
        let body = match kind {
            Macro::Map => self.part(body).map(|body| body.node),
            _ => self.truth(body),
        };
        self.locals.pop();
        let result =
            if matches!(kind, Macro::Map | Macro::Filter) { Kind::List } else { Kind::Bool };
        Some(Typed::new(Node::Macro(kind, Box::new((over?, body?))), result))
    }

    /// `list.map(x, keep, value)`.
    fn filtered_map(
        &mut self,
        over: &IdedExpr,
        variable: &IdedExpr,
        keep: &IdedExpr,
        body: &IdedExpr,
    ) -> Option<Typed> {
        let kept = self.macro_call(over, Macro::Filter, variable, keep)?.node;
        let name = self.variable_name(variable)?;
        self.locals.push(name);
        let body = self.part(body).map(|body| body.node);
        self.locals.pop();
        Some(Typed::new(Node::Macro(Macro::Map, Box::new((kept, body?))), Kind::List))
    }

    fn elements(&mut self, over: &IdedExpr) -> Option<Node> {
        let part = self.part(over)?;
        if matches!(part.kind, Kind::Any | Kind::List | Kind::Map) {
            return Some(part.node);
        }
        let what = match part.said {
            Said::Other => "this is no list".to_owned(),
            _ => format!("{}, not a list", part.describe()),
        };
        let problem = ExprProblem::at(self.span(over), what);
        self.refuse(problem)
    }

    fn variable_name(&mut self, variable: &IdedExpr) -> Option<String> {
        match &variable.expr {
            Expr::Ident(name) if !name.starts_with('.') => Some(name.clone()),
            _ => {
                let problem = ExprProblem::at(self.span(variable), "the first argument is a name")
                    .help("as in tags.exists(tag, tag == \"a\")");
                self.refuse(problem)
            }
        }
    }
}

fn all_functions() -> Vec<&'static str> {
    let only_methods = METHODS.into_iter().filter(|name| !FUNCTIONS.contains(name));
    FUNCTIONS.into_iter().chain(only_methods).collect()
}

fn text_test(text: Node, test: TextTest) -> Node {
    match text {
        Node::Field(field) => Node::Text(field, test),
        text => Node::TextOf(Box::new(text), test),
    }
}

fn conversion(name: &str) -> Option<Conversion> {
    Some(match name {
        "int" => Conversion::Int,
        "double" => Conversion::Double,
        "string" => Conversion::String,
        "bool" => Conversion::Bool,
        "duration" => Conversion::Duration,
        "size" => Conversion::Size,
        _ => return None,
    })
}

fn text_pair(name: &str) -> Option<TextPair> {
    Some(match name {
        "startsWith" => TextPair::StartsWith,
        "endsWith" => TextPair::EndsWith,
        "contains" => TextPair::Contains,
        _ => return None,
    })
}

fn macro_named(name: &str) -> Option<Macro> {
    Some(match name {
        "all" => Macro::All,
        "exists" => Macro::Exists,
        "exists_one" | "existsOne" => Macro::ExistsOne,
        "filter" => Macro::Filter,
        "map" => Macro::Map,
        _ => return None,
    })
}

fn bare(kind: Kind) -> &'static str {
    kind.noun().trim_start_matches("a ")
}

fn usage(name: &str) -> String {
    match name {
        "has" => "write has(fields.x)".to_owned(),
        "int" | "double" | "string" | "bool" => format!("write {name}(x)"),
        "duration" => "write duration(\"1h30m\")".to_owned(),
        "size" => "write size(x)".to_owned(),
        "startsWith" | "endsWith" | "contains" | "matches" => format!("write x.{name}(\"…\")"),
        _ => format!("write list.{name}(x, …)"),
    }
}

/// The last line of the library's message says what is wrong; the others draw it.
fn regex_message(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let why = last.trim().trim_start_matches("error: ");
    match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        _ => format!("not a regular expression: {why}"),
    }
}

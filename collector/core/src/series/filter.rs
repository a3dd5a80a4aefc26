//! A condition over the labels of a series.
//!
//! Owns that an absent label reads as "". Never knows CEL: the `expr` crate does.

use watchkeeper_expr::{Condition, ExprProblem, Record, Scope, Value, Verdict};
use watchkeeper_model::Labels;

/// A condition in which every name is a label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Condition);

impl Filter {
    /// The filter that lets everything through.
    pub fn all() -> Self {
        Self(Condition::always())
    }

    /// Checks and compiles a filter; blank text lets everything through.
    pub fn compile(text: &str) -> Result<Self, Vec<ExprProblem>> {
        Condition::compile(text, Scope::Labels).map(Self)
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// What it says of these labels.
    pub fn verdict(&self, labels: &Labels) -> Verdict {
        if self.0.is_always() {
            return Verdict::Match;
        }
        self.0.evaluate(&Fields { names: self.0.fields(), labels })
    }
}

/// Labels as a record: a slot is a position among the condition's fields, which is what an unbound condition asks for.
struct Fields<'a> {
    names: &'a [String],
    labels: &'a Labels,
}

impl Record for Fields<'_> {
    fn value(&self, slot: usize) -> Value<'_> {
        Value::Str(self.names.get(slot).map_or("", |name| self.labels.get(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_strings_and_absent_ones_empty() {
        let labels = Labels::new([("status", "500"), ("method", "GET")]);
        for (text, verdict) in [
            ("", Verdict::Match),
            ("int(status) < 500", Verdict::NoMatch),
            ("status == '500' && method != 'POST'", Verdict::Match),
            ("region == ''", Verdict::Match),
            ("int(method) < 500", Verdict::Unjudged),
        ] {
            assert_eq!(Filter::compile(text).unwrap().verdict(&labels), verdict, "{text}");
        }
        assert!(Filter::compile("status < 500").is_err());
    }
}

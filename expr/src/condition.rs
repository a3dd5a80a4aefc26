//! A condition, from text to verdict.
//!
//! Owns the public handle. Never changes after `bind`: it is shared between threads as it is.

use crate::check::{Checked, check};
use crate::evaluate::Evaluation;
use crate::node::{Constant, Node};
use crate::problem::ExprProblem;
use crate::record::{Record, Scope, Verdict};
use crate::scan::scan;
use crate::syntax::parse;

/// A condition that was checked and can be asked about records.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    root: Node,
    fields: Vec<String>,
    /// By field, where a record keeps it.
    slots: Vec<usize>,
}

impl Condition {
    /// Checks and compiles a condition; every problem of it is reported. Blank text always matches.
    pub fn compile(text: &str, scope: Scope<'_>) -> Result<Self, Vec<ExprProblem>> {
        if text.trim().is_empty() {
            return Ok(Self { text: text.to_owned(), ..Self::always() });
        }
        let refused = |problem| vec![problem];
        scan(text).map_err(refused)?;
        let syntax = parse(text).map_err(refused)?;
        let Checked { root, fields } = check(&syntax, scope)?;
        Ok(Self { text: text.to_owned(), root, slots: (0..fields.len()).collect(), fields })
    }

    /// The condition that always matches.
    pub fn always() -> Self {
        Self {
            text: String::new(),
            root: Node::Constant(Constant::Bool(true)),
            fields: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches whatever the record says.
    pub fn is_always(&self) -> bool {
        matches!(self.root, Node::Constant(Constant::Bool(true)))
    }

    /// Every distinct field it reads, as a path: `status`; `a.b` for part `b` of `a`; `a-b` for `fields["a-b"]`.
    /// A key that itself has a dot in it is spelled the same way, so a record looks for the whole path as a key first.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Says where records keep each field. Without it a field's slot is its position in [`Self::fields`].
    pub fn bind(&mut self, mut slot_of: impl FnMut(&str) -> usize) {
        self.slots = self.fields.iter().map(|field| slot_of(field)).collect();
    }

    /// What it says of a record.
    pub fn evaluate<R: Record + ?Sized>(&self, record: &R) -> Verdict {
        Evaluation::new(record, &self.slots).test(&self.root)
    }

    /// Whether it can't be judged because its macros would visit more than [`MAX_VISITS`](crate::MAX_VISITS) elements
    /// of this record.
    pub fn is_exhausted_by<R: Record + ?Sized>(&self, record: &R) -> bool {
        let mut evaluation = Evaluation::new(record, &self.slots);
        evaluation.test(&self.root) == Verdict::Unjudged && evaluation.is_exhausted()
    }
}

/// Two conditions are the same if they say the same, wherever their fields are kept.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.fields == other.fields
    }
}

impl Eq for Condition {}

impl Default for Condition {
    fn default() -> Self {
        Self::always()
    }
}

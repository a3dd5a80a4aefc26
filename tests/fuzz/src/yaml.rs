//! A configuration out of arbitrary text, and what must hold for its problems.
//!
//! Owns that nothing outside the input is read: no file, no variable of the process.

use watchkeeper_config::{Document, Environment, Problems, Reader, load_str};

const SECRET: &str = "a secret, which is never shown";

/// An environment of one variable.
#[derive(Clone, Copy, Debug)]
pub struct Allowed;

impl Environment for Allowed {
    fn var(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| SECRET.to_owned())
    }
}

/// The input as a document; `None` if it is none.
pub fn document(data: &[u8], reader: &mut Reader<'_>) -> Option<Document> {
    load_str("fuzz.yaml", std::str::from_utf8(data).ok()?, reader)
}

/// Every problem has a place in the file and says something, and no secret is shown.
pub fn check_problems(problems: &Problems, data: &[u8]) {
    assert!(problems.n_errors() <= problems.iter().count() + problems.n_dropped());
    for problem in problems.iter() {
        assert!(!problem.message.is_empty(), "a problem says nothing");
        assert!(problem.place.line() >= 1 && problem.place.column() >= 1);
    }
    let shown = problems.render();
    // `${TOKEN}` in a string that is no secret is the user's own doing.
    let is_expanded = data.windows(2).any(|w| w == b"${");
    assert!(is_expanded || !shown.contains(SECRET), "a secret is shown:\n{shown}");
    assert_eq!(problems.report().len(), problems.iter().count());
}

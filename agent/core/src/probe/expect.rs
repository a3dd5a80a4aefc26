//! Conditions held against what an attempt saw.
//!
//! Owns which one is told when several do not hold (the first), and in which words. Never knows
//! which names a kind of probe has: it is given them.

use std::time::Duration;

use watchkeeper_expr::{Condition, MAX_VISITS, Record, Value, Verdict};

use super::reason::Reason;
use super::seen::{Found, Seen};

/// What a probe expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// All of these have to hold.
    pub expect: Vec<Condition>,
    /// If one of these holds, it is degraded.
    pub degraded: Vec<Condition>,
    /// In which time the answer has to be there, at most as long as from one attempt to the next; nobody waits for it any
    /// longer.
    pub within: Duration,
}

/// A condition that makes a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// As it is written.
    pub condition: String,
    /// What it saw: `status = 503`.
    pub saw: String,
    /// In one word.
    pub reason: Reason,
    /// That it does not hold, or why it can't be judged.
    pub what: String,
}

/// What conditions want and an attempt may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Nothing: what was seen is all there was.
    Nothing,
    /// The rest of a long answer.
    Rest,
}

impl Expectations {
    /// Whether any condition reads this name, or a part of it.
    pub fn reads(&self, name: &str) -> bool {
        self.expect.iter().chain(&self.degraded).any(|condition| reads(condition, name))
    }

    /// Whether it says itself what it expects of this name.
    pub fn expects(&self, name: &str) -> bool {
        self.expect.iter().any(|condition| reads(condition, name))
    }

    /// The first condition that does not hold. One that can't be judged does not: what it reads was not seen.
    pub fn broken(&self, seen: &Seen) -> Option<Broken> {
        let fails = |condition: &&Condition| verdict(condition, seen) != Verdict::Match;
        self.expect.iter().find(fails).map(|condition| broken(condition, seen))
    }

    /// The first condition that says it is degraded.
    pub fn weak(&self, seen: &Seen) -> Option<Broken> {
        let holds = |condition: &&Condition| verdict(condition, seen) == Verdict::Match;
        self.degraded.iter().find(holds).map(|condition| broken(condition, seen))
    }

    /// Whether a condition reads what was cut off.
    pub fn lacks(&self, seen: &Seen) -> Lacking {
        let wants = seen.cut.iter().any(|name| self.reads(name));
        if wants { Lacking::Rest } else { Lacking::Nothing }
    }
}

fn reads(condition: &Condition, name: &str) -> bool {
    condition.fields().iter().any(|field| root(field) == name)
}

fn root(field: &str) -> &str {
    field.split('.').next().unwrap_or(field)
}

fn verdict(condition: &Condition, seen: &Seen) -> Verdict {
    condition.evaluate(&Values::of(condition, seen))
}

fn broken(condition: &Condition, seen: &Seen) -> Broken {
    let fields = condition.fields();
    let saw: Vec<String> = fields.iter().map(|field| seen.show(field)).collect();
    let only = |name: &str| !fields.is_empty() && fields.iter().all(|field| root(field) == name);
    let words = [
        ("status", Reason::Status),
        ("exit", Reason::Status),
        ("rcode", Reason::Status),
        ("latency", Reason::Latency),
        ("certificate", Reason::Certificate),
    ];
    let (text, saw) = (condition.text().to_owned(), saw.join(", "));
    let (reason, what) = if condition.is_exhausted_by(&Values::of(condition, seen)) {
        let why = format!("more than {MAX_VISITS} elements to look at");
        (Reason::TooLarge, format!("`{text}` can't be judged: {why}"))
    } else {
        let reason = words.into_iter().find(|(name, _)| only(name));
        let reason = reason.map_or(Reason::Expect, |(_, reason)| reason);
        (reason, format!("`{text}` does not hold: {saw}"))
    };
    Broken { condition: text, saw, reason, what }
}

struct Values(Vec<Found>);

impl Values {
    fn of(condition: &Condition, seen: &Seen) -> Self {
        Self(condition.fields().iter().map(|field| seen.find(field)).collect())
    }
}

impl Record for Values {
    fn value(&self, slot: usize) -> Value<'_> {
        self.0.get(slot).map_or(Value::Absent, Found::value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchkeeper_expr::{Scope, Type};

    use super::super::seen::Said;
    use super::*;

    const NAMES: [(&str, Type); 6] = [
        ("status", Type::Int),
        ("latency", Type::Duration),
        ("body", Type::String),
        ("json", Type::Json),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
    ];

    fn conditions(texts: &[&str]) -> Vec<Condition> {
        let compile = |text: &&str| Condition::compile(text, Scope::Known(&NAMES)).unwrap();
        texts.iter().map(compile).collect()
    }

    fn seen() -> Seen {
        let mut seen = Seen::default();
        seen.say("status", Said::Int(503));
        seen.say("latency", Said::Span(412_000_000));
        seen.say("json", Said::Json(json!({"status": "starting", "checks": [{"ok": false}]})));
        seen.say("certificate.expires_in", Said::Span(3 * 86_400_000_000_000));
        seen
    }

    #[test]
    fn a_condition_that_does_not_hold_names_itself_and_what_it_saw() {
        for (sentence, condition, broken) in [
            ("one that holds is silent", "status == 503", None),
            ("a status", "status == 200", Some(("status = 503", Reason::Status))),
            (
                "a latency",
                "latency < duration('300ms')",
                Some(("latency = 412.0ms", Reason::Latency)),
            ),
            (
                "a part of JSON",
                "json.status == 'healthy'",
                Some(("json.status = \"starting\"", Reason::Expect)),
            ),
            (
                "several values",
                "status == 200 && latency < duration('1s')",
                Some(("status = 503, latency = 412.0ms", Reason::Expect)),
            ),
            (
                "what was not seen can't be judged, and does not hold",
                "body.contains('ok')",
                Some(("body is absent", Reason::Expect)),
            ),
            (
                "a certificate",
                "certificate.expires_in > duration('14d')",
                Some(("certificate.expires_in = 3d", Reason::Certificate)),
            ),
            (
                "a list",
                "json.checks.all(c, c.ok)",
                Some(("json.checks = [{\"ok\":false}]", Reason::Expect)),
            ),
        ] {
            let all = Expectations { expect: conditions(&[condition]), ..Default::default() };
            let told = all.broken(&seen());
            let told = told.as_ref().map(|b| (b.saw.as_str(), b.reason));
            assert_eq!(told, broken, "{sentence}");
        }
    }

    #[test]
    fn a_list_too_long_to_be_judged_is_told_as_such() {
        let expect = conditions(&["json.all(a, a >= 0)"]);
        let all = Expectations { expect, ..Default::default() };
        let broken = |n: u32| {
            let mut seen = Seen::default();
            seen.say("json", Said::Json((0..n).collect()));
            all.broken(&seen).map(|broken| (broken.reason, broken.what))
        };
        assert_eq!(broken(20_000), None);
        let what = "`json.all(a, a >= 0)` can't be judged: more than 100000 elements to look at";
        assert_eq!(broken(MAX_VISITS + 1), Some((Reason::TooLarge, what.to_owned())));
    }

    #[test]
    fn the_first_that_does_not_hold_is_told() {
        let expect = conditions(&["status > 0", "status == 200", "status == 201"]);
        let all = Expectations { expect, ..Default::default() };
        assert_eq!(all.broken(&seen()).unwrap().condition, "status == 200");
        assert!(all.expects("status") && !all.expects("latency"));
    }

    #[test]
    fn degraded_is_what_holds_and_not_what_can_not_be_judged() {
        let degraded = conditions(&["body == 'x'", "latency > duration('300ms')"]);
        let all = Expectations { degraded, ..Default::default() };
        assert_eq!(all.weak(&seen()).unwrap().reason, Reason::Latency);
        assert!(all.reads("body") && !all.expects("body"));
    }

    #[test]
    fn a_cut_answer_lacks_something_only_if_somebody_reads_it() {
        let mut seen = seen();
        seen.cut = vec!["body", "json"];
        for (condition, lacking) in
            [("status == 200", Lacking::Nothing), ("json.a == 1", Lacking::Rest)]
        {
            let all = Expectations { expect: conditions(&[condition]), ..Default::default() };
            assert_eq!(all.lacks(&seen), lacking, "{condition}");
        }
    }
}

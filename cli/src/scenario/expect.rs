//! What happened, held against what was expected.
//!
//! Owns the verdict on each expectation and how it is told: what was expected, at its place in the file, and what was seen
//! instead, with the reason the engine gave.

use watchkeeper_collector::rehearsal::Told;
use watchkeeper_config::{Located, Reader};

use super::moment::Span;
use super::settings::{Expect, Number, Scenario, State, Which};
use super::timeline::{Stood, Timeline};

/// Expected, and seen instead.
struct Wrong {
    expected: String,
    seen: String,
}

/// Reports every expectation that was not met.
pub(super) fn judge(scenario: &Scenario, timeline: &Timeline, reader: &mut Reader<'_>) {
    for Located { value, place } in &scenario.expect {
        if let Err(Wrong { expected, seen }) = one(value, timeline) {
            reader.error(place, format!("expected {expected}")).help(format!("seen: {seen}"));
        }
    }
}

fn one(expect: &Expect, timeline: &Timeline) -> Result<(), Wrong> {
    match expect {
        Expect::Stands { which, state, stale, when } => {
            stands(timeline, which, *state, *stale, when)
        }
        Expect::Fires { which, when } => {
            turns(timeline, which, when, true, &format!("{} to fire", which.words()))
        }
        Expect::Clears { which, when } => {
            turns(timeline, which, when, false, &format!("{} to clear", which.words()))
        }
        Expect::Quiet { which, when } => quiet(timeline, which, when),
        Expect::Told { receiver, verb, alert, when } => {
            told(timeline, (receiver, verb, alert.as_deref()), when)
        }
        Expect::NotTold { receiver, when } => not_told(timeline, receiver, when),
        Expect::Burns { slo, severity, begins, when } => {
            burns(timeline, slo, severity, *begins, when)
        }
        Expect::Slo { slo, at, told, numbers, state } => {
            slo_stands(timeline, (slo, *at, told), numbers, *state)
        }
    }
}

fn stands(
    timeline: &Timeline,
    which: &Which,
    state: State,
    stale: Option<bool>,
    when: &Span,
) -> Result<(), Wrong> {
    let is_met = |at: i64| {
        let all = timeline.stood(which, at);
        let is_so = |stood: &Stood<'_>| {
            let severity = which.severity.as_deref();
            state.is(stood)
                && stale.is_none_or(|stale| stale == stood.last.stale)
                && severity.is_none_or(|severity| severity == stood.last.severity())
        };
        match state {
            State::Quiet => all.iter().all(|stood| state.is(stood)),
            _ => all.iter().any(is_so),
        }
    };
    let times = [when.from].into_iter().chain(timeline.changes(which, when.from, when.to));
    if times.into_iter().any(is_met) {
        return Ok(());
    }
    let stale = match stale {
        Some(true) => " and stale",
        Some(false) => " and not stale",
        None => "",
    };
    let expected = format!("{} to be {}{stale} at {}", which.words(), state.as_str(), when.text);
    let all = timeline.stood(&Which { severity: None, ..which.clone() }, when.to);
    let seen = match all.first() {
        None => "there was none".to_owned(),
        Some(stood) => {
            let severity = stood.last.severity();
            let stale = if stood.last.stale { ", stale" } else { "" };
            format!(
                "{} ({severity}{stale}) since {}: {}",
                stood.last.is().unwrap_or("nothing"),
                when.base.tell(stood.since),
                stood.last.reason
            )
        }
    };
    Err(Wrong { expected, seen })
}

/// The first time from the span's base on at which it begins or stops to fire.
fn turns(
    timeline: &Timeline,
    which: &Which,
    when: &Span,
    begins: bool,
    what: &str,
) -> Result<(), Wrong> {
    let expected = format!("{what} {}", when.text);
    let base = &when.base;
    let all = timeline.turns(which);
    let before = all.iter().rev().find(|(at, ..)| *at < base.at);
    let was = before.is_some_and(|(_, is_firing, _)| *is_firing);
    let seen = match all.iter().find(|(at, is_firing, _)| *at >= base.at && *is_firing == begins) {
        _ if was && begins => {
            let since = before.map_or(String::new(), |(at, _, moved)| {
                format!(", since {}: {}", base.tell(*at), moved.reason)
            });
            format!("it fired already{since}")
        }
        None if !was && !begins => {
            let first = all.first().map(|(at, ..)| format!("; it fired first {}", base.tell(*at)));
            format!("it did not fire then{}", first.unwrap_or_default())
        }
        Some((at, ..)) if (when.from..=when.to).contains(at) => return Ok(()),
        Some((at, _, moved)) => {
            let did = if begins { "fired" } else { "cleared" };
            format!("it {did} {} ({}): {}", base.tell(*at), moved.severity(), moved.reason)
        }
        None if begins => {
            let less = Which { severity: None, ..which.clone() };
            match timeline.turns(&less).iter().find(|(at, fires, _)| *at >= base.at && *fires) {
                Some((at, _, moved)) => format!(
                    "it fired only as {}, {}: {}",
                    moved.severity(),
                    base.tell(*at),
                    moved.reason
                ),
                None => format!("it never fired, up to {}", base.tell(timeline.end)),
            }
        }
        None => format!("it still fired at the end, {}", base.tell(timeline.end)),
    };
    Err(Wrong { expected, seen })
}

fn quiet(timeline: &Timeline, which: &Which, when: &Span) -> Result<(), Wrong> {
    let all = timeline.turns(which);
    let before = all.iter().rev().find(|(at, ..)| *at < when.from);
    let within = all.iter().find(|(at, fires, _)| (when.from..=when.to).contains(at) && *fires);
    let fired = before.filter(|(_, is_firing, _)| *is_firing).or(within);
    let Some((at, _, moved)) = fired else { return Ok(()) };
    Err(Wrong {
        expected: format!("{} not to fire {}", which.words(), when.text),
        seen: format!(
            "{:?} fired {} as {}: {}",
            moved.alert,
            when.base.tell(*at),
            moved.severity(),
            moved.reason
        ),
    })
}

fn told(
    timeline: &Timeline,
    (receiver, verb, alert): (&str, &str, Option<&str>),
    when: &Span,
) -> Result<(), Wrong> {
    let its: Vec<_> = timeline.told.iter().filter(|(_, told)| told.receiver == receiver).collect();
    let is_met = |(at, told): &&&(i64, Told)| {
        (when.from..=when.to).contains(at)
            && told.verb() == verb
            && alert.is_none_or(|alert| told.alerts.iter().any(|a| a.name == alert))
    };
    if its.iter().find(is_met).is_some() {
        return Ok(());
    }
    let of = alert.map_or(String::new(), |alert| format!(" with alert {alert:?}"));
    let mut near: Vec<_> = its.iter().collect();
    near.sort_by_key(|(at, _)| (at - i64::midpoint(when.from, when.to)).abs());
    let seen: Vec<String> = near
        .iter()
        .take(3)
        .map(|(at, told)| {
            let names: Vec<&str> = told.alerts.iter().map(|a| a.name.as_str()).collect();
            format!("{} {} ({})", told.verb(), when.base.tell(*at), names.join(", "))
        })
        .collect();
    let seen =
        if seen.is_empty() { "it was told nothing at all".to_owned() } else { seen.join("; ") };
    let expected = format!("receiver {receiver:?} to be told {verb:?}{of} {}", when.text);
    Err(Wrong { expected, seen })
}

fn not_told(timeline: &Timeline, receiver: &str, when: &Span) -> Result<(), Wrong> {
    let within =
        |(at, told): &&(i64, Told)| told.receiver == receiver && (when.from..=when.to).contains(at);
    let Some((at, told)) = timeline.told.iter().find(within) else { return Ok(()) };
    let names: Vec<&str> = told.alerts.iter().map(|alert| alert.name.as_str()).collect();
    Err(Wrong {
        expected: format!("receiver {receiver:?} to be told nothing {}", when.text),
        seen: format!("{} {} ({})", told.verb(), when.base.tell(*at), names.join(", ")),
    })
}

fn burns(
    timeline: &Timeline,
    slo: &str,
    severity: &'static str,
    begins: bool,
    when: &Span,
) -> Result<(), Wrong> {
    let word = if begins { "burn" } else { "calm down" };
    let expected = format!("SLO {slo:?} to {word} for a {severity} {}", when.text);
    let turns = timeline.burning.get(&(slo.to_owned(), severity));
    let turns = turns.map_or(&[][..], Vec::as_slice);
    let was = turns.iter().rev().find(|(at, _)| *at < when.base.at).is_some_and(|(_, is)| *is);
    let first = turns.iter().find(|(at, is)| *at >= when.base.at && *is == begins);
    let seen = match first {
        _ if was == begins && begins => "it burned already".to_owned(),
        _ if was == begins => "it did not burn then".to_owned(),
        // Looked at once a minute: it began within the minute before.
        Some((at, _)) if (when.from..=when.to).contains(at) => return Ok(()),
        Some((at, _)) => {
            format!("it did {}, looked at once a minute", when.base.tell(*at))
        }
        None => format!("it did not, up to {}", when.base.tell(timeline.end)),
    };
    Err(Wrong { expected, seen })
}

fn slo_stands(
    timeline: &Timeline,
    (slo, at, told): (&str, i64, &str),
    numbers: &[Number],
    state: Option<&'static str>,
) -> Result<(), Wrong> {
    let views = timeline.slos.get(&at);
    let Some(view) = views.and_then(|views| views.iter().find(|view| view.name == slo)) else {
        let (expected, seen) = (format!("SLO {slo:?} {told}"), "there is none".to_owned());
        return Err(Wrong { expected, seen });
    };
    let (mut expected, mut seen) = (Vec::new(), Vec::new());
    for number in numbers {
        let is = match number.name {
            "budget_remaining" => Some(view.budget_remaining),
            "sli" => view.sli,
            "total" => Some(view.total as f64),
            "good" => Some(view.good as f64),
            _ => Some(view.unjudged as f64),
        };
        // A hair more, for what is no binary fraction.
        let is_met = is.is_some_and(|is| (is - number.value).abs() <= number.tolerance + 1e-9);
        if !is_met {
            expected.push(format!("{} {}", number.name, number.text));
            seen.push(is.map_or("none".to_owned(), |is| {
                format!("{} {}", number.name, crate::terminal::say::number(is))
            }));
        }
    }
    if let Some(state) = state.filter(|state| *state != view.state.as_str()) {
        expected.push(format!("state {state}"));
        seen.push(format!("state {}", view.state.as_str()));
    }
    if expected.is_empty() {
        return Ok(());
    }
    let expected = format!("SLO {slo:?} {told} to have {}", expected.join(", "));
    let counts = format!("{} of {} good", view.good, view.total);
    Err(Wrong { expected, seen: format!("{}; {counts}", seen.join(", ")) })
}

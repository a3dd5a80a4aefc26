//! A scenario's file: what people write, with every problem at its place.
//!
//! Owns its keys and defaults. SLOs, rules and alerting are read by the collector's own code. Never runs anything.

use std::sync::Arc;
use std::time::Duration;

use watchkeeper_collector::config::{self as collector, JUDGING_KEYS, Judging};
use watchkeeper_config::{Document, Fields, Located, Node, Reader, load, read};
use watchkeeper_model::{AgentId, Decimal, Dimension, Labels, Timestamp};

use super::moment::{Names, Span, moment, span};
use super::settings::{Bad, Event, Expect, Happens, Kind, Number, Scenario, State, Traffic, Which};

/// Most scenarios do not care when they play.
const DEFAULT_START: Timestamp = Timestamp::from_secs(1_767_225_600);

const DEFAULT_AGENT: &str = "agent-1";

/// A scenario longer than this counts in 10-second windows, unless it says otherwise.
const LONG: i64 = 6 * 3_600 * 1_000_000_000;

/// A time without `within` means up to so much earlier or later.
const WITHIN: Duration = Duration::from_secs(60);

const TRAFFIC_KEYS: [&str; 10] =
    ["name", "from", "to", "agent", "service", "signal", "rate", "labels", "value", "bad"];

/// Reads a scenario; `None` if it can't be played, which is reported then.
pub(super) fn read(document: &Document, reader: &mut Reader<'_>) -> Option<Scenario> {
    let mut keys = vec!["name", "start", "collector", "windows", "traffic", "given", "expect"];
    keys.extend(JUDGING_KEYS);
    document.root().fields(reader, &keys, |f| {
        let name = f.required("name", read::string);
        let start = f.or("start", DEFAULT_START, read_start);
        let judging = read_judged(f);
        // Names are only looked up where all of them are known.
        let is_sound = !f.reader().problems().has_errors();
        let windows = f.optional("windows", read_windows);
        let usual = f.node("traffic").cloned();
        let given = f.required("given", read::non_empty(read::node)).unwrap_or_default();
        let (mut stretches, mut events, mut names) = (Vec::new(), Vec::new(), Names::new());
        for node in &given {
            if is_traffic(node) {
                stretches.extend(read_traffic(node, usual.as_ref(), &mut names, f.reader()));
            } else {
                events.extend(read_event(node, &names, f.reader()));
            }
        }
        let expect = f.required("expect", read::non_empty(read::node)).unwrap_or_default();
        let end = stretches.iter().map(|(traffic, _): &(Traffic, _)| traffic.to).max();
        let known = Known {
            names: &names,
            end: end.unwrap_or(0),
            judging: judging.as_ref().filter(|_| is_sound),
        };
        let expect: Vec<Located<Expect>> =
            expect.iter().filter_map(|node| read_expect(node, &known, f.reader())).collect();
        let default = if end.unwrap_or(0) > LONG { 10 } else { 1 };
        let widened = |(mut traffic, own): (Traffic, Option<u32>)| {
            traffic.window_secs = own.or(windows).unwrap_or(default);
            traffic
        };
        let traffic = stretches.into_iter().map(widened).collect();
        events.sort_by_key(|event: &Event| event.at);
        Some(Scenario { name: name?, start, judging: judging?, traffic, events, expect })
    })
}

/// The collector's file that is named, or what stands here.
fn read_judged(f: &mut Fields<'_, '_, '_>) -> Option<Arc<Judging>> {
    let inline = JUDGING_KEYS.iter().find(|key| f.has(key)).copied();
    let file = f.optional("collector", read::located(read::path));
    match (file, inline) {
        (Some(file), Some(inline)) => {
            let message = format!("`collector` and `{inline}` can't stand together");
            f.reader().error(&file.place, message).help(
                "name the collector's file, or write its `slos`, `rules` and `alerting` here",
            );
            None
        }
        (Some(file), None) => {
            let document = load(&file, f.reader())?;
            // Nothing listens here, so nothing can listen where it should not.
            let settings = collector::read(&document, f.reader(), true)?;
            let engine = (*settings.engine).clone();
            Some(Arc::new(Judging { engine, integrations: settings.integrations }))
        }
        (None, None) if f.has("collector") => None,
        (None, None) => {
            let place = f.place().clone();
            f.reader().error(&place, "nothing says what is judged").help(
                "name a collector's file under `collector`, or write `slos`, `rules` and `alerting` here",
            );
            None
        }
        (None, Some(_)) => Some(Arc::new(collector::read_judging(f, "http://watchkeeper.example"))),
    }
}

fn read_start(node: &Node, reader: &mut Reader<'_>) -> Option<Timestamp> {
    let text = read::text(node, reader)?;
    let at = text.parse::<jiff::Timestamp>().ok().map(Timestamp::from_jiff);
    if at.is_none() {
        reader
            .error(node.place(), format!("{text:?} is no time"))
            .help("write 2026-01-01T00:00:00Z");
    }
    at
}

fn read_windows(node: &Node, reader: &mut Reader<'_>) -> Option<u32> {
    let width = read::duration_in(Duration::from_secs(1)..=Duration::from_secs(600))(node, reader)?;
    u32::try_from(width.as_secs()).ok()
}

fn is_traffic(node: &Node) -> bool {
    node.get("from").is_some() || node.get("to").is_some() || node.get("rate").is_some()
}

/// A stretch of traffic: what it does not say is as in `traffic`.
fn read_traffic(
    node: &Node,
    usual: Option<&Node>,
    names: &mut Names,
    reader: &mut Reader<'_>,
) -> Option<(Traffic, Option<u32>)> {
    let known = names.clone();
    let mut keys = TRAFFIC_KEYS.to_vec();
    keys.push("windows");
    let (name, traffic, windows) = node.fields(reader, &keys, |f| {
        let name = f.optional("name", read::located(read::string));
        let from = f.required("from", moment(&known));
        let to = f.required("to", moment(&known));
        let windows = f.optional("windows", read_windows);
        let agent = either(f, usual, "agent", read::string);
        let service = needed(f, usual, "service", read::service);
        let signal = needed(f, usual, "signal", read::label_name);
        let rate = needed(f, usual, "rate", read_rate);
        let labels = either(f, usual, "labels", read_labels).unwrap_or_default();
        let value = either(f, usual, "value", read_value);
        let usual = Kind { labels, value };
        let bad = f.optional("bad", |node, reader| read_bad(node, reader, &usual));
        let (from, to) = (from?.at, to?.at);
        if from >= to {
            let place = f.node("to").map_or_else(|| f.place().clone(), |n| n.place().clone());
            f.reader().error(&place, "this stretch ends before it begins");
            return None;
        }
        let agent = AgentId::new(&agent.unwrap_or_else(|| DEFAULT_AGENT.to_owned()));
        let (service, signal, rate) = (service?, signal?, rate?);
        let window_secs = 1;
        let traffic = Traffic { from, to, agent, service, signal, rate, usual, bad, window_secs };
        Some((name, traffic, windows))
    })?;
    if let Some(name) = name
        && names.insert(name.value.clone(), (traffic.from, traffic.to)).is_some()
    {
        reader.error(&name.place, format!("another stretch is called {:?} too", name.value));
    }
    Some((traffic, windows))
}

/// What a stretch says, or else `traffic`.
fn either<T>(
    f: &mut Fields<'_, '_, '_>,
    usual: Option<&Node>,
    key: &'static str,
    read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> Option<T> {
    if f.has(key) {
        return f.optional(key, read);
    }
    let node = usual.and_then(|usual| usual.get(key)).cloned()?;
    read(&node, f.reader())
}

fn needed<T>(
    f: &mut Fields<'_, '_, '_>,
    usual: Option<&Node>,
    key: &'static str,
    read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> Option<T> {
    let is_there = f.has(key) || usual.is_some_and(|usual| usual.get(key).is_some());
    if !is_there {
        let place = f.place().clone();
        f.reader()
            .error(&place, format!("`{key}` is missing"))
            .help(format!("say it here, or for all stretches under `traffic: {{{key}: …}}`"));
    }
    either(f, usual, key, read)
}

/// `100/s`, `6/m`, `0.5/s`; in 1e-6, and the nanoseconds in which there are so many.
fn read_rate(node: &Node, reader: &mut Reader<'_>) -> Option<(u64, u64)> {
    let text = read::text(node, reader)?;
    let (number, per) = text.split_once('/').unwrap_or((&text, "s"));
    let per = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find(|(unit, _)| *unit == per.trim());
    let micro = Decimal::parse(number.trim()).and_then(|number| number.scale(1_000_000));
    match (micro.and_then(|micro| u64::try_from(micro).ok()), per) {
        (Some(micro), Some((_, secs))) => Some((micro, secs * 1_000_000_000)),
        _ => {
            reader
                .error(node.place(), format!("{text:?} is no rate"))
                .help("write 100/s, 30/m or 5/h");
            None
        }
    }
}

fn read_labels(node: &Node, reader: &mut Reader<'_>) -> Option<Labels> {
    let pairs = read::map_of(read::text)(node, reader)?;
    Some(pairs.into_iter().map(|(name, value)| (name.value, value)).collect())
}

fn read_value(node: &Node, reader: &mut Reader<'_>) -> Option<(i64, Dimension)> {
    let quantity = read::quantity(node, reader)?;
    let dimension = quantity.dimension().unwrap_or(Dimension::Plain);
    match quantity.to_base(dimension) {
        Ok(base) => Some((base, dimension)),
        Err(problem) => {
            reader.error(node.place(), problem);
            None
        }
    }
}

/// `{share: 10%, labels: {status: 500}, value: 2s}`: what it does not say is as usual.
fn read_bad(node: &Node, reader: &mut Reader<'_>, usual: &Kind) -> Option<Bad> {
    node.fields(reader, &["share", "labels", "value"], |f| {
        let share = f.required("share", read::value(Dimension::Ratio));
        let labels = f.or("labels", Labels::default(), read_labels);
        let value = f.optional("value", read_value);
        if labels.is_empty() && value.is_none() {
            let place = f.place().clone();
            f.reader()
                .error(&place, "nothing says what is bad about them")
                .help("write {share: 10%, labels: {status: 500}} or {share: 10%, value: 2s}");
        }
        let share = share?;
        let share_nano = u64::try_from(share).ok().filter(|share| *share <= 1_000_000_000);
        if share_nano.is_none() {
            let place = f.node("share").map_or_else(|| f.place().clone(), |n| n.place().clone());
            f.reader().error(&place, "a share is between 0% and 100%");
        }
        let kind = Kind { labels: usual.labels.with(&labels), value: value.or(usual.value) };
        Some(Bad { share_nano: share_nano?, kind })
    })
}

fn read_event(node: &Node, names: &Names, reader: &mut Reader<'_>) -> Option<Event> {
    node.fields(reader, &["at", "agent", "receiver", "does", "ack", "by", "clock"], |f| {
        let at = f.required("at", moment(names));
        let agent = f.optional("agent", read::string).map(|id| AgentId::new(&id));
        let receiver = f.optional("receiver", read::string);
        let ack = f.optional("ack", read::string);
        let by = f.or("by", "somebody".to_owned(), read::string);
        let clock = f.optional("clock", read_jump);
        let what = match (agent, receiver, ack, clock) {
            (Some(agent), None, None, None) => {
                let words = [("stops", 0), ("falls silent", 1), ("returns", 2)];
                match f.required("does", read::choice(&words))? {
                    0 => Happens::AgentStops(agent),
                    1 => Happens::AgentFallsSilent(agent),
                    _ => Happens::AgentReturns(agent),
                }
            }
            (None, Some(receiver), None, None) => {
                match f.required("does", read::choice(&[("fail", true), ("work", false)]))? {
                    true => Happens::ReceiverFails(receiver),
                    false => Happens::ReceiverWorks(receiver),
                }
            }
            (None, None, Some(alert), None) => Happens::Acknowledged { alert, by },
            (None, None, None, Some(nanos)) => Happens::ClockJumps(nanos),
            _ => {
                let place = f.place().clone();
                f.reader().error(&place, "one thing that happens is needed here").help(
                    "a stretch {from: 0m, to: 1h, …}, or {at: 30m, agent: NAME, does: stops | falls silent | returns}, \
                     {at: …, receiver: NAME, does: fail | work}, {at: …, ack: ALERT} or {at: …, clock: 2h}",
                );
                return None;
            }
        };
        Some(Event { at: at?.at, what })
    })
}

/// `2h`, `-2h`, in nanoseconds.
fn read_jump(node: &Node, reader: &mut Reader<'_>) -> Option<i64> {
    let text = read::text(node, reader)?;
    let (sign, span) = match text.strip_prefix('-') {
        Some(span) => (-1, span),
        None => (1, text.trim_start_matches('+')),
    };
    let nanos = watchkeeper_expr::duration::parse(span).ok();
    if nanos.is_none() {
        reader.error(node.place(), format!("{text:?} is no jump")).help("write 2h or -2h");
    }
    nanos.map(|nanos| sign * nanos)
}

/// What expectations may speak of.
struct Known<'k> {
    names: &'k Names,
    /// When the traffic ends.
    end: i64,
    judging: Option<&'k Arc<Judging>>,
}

const EXPECT_KEYS: [&str; 22] = [
    "at",
    "within",
    "from",
    "to",
    "alert",
    "no_alert",
    "labels",
    "severity",
    "state",
    "stale",
    "fires",
    "clears",
    "receiver",
    "told",
    "slo",
    "burns",
    "calms",
    "budget_remaining",
    "sli",
    "total",
    "good",
    "unjudged",
];

fn read_expect(node: &Node, known: &Known<'_>, reader: &mut Reader<'_>) -> Option<Located<Expect>> {
    let expect = node.fields(reader, &EXPECT_KEYS, |f| {
        let within = f.or("within", WITHIN, read::duration);
        match () {
            () if f.has("slo") => read_of_slo(f, known, within),
            () if f.has("receiver") => read_of_receiver(f, known, within),
            () if f.has("no_alert") => read_quiet(f, known),
            () if f.has("alert") => read_of_alert(f, known, within),
            () => {
                let place = f.place().clone();
                f.reader().error(&place, "nothing says what is expected").help(
                    "{alert: NAME, fires: 9m after errors}, {alert: NAME, clears: …}, {at: 9m, alert: NAME, state: firing}, \
                     {no_alert: NAME, from: 0m, to: 1h}, {receiver: NAME, told: open, at: 9m} or {slo: NAME, budget_remaining: ~50%}",
                );
                None
            }
        }
    })?;
    Some(Located { value: expect, place: node.place().clone() })
}

fn read_of_alert(
    f: &mut Fields<'_, '_, '_>,
    known: &Known<'_>,
    within: Duration,
) -> Option<Expect> {
    let alert = f.required("alert", |n, r| read_alert(n, r, known));
    let labels = f.or("labels", Labels::default(), read_labels);
    let severity = f.optional("severity", read::string);
    let stale = f.optional("stale", read::bool);
    let state = f.optional("state", read_state);
    let fires = f.optional("fires", span(known.names, within));
    let clears = f.optional("clears", span(known.names, within));
    let at = f.optional("at", moment(known.names));
    let which = Which { alert: Some(alert?), labels, severity };
    match (fires, clears, state) {
        (Some(when), None, None) => Some(Expect::Fires { which, when }),
        (None, Some(when), None) => Some(Expect::Clears { which, when }),
        (None, None, Some(state)) => {
            let Some(at) = at else {
                return missing(f, "at", "say when it stands so, such as at: 9m after errors");
            };
            // Without `within` it has to stand so right then.
            let within = if f.has("within") { within } else { Duration::ZERO };
            let when = Span::after(&at, within);
            Some(Expect::Stands { which, state, stale, when })
        }
        _ if ["fires", "clears", "state"].iter().any(|key| f.has(key)) => {
            let is_several = f.reader().problems().has_errors();
            if !is_several {
                let place = f.place().clone();
                f.reader()
                    .error(&place, "an expectation says one of `fires`, `clears` and `state`");
            }
            None
        }
        _ => missing(f, "fires", "say fires: 9m after errors, clears: …, or at: … with state: …"),
    }
}

fn missing<T>(f: &mut Fields<'_, '_, '_>, key: &str, help: &str) -> Option<T> {
    if !f.reader().problems().has_errors() {
        let place = f.place().clone();
        f.reader().error(&place, format!("`{key}` is missing")).help(help);
    }
    None
}

fn read_state(node: &Node, reader: &mut Reader<'_>) -> Option<State> {
    read::choice(&[
        ("pending", State::Pending),
        ("firing", State::Firing),
        ("resolved", State::Resolved),
        ("quiet", State::Quiet),
    ])(node, reader)
}

fn read_quiet(f: &mut Fields<'_, '_, '_>, known: &Known<'_>) -> Option<Expect> {
    let alert = f.required("no_alert", |n, r| match n.as_scalar() {
        Some("any") => Some(None),
        _ => read_alert(n, r, known).map(Some),
    })?;
    let labels = f.or("labels", Labels::default(), read_labels);
    let severity = f.optional("severity", read::string);
    let when = read_between(f, known);
    Some(Expect::Quiet { which: Which { alert, labels, severity }, when })
}

/// From the start to the end of all traffic, if nothing else is said.
fn read_between(f: &mut Fields<'_, '_, '_>, known: &Known<'_>) -> Span {
    let from = f.optional("from", moment(known.names));
    let to = f.optional("to", moment(known.names));
    let text = match (&from, &to) {
        (None, None) => "ever".to_owned(),
        (from, to) => {
            let word = |m: &Option<super::moment::Moment>, or: &str| {
                m.as_ref().map_or(or.to_owned(), |m| m.text.clone())
            };
            format!("from {} to {}", word(from, "the start"), word(to, "the end"))
        }
    };
    let base = from.as_ref().map(|from| from.base.clone()).unwrap_or_default();
    let (from, to) = (from.map_or(0, |m| m.at), to.map_or(known.end, |m| m.at));
    Span { text, from, to, base }
}

fn read_of_receiver(
    f: &mut Fields<'_, '_, '_>,
    known: &Known<'_>,
    within: Duration,
) -> Option<Expect> {
    let receiver = f.required("receiver", |n, r| read_receiver(n, r, known));
    let words = [("open", "open"), ("update", "update"), ("close", "close"), ("nothing", "")];
    let verb = f.required("told", read::choice(&words));
    let alert = f.optional("alert", |n, r| read_alert(n, r, known));
    let at = f.optional("at", span(known.names, within));
    let (receiver, verb) = (receiver?, verb?);
    if verb.is_empty() {
        return Some(Expect::NotTold { receiver, when: read_between(f, known) });
    }
    let when = match at {
        Some(when) => when,
        None if f.has("at") => return None,
        None => read_between(f, known),
    };
    Some(Expect::Told { receiver, verb, alert, when })
}

fn read_of_slo(f: &mut Fields<'_, '_, '_>, known: &Known<'_>, within: Duration) -> Option<Expect> {
    let slo = f.required("slo", |n, r| read_slo_name(n, r, known));
    for (key, begins) in [("burns", true), ("calms", false)] {
        if f.has(key) {
            let when = f.optional(key, span(known.names, within));
            let tiers = [("page", "page"), ("ticket", "ticket")];
            let severity = f.required("severity", read::choice(&tiers));
            return Some(Expect::Burns { slo: slo?, severity: severity?, begins, when: when? });
        }
    }
    let at = f.optional("at", moment(known.names));
    let mut numbers = Vec::new();
    for name in ["budget_remaining", "sli", "total", "good", "unjudged"] {
        numbers.extend(f.optional(name, |n, r| read_number(n, r, name)));
    }
    let states = [("ok", "ok"), ("ticket", "ticket"), ("page", "page"), ("no_data", "no_data")];
    let state = f.optional("state", read::choice(&states));
    if numbers.is_empty() && state.is_none() {
        return missing(
            f,
            "budget_remaining",
            "say budget_remaining, sli, total, good, unjudged or state; or burns, calms with a severity",
        );
    }
    let told = at.as_ref().map_or("at the end".to_owned(), |at| format!("at {}", at.text));
    let at = at.map_or(known.end, |at| at.at);
    Some(Expect::Slo { slo: slo?, at, told, numbers, state })
}

/// `~0.5`, `50%`, `360000`: `~` allows for a hundredth.
fn read_number(node: &Node, reader: &mut Reader<'_>, name: &'static str) -> Option<Number> {
    let text = read::text(node, reader)?;
    let (about, written) = match text.strip_prefix('~') {
        Some(written) => (true, written.trim()),
        None => (false, text.trim()),
    };
    let (number, scale) = match written.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (written, 1.0),
    };
    let Some(number) = Decimal::parse(number.trim()) else {
        reader
            .error(node.place(), format!("{text:?} is no number"))
            .help("write 0.5, 50% or 360000, with ~ before it for about");
        return None;
    };
    let value = number.to_f64() * scale;
    let is_share = ["budget_remaining", "sli"].contains(&name);
    let tolerance = match (about, is_share) {
        (true, true) => 0.01,
        (true, false) => value.abs() * 0.01,
        // Shares have more digits than people write.
        (false, true) => 5e-5,
        (false, false) => 0.0,
    };
    Some(Number { name, text, value, tolerance })
}

fn read_slo_name(node: &Node, reader: &mut Reader<'_>, known: &Known<'_>) -> Option<String> {
    let names = |j: &Judging| j.engine.slos.iter().map(|slo| slo.name.clone()).collect();
    one_of(node, reader, "SLO", known.judging.map(|j| names(j)))
}

/// An SLO, a rule, or an alert of our own.
fn read_alert(node: &Node, reader: &mut Reader<'_>, known: &Known<'_>) -> Option<String> {
    let names = |j: &Judging| {
        let slos = j.engine.slos.iter().map(|slo| slo.name.clone());
        let rules = j.engine.rules.iter().map(|rule| rule.name.clone());
        slos.chain(rules).chain(collector::builtin_names().map(str::to_owned)).collect()
    };
    one_of(node, reader, "alert", known.judging.map(|j| names(j)))
}

fn read_receiver(node: &Node, reader: &mut Reader<'_>, known: &Known<'_>) -> Option<String> {
    let names = |j: &Judging| j.engine.receivers.iter().map(|r| r.name.clone()).collect();
    one_of(node, reader, "receiver", known.judging.map(|j| names(j)))
}

fn one_of(
    node: &Node,
    reader: &mut Reader<'_>,
    noun: &str,
    known: Option<Vec<String>>,
) -> Option<String> {
    let name = read::string(node, reader)?;
    // What is wrong with the collector's part is told already.
    let Some(known) = known.filter(|known| !known.contains(&name)) else { return Some(name) };
    let names = known.iter().map(String::as_str);
    let help = match watchkeeper_expr::spelling::closest(&name, names) {
        Some(close) => format!("did you mean {close:?}?"),
        None => format!("there are {}", known.join(", ")),
    };
    reader.error(node.place(), format!("no {noun} is called {name:?}")).help(help);
    None
}

//! `alerting:` in Alertmanager's schema: the route tree and the receivers it names.
//!
//! Owns the schema of routes; receivers read theirs in `channels`. Parts of the schema that this version does not have
//! yet are refused by name, so that nobody relies on a silence that is not there.

use std::collections::BTreeSet;
use std::time::Duration;

use watchkeeper_collector_core::engine::{
    IntegrationSettings as EngineIntegration, ReceiverSettings as EngineReceiver,
};
use watchkeeper_collector_core::route::{GroupBy, MatchOp, Matcher, RouteSettings, RouteTree};
use watchkeeper_config::{Fields, Located, Node, Reader, read};

use crate::channels::registry::{
    ChannelDefaults, GLOBAL_KEYS, IntegrationSettings, ReceiverSettings,
};

/// The section, resolved.
pub(super) struct Alerting {
    pub(super) routes: RouteTree,
    pub(super) receivers: Vec<EngineReceiver>,
    pub(super) integrations: Vec<IntegrationSettings>,
}

/// Nobody is told anything: alerts show in the API and the command.
const NOBODY: &str = "nobody";

impl Default for Alerting {
    fn default() -> Self {
        let receivers = vec![EngineReceiver { name: NOBODY.to_owned(), integrations: Vec::new() }];
        let routes = RouteTree::build(&RouteSettings::default(), NOBODY);
        Self { routes, receivers, integrations: Vec::new() }
    }
}

pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Alerting> {
    let keys = ["global", "route", "receivers", "inhibit_rules", "time_intervals"];
    node.fields(reader, &keys, |f| {
        let defaults = ChannelDefaults { send_resolved: Some(true), ..ChannelDefaults::default() };
        let defaults = f.or("global", defaults, |node, reader| {
            node.fields(reader, GLOBAL_KEYS, |f| Some(ChannelDefaults::read(f, Some(true))))
        });
        for later in ["inhibit_rules", "time_intervals"] {
            refuse_later(f, later);
        }
        let receivers =
            f.list("receivers", |node, reader| ReceiverSettings::read(node, &defaults, reader));
        let names = receiver_names(&receivers, f.reader());
        let route = f.required("route", |node, reader| read_route(node, reader, &names, true));
        let route = route?;
        let root = route.receiver.clone().unwrap_or_default();
        let engine = receivers.iter().map(engine_receiver).collect();
        Some(Alerting {
            routes: RouteTree::build(&route, &root),
            receivers: engine,
            integrations: receivers.into_iter().flat_map(|r| r.integrations).collect(),
        })
    })
}

fn refuse_later(f: &mut Fields<'_, '_, '_>, key: &'static str) {
    let Some(node) = f.node(key) else { return };
    let place = node.place().clone();
    f.reader()
        .error(&place, format!("this version does not have `{key}` yet"))
        .help("leave it out: it would not be followed");
}

fn engine_receiver(receiver: &ReceiverSettings) -> EngineReceiver {
    let integrations = receiver
        .integrations
        .iter()
        .map(|i| EngineIntegration {
            id: i.key.integration.to_string(),
            kind: i.kind.to_owned(),
            send_resolved: i.settings.send_resolved(),
        })
        .collect();
    EngineReceiver { name: receiver.name.value.clone(), integrations }
}

fn receiver_names(receivers: &[ReceiverSettings], reader: &mut Reader<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for receiver in receivers {
        if !names.insert(receiver.name.value.clone()) {
            reader
                .error(
                    &receiver.name.place,
                    format!("another receiver is called {:?} too", receiver.name.value),
                )
                .help("put both ways of telling it under one receiver, or choose another name");
        }
    }
    names
}

fn read_route(
    node: &Node,
    reader: &mut Reader<'_>,
    receivers: &BTreeSet<String>,
    is_root: bool,
) -> Option<RouteSettings> {
    let keys = [
        "receiver",
        "matchers",
        "match",
        "match_re",
        "continue",
        "group_by",
        "group_wait",
        "group_interval",
        "repeat_interval",
        "routes",
        "mute_time_intervals",
        "active_time_intervals",
    ];
    node.fields(reader, &keys, |f| {
        let receiver = f.optional("receiver", read::located(read::string));
        let mut matchers = f.list("matchers", read_matcher);
        matchers.extend(old_matchers(f, "match", MatchOp::Equal));
        matchers.extend(old_matchers(f, "match_re", MatchOp::Regex));
        let proceed = f.or("continue", false, read::bool);
        let group_by = f.optional("group_by", read_group_by);
        let group_wait = f.optional("group_wait", read::duration);
        let group_interval = f.optional("group_interval", read_interval);
        let repeat_interval = f.optional("repeat_interval", read_interval);
        for later in ["mute_time_intervals", "active_time_intervals"] {
            refuse_later(f, later);
        }
        let routes = f.list("routes", |node, reader| read_route(node, reader, receivers, false));
        check_receiver(f, receiver.as_ref(), receivers, is_root);
        check_root(f, is_root, &matchers, proceed);
        Some(RouteSettings {
            receiver: receiver.map(|r| r.value),
            matchers,
            proceed,
            group_by,
            group_wait,
            group_interval,
            repeat_interval,
            routes,
        })
    })
}

fn check_receiver(
    f: &mut Fields<'_, '_, '_>,
    receiver: Option<&Located<String>>,
    receivers: &BTreeSet<String>,
    is_root: bool,
) {
    match receiver {
        Some(name) if !receivers.contains(&name.value) => {
            let known: Vec<&str> = receivers.iter().map(String::as_str).collect();
            let help = match watchkeeper_expr::spelling::closest(&name.value, known.iter().copied())
            {
                Some(close) => format!("did you mean {close:?}?"),
                None => format!("receivers are: {}", known.join(", ")),
            };
            f.reader()
                .error(&name.place, format!("there is no receiver {:?}", name.value))
                .help(help);
        }
        None if is_root && !f.has("receiver") => {
            let place = f.place().clone();
            f.reader()
                .error(&place, "the root route names no receiver")
                .help("add receiver: NAME, so that no alert is left without one");
        }
        _ => {}
    }
}

fn check_root(f: &mut Fields<'_, '_, '_>, is_root: bool, matchers: &[Matcher], proceed: bool) {
    if is_root && (!matchers.is_empty() || proceed) {
        let place = f.place().clone();
        f.reader().error(&place, "the root route must match every alert").help(
            "take `matchers` and `continue` away from it, and put a route with them under `routes`",
        );
    }
}

/// Not zero: a group that is told without a pause is told for ever.
fn read_interval(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    read::duration_in(Duration::from_millis(100)..=Duration::from_secs(400 * 86_400))(node, reader)
}

fn read_matcher(node: &Node, reader: &mut Reader<'_>) -> Option<Matcher> {
    let text = read::string(node, reader)?;
    match Matcher::parse(&text) {
        Ok(matcher) => Some(matcher),
        Err(problem) => {
            reader.error(node.place(), problem.message).help(problem.help);
            None
        }
    }
}

/// `match: {name: value}` of older files.
fn old_matchers(f: &mut Fields<'_, '_, '_>, key: &'static str, op: MatchOp) -> Vec<Matcher> {
    let pairs = f.or(key, Vec::new(), read::map_of(read::located(read::text)));
    let mut matchers = Vec::new();
    for (name, value) in pairs {
        match Matcher::new(&name.value, op, &value.value) {
            Ok(matcher) => matchers.push(matcher),
            Err(problem) => {
                f.reader().error(&value.place, problem.message).help(problem.help);
            }
        }
    }
    matchers
}

fn read_group_by(node: &Node, reader: &mut Reader<'_>) -> Option<GroupBy> {
    let names = read::list_of(read::string)(node, reader)?;
    if names.iter().any(|n| n == "...") {
        return Some(GroupBy::All);
    }
    Some(GroupBy::Labels(names.into_iter().collect()))
}

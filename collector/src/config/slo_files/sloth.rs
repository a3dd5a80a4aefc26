//! Sloth's `prometheus/v1`, <https://github.com/slok/sloth>.
//!
//! Owns how an indicator of ours is written in it, as a plugin, and what of its alerting has a counterpart. Never asks
//! Prometheus: queries are refused by name.

use watchkeeper_config::{Fields, Located, Node, Reader, read};

use super::entry::{OwnSlo, literal};
use super::meta::{Pairs, read_annotations, read_labels};

/// The id of the plugin that is ours.
const OURS: &str = "watchkeeper";

/// Words of ours among the plugin's options.
const OPTIONS: [&str; 7] = ["signal", "where", "good", "below", "window", "min_events", "no_data"];

/// Sloth has the window on its command line; this is its default, and ours.
const WINDOW: &str = "30d";

/// The SLOs of a document as entries of `slos`.
pub(super) fn translate(document: &Node, reader: &mut Reader<'_>) -> Vec<Node> {
    let keys = ["version", "service", "labels", "slo_plugins", "slos"];
    let slos = document.fields(reader, &keys, |f| {
        let service = f.required("service", read::located(read::string));
        let mut labels = Pairs::default();
        f.optional("labels", |node, reader| read_labels(node, &mut labels, reader));
        leave_out(
            f,
            "slo_plugins",
            "it changes rules for Prometheus, which Watchkeeper does not make",
        );
        let slos = f.required("slos", read::list_of(read::node))?;
        let group = Group { service: service.as_ref(), labels: &labels };
        let entry = |slo: &Node| read_slo(slo, &group, f.reader());
        Some(slos.iter().filter_map(entry).collect())
    });
    slos.unwrap_or_default()
}

/// What the SLOs of a document share.
struct Group<'a> {
    service: Option<&'a Located<String>>,
    labels: &'a Pairs,
}

fn read_slo(node: &Node, group: &Group<'_>, reader: &mut Reader<'_>) -> Option<Node> {
    let keys = ["name", "description", "objective", "plugins", "labels", "sli", "alerting"];
    node.fields(reader, &keys, |f| {
        let name = f.required("name", read::located(read::string));
        let title =
            name.as_ref().map_or_else(|| "the SLO".into(), |n| format!("SLO {:?}", n.value));
        let description = f.optional("description", read::node);
        let objective = f.required("objective", read::node);
        leave_out(
            f,
            "plugins",
            "they change rules for Prometheus, which Watchkeeper does not make",
        );
        let mut labels = group.labels.clone();
        f.optional("labels", |node, reader| read_labels(node, &mut labels, reader));
        let own = f.required("sli", |node, reader| read_sli(node, &title, reader));
        // Names are only unique within a service, so Sloth calls an SLO by both, and so do we.
        let name = name.as_ref().zip(group.service).map(|(name, service)| Located {
            value: format!("{}-{}", service.value, name.value),
            place: name.place.clone(),
        });
        let mut annotations = Pairs::default();
        f.optional("alerting", |node, reader| {
            let name = name.as_ref().map(|name| name.value.as_str());
            read_alerting(node, name, (&mut labels, &mut annotations), reader)
        });
        annotations.set_if_absent("description", description);
        let (name, service) = (name?, group.service?);
        let mut slo = OwnSlo::at(&name.place);
        slo.say("name", literal(&name.place, &name.value))
            .say("service", literal(&service.place, &service.value))
            .say("objective", objective?);
        for (key, value) in own? {
            slo.say(key, value);
        }
        slo.say_if("labels", labels.into_node(&name.place))
            .say_if("annotations", annotations.into_node(&name.place));
        Some(slo.finish())
    })
}

/// The indicator in words of ours, with their values.
fn read_sli(
    node: &Node,
    title: &str,
    reader: &mut Reader<'_>,
) -> Option<Vec<(&'static str, Node)>> {
    node.fields(reader, &["raw", "events", "plugin"], |f| {
        let mut has_queries = false;
        for key in ["raw", "events"] {
            if let Some(place) = f.node(key).map(|node| node.place().clone()) {
                has_queries = true;
                f.reader()
                    .error(&place, format!("{title} asks Prometheus (`sli.{key}` holds PromQL)"))
                    .help("Watchkeeper counts what its agents send, and asks no other system: write sli: {plugin: {id: watchkeeper, options: {signal: requests, good: …}}}, see docs/openslo.md");
            }
        }
        if has_queries {
            return None;
        }
        f.required("plugin", |node, reader| read_plugin(node, title, reader))
    })
}

fn read_plugin(
    node: &Node,
    title: &str,
    reader: &mut Reader<'_>,
) -> Option<Vec<(&'static str, Node)>> {
    node.fields(reader, &["id", "options"], |f| {
        let id = f.required("id", read::located(read::string))?;
        if id.value != OURS {
            f.reader()
                .error(&id.place, format!("{title} asks Sloth's plugin {:?}", id.value))
                .help("Watchkeeper runs no plugins: write id: watchkeeper and options: {signal: requests, good: …}, see docs/openslo.md");
            return None;
        }
        f.required("options", |node, reader| {
            node.fields(reader, &OPTIONS, |f| {
                f.required("signal", read::node)?;
                let mut own: Vec<(&'static str, Node)> = Vec::new();
                for key in OPTIONS {
                    own.extend(f.optional(key, read::node).map(|value| (key, as_ours(key, value))));
                }
                if !f.has("window") {
                    own.push(("window", Node::text_at(&id.place, WINDOW)));
                }
                Some(own)
            })
        })
    })
}

/// Options are texts, and a number is quoted.
fn as_ours(key: &str, value: Node) -> Node {
    if key == "min_events" { value.unquoted() } else { value }
}

/// Pages and tickets are told apart by their label `severity`; what Sloth says of only one of them goes where it can.
fn read_alerting(
    node: &Node,
    name: Option<&str>,
    (labels, annotations): (&mut Pairs, &mut Pairs),
    reader: &mut Reader<'_>,
) -> Option<()> {
    let keys = ["name", "labels", "annotations", "page_alert", "ticket_alert"];
    node.fields(reader, &keys, |f| {
        let alert = f.optional("name", read::located(read::string));
        if let (Some(alert), Some(name)) = (alert.filter(|alert| Some(&*alert.value) != name), name) {
            f.reader()
                .warning(&alert.place, format!("the alerts of this SLO are called {name:?} here, not {:?}", alert.value))
                .help("an alert is called by its SLO, which Sloth calls by its service and its name: routes match it so");
        }
        f.optional("labels", |node, reader| read_labels(node, labels, reader));
        f.optional("annotations", |node, reader| read_annotations(node, annotations, reader));
        let mut of_page = Pairs::default();
        let mut of_ticket = Pairs::default();
        for (key, into) in [("page_alert", &mut of_page), ("ticket_alert", &mut of_ticket)] {
            f.optional(key, |node, reader| read_alert(node, key, into, reader));
        }
        join(annotations, &of_page, &of_ticket, f.reader());
        Some(())
    })
}

fn read_alert(
    node: &Node,
    key: &str,
    annotations: &mut Pairs,
    reader: &mut Reader<'_>,
) -> Option<()> {
    let severity = key.trim_end_matches("_alert");
    node.fields(reader, &["disable", "labels", "annotations"], |f| {
        let is_off = f.or("disable", false, read::bool);
        if let Some(place) = f.node("disable").filter(|_| is_off).map(|n| n.place().clone()) {
            f.reader()
                .warning(&place, format!("`{key}.disable` is left out: the {severity} alert stays"))
                .help(format!("give it a route to a receiver that tells nobody, by its alertname and severity=\"{severity}\""));
        }
        if let Some(node) = f.node("labels").filter(|node| !node.entries().is_empty()) {
            let names: Vec<&str> = node.entries().iter().map(|entry| &*entry.key).collect();
            let (names, place) = (names.join(", "), node.place().clone());
            f.reader()
                .warning(&place, format!("`{key}.labels` is left out: {names}"))
                .help(format!("pages and tickets have the same labels but for severity; match severity=\"{severity}\" in routes"));
        }
        f.optional("annotations", |node, reader| read_annotations(node, annotations, reader))
    })
}

/// Annotations of one severity become one that looks at it.
fn join(annotations: &mut Pairs, page: &Pairs, ticket: &Pairs, reader: &mut Reader<'_>) {
    let names: Vec<Located<String>> = page.names().chain(ticket.names()).collect();
    let both = annotations.clone();
    for name in names {
        let mut text = |own: &Pairs| match own.get(&name.value).or(both.get(&name.value)) {
            Some(node) => read::text(node, reader),
            None => Some(String::new()),
        };
        if let (Some(page), Some(ticket)) = (text(page), text(ticket)) {
            let joined =
                format!("{{% if severity == \"page\" %}}{page}{{% else %}}{ticket}{{% endif %}}");
            annotations
                .set(&name, literal(&name.place, if page == ticket { &page } else { &joined }));
        }
    }
}

/// What means nothing here is told, and left out.
fn leave_out(f: &mut Fields<'_, '_, '_>, key: &'static str, why: &str) {
    if let Some(place) = f.node(key).filter(|node| !node.is_null()).map(|n| n.place().clone()) {
        f.reader().warning(&place, format!("`{key}` is left out")).help(why);
    }
}

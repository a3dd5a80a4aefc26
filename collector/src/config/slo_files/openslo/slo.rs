//! The kind `SLO`: one entry in our own words for each of its objectives.
//!
//! Owns names, and what of the metadata goes along. Never judges a value that `slos` judges too.

use std::collections::BTreeSet;

use watchkeeper_config::{Fields, Located, Node, Place, Reader, read};
use watchkeeper_expr::spelling::closest;

use super::composite;
use super::document::{Document, Kind, read_document};
use super::indicator::{Indicator, read_inline};
use super::known::Known;
use super::objective::{Target, read_method, read_objective};
use super::window::{Window, read_windows};
use crate::config::slo_files::entry::{OwnSlo, literal};
use crate::config::slo_files::meta::{Pairs, is_named, read_labels};

const KEYS: [&str; 8] = [
    "description",
    "service",
    "indicator",
    "indicatorRef",
    "timeWindow",
    "budgetingMethod",
    "objectives",
    "alertPolicies",
];

/// Annotations that begin so are words of ours that OpenSLO has not.
const OURS: &str = "watchkeeper/";
const OUR_WORDS: [&str; 2] = ["min_events", "no_data"];

/// The SLOs among these documents as entries of `slos`.
pub(in crate::config::slo_files) fn translate(
    nodes: &[&Node],
    is_whole: bool,
    reader: &mut Reader<'_>,
) -> Vec<Node> {
    let documents: Vec<Document> =
        nodes.iter().filter_map(|node| read_document(node, reader)).collect();
    refuse_same_names(&documents, reader);
    let known = Known::gather(&documents, is_whole, reader);
    let slos = documents.iter().filter(|document| document.kind == Kind::Slo);
    slos.filter_map(|slo| read_slo(slo, &known, reader)).flatten().collect()
}

/// SLOs are told apart among all there are; others here, since nobody else knows them.
fn refuse_same_names(documents: &[Document], reader: &mut Reader<'_>) {
    let mut seen = BTreeSet::new();
    for document in documents.iter().filter(|document| document.kind != Kind::Slo) {
        if !seen.insert(document.title()) {
            reader
                .error(&document.name.place, format!("there are two of {}", document.title()))
                .help("what refers to it can't tell which one is meant: rename one of them");
        }
    }
}

fn read_slo(document: &Document, known: &Known, reader: &mut Reader<'_>) -> Option<Vec<Node>> {
    let title = document.title();
    document.spec.fields(reader, &KEYS, |f| {
        let common = read_common(f, document, known);
        let method = f.required("budgetingMethod", |n, r| read_method(n, &title, r));
        let objectives = f.required("objectives", read::non_empty(read::node)).unwrap_or_default();
        if objectives.iter().any(has_indicator) {
            return composite::translate(f, &objectives, method, common, (&title, known));
        }
        for weight in objectives.iter().filter_map(|node| node.get("compositeWeight")) {
            f.reader()
                .warning(weight.place(), "`compositeWeight` is left out")
                .help("it is for objectives that have indicators of their own");
        }
        let indicator = read_indicator(&document.spec, &title, known, f.reader());
        let targets: Vec<Option<Target>> = objectives
            .iter()
            .map(|node| read_objective(node, method, indicator.as_ref(), f.reader()))
            .collect();
        let targets: Vec<Target> = targets.into_iter().collect::<Option<_>>()?;
        let (common, indicator) = (common?, indicator?);
        // That there is none has been reported.
        let is_one = targets.len() == 1;
        let entry = |target: &Target| common.counted(target, &indicator, is_one).finish();
        Some(targets.iter().map(entry).collect())
    })
}

/// Whether an objective makes its SLO a composite.
fn has_indicator(objective: &Node) -> bool {
    ["indicator", "indicatorRef"].iter().any(|key| is_said(objective, key))
}

fn is_said(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}

/// The indicator that stands in a map, or that it refers to.
pub(super) fn read_indicator(
    node: &Node,
    title: &str,
    known: &Known,
    reader: &mut Reader<'_>,
) -> Option<Indicator> {
    match (is_said(node, "indicator"), is_said(node, "indicatorRef")) {
        (true, false) => read_inline(node.get("indicator")?, title, known, reader),
        (false, true) => {
            let name = read::located(read::string)(node.get("indicatorRef")?, reader)?;
            known.indicator(&name, reader).cloned()
        }
        (is_both, _) => {
            let has = if is_both { "both" } else { "neither" };
            let place = node.entries().first().map_or(node.place(), |entry| &entry.key_place);
            reader
                .error(place, format!("{title} has {has} of `indicator` and `indicatorRef`"))
                .help("it has one of them: an SLI right here, or the name of one");
            None
        }
    }
}

/// What all objectives of an SLO share.
pub(super) struct Common {
    name: Located<String>,
    display_name: Option<Node>,
    service: Node,
    window: Window,
    labels: Option<Node>,
    annotations: Pairs,
    /// Words of ours, by key.
    own: Vec<(&'static str, Node)>,
}

fn read_common(f: &mut Fields<'_, '_, '_>, document: &Document, known: &Known) -> Option<Common> {
    let description = f.optional("description", read::node);
    let service = f.required("service", read::located(read::string));
    let window = f.required("timeWindow", read_windows);
    if let Some(policies) = f.node("alertPolicies").filter(|node| !node.items().is_empty()) {
        let place = policies.place().clone();
        f.reader()
            .warning(&place, format!("`alertPolicies` of {} is left out", document.title()))
            .help("burn rates decide when somebody is told, and `alerting` in the collector's file who");
    }
    let mut labels = Pairs::default();
    if let Some(node) = &document.labels {
        read_labels(node, &mut labels, f.reader());
    }
    let (mut annotations, mut own) = (Pairs::default(), Vec::new());
    if let Some(node) = &document.annotations {
        read_annotations(node, &mut annotations, &mut own, f.reader());
    }
    annotations.set_if_absent("description", description);
    let place = document.name.place.clone();
    let (service, window) = (service?, window?);
    known.check_service(&service, f.reader());
    Some(Common {
        name: document.name.clone(),
        display_name: document.display_name.clone(),
        service: literal(&service.place, &service.value),
        window,
        labels: labels.into_node(&place),
        annotations,
        own,
    })
}

/// A prefix says for whom an annotation is: only ours mean something, and only those without are for people.
fn read_annotations(
    node: &Node,
    into: &mut Pairs,
    own: &mut Vec<(&'static str, Node)>,
    reader: &mut Reader<'_>,
) -> Option<()> {
    for (name, value) in read::map_of(read::node)(node, reader)? {
        let Some(word) = name.value.strip_prefix(OURS) else {
            if !name.value.contains('/') && is_named(&name, "annotation", reader) {
                into.set(&name, value);
            }
            continue;
        };
        match OUR_WORDS.into_iter().find(|known| *known == word) {
            // Annotations are texts, and a number is quoted.
            Some(known) => own.push((known, value.unquoted())),
            None => {
                let meant = closest(word, OUR_WORDS);
                let meant =
                    meant.map_or_else(String::new, |near| format!("did you mean {OURS}{near}? "));
                reader
                    .error(&name.place, format!("unknown annotation {:?}", name.value))
                    .help(format!("{meant}ours are {OURS}min_events and {OURS}no_data"));
            }
        }
    }
    Some(())
}

impl Common {
    /// One of its objectives, an SLO of its own. The only one has the SLO's name.
    pub(super) fn counted(&self, target: &Target, indicator: &Indicator, is_one: bool) -> OwnSlo {
        let mut slo = if is_one {
            self.entry(&self.name.value, &self.name.place, self.display_name.clone())
        } else {
            self.entry(&self.part_name(target), &target.place, self.part_title(target))
        };
        slo.say("signal", indicator.signal.clone())
            .say_if("where", indicator.scope.clone())
            .say_if("good", indicator.good.clone());
        target.say(&mut slo);
        slo
    }

    /// All of them together.
    pub(super) fn whole(&self) -> OwnSlo {
        self.entry(&self.name.value, &self.name.place, self.display_name.clone())
    }

    /// Where its name stands.
    pub(super) fn place(&self) -> &Place {
        &self.name.place
    }

    /// `NAME-good-experience`, or `NAME-99.9`.
    pub(super) fn part_name(&self, target: &Target) -> String {
        let said = target.display_name.as_ref().and_then(Node::as_scalar).map(slug);
        let said = said.filter(|slug| !slug.is_empty());
        let percent = target.percent.as_scalar().unwrap_or_default();
        format!("{}-{}", self.name.value, said.as_deref().unwrap_or(percent))
    }

    fn part_title(&self, target: &Target) -> Option<Node> {
        let part = target.display_name.clone();
        let (Some(whole), Some(text)) =
            (&self.display_name, part.as_ref().and_then(Node::as_scalar))
        else {
            return part.or_else(|| self.display_name.clone());
        };
        let whole = whole.as_scalar().unwrap_or_default();
        Some(Node::text_at(&target.place, format!("{whole}: {text}")))
    }

    fn entry(&self, name: &str, place: &Place, title: Option<Node>) -> OwnSlo {
        let mut annotations = self.annotations.clone();
        annotations.set_if_absent("summary", title);
        let mut slo = OwnSlo::at(place);
        slo.say("name", literal(place, name))
            .say("service", self.service.clone())
            .say(self.window.0, self.window.1.clone())
            .say_if("labels", self.labels.clone())
            .say_if("annotations", annotations.into_node(place));
        for (key, value) in &self.own {
            slo.say(key, value.clone());
        }
        slo
    }
}

/// What a person wrote, as a part of a name: `Good experience` is `good-experience`.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

//! The `steps:` section of a probe.
//!
//! Owns the keys of a step, and that what it wants was carried by one before.

use regex::Regex;
use watchkeeper_agent_core::probe::{Expectations, UNIQUE, is_carried_name, wanted_of};
use watchkeeper_config::{Located, Node, Reader, read};
use watchkeeper_expr::{Scope, Type};
use watchkeeper_model::Masks;

use super::prober::StepsProber;
use crate::sources::probe::kinds::http::HttpProbe;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober};
use crate::sources::probe::kinds::registry::expecting;

/// The most steps of a journey.
const MAX_STEPS: usize = 50;

/// A journey; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct StepsProbe {
    pub(super) steps: Vec<Step>,
}

/// One request of a journey.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) http: HttpProbe,
    pub(super) expectations: Expectations,
    pub(super) carry: Vec<Carry>,
}

/// What of an answer is carried on.
#[derive(Clone, Debug)]
pub(super) struct Carry {
    pub(super) name: String,
    /// Where it stands in the answer: `json.token`, `headers.location`.
    pub(super) path: String,
    /// What of it; its first group, or all it matches.
    pub(super) pattern: Option<Regex>,
}

impl PartialEq for Carry {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |carry: &Self| carry.pattern.as_ref().map(|pattern| pattern.to_string());
        (&self.name, &self.path, pattern(self)) == (&other.name, &other.path, pattern(other))
    }
}

impl ProbeKind for StepsProbe {
    const TAG: &'static str = "steps";

    const NAMES: &'static [(&'static str, Type)] = &[];

    const USUAL: &'static [(&'static str, &'static str)] = &[];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let steps = read::non_empty(read::located(read_step))(node, reader)?;
        if steps.len() > MAX_STEPS {
            reader
                .error(node.place(), format!("these are more than {MAX_STEPS} steps"))
                .help("write several probes");
            return None;
        }
        let mut known = vec![UNIQUE.to_owned()];
        let (mut named, mut all_fit) = (Vec::new(), true);
        for (n, Located { value: mut step, place }) in steps.into_iter().enumerate() {
            if step.name.is_empty() {
                step.name = format!("{}", n + 1);
            }
            if named.iter().any(|other: &Step| other.name == step.name) {
                reader.error(&place, format!("another step is called {:?} too", step.name));
                all_fit = false;
            }
            let missing =
                step.http.texts().flat_map(wanted_of).find(|name| !known.iter().any(|k| k == name));
            if let Some(missing) = missing {
                let what = format!("`{{{{{missing}}}}}` is carried by no step before");
                reader.error(&place, what).help(format!("known here: {}", known.join(", ")));
                all_fit = false;
            }
            known.extend(step.carry.iter().map(|carry| carry.name.clone()));
            named.push(step);
        }
        all_fit.then_some(Self { steps: named })
    }

    fn target(&self) -> String {
        let n = self.steps.len();
        let first = self.steps.first().map(|step| step.http.origin()).unwrap_or_default();
        if n == 1 { format!("1 step from {first}") } else { format!("{n} steps from {first}") }
    }

    fn secrets(&self) -> Masks {
        let mut masks = Masks::default();
        self.steps.iter().for_each(|step| masks.extend(&step.http.secrets()));
        masks
    }

    fn open(&self, _expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(StepsProber::new(self))
    }
}

fn read_step(node: &Node, reader: &mut Reader<'_>) -> Option<Step> {
    node.fields(reader, &["name", "http", "expect", "carry"], |f| {
        let name = f.or("name", String::new(), read::string);
        let http = f.required("http", HttpProbe::read);
        let names = [&[("latency", Type::Duration)][..], HttpProbe::NAMES].concat();
        let expect = f.list("expect", read::condition(Scope::Known(&names)));
        let carry = f.optional("carry", read::map_of(read_carry)).unwrap_or_default();
        if let Some((name, _)) = carry.iter().find(|(name, _)| !is_carried_name(&name.value)) {
            let problem = f.reader().error(&name.place, "nothing can be carried under this name");
            problem.help("letters, digits and `_`, no digit first");
            return None;
        }
        let carry = carry.into_iter().map(|(name, carry)| Carry { name: name.value, ..carry });
        let expectations = Expectations { expect, ..Expectations::default() };
        Some(Step {
            name,
            http: http?,
            expectations: expecting::<HttpProbe>(expectations),
            carry: carry.collect(),
        })
    })
}

/// `json.token`, or `{from: body, match: 'token=(\w+)'}`.
fn read_carry(node: &Node, reader: &mut Reader<'_>) -> Option<Carry> {
    if !node.is_map() {
        let path = read_path(node, reader)?;
        return Some(Carry { name: String::new(), path, pattern: None });
    }
    node.fields(reader, &["from", "match"], |f| {
        let path = f.required("from", read_path);
        let pattern = f.required("match", |node, reader| {
            let text = read::string(node, reader)?;
            let pattern = Regex::new(&text);
            if pattern.is_err() {
                reader.error(node.place(), "this is no regular expression");
            }
            pattern.ok()
        });
        Some(Carry { name: String::new(), path: path?, pattern: Some(pattern?) })
    })
}

fn read_path(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let path = read::string(node, reader)?;
    let root = path.split('.').next().unwrap_or_default();
    if !HttpProbe::NAMES.iter().any(|(name, _)| *name == root) {
        reader
            .error(node.place(), "an answer has nothing of this name")
            .help("such as json.token, headers.location, body");
        return None;
    }
    Some(path)
}

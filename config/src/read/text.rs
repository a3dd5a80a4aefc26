//! Strings, and names with a grammar.
//!
//! Owns `${NAME}`. Never shows what a URL's user part holds.

use watchkeeper_expr::spelling::closest;
use watchkeeper_model::names::{RESERVED_LABELS, is_label_name};
use watchkeeper_model::{Labels, Service, Unit};

use crate::mask::without_userinfo;
use crate::node::{Content, Node, Plain};
use crate::reader::{Reader, listed};

/// A string. A number stands for its digits as written; `true`, `false` and null must be quoted, because whoever wrote
/// them so meant something else.
pub fn string(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    if let Some(Plain::Bool(_)) = node.plain() {
        let written = node.as_scalar().unwrap_or_default();
        reader
            .error(&node.place, "a text is needed, not true or false")
            .help(format!("quote it, if it is one: \"{written}\""));
        return None;
    }
    text(node, reader)
}

/// Any scalar as it is written: what labels hold, where `true` is a text like any other.
pub fn text(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    match &node.content {
        Content::Scalar { text, .. } if !node.is_null() => expand(text, node, reader),
        _ => {
            reader.error(&node.place, format!("a text is needed, not {}", node.noun()));
            None
        }
    }
}

/// A text with `${NAME}` replaced by the variable's value and `$${` by `${`.
pub(crate) fn expand(text: &str, node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut complete = true;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let name_len = after.find('}').unwrap_or(after.len());
        match variable(&after[..name_len], after.len() > name_len, node, reader) {
            Some(value) => out.push_str(&value),
            None => complete = false,
        }
        rest = &after[(name_len + 1).min(after.len())..];
    }
    out.push_str(rest);
    complete.then_some(out)
}

fn variable(name: &str, closed: bool, node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    if !closed || !is_label_name(name) {
        reader
            .error(&node.place, "`${` begins a variable, and this is none")
            .help("write ${NAME}, or $${ for the characters themselves");
        return None;
    }
    let value = reader.var(name);
    if value.is_none() {
        let reference = format!("${{{name}}}");
        let place = match node.place.text().find(&reference) {
            Some(at) => node.place.part(at..at + reference.len()),
            None => node.place.clone(),
        };
        reader
            .error(&place, format!("the environment has no variable {name}"))
            .help("set it, or write $${ for the characters themselves");
    }
    value
}

/// A scalar as a message may show it: short, and without passwords.
pub(crate) fn quoted(node: &Node) -> String {
    let text = without_userinfo(node.as_scalar().unwrap_or_default());
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("`{}…`", text[..end].escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}

/// A service's name.
pub fn service(node: &Node, reader: &mut Reader<'_>) -> Option<Service> {
    let name = string(node, reader)?;
    let service = Service::new(&name);
    if service.is_none() {
        reader
            .error(&node.place, format!("{} is no service", quoted(node)))
            .help("1 to 63 of a–z, 0–9, `_` and `-`");
    }
    service
}

/// A label's name that is not reserved.
pub fn label_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = string(node, reader)?;
    check_label_name(&name, node, reader).then_some(name)
}

fn check_label_name(name: &str, node: &Node, reader: &mut Reader<'_>) -> bool {
    if RESERVED_LABELS.contains(&name) {
        reader
            .error(&node.place, format!("the label `{name}` is reserved"))
            .help(format!("{} are set by Watchkeeper", listed(&RESERVED_LABELS)));
        return false;
    }
    if !is_label_name(name) {
        reader
            .error(&node.place, format!("`{}` is no label's name", name.escape_debug()))
            .help("letters, digits and `_`, no digit first");
        return false;
    }
    true
}

/// A map of labels. Values are texts as written: `true` and `1.0` stand for themselves.
pub fn labels(node: &Node, reader: &mut Reader<'_>) -> Option<Labels> {
    if !node.is_map() {
        reader.error(&node.place, format!("a map of labels is needed, not {}", node.noun()));
        return None;
    }
    let mut pairs = Vec::new();
    let mut complete = true;
    for entry in node.entries() {
        let key = Node { place: entry.key_place.clone(), ..entry.value.clone() };
        let named = check_label_name(&entry.key, &key, reader);
        match text(&entry.value, reader) {
            Some(value) if named => pairs.push((entry.key.clone(), value)),
            _ => complete = false,
        }
    }
    complete.then(|| Labels::new(pairs))
}

/// One of these words.
pub fn choice<T: Clone>(
    choices: &[(&'static str, T)],
) -> impl Fn(&Node, &mut Reader<'_>) -> Option<T> {
    move |node, reader| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        // Not `string`: a word may be `true`, or `none`.
        let word = text(node, reader)?;
        let found =
            choices.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone());
        if found.is_none() {
            let meant = match closest(&word, words.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? "),
                None => String::new(),
            };
            reader
                .error(&node.place, format!("{} is not one of the words valid here", quoted(node)))
                .help(format!("{meant}valid are {}", listed(&words)));
        }
        found
    }
}

/// The unit a signal's values are written in.
pub fn unit(node: &Node, reader: &mut Reader<'_>) -> Option<Unit> {
    choice(&Unit::ALL.map(|unit| (unit.as_str(), unit)))(node, reader)
}

/// A URL: `scheme://rest`. Its user part is never shown.
pub fn url(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let url = string(node, reader)?;
    let scheme =
        url.split_once("://").filter(|(_, rest)| !rest.is_empty()).map(|(scheme, _)| scheme);
    let valid = scheme.is_some_and(|scheme| {
        !scheme.is_empty()
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    if !valid {
        // What looks like no URL may still hold a password.
        let shown = if url.contains('@') { "this".to_owned() } else { quoted(node) };
        if url.contains('@') {
            reader.hide(&node.place);
        }
        reader
            .error(&node.place, format!("{shown} is no URL"))
            .help("such as http://127.0.0.1:7700");
    }
    valid.then_some(url)
}

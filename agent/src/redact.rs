//! `redact:` in `agent:`, what is taken out of events before they leave the host.
//!
//! Owns its keys. What a detector finds, and what an expression may be, is decided in the agent's core.

use std::collections::BTreeSet;

use watchkeeper_agent_core::observe::{Detector, OwnPattern, RedactSettings};
use watchkeeper_config::{Node, Reader, read};
use watchkeeper_model::names::is_label_name;

/// How many expressions of one's own there may be: each looks at every event.
const MAX_OWN: usize = 64;

/// Reads the section.
pub(crate) fn read_redact(node: &Node, reader: &mut Reader<'_>) -> Option<RedactSettings> {
    node.fields(reader, &["off", "also", "labels"], |f| {
        let off = f.or("off", BTreeSet::new(), read_off);
        let labels = f.or("labels", false, read::bool);
        let also = f.or("also", Vec::new(), read::list_of(read_own));
        if also.len() > MAX_OWN {
            let place = f.node("also").map_or(f.place(), Node::place).clone();
            f.reader()
                .error(
                    &place,
                    format!("these are {} expressions, and {MAX_OWN} is most", also.len()),
                )
                .help("join some of them: a|b");
            return None;
        }
        Some(RedactSettings { off, also, labels })
    })
}

/// One detector, several in a list, or all of them.
fn read_off(node: &Node, reader: &mut Reader<'_>) -> Option<BTreeSet<Detector>> {
    let mut words: Vec<(&'static str, Vec<Detector>)> =
        Detector::ALL.map(|detector| (detector.as_str(), vec![detector])).to_vec();
    words.push(("all", Detector::ALL.to_vec()));
    let word = read::choice(&words);
    let off =
        if node.is_list() { read::list_of(word)(node, reader)? } else { vec![word(node, reader)?] };
    Some(off.into_iter().flatten().collect())
}

fn read_own(node: &Node, reader: &mut Reader<'_>) -> Option<OwnPattern> {
    node.fields(reader, &["name", "pattern"], |f| {
        let name = f.required("name", read_name);
        let pattern = f.required("pattern", read::located(read::string));
        let (name, pattern) = (name?, pattern?);
        match OwnPattern::new(&name, &pattern.value) {
            Ok(own) => Some(own),
            Err(error) => {
                f.reader()
                    .error(&pattern.place, error.to_string())
                    .help("such as 'sid=[0-9a-f]+', or 'sid=(?P<secret>[0-9a-f]+)' to replace only the group");
                None
            }
        }
    })
}

fn read_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    if is_label_name(&name) {
        return Some(name);
    }
    reader
        .error(node.place(), format!("`{}` is no name of an expression", name.escape_debug()))
        .help("letters, digits and `_`, no digit first; it stands in brackets in place of what was found");
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_config::load_str;

    fn settings(yaml: &str) -> Result<RedactSettings, String> {
        let mut reader = Reader::new(&|_: &str| None);
        let settings = load_str("agent.yaml", yaml, &mut reader)
            .and_then(|document| read_redact(document.root(), &mut reader));
        reader.finish(settings).map(|(settings, _)| settings).map_err(|problems| problems.render())
    }

    #[test]
    fn a_section_says_what_is_looked_for() {
        let own = |name, pattern| OwnPattern::new(name, pattern).unwrap();
        let default = RedactSettings::default;
        for (yaml, expected) in [
            ("off: []", default()),
            ("off: email", RedactSettings { off: [Detector::Email].into(), ..default() }),
            (
                "off: [card, url_password]",
                RedactSettings { off: [Detector::Card, Detector::UrlPassword].into(), ..default() },
            ),
            ("off: all", RedactSettings { off: Detector::ALL.into(), ..default() }),
            (
                "{labels: true, also: [{name: session, pattern: 'sid=[0-9a-f]+'}]}",
                RedactSettings {
                    labels: true,
                    also: vec![own("session", "sid=[0-9a-f]+")],
                    ..default()
                },
            ),
        ] {
            assert_eq!(settings(yaml), Ok(expected), "{yaml}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        let many = format!("also: [{}]", "{name: a, pattern: b},".repeat(65));
        for (yaml, told) in [
            ("off: mail", ":1:6: error: `mail` is not one of the words valid here"),
            ("off: [all, cards]", "did you mean `card`?"),
            (
                "also: [{name: a, pattern: '(x'}]",
                ":1:27: error: the expression cannot be read: unclosed group",
            ),
            (
                "also: [{name: a, pattern: 'x*'}]",
                ":1:27: error: the expression matches the empty text",
            ),
            ("also: [{name: a-b, pattern: x}]", ":1:15: error: `a-b` is no name of an expression"),
            ("also: [{name: a}]", "`pattern` is missing"),
            ("also: [{name: a, regex: x}]", "unknown key `regex`"),
            ("labels: 1", ":1:9: error"),
            (&many, "these are 65 expressions, and 64 is most"),
        ] {
            let problems = settings(yaml).unwrap_err();
            assert!(problems.contains(told), "{told:?} is missing in:\n{problems}");
        }
    }
}

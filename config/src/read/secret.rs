//! Secrets: `{env: NAME}`, `{file: PATH}`, or the value itself.
//!
//! Owns where they come from. Never puts a value into a message, and tells the report never to show where it stands.

use watchkeeper_model::names::is_label_name;

use crate::files;
use crate::node::Node;
use crate::read::text::{string, text};
use crate::reader::Reader;
use crate::secret::Secret;

/// The largest file that a secret is read from, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// A secret.
pub fn secret(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    if !node.is_map() {
        reader.hide(&node.place);
        if node.is_null() || node.is_list() {
            reader
                .error(&node.place, format!("a secret is needed, not {}", node.noun()))
                .help("write {env: NAME}, {file: PATH}, or the value in quotes");
            return None;
        }
        return text(node, reader).map(Secret::new);
    }
    // A value under a wrong key may be the secret itself.
    for entry in node.entries().iter().filter(|e| !matches!(e.key.as_str(), "env" | "file")) {
        reader.hide(&entry.value.place);
    }
    match node.variant(reader, &["env", "file"])? {
        ("env", name) => from_env(name, reader),
        (_, path) => secret_file(path, reader),
    }
}

fn from_env(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    let name = string(node, reader)?;
    if !is_label_name(&name) {
        // Perhaps the secret itself.
        reader.hide(&node.place);
        reader.error(&node.place, "this is no variable's name").help("such as {env: NAME}");
        return None;
    }
    let value = reader.var(&name);
    if value.is_none() {
        reader.error(&node.place, format!("the environment has no variable {name}"));
    }
    value.map(Secret::new)
}

/// A secret in the file that is named here, without the line break at its end.
pub fn secret_file(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    let path = crate::read::path(node, reader)?;
    match files::text(&path, MAX_SECRET) {
        Ok(text) => {
            let value = text.strip_suffix('\n').unwrap_or(&text);
            Some(Secret::new(value.strip_suffix('\r').unwrap_or(value)))
        }
        Err(error) => {
            reader.error(&node.place, format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}

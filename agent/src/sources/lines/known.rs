//! Which fields the lines of a source have.
//!
//! Owns that a name no line can have is told where it is written. Never reads a line.

use watchkeeper_agent_core::observe::Format;
use watchkeeper_config::{Node, Reader, read};
use watchkeeper_expr::Scope;
use watchkeeper_expr::spelling::closest;

/// The fields of a format's lines, as far as they are known before any line is seen.
pub(super) struct Known {
    names: Option<Vec<String>>,
    given: Vec<String>,
    has_only_text: bool,
}

impl Known {
    /// Those of a format and those `given` by the source. Of a format that is wrong nothing is known.
    pub(super) fn of(format: Option<&Format>, given: &[String]) -> Self {
        let names = format.and_then(Format::fields).map(|names| [names, given.to_vec()].concat());
        Self {
            names,
            given: given.to_vec(),
            has_only_text: format.is_some_and(Format::has_only_text),
        }
    }

    /// What names in a condition stand for.
    pub(super) fn scope(&self) -> Scope<'_> {
        match &self.names {
            Some(names) => Scope::TextFields(names),
            None if self.has_only_text => Scope::TextLine,
            None => Scope::Line,
        }
    }

    /// Reads the name of a field.
    pub(super) fn field(&self, node: &Node, reader: &mut Reader<'_>) -> Option<String> {
        let name = read::string(node, reader)?;
        let Some(names) = self.names.as_ref().filter(|names| !names.contains(&name)) else {
            self.warn_of_not_given(&name, node, reader);
            return Some(name);
        };
        let help = match closest(&name, names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", names.join(", ")),
        };
        let message = format!("lines have no field `{}`", name.escape_debug());
        reader.error(node.place(), message).help(help);
        None
    }

    /// A line may have any field, but hardly means these names.
    fn warn_of_not_given(&self, name: &str, node: &Node, reader: &mut Reader<'_>) {
        let key = match () {
            () if self.given.iter().any(|given| given == name) => return,
            () if name.starts_with("_wrap.") => "wrap",
            () if name.starts_with("_file.") => "path_fields",
            () => return,
        };
        let message = format!("`{}` is a field only where `{key}` gives it", name.escape_debug());
        let help = match self.given.is_empty() {
            true => String::new(),
            false => format!("known here beside those of the line: {}", self.given.join(", ")),
        };
        reader.warning(node.place(), message).help(help);
    }
}

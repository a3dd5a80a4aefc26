//! From nodes to values, with everything that is wrong told at once.
//!
//! Owns unknown and missing keys. Never stops at the first problem: a reading function reports its own and returns
//! `None`, and its siblings go on.

use watchkeeper_expr::spelling::closest;

use crate::environment::Environment;
use crate::node::{Content, Entry, Node};
use crate::place::Place;
use crate::problem::{Problem, Problems, Severity};

/// What reading needs besides the nodes: the environment, and a place for problems.
pub struct Reader<'e> {
    env: &'e dyn Environment,
    problems: Problems,
}

impl<'e> Reader<'e> {
    /// A reader that finds `${NAME}` in this environment.
    pub fn new(env: &'e dyn Environment) -> Self {
        Self { env, problems: Problems::default() }
    }

    /// Reports an error; the result takes a help.
    pub fn error(&mut self, place: &Place, message: impl Into<String>) -> &mut Problem {
        self.problems.add(Severity::Error, place, message.into())
    }

    /// Reports a warning; the result takes a help.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>) -> &mut Problem {
        self.problems.add(Severity::Warning, place, message.into())
    }

    /// Never shows what stands there.
    pub fn hide(&mut self, place: &Place) {
        self.problems.secrets.push(place.clone());
    }

    /// The value of a variable of the environment.
    pub fn var(&self, name: &str) -> Option<String> {
        self.env.var(name)
    }

    /// What was reported so far.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// What was read, with warnings; or everything that is wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<(T, Problems), Problems> {
        let mut problems = self.problems;
        problems.sort();
        debug_assert!(
            value.is_some() || problems.has_errors(),
            "bug: nothing read, no reason told"
        );
        match value {
            Some(value) if !problems.has_errors() => Ok((value, problems)),
            _ => Err(problems),
        }
    }
}

impl Node {
    /// Reads a map that may have these keys and no others. Ask for everything before giving up on anything: what is
    /// not asked for is not checked.
    pub fn fields<T>(
        &self,
        reader: &mut Reader<'_>,
        keys: &[&'static str],
        read: impl FnOnce(&mut Fields<'_, '_, '_>) -> Option<T>,
    ) -> Option<T> {
        let entries: &[Entry] = match &self.content {
            Content::Map(entries) => entries,
            _ if self.is_null() => &[],
            _ => {
                let help = format!("its keys are {}", listed(keys));
                reader
                    .error(&self.place, format!("a map is needed, not {}", self.noun()))
                    .help(help);
                return None;
            }
        };
        let mut meant = Vec::new();
        for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            meant.extend(report_unknown(reader, entry, keys));
        }
        read(&mut Fields { node: self, entries, reader, keys, meant })
    }

    /// Reads a map with a single key that says what the rest is, `{tail: {…}}`.
    pub fn variant<'n>(
        &'n self,
        reader: &mut Reader<'_>,
        tags: &[&'static str],
    ) -> Option<(&'static str, &'n Self)> {
        let [entry] = self.entries() else {
            let message = match self.entries().len() {
                0 => format!("a map with one key is needed, not {}", self.noun()),
                n => format!("a map with one key is needed; this has {n}"),
            };
            reader.error(&self.place, message).help(format!("the key is one of {}", listed(tags)));
            return None;
        };
        match tags.iter().find(|tag| **tag == entry.key) {
            Some(tag) => Some((tag, &entry.value)),
            None => {
                report_unknown(reader, entry, tags);
                None
            }
        }
    }
}

/// Reports a key that is not among those known, and returns the one that was probably meant.
fn report_unknown(
    reader: &mut Reader<'_>,
    entry: &Entry,
    keys: &[&'static str],
) -> Option<&'static str> {
    let meant = closest(&entry.key, keys.iter().copied());
    let help = match meant {
        Some(key) => format!("did you mean `{key}`? valid keys are {}", listed(keys)),
        None => format!("valid keys are {}", listed(keys)),
    };
    reader.error(&entry.key_place, format!("unknown key `{}`", entry.key)).help(help);
    meant
}

/// `a, b, c`.
pub(crate) fn listed(words: &[&str]) -> String {
    words.join(", ")
}

/// The keys of one map while it is read.
pub struct Fields<'n, 'r, 'e> {
    node: &'n Node,
    entries: &'n [Entry],
    reader: &'r mut Reader<'e>,
    keys: &'r [&'static str],
    /// Keys that unknown ones were probably meant to be: they are not reported as missing too.
    meant: Vec<&'static str>,
}

impl<'n, 'e> Fields<'n, '_, 'e> {
    /// A key that must be there; that it is missing is reported.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.node(key) {
            Some(node) if !node.is_null() => read(node, self.reader),
            Some(node) => {
                self.reader.error(&node.place, format!("`{key}` has no value"));
                None
            }
            None => {
                if !self.meant.contains(&key) {
                    let place = self.start();
                    self.reader.error(&place, format!("`{key}` is missing"));
                }
                None
            }
        }
    }

    /// A key that may be there. `None` if it is not, or if it is wrong, which is reported then.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.node(key) {
            Some(node) if !node.is_null() => read(node, self.reader),
            _ => None,
        }
    }

    /// A key with a default.
    pub fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Node, &mut Reader<'_>) -> Option<T>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// A key that holds a list; none if it is absent. Elements that are wrong are reported and left out.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
    ) -> Vec<T> {
        self.optional(key, |node, reader| {
            crate::read::elements(node, reader)
                .map(|items| items.iter().filter_map(|item| read(item, reader)).collect())
        })
        .unwrap_or_default()
    }

    /// What a key says, unread.
    pub fn node(&self, key: &'static str) -> Option<&'n Node> {
        debug_assert!(self.keys.contains(&key), "bug: `{key}` is not among the keys declared");
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Whether a key is there with a value.
    pub fn has(&self, key: &'static str) -> bool {
        self.node(key).is_some_and(|node| !node.is_null())
    }

    /// Where the map stands.
    pub fn place(&self) -> &'n Place {
        &self.node.place
    }

    /// The place for problems with several keys.
    pub fn reader(&mut self) -> &mut Reader<'e> {
        self.reader
    }

    /// Where something missing is told: at the map's first key, else at the map.
    fn start(&self) -> Place {
        self.entries
            .first()
            .map_or_else(|| self.node.place.clone(), |entry| entry.key_place.clone())
    }
}

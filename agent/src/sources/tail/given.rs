//! The fields that do not come from the line: where it stood, and what its wrapper says of it.
//!
//! Owns their names and what of a path becomes which field. Never looks at a line. Their names begin with `_`, and they
//! hold whatever a line says itself.

use std::path::Path;

use regex::Regex;
use watchkeeper_agent_core::observe::LineObserver;
use watchkeeper_agent_core::tail::Wrapped;
use watchkeeper_model::names::is_label_name;

use super::config::no_regex;

/// The places of the kubelet: links by container, and what they lead to. Names of pods and namespaces have no `_`.
const KUBERNETES: [&str; 2] = [
    r"/var/log/containers/(?<pod>[^/_]+)_(?<namespace>[^/_]+)_(?<container>[^/_]+)-[0-9a-f]{64}\.log$",
    r"/var/log/pods/(?<namespace>[^/_]+)_(?<pod>[^/_]+)_[^/_]+/(?<container>[^/_]+)/[0-9]+\.log$",
];

/// Names that mean something else.
const TAKEN: [&str; 2] = ["path", "name"];

const PATH: usize = 0;
const NAME: usize = 1;
const STREAM: usize = 2;
const TIME: usize = 3;

/// What of a path becomes a field.
#[derive(Clone, Debug, Default)]
pub struct PathFields {
    patterns: Vec<Regex>,
    /// The groups of all patterns, each once.
    groups: Vec<String>,
}

impl PathFields {
    /// `kubernetes`, or a regular expression with named groups.
    ///
    /// # Errors
    /// With a problem for people, if it is neither.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let patterns = if pattern == "kubernetes" { &KUBERNETES[..] } else { &[pattern][..] };
        let mut fields = Self::default();
        for pattern in patterns {
            let regex = Regex::new(pattern).map_err(|error| no_regex(pattern, &error))?;
            for group in regex.capture_names().flatten() {
                if TAKEN.contains(&group) {
                    return Err(format!(
                        "`_file.{group}` is a field already: call the group otherwise"
                    ));
                }
                if !is_label_name(group) {
                    return Err(format!("`{group}` is no name of a field"));
                }
                if !fields.groups.iter().any(|known| known == group) {
                    fields.groups.push(group.to_owned());
                }
            }
            fields.patterns.push(regex);
        }
        if fields.groups.is_empty() {
            return Err(format!("{pattern:?} has no named group"));
        }
        Ok(fields)
    }
}

impl PartialEq for PathFields {
    fn eq(&self, other: &Self) -> bool {
        let patterns = |f: &Self| f.patterns.iter().map(Regex::to_string).collect::<Vec<_>>();
        patterns(self) == patterns(other)
    }
}

impl Eq for PathFields {}

/// Gives a source's observer the fields beside the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    is_wrapped: bool,
    path_fields: PathFields,
}

impl Given {
    /// For lines that are wrapped or not, of files with these paths.
    pub fn new(is_wrapped: bool, path_fields: PathFields) -> Self {
        Self { is_wrapped, path_fields }
    }

    /// The names of the fields, in the order in which they are given.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec!["_file.path".to_owned(), "_file.name".to_owned()];
        if self.is_wrapped {
            names.extend(["_wrap.stream".to_owned(), "_wrap.time".to_owned()]);
        }
        names.extend(self.path_fields.groups.iter().map(|group| format!("_file.{group}")));
        names
    }

    /// The lines that follow are of this file.
    pub(super) fn file(&self, path: &Path, lines: &mut LineObserver) {
        let text = path.to_string_lossy();
        lines.give(PATH, &text);
        lines.give(NAME, &path.file_name().unwrap_or_default().to_string_lossy());
        let found = self.path_fields.patterns.iter().find_map(|pattern| pattern.captures(&text));
        let first = if self.is_wrapped { TIME + 1 } else { NAME + 1 };
        for (i, group) in self.path_fields.groups.iter().enumerate() {
            let value = found.as_ref().and_then(|found| found.name(group));
            lines.give(first + i, value.map_or("", |value| value.as_str()));
        }
    }

    /// The line that follows was in a wrapper that said this, or in none. Held under other settings it may be other than
    /// its source's lines are now.
    pub(super) fn wrapped(&self, wrapped: Option<&Wrapped<'_>>, lines: &mut LineObserver) {
        if self.is_wrapped {
            lines.give(STREAM, wrapped.map_or("", |w| w.stream.as_str()));
            lines.give(TIME, wrapped.map_or("", |w| w.time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(fields: &PathFields, path: &'a str) -> Vec<&'a str> {
        let found = fields.patterns.iter().find_map(|pattern| pattern.captures(path));
        let value = |group: &String| found.as_ref()?.name(group).map(|m| m.as_str());
        fields.groups.iter().filter_map(value).collect()
    }

    #[test]
    fn kubernetes_paths_say_pod_namespace_and_container() {
        let kubernetes = PathFields::parse("kubernetes").unwrap();
        assert_eq!(kubernetes.groups, ["pod", "namespace", "container"]);
        let id = "0123456789abcdef".repeat(4);
        for (path, wanted) in [
            (
                format!("/var/log/containers/web-7d4b.x_shop_nginx-proxy-{id}.log"),
                &["web-7d4b.x", "shop", "nginx-proxy"][..],
            ),
            (
                "/var/log/pods/shop_web-7d4b_1b4e28ba-2fa1-11d2-883f-0016d3cca427/nginx/0.log"
                    .to_owned(),
                &["web-7d4b", "shop", "nginx"],
            ),
            (
                format!("/host/var/log/containers/web_shop_nginx-{id}.log"),
                &["web", "shop", "nginx"],
            ),
            (format!("/var/log/containers/web_shop_nginx-{}.log", &id[1..]), &[]),
            (format!("/var/log/containers/web_nginx-{id}.log"), &[]),
            ("/var/log/pods/shop_web_uid/nginx/0.log.20261122-180709".to_owned(), &[]),
            ("/var/log/shop/a.log".to_owned(), &[]),
        ] {
            assert_eq!(found(&kubernetes, &path), wanted, "{path}");
        }
    }

    #[test]
    fn groups_become_fields_and_what_can_not_is_told() {
        let fields = PathFields::parse(r"/(?<app>[a-z]+)(-(?P<n>\d+))?\.log$").unwrap();
        assert_eq!(found(&fields, "/l/shop-2.log"), ["shop", "2"]);
        assert_eq!(found(&fields, "/l/shop.log"), ["shop"]);
        assert_eq!(
            Given::new(true, fields).names(),
            ["_file.path", "_file.name", "_wrap.stream", "_wrap.time", "_file.app", "_file.n"]
        );
        for (pattern, told) in [
            ("(a", "\"(a\" is no regular expression: unclosed group"),
            ("a", "\"a\" has no named group"),
            ("(?<name>a)", "`_file.name` is a field already"),
            ("(?<a.b>a)", "`a.b` is no name of a field"),
        ] {
            let problem = PathFields::parse(pattern).unwrap_err();
            assert!(problem.starts_with(told), "{problem}");
        }
    }
}

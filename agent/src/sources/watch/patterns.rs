//! Which paths are meant, name by name.
//!
//! Owns patterns as steps from one folder to the next, so that only folders are looked into that can hold a match. Names
//! that are no UTF-8 match as if each wrong byte were one character. Never looks at a file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// `*` stays within a folder; `**` does not.
const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// One pattern: where to begin, and what the names below may be.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    base: PathBuf,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Just this name.
    Is(String),
    /// A name like this.
    Like(Pattern),
    /// Any number of folders.
    Deep,
}

/// All patterns of a source.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    paths: Vec<Steps>,
    exclude: Vec<Pattern>,
}

/// How far each pattern has come in one folder: its number, and its next step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way(Vec<(usize, usize)>);

/// What a name in a folder is to the patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// A file of this name matches.
    pub(super) matches: bool,
    /// How to go on if it is a folder.
    pub(super) way: Way,
    /// How to go on if it is a link to a folder: links are followed by name, never by `**`, so that no loop has an end.
    pub(super) way_by_link: Way,
}

impl Steps {
    /// A pattern as steps.
    ///
    /// # Errors
    /// What is wrong with it, if it can't be looked for.
    pub(super) fn of(pattern: &Pattern) -> Result<Self, String> {
        let is_plain = |name: &&str| !name.contains(['*', '?', '[']);
        let names: Vec<&str> =
            pattern.as_str().split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let Some((_, folders)) = names.split_last() else {
            return Err("names no file".to_owned());
        };
        let n_plain = folders.iter().take_while(|name| is_plain(name)).count();
        let base = Path::new("/").join(names[..n_plain].join("/"));
        let mut steps = Vec::new();
        for name in &names[n_plain..] {
            steps.push(match *name {
                ".." => return Err("goes up behind a wildcard".to_owned()),
                "**" => Step::Deep,
                name if is_plain(&name) => Step::Is(name.to_owned()),
                name => Step::Like(
                    Pattern::new(name).map_err(|error| format!("is no pattern: {}", error.msg))?,
                ),
            });
        }
        // Twice is no deeper.
        steps.dedup_by(|a, b| matches!((a, b), (Step::Deep, Step::Deep)));
        Ok(Self { base, steps })
    }
}

impl Patterns {
    /// Those of a source. One that can't be looked for was refused when it was read.
    pub(super) fn new(paths: &[Pattern], exclude: &[Pattern]) -> Self {
        let paths = paths.iter().filter_map(|pattern| Steps::of(pattern).ok()).collect();
        Self { paths, exclude: exclude.to_vec() }
    }

    /// The folders in which looking begins.
    pub(super) fn bases(&self) -> BTreeMap<&Path, Way> {
        let mut bases: BTreeMap<&Path, Way> = BTreeMap::new();
        for (n, steps) in self.paths.iter().enumerate() {
            bases.entry(&steps.base).or_default().0.push((n, 0));
        }
        bases
    }

    /// What a name is in a folder that was reached like this.
    pub(super) fn meet(&self, way: &Way, name: &OsStr) -> Met {
        let name = name.to_string_lossy();
        let mut met = Met::default();
        for &(n, at) in &way.0 {
            let steps = &self.paths[n].steps;
            let mut at = at;
            if matches!(steps[at], Step::Deep) {
                met.way.add(n, at);
                at += 1;
                // `a/**` is everything below `a`.
                let Some(_) = steps.get(at) else {
                    met.matches = true;
                    continue;
                };
            }
            let fits = match &steps[at] {
                Step::Is(wanted) => *wanted == *name,
                Step::Like(pattern) => pattern.matches_with(&name, MATCH),
                Step::Deep => false,
            };
            if !fits {
                continue;
            }
            match steps.get(at + 1) {
                None => met.matches = true,
                Some(_) => {
                    met.way.add(n, at + 1);
                    met.way_by_link.add(n, at + 1);
                }
            }
        }
        met
    }

    /// The names that can be meant in a folder, if that is known without looking.
    pub(super) fn only(&self, way: &Way) -> Option<Vec<&str>> {
        let name = |&(n, at): &(usize, usize)| match &self.paths[n].steps[at] {
            Step::Is(name) => Some(name.as_str()),
            Step::Like(_) | Step::Deep => None,
        };
        let mut names = way.0.iter().map(name).collect::<Option<Vec<_>>>()?;
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    /// Whether a path is left out.
    pub(super) fn leaves_out(&self, path: &Path) -> bool {
        if self.exclude.is_empty() {
            return false;
        }
        let path = path.to_string_lossy();
        self.exclude.iter().any(|pattern| pattern.matches_with(&path, MATCH))
    }

    /// Whether a file with this path matches, and whether there may be matches below it.
    pub(super) fn judge(&self, path: &[u8]) -> (bool, bool) {
        let path = Path::new(OsStr::from_bytes(path));
        let mut found = (false, false);
        for (base, way) in self.bases() {
            let Ok(rest) = path.strip_prefix(base) else { continue };
            let (mut way, mut met, mut here) = (way, Met::default(), base.to_owned());
            for name in rest {
                met = self.meet(&way, name);
                way.clone_from(&met.way);
                here.push(name);
                if self.leaves_out(&here) {
                    (met, way) = (Met::default(), Way::default());
                }
            }
            found.0 |= met.matches;
            found.1 |= !way.0.is_empty();
        }
        found
    }
}

impl Way {
    /// Whether nothing below can match.
    pub(super) fn is_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes on with both.
    pub(super) fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(n, at)| self.add(n, at));
    }

    fn add(&mut self, n: usize, at: usize) {
        if !self.0.contains(&(n, at)) {
            self.0.push((n, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(paths: &[&str], exclude: &[&str]) -> Patterns {
        let all = |texts: &[&str]| -> Vec<Pattern> {
            texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
        };
        Patterns::new(&all(paths), &all(exclude))
    }

    #[test]
    fn paths_match_name_by_name() {
        for (pattern, path, matches) in [
            ("/in/*.vtt", "/in/a.vtt", true),
            ("/in/*.vtt", "/in/.a.vtt", true),
            ("/in/*.vtt", "/in/b/a.vtt", false),
            ("/in/*.vtt", "/in/a.vtt/b", false),
            ("/in/**/*.vtt", "/in/a.vtt", true),
            ("/in/**/*.vtt", "/in/b/c/a.vtt", true),
            ("/in/**/x/*.vtt", "/in/x/x/a.vtt", true),
            ("/in/**/x/*.vtt", "/in/x/y/a.vtt", false),
            ("/in/**", "/in/b/c", true),
            ("/in/*/out/a", "/in/b/out/a", true),
            ("/in/*/out/a", "/in/b/out/b", false),
            ("/in/./a", "/in/a", true),
            ("/in/a", "/in/a", true),
            ("/in/[ab]?", "/in/bc", true),
        ] {
            assert_eq!(
                patterns(&[pattern], &[]).judge(path.as_bytes()).0,
                matches,
                "{pattern} {path}"
            );
        }
        assert!(patterns(&["/in/*.vtt"], &[]).judge(b"/in/\xff.vtt").0);
        let some = patterns(&["/in/**/*.vtt"], &["/in/old", "/in/**/*.tmp.vtt"]);
        for (path, matches) in
            [("/in/old/a.vtt", false), ("/in/b/a.tmp.vtt", false), ("/in/older/a.vtt", true)]
        {
            assert_eq!(some.judge(path.as_bytes()).0, matches, "{path}");
        }
        assert_eq!(patterns(&["/in/*/a"], &[]).judge(b"/in/b"), (false, true));
    }

    #[test]
    fn what_can_not_be_looked_for_is_refused() {
        for (pattern, problem) in
            [("/", "names no file"), ("/in/*/../a", "goes up behind a wildcard")]
        {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(Steps::of(&pattern).unwrap_err(), problem);
        }
        let base = |text| Steps::of(&Pattern::new(text).unwrap()).unwrap().base;
        assert_eq!(base("/in/../up/*"), Path::new("/in/../up"));
        assert_eq!(base("/etc/passwd"), Path::new("/etc"));
        assert_eq!(base("/*.log"), Path::new("/"));
    }

    proptest! {
        /// Step by step is the same as all at once.
        #[test]
        fn steps_mean_what_the_pattern_means(
            pattern in "(/(a|b|\\*|a\\*|\\*\\*|\\[ab\\]|\\?)){1,4}",
            path in "(/(a|b|ab|\\.b)){1,5}",
        ) {
            let whole = Pattern::new(&pattern).unwrap();
            let told = patterns(&[&pattern], &[]).judge(path.as_bytes()).0;
            prop_assert_eq!(told, whole.matches_with(&path, MATCH), "{} {}", pattern, path);
        }

        #[test]
        fn no_pattern_makes_it_panic(text in "\\PC{0,30}", path in prop::collection::vec(any::<u8>(), 0..30)) {
            if let Ok(pattern) = Pattern::new(&format!("/{text}")) && Steps::of(&pattern).is_ok() {
                let _ = Patterns::new(&[pattern], &[]).judge(&path);
            }
        }
    }
}

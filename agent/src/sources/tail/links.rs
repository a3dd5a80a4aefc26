//! Logs that are reached by links.
//!
//! Owns where links lead, and what lies beside that: rotated siblings, and what a link led to before. One log that several
//! links lead to is that of one of them. Never lists a directory and never opens anything.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use watchkeeper_agent_core::tail::{Behind, Named, Stat, classify};

/// Where links led when they were last followed to their end. That is most of what looking at them would cost, and they
/// seldom change.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<PathBuf, PathBuf>);

impl Links {
    /// Where a link leads, through all others; where one to nothing would, if at least the directory is there. `there`
    /// is what it leads to.
    pub(super) fn target_of(&self, link: &Path, there: Option<&Stat>) -> Option<PathBuf> {
        let is_there = |target: &&PathBuf| {
            let found = std::fs::symlink_metadata(target);
            found.is_ok_and(|f| there.is_some_and(|t| (f.dev(), f.ino()) == (t.dev, t.inode)))
        };
        let known = self.0.get(link).filter(is_there).cloned();
        known.or_else(|| std::fs::canonicalize(link).ok()).or_else(|| {
            let next = link.parent()?.join(std::fs::read_link(link).ok()?);
            Some(next.parent()?.canonicalize().ok()?.join(next.file_name()?))
        })
    }
}

/// A link that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Led {
    link: PathBuf,
    /// It does now.
    still: bool,
}

/// Where links lead in one directory.
#[derive(Debug, Default)]
pub(super) struct Beside(BTreeMap<PathBuf, Led>);

impl Beside {
    /// Whether a path in this directory is a link's target or beside it.
    pub(super) fn knows(&self, path: &Path) -> bool {
        classify(path, |p| self.0.contains_key(p)).is_some()
    }

    /// What a path in this directory is to a source that reads what the links lead to.
    pub(super) fn name(&self, path: &Path) -> Option<(Named, Behind)> {
        let Named { matched, base, compressed } = classify(path, |p| self.0.contains_key(p))?;
        let (target, led) = match base {
            // What a link leads to is listed as the link.
            _ if matched && self.0.get(path)?.still => return None,
            _ if matched => self.0.get_key_value(path)?,
            base => self.0.get_key_value(&base?)?,
        };
        let named = Named { matched: false, base: Some(led.link.clone()), compressed };
        Some((named, Behind { link: led.link.clone(), target: target.clone() }))
    }
}

/// Where links lead, by directory.
#[derive(Debug, Default)]
pub(super) struct Targets {
    by_directory: BTreeMap<PathBuf, Beside>,
    links: Links,
}

impl Targets {
    /// A link leads here. Of several the first by name counts, whatever the order.
    pub(super) fn leads(&mut self, link: &Path, target: &Path) {
        self.links.0.insert(link.to_owned(), target.to_owned());
        self.add(link, target, true);
    }

    /// A link led here, and perhaps still does.
    pub(super) fn led(&mut self, behind: &Behind) {
        self.add(&behind.link, &behind.target, false);
    }

    fn add(&mut self, link: &Path, target: &Path, still: bool) {
        let Some(directory) = target.parent() else { return };
        let new = Led { link: link.to_owned(), still };
        let rank = |led: &Led| (!led.still, led.link.clone());
        let there = &mut self.by_directory.entry(directory.to_owned()).or_default().0;
        match there.get(target) {
            Some(known) if rank(known) <= rank(&new) => {}
            _ => drop(there.insert(target.to_owned(), new)),
        }
    }

    /// Where links lead now, to be remembered, and what lies beside that, by directory.
    pub(super) fn take(self) -> (Links, BTreeMap<PathBuf, Beside>) {
        (self.links, self.by_directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_a_target_belongs_to_the_first_link_that_leads_there() {
        let mut targets = Targets::default();
        let behind = |link: &str, target: &str| Behind { link: link.into(), target: target.into() };
        targets.led(&behind("/c/a", "/p/0.log"));
        for link in ["/c/c", "/c/b", "/c/d"] {
            targets.leads(Path::new(link), Path::new("/p/0.log"));
        }
        targets.leads(Path::new("/c/x"), Path::new("/p/1.log"));
        targets.leads(Path::new("/c/y"), Path::new("/q/1.log"));
        targets.led(&behind("/c/x", "/p/y.log"));
        let all: Vec<(PathBuf, Beside)> = targets.take().1.into_iter().collect();
        assert_eq!(all.len(), 2);
        for (path, wanted) in [
            ("/p/0.log", None),
            ("/p/0.log.20260101-120000", Some(("/c/b", "/p/0.log"))),
            ("/p/0.log.20260101-120000.gz", Some(("/c/b", "/p/0.log"))),
            ("/p/1.log.1", Some(("/c/x", "/p/1.log"))),
            ("/p/y.log", Some(("/c/x", "/p/y.log"))),
            ("/p/y.log.1", Some(("/c/x", "/p/y.log"))),
            ("/p/z.log", None),
            ("/p/0.log-old", None),
        ] {
            let found = all[0].1.name(Path::new(path));
            let wanted = wanted.map(|(link, target)| behind(link, target));
            assert_eq!(found.as_ref().map(|(_, behind)| behind.clone()), wanted, "{path}");
            let is_named = |n: &Named| !n.matched && n.base.is_some();
            assert!(found.is_none_or(|(named, _)| is_named(&named)), "{path}");
        }
    }
}

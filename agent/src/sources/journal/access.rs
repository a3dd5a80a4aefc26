//! What of the journal is there and may be read.
//!
//! Owns a look at names and permissions. `journalctl` says nothing when it shows less than there is: with JSON it keeps
//! quiet about journals that its user may not read, and it never hears of a directory made after it was started
//! (systemd 252). Never opens a journal.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{Access as Mode, access};
use rustix::io::Errno;

/// Where this machine's own journal lies, kept or until the next boot (systemd-journald.service(8)).
pub(super) const OWN: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What a look has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    /// The directories that are there.
    pub(super) roots: Vec<PathBuf>,
    /// How many journals there are that may be read.
    pub(super) n_readable: usize,
    /// The first one that may not be read.
    pub(super) closed: Option<PathBuf>,
}

/// Looks at the journal in this directory, or at the own one of the machine with this id.
pub(super) fn look(directory: Option<&Path>, machine: &str) -> Access {
    match directory {
        Some(directory) => look_at(&[directory], is_machine_id),
        None => look_at(&OWN.map(Path::new), |name| name == machine),
    }
}

fn is_machine_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn may_read(path: &Path) -> Result<(), Errno> {
    access(path, Mode::READ_OK)
}

/// Journals lie in a root or, by machine, one level below.
fn look_at(roots: &[&Path], is_wanted: impl Fn(&str) -> bool) -> Access {
    let mut found = Access::default();
    for root in roots.iter().filter(|root| root.is_dir()) {
        found.roots.push(root.to_path_buf());
        for (name, path) in found.list(root) {
            if is_wanted(&name) && path.is_dir() {
                let below = found.list(&path);
                below.into_iter().for_each(|(name, path)| found.note(&name, path, may_read));
            } else {
                found.note(&name, path, may_read);
            }
        }
    }
    found
}

impl Access {
    fn list(&mut self, directory: &Path) -> Vec<(String, PathBuf)> {
        match std::fs::read_dir(directory) {
            Ok(entries) => {
                let named =
                    |e: std::fs::DirEntry| (e.file_name().to_string_lossy().into_owned(), e.path());
                entries.flatten().map(named).collect()
            }
            Err(error) => {
                if error.kind() == ErrorKind::PermissionDenied {
                    self.closed.get_or_insert_with(|| directory.to_path_buf());
                }
                Vec::new()
            }
        }
    }

    fn note(&mut self, name: &str, path: PathBuf, may_read: impl Fn(&Path) -> Result<(), Errno>) {
        if !name.ends_with(".journal") && !name.ends_with(".journal~") {
            return;
        }
        match may_read(&path) {
            Ok(()) => self.n_readable += 1,
            // Journals of single users are theirs, and hardly anybody wants them.
            Err(Errno::ACCESS) if !name.starts_with("user-") => {
                self.closed.get_or_insert(path);
            }
            Err(_) => {}
        }
    }

    /// Whether a directory is there now that was not there `before`.
    pub(super) fn has_new_root(&self, before: &Self) -> bool {
        self.roots.iter().any(|root| !before.roots.contains(root))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn journals_are_found_in_the_directory_and_one_level_below_by_machine() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("journal");
        assert_eq!(look(Some(&root), ""), Access::default());
        let before = look(Some(&root), "");
        let machine = root.join("0123456789abcdef0123456789abcdef");
        fs::create_dir_all(&machine).unwrap();
        fs::create_dir(root.join("remote")).unwrap();
        for path in ["a.journal", "b.txt", "remote/r.journal"] {
            fs::write(root.join(path), "").unwrap();
        }
        for name in ["system.journal", "system@1.journal~", "user-1000.journal"] {
            fs::write(machine.join(name), "").unwrap();
        }
        let found = look(Some(&root), "");
        assert_eq!((found.n_readable, &found.closed), (4, &None));
        assert!(found.has_new_root(&before) && !before.has_new_root(&found));
    }

    #[test]
    fn what_may_not_be_read_is_told_unless_it_is_a_single_users() {
        for (name, answer, closed) in [
            ("system.journal", Err(Errno::ACCESS), true),
            ("remote-web.journal", Err(Errno::ACCESS), true),
            ("user-1000.journal", Err(Errno::ACCESS), false),
            ("system.txt", Err(Errno::ACCESS), false),
            // Gone meanwhile.
            ("system.journal", Err(Errno::NOENT), false),
            ("system.journal", Ok(()), false),
        ] {
            let mut found = Access::default();
            found.note(name, PathBuf::from(name), |_| answer);
            assert_eq!(found.closed.is_some(), closed, "{name} {answer:?}");
            assert_eq!(found.n_readable, usize::from(answer.is_ok()));
        }
    }
}

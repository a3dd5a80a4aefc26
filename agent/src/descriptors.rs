//! How many files this process may have open.
//!
//! Owns the limit and its words. Some descriptors are kept free of log files: the spool, the road and the admin
//! endpoint need theirs at any time, or counts could not be sealed any more.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use watchkeeper_agent_core::tail::MAX_FILES;

use crate::facts;

/// Descriptors that log files leave free, or a quarter of them if there are few.
const RESERVED: u64 = 64;

/// What some systems allow though they name no limit.
const AT_LEAST: u64 = 10_240;

/// How many descriptors this process may have now.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Allows this process as many descriptors as the system lets it, and tells if one source could need more.
pub fn raise_and_tell() {
    let limit = raise_limit();
    if for_files(limit) < MAX_FILES as u64 {
        facts::few_descriptors(for_files(limit));
    }
}

/// Says how many descriptors it may have then.
fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current else { return u64::MAX };
    let most = maximum.unwrap_or(u64::MAX);
    // A limit that is refused leaves the old one, or the next, in place.
    for wanted in [maximum, Some(most.min(AT_LEAST))] {
        let raised = Rlimit { current: wanted, maximum };
        if wanted.is_none_or(|w| w > current) && setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    limit()
}

/// How many of so many descriptors log files may take.
pub fn for_files(limit: u64) -> u64 {
    limit - RESERVED.min(limit / 4)
}

/// There are no descriptors left for log files.
pub fn too_many() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error())
}

/// What it means for a person if there are no descriptors left.
pub fn explain(error: &io::Error) -> Option<String> {
    let errno = error.raw_os_error()?;
    if errno == rustix::io::Errno::MFILE.raw_os_error() {
        let most = for_files(limit());
        Some(format!(
            "too many open files: raise `LimitNOFILE` (`ulimit -n`), which leaves {most} for log files"
        ))
    } else if errno == rustix::io::Errno::NFILE.raw_os_error() {
        Some("too many open files on this machine: raise `fs.file-max`".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let most = getrlimit(Resource::Nofile).maximum;
        let raised = raise_limit();
        assert_eq!(raised, limit());
        assert!(most.is_none_or(|most| raised == most), "{raised} of {most:?}");
        assert_eq!(raise_limit(), raised);
    }

    #[test]
    fn too_many_open_files_are_told_with_what_to_do() {
        let told = explain(&too_many()).unwrap();
        assert!(told.starts_with("too many open files: raise `LimitNOFILE`"), "{told}");
        assert_eq!(explain(&io::Error::from(io::ErrorKind::NotFound)), None);
        let system = io::Error::from_raw_os_error(rustix::io::Errno::NFILE.raw_os_error());
        assert!(explain(&system).unwrap().contains("fs.file-max"));
    }
}

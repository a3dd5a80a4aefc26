//! Errors of the system in the words of probes.
//!
//! Owns which of them are our own fault: no descriptor, no permission, no network. Never shows more of an error than the system
//! says.

use std::io::{self, ErrorKind};

use rustix::io::Errno;
use watchkeeper_agent_core::probe::{Failure, Reason};

/// What an error of a socket is; `whom` is asked.
pub(in super::super) fn of_io(whom: &str, error: &io::Error) -> Failure {
    let reason = reason(error);
    let what = match reason {
        Reason::Connect if error.kind() == ErrorKind::ConnectionRefused => {
            format!("{whom} refuses connections")
        }
        Reason::Reset => format!("{whom} broke the connection off"),
        _ => format!("{whom}: {error}"),
    };
    Failure::new(reason, what)
}

fn reason(error: &io::Error) -> Reason {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL) => {
            return Reason::Resources;
        }
        Some(Errno::ACCESS | Errno::PERM) => return Reason::Unable,
        Some(Errno::NETUNREACH | Errno::NETDOWN) => return Reason::Network,
        _ => {}
    }
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => Reason::Reset,
        ErrorKind::TimedOut => Reason::Timeout,
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Reason::Protocol,
        _ => Reason::Connect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_lacks_is_its_own_fault() {
        for (errno, reason) in [
            (Errno::CONNREFUSED, Reason::Connect),
            (Errno::HOSTUNREACH, Reason::Connect),
            (Errno::CONNRESET, Reason::Reset),
            (Errno::PIPE, Reason::Reset),
            (Errno::TIMEDOUT, Reason::Timeout),
            (Errno::NETUNREACH, Reason::Network),
            (Errno::MFILE, Reason::Resources),
            (Errno::ADDRNOTAVAIL, Reason::Resources),
            (Errno::ACCESS, Reason::Unable),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(of_io("x", &error).reason, reason, "{error}");
        }
    }
}

//! Whether a host is this machine.
//!
//! Owns the answer on which it depends whether a secret may travel in clear. Never resolves a name: who answers for one may
//! be somebody else tomorrow.

use std::net::IpAddr;

/// Whether a name or an address, one of IPv6 with or without brackets, is this machine: by all of it, not by how it begins.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, is_here) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("[::1]", true),
            ("localhost.evil.example", false),
            ("127.evil.example", false),
            ("10.0.0.1", false),
            ("[::2]", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), is_here, "{host}");
        }
    }
}

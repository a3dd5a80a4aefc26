//! One broker's address, as a URI that may hold a password.
//!
//! Owns what of it may be shown. Never tells why a text is no address with the text in it.

use lapin::uri::{AMQPScheme, AMQPUri};
use watchkeeper_config::Secret;

/// Seconds between signs of life, unless the address says otherwise; a peer is gone after two of them.
const HEARTBEAT_SECS: u16 = 10;

/// One broker.
#[derive(Clone)]
pub struct Address {
    uri: AMQPUri,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.uri == other.uri
    }
}

impl Eq for Address {}

impl Address {
    /// Reads `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps`.
    ///
    /// # Errors
    /// In words, with what would be right, and without any part of the text.
    pub fn parse(text: &Secret) -> Result<Self, (&'static str, &'static str)> {
        const RIGHT: &str = "write amqp://USER:PASSWORD@HOST:5672/%2f, or amqps:// with port 5671 for TLS; \
                             characters such as / @ : in user, password and virtual host are written %2f %40 %3a";
        let text = text.expose();
        if !text.starts_with("amqp://") && !text.starts_with("amqps://") {
            return Err(("a broker's address begins with amqp:// or amqps://", RIGHT));
        }
        // What the parser says would show the password.
        let mut uri: AMQPUri = text.parse().map_err(|_| ("this is no broker's address", RIGHT))?;
        if let Some(host) = bracketed_host(text) {
            // The parser knows names and IPv4 only, and takes this machine for others.
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| ("between [ and ] stands no IPv6 address", RIGHT))?;
            host.clone_into(&mut uri.authority.host);
        }
        if uri.authority.host.is_empty() {
            return Err(("this broker's address names no host", RIGHT));
        }
        if uri.vhost.is_empty() {
            return Err((
                "this broker's address ends with /, which names a virtual host with an empty name",
                "leave the / out, or write /%2f: both mean the default virtual host",
            ));
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECS);
        Ok(Self { uri })
    }

    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        watchkeeper_config::is_loopback(self.host())
    }

    /// Where it is, without user and password.
    pub fn shown(&self) -> String {
        let (host, port) = (self.host(), self.port());
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let vhost = match self.vhost() {
            "/" => String::new(),
            other => format!("/{other}"),
        };
        format!("{}://{host}:{port}{vhost}", self.uri.scheme)
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.uri.authority.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.uri.authority.port
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    pub(crate) fn uri(&self) -> &AMQPUri {
        &self.uri
    }
}

/// What stands between brackets where a host stands.
fn bracketed_host(text: &str) -> Option<&str> {
    let authority = text.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, (&'static str, &'static str)> {
        Address::parse(&Secret::new(text))
    }

    #[test]
    fn addresses_are_shown_without_user_and_password() {
        for (text, shown, user, vhost) in [
            ("amqp://127.0.0.1", "amqp://127.0.0.1:5672", "guest", "/"),
            (
                "amqp://ann:s3cret@mq.example:5673/shop",
                "amqp://mq.example:5673/shop",
                "ann",
                "shop",
            ),
            ("amqps://ann:a%40b@mq.example/%2f", "amqps://mq.example:5671", "ann", "/"),
            ("amqp://ann:x@[2001:db8::1]:5672", "amqp://[2001:db8::1]:5672", "ann", "/"),
            ("amqp://[::1]/%2fa%2fb", "amqp://[::1]:5672//a/b", "guest", "/a/b"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.shown(), shown, "{text}");
            assert_eq!(format!("{address:?}"), shown);
            assert_eq!((address.user(), address.vhost()), (user, vhost), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_showing_it() {
        for text in [
            "http://ann:hunter2@mq/",
            "amqp://ann:hunter2@mq:99999/",
            "amqp://ann:hunter2@mq/",
            "amqp://ann:hunter2@[mq]:5672",
            "amqp://ann:hunter2@",
            "amqp:hunter2",
            "hunter2",
        ] {
            let (message, help) = parse(text).expect_err(text);
            assert!(!message.contains("hunter2") && !help.contains("hunter2"), "{message} {help}");
        }
    }

    #[test]
    fn a_peer_that_is_gone_is_noticed_unless_the_address_says_otherwise() {
        assert_eq!(parse("amqp://mq").unwrap().uri().query.heartbeat, Some(HEARTBEAT_SECS));
        assert_eq!(parse("amqp://mq?heartbeat=30").unwrap().uri().query.heartbeat, Some(30));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, is_here) in [
            ("amqp://localhost", true),
            ("amqp://127.0.0.1", true),
            ("amqp://[::1]", true),
            ("amqp://localhost.evil.example", false),
            ("amqp://127.0.0.1@evil.example", false),
        ] {
            assert_eq!(parse(text).unwrap().is_loopback(), is_here, "{text}");
        }
    }
}

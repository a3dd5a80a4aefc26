//! How protocols that begin in clear go over to TLS.
//!
//! Owns what is said for each. What came beyond the word of consent was sent by nobody who can be trusted, and ends it
//! (CVE-2011-0411).

use regex::Regex;
use tokio::net::TcpStream;
use watchkeeper_agent_core::probe::{Failure, Reason};

use super::dialog::Talk;

/// PostgreSQL's `SSLRequest`: its length and the code 80877103 (protocol, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A protocol that goes over to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051, 6.2.1.
    Imap,
    /// RFC 2595.
    Pop3,
    /// RFC 4217.
    Ftp,
    /// PostgreSQL's own.
    Postgres,
}

impl StartTls {
    /// Their words in the configuration.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("smtp", Self::Smtp),
        ("imap", Self::Imap),
        ("pop3", Self::Pop3),
        ("ftp", Self::Ftp),
        ("postgres", Self::Postgres),
    ];

    /// The port it is usually spoken on.
    pub(super) const fn usual_port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Ftp => 21,
            Self::Postgres => 5432,
        }
    }

    /// What is awaited and said, by turns.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Smtp => {
                &["^220 ", "EHLO watchkeeper.invalid\r\n", "^250 ", "STARTTLS\r\n", "^220"]
            }
            Self::Imap => &["^\\* OK", "a1 STARTTLS\r\n", "^a1 OK"],
            Self::Pop3 => &["^\\+OK", "STLS\r\n", "^\\+OK"],
            Self::Ftp => &["^220 ", "AUTH TLS\r\n", "^234"],
            Self::Postgres => &[],
        }
    }

    /// How it says no; it may go on to wait for something else then.
    const fn refusal(self) -> &'static str {
        match self {
            // RFC 5321, 4.2, and RFC 959, 4.2; the last line of an answer has a space there.
            Self::Smtp | Self::Ftp => "^[45][0-9][0-9] ",
            Self::Imap => "^a1 (NO|BAD)|^\\* BYE",
            Self::Pop3 => "^-ERR",
            // It is one byte.
            Self::Postgres => "^N",
        }
    }

    /// Goes over; the stream on which TLS begins now.
    pub(in super::super) async fn ask(
        self,
        stream: TcpStream,
        whom: &str,
    ) -> Result<TcpStream, Failure> {
        let mut talk = Talk::over(stream);
        if self == Self::Postgres {
            talk.send(whom, &SSL_REQUEST).await?;
            if talk.byte(whom).await? != b'S' {
                return Err(Failure::new(Reason::Tls, format!("{whom} speaks no TLS")));
            }
        }
        for (n, word) in self.words().iter().enumerate() {
            if n % 2 == 1 {
                talk.send(whom, word.as_bytes()).await?;
            } else {
                self.hear(&mut talk, whom, word).await?;
            }
        }
        talk.into_stream().ok_or_else(|| {
            Failure::new(Reason::Tls, format!("{whom} went on in clear after it agreed on TLS"))
        })
    }

    /// Waits for what agrees, or refuses.
    async fn hear(self, talk: &mut Talk<TcpStream>, whom: &str, word: &str) -> Result<(), Failure> {
        let refused =
            |why: &str| Failure::new(Reason::Tls, format!("{whom} does not go over to TLS: {why}"));
        let pattern = |text: &str| Regex::new(text).expect("words are patterns, a test holds");
        let either = pattern(&format!("{word}|{}", self.refusal()));
        talk.expect(whom, &either).await.map_err(|failure| match failure.reason {
            Reason::Expect => refused(&failure.what),
            _ => failure,
        })?;
        let said = talk.awaited();
        if pattern(word).is_match(&said) {
            Ok(())
        } else {
            Err(refused(&format!("it says {said:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_is_known_and_is_no_yes() {
        for (protocol, lines) in [
            (StartTls::Smtp, &["502 what?", "454 TLS not available", "554 no SMTP here"][..]),
            (StartTls::Ftp, &["530 log in first", "421 too many"]),
            (StartTls::Imap, &["a1 NO not now", "a1 BAD what?", "* BYE too many"]),
            (StartTls::Pop3, &["-ERR what?"]),
        ] {
            let refusal = Regex::new(protocol.refusal()).unwrap();
            for line in lines {
                assert!(refusal.is_match(line), "{line}");
                let awaited = protocol.words().iter().step_by(2);
                let is_yes = awaited.map(|word| Regex::new(word).unwrap().is_match(line));
                assert!(!is_yes.into_iter().any(|is_it| is_it), "{line}");
            }
            for line in ["220 go ahead", "250 STARTTLS", "234 go", "* OK", "a1 OK", "+OK"] {
                assert!(!refusal.is_match(line), "{line}");
            }
        }
    }

    #[test]
    fn what_is_awaited_is_a_pattern_and_what_is_said_a_line() {
        for (_, protocol) in StartTls::ALL {
            for (n, word) in protocol.words().iter().enumerate() {
                let fits =
                    if n % 2 == 0 { Regex::new(word).is_ok() } else { word.ends_with("\r\n") };
                assert!(fits, "{word}");
                let either = Regex::new(&format!("{word}|{}", protocol.refusal()));
                assert!(n % 2 == 1 || either.is_ok(), "{word}");
            }
        }
    }
}

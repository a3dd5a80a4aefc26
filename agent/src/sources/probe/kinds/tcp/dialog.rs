//! Words spoken over a connection.
//!
//! Owns how an answer is matched: line by line, and a line without an end, such as a prompt, once nothing follows for
//! [`QUIET`]. Lines that do not match are passed over, as greetings and notices are. Bounded by [`MAX_OUTPUT`].

use std::time::Duration;

use regex::Regex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use watchkeeper_agent_core::probe::{Failure, Reason};
use watchkeeper_config::{Node, Reader, Secret, read};

use crate::sources::probe::net::of_io;

/// The most bytes that are read of all that is answered.
const MAX_OUTPUT: usize = 64 << 10;

/// After this time without more a line has ended.
const QUIET: Duration = Duration::from_millis(100);

/// Characters of a last line that are told.
const MAX_SHOWN: usize = 80;

/// One thing that is said or awaited.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// Said as it is.
    Send(Secret),
    /// A line that matches has to come.
    Expect(Regex),
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Send(a), Self::Send(b)) => a == b,
            (Self::Expect(a), Self::Expect(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// Reads `{send: TEXT}` or `{expect: REGEX}`.
pub(super) fn read_word(node: &Node, reader: &mut Reader<'_>) -> Option<Word> {
    match node.variant(reader, &["send", "expect"])? {
        ("send", text) => read::secret(text, reader).map(Word::Send),
        (_, pattern) => {
            let text = read::string(pattern, reader)?;
            match Regex::new(&text) {
                Ok(pattern) => Some(Word::Expect(pattern)),
                Err(error) => {
                    let why = error.to_string();
                    let why = why.lines().last().unwrap_or_default().to_owned();
                    let problem = reader.error(pattern.place(), "this is no regular expression");
                    problem.help(why.trim_start_matches("error: ").to_owned());
                    None
                }
            }
        }
    }
}

/// A conversation under way.
pub(super) struct Talk<S> {
    stream: S,
    /// All that came.
    output: Vec<u8>,
    /// From where on it was not looked at.
    at: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream, output: Vec::new(), at: 0 }
    }

    /// The stream again; `None` if more came than was asked for: it could be anybody's.
    pub(super) fn into_stream(self) -> Option<S> {
        (self.at == self.output.len()).then_some(self.stream)
    }

    /// All that came, as text.
    pub(super) fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    pub(super) async fn say(&mut self, whom: &str, word: &Word) -> Result<(), Failure> {
        match word {
            Word::Send(text) => self.send(whom, text.expose().as_bytes()).await,
            Word::Expect(pattern) => self.expect(whom, pattern).await,
        }
    }

    pub(super) async fn send(&mut self, whom: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await.map_err(|error| of_io(whom, &error))?;
        self.stream.flush().await.map_err(|error| of_io(whom, &error))
    }

    /// Waits for a line that matches.
    pub(super) async fn expect(&mut self, whom: &str, pattern: &Regex) -> Result<(), Failure> {
        while !self.matches(pattern) {
            let is_prompt = pattern.is_match(&String::from_utf8_lossy(&self.output[self.at..]));
            let more = if is_prompt {
                tokio::time::timeout(QUIET, self.read(whom)).await.unwrap_or(Ok(false))?
            } else {
                self.read(whom).await?
            };
            if !more && is_prompt {
                self.at = self.output.len();
                return Ok(());
            }
            if !more {
                let last = self.last_line();
                let what = format!("nothing came that matches `{pattern}`; the last was {last:?}");
                return Err(Failure::new(Reason::Expect, what));
            }
        }
        Ok(())
    }

    /// Waits for a line, whatever it says, or for the end.
    pub(super) async fn any_line(&mut self, whom: &str) -> Result<(), Failure> {
        while !self.output.contains(&b'\n') && self.read(whom).await? {}
        self.at = self.output.len();
        Ok(())
    }

    /// Reads exactly one byte, of protocols whose answer is one.
    pub(super) async fn byte(&mut self, whom: &str) -> Result<u8, Failure> {
        let byte = self.stream.read_u8().await.map_err(|error| of_io(whom, &error))?;
        self.output.push(byte);
        self.at = self.output.len();
        Ok(byte)
    }

    /// Looks at whole lines that came; those before one that matches are done with, and so is that one.
    fn matches(&mut self, pattern: &Regex) -> bool {
        while let Some(end) = self.output[self.at..].iter().position(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(&self.output[self.at..self.at + end]);
            let is_match = pattern.is_match(line.trim_end_matches('\r'));
            self.at += end + 1;
            if is_match {
                return true;
            }
        }
        false
    }

    /// Whether more came; not if it was the end.
    async fn read(&mut self, whom: &str) -> Result<bool, Failure> {
        let room = MAX_OUTPUT - self.output.len();
        if room == 0 {
            let what = format!("{whom} said more than {MAX_OUTPUT} bytes");
            return Err(Failure::new(Reason::Protocol, what));
        }
        let mut part = (&mut self.stream).take(room.min(4096) as u64);
        let n = part.read_buf(&mut self.output).await.map_err(|error| of_io(whom, &error))?;
        Ok(n > 0)
    }

    /// The line that was awaited and came.
    pub(super) fn awaited(&self) -> String {
        let text = String::from_utf8_lossy(&self.output[..self.at]);
        text.lines().next_back().unwrap_or_default().chars().take(MAX_SHOWN).collect()
    }

    fn last_line(&self) -> String {
        let text = self.output();
        let last = text.lines().next_back().unwrap_or_default();
        last.chars().take(MAX_SHOWN).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::DuplexStream;

    use super::*;

    fn heard(bytes: &[u8]) -> Talk<DuplexStream> {
        let (stream, _) = tokio::io::duplex(1);
        Talk { output: bytes.to_vec(), ..Talk::over(stream) }
    }

    #[test]
    fn lines_that_do_not_match_are_passed_over_and_the_rest_is_kept() {
        let greeting = Regex::new("^220 ").unwrap();
        for (bytes, is_match, left) in [
            (&b"220 mail\r\n"[..], true, &b""[..]),
            (b"220-wait\r\n220 mail\r\n250 x\r\n", true, b"250 x\r\n"),
            (b"220 no end", false, b"220 no end"),
            (b"554 go away\r\n22", false, b"22"),
            (b"", false, b""),
        ] {
            let mut talk = heard(bytes);
            assert_eq!(talk.matches(&greeting), is_match, "{bytes:?}");
            assert_eq!(&talk.output[talk.at..], left, "{bytes:?}");
        }
    }

    #[test]
    fn what_was_awaited_is_known_also_with_more_behind_it() {
        let greeting = Regex::new("^220 ").unwrap();
        let mut talk = heard(b"220-wait\r\n220 mail\r\n250 x\r\n");
        assert!(talk.matches(&greeting));
        assert_eq!(talk.awaited(), "220 mail");
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_once(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let pattern = Regex::new("a.*b$").unwrap();
            let mut talk = heard(&bytes);
            while talk.matches(&pattern) {}
            prop_assert!(!talk.output[talk.at..].contains(&b'\n'));
        }
    }
}

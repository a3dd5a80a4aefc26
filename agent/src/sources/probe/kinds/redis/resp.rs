//! What a Redis server says, in RESP 2 (redis.io, "Redis serialization protocol specification").
//!
//! Owns the bounds: a line of [`MAX_LINE`], a text of [`MAX_TEXT`]. Lists are no single value, and not read.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use watchkeeper_agent_core::probe::{Failure, Reason};

use crate::sources::probe::net::of_io;

/// The most bytes of a line.
const MAX_LINE: usize = 16 << 10;

/// The most bytes of a text.
const MAX_TEXT: usize = 1 << 20;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A word, such as OK.
    Simple(String),
    /// It refuses: an upper-case word and a sentence.
    Error(String),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// There is nothing.
    Nil,
}

/// What speaks to one server.
pub(super) struct Resp<S> {
    stream: S,
    came: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Resp<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream, came: Vec::new() }
    }

    /// Says a command and waits for its answer.
    pub(super) async fn ask(&mut self, whom: &str, words: &[&str]) -> Result<Reply, Failure> {
        let bytes = command(words);
        self.stream.write_all(&bytes).await.map_err(|error| of_io(whom, &error))?;
        self.stream.flush().await.map_err(|error| of_io(whom, &error))?;
        loop {
            match parse(&self.came) {
                Ok(Some((reply, n))) => {
                    self.came.drain(..n);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(why) => {
                    let what = format!("the answer of {whom} is not Redis's: {why}");
                    return Err(Failure::new(Reason::Protocol, what));
                }
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).await.map_err(|error| of_io(whom, &error))? {
                0 => {
                    let what = format!("{whom} closed the connection before it had answered");
                    return Err(Failure::new(Reason::Reset, what));
                }
                n => self.came.extend_from_slice(&piece[..n]),
            }
        }
    }
}

/// A command as an array of texts.
fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// The answer at the beginning of what came, and how long it is; `None` if there has to come more.
fn parse(came: &[u8]) -> Result<Option<(Reply, usize)>, &'static str> {
    let Some((kind, rest)) = came.split_first() else { return Ok(None) };
    if !b"+-:$*".contains(kind) {
        return Err("it begins with no sign of the protocol");
    }
    let window = &rest[..rest.len().min(MAX_LINE)];
    let Some(end) = memchr(window) else {
        return if rest.len() >= MAX_LINE { Err("a line has no end") } else { Ok(None) };
    };
    let line = &rest[..end];
    let after = 1 + end + 2;
    let text = || String::from_utf8_lossy(line).into_owned();
    let number = || std::str::from_utf8(line).ok()?.parse::<i64>().ok();
    match kind {
        b'+' => Ok(Some((Reply::Simple(text()), after))),
        b'-' => Ok(Some((Reply::Error(text()), after))),
        b':' => Ok(Some((Reply::Int(number().ok_or("a number is none")?), after))),
        b'$' => match number().ok_or("a length is no number")? {
            -1 => Ok(Some((Reply::Nil, after))),
            n => {
                let n = usize::try_from(n).ok().filter(|n| *n <= MAX_TEXT);
                let n = n.ok_or("a text is longer than is read")?;
                let Some(all) = came.get(after..after + n + 2) else { return Ok(None) };
                let text =
                    all.strip_suffix(b"\r\n").ok_or("a text has another length than it says")?;
                let text = String::from_utf8_lossy(text).into_owned();
                Ok(Some((Reply::Text(text), after + n + 2)))
            }
        },
        _ => Err("it is a list, and a condition asks for single values"),
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_answer_is_read() {
        let simple = |text: &str| Reply::Simple(text.to_owned());
        for (came, reply) in [
            (&b"+PONG\r\n"[..], Ok(Some((simple("PONG"), 7)))),
            (b"+PONG\r", Ok(None)),
            (b"", Ok(None)),
            (b"-ERR no\r\n+OK\r\n", Ok(Some((Reply::Error("ERR no".into()), 9)))),
            (b":-7\r\n", Ok(Some((Reply::Int(-7), 5)))),
            (b"$-1\r\n", Ok(Some((Reply::Nil, 5)))),
            (b"$3\r\na\r\n\r\n", Ok(Some((Reply::Text("a\r\n".into()), 9)))),
            (b"$3\r\nabc", Ok(None)),
            (b"$0\r\n\r\n", Ok(Some((Reply::Text(String::new()), 6)))),
            (b"$3\r\nabcde\r\n", Err("a text has another length than it says")),
            (b"$9999999999\r\n", Err("a text is longer than is read")),
            (b"$-2\r\n", Err("a text is longer than is read")),
            (b":x\r\n", Err("a number is none")),
            (b"*1\r\n:1\r\n", Err("it is a list, and a condition asks for single values")),
            (b"HTTP/1.1 400 Bad Request\r\n", Err("it begins with no sign of the protocol")),
        ] {
            assert_eq!(parse(came), reply, "{}", String::from_utf8_lossy(came));
        }
        let endless = [&b"+"[..], &vec![b'x'; MAX_LINE]].concat();
        assert_eq!(parse(&endless), Err("a line has no end"));
        assert_eq!(command(&["GET", "é"]), b"*2\r\n$3\r\nGET\r\n$2\r\n\xc3\xa9\r\n");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_an_answer_is_as_long_as_it_says(
            came in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"+-:$*\r\n019"[..])], 0..40),
        ) {
            if let Ok(Some((reply, n))) = parse(&came) {
                prop_assert!(n <= came.len());
                prop_assert_eq!(parse(&came[..n]), Ok(Some((reply, n))));
                prop_assert_eq!(parse(&came[..n - 1]), Ok(None));
            }
        }
    }
}

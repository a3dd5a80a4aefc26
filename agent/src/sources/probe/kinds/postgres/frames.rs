//! The bounds of what a PostgreSQL server may send.
//!
//! Owns that no message is longer than [`MAX_MESSAGE`], and all together not than [`MAX_ALL`]: the library would take in any
//! length a server claims. Knows of messages only how long they are (a letter, and a length that counts itself).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of one message.
const MAX_MESSAGE: usize = 1 << 20;

/// The most bytes of one attempt.
const MAX_ALL: usize = 4 << 20;

/// A stream whose messages are bounded.
pub(super) struct Frames<S> {
    stream: S,
    measure: Measure,
}

/// Where one is in the messages.
#[derive(Clone, Copy, Debug, Default)]
struct Measure {
    /// Of the next message's head, what came: up to 5 bytes.
    head: [u8; 5],
    n_head: usize,
    /// Bytes of this message that are still to come.
    rest: usize,
    all: usize,
}

impl Measure {
    fn take(&mut self, mut came: &[u8]) -> io::Result<()> {
        self.all += came.len();
        if self.all > MAX_ALL {
            return Err(too_long("all it sends", MAX_ALL));
        }
        while !came.is_empty() {
            if self.rest > 0 {
                let n = self.rest.min(came.len());
                self.rest -= n;
                came = &came[n..];
                continue;
            }
            self.head[self.n_head] = came[0];
            self.n_head += 1;
            came = &came[1..];
            if self.n_head == self.head.len() {
                let [_, a, b, c, d] = self.head;
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                self.n_head = 0;
                self.rest = length.saturating_sub(4);
                if self.rest > MAX_MESSAGE {
                    return Err(too_long("a message", MAX_MESSAGE));
                }
            }
        }
        Ok(())
    }
}

fn too_long(what: &str, limit: usize) -> io::Error {
    let what = format!("{what} is longer than {limit} bytes, or this is no PostgreSQL");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<S> Frames<S> {
    pub(super) fn of(stream: S) -> Self {
        Self { stream, measure: Measure::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.measure.take(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(n: usize) -> Vec<u8> {
        let length = u32::try_from(n + 4).unwrap().to_be_bytes();
        [&b"D"[..], &length, &vec![7; n]].concat()
    }

    #[test]
    fn a_message_and_all_of_them_have_an_end() {
        let mut measure = Measure::default();
        assert!(measure.take(&message(MAX_MESSAGE)).is_ok());
        let [head, rest] = [&message(MAX_MESSAGE + 1)[..3], &message(MAX_MESSAGE + 1)[3..9]];
        assert!(measure.take(head).is_ok());
        assert!(measure.take(rest).unwrap_err().to_string().starts_with("a message is longer"));
        let mut measure = Measure::default();
        let n = (0..).take_while(|_| measure.take(&message(MAX_MESSAGE)).is_ok()).count();
        assert_eq!(n, MAX_ALL / MAX_MESSAGE - 1);
        assert!(Measure::default().take(b"HTTP/1.1 400 Bad Request\r\n").is_err());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_come(lengths in prop::collection::vec(0_usize..40, 1..9), cuts in prop::collection::vec(1_usize..30, 1..50)) {
            let all: Vec<u8> = lengths.iter().flat_map(|&n| message(n)).collect();
            let (mut measure, mut rest) = (Measure::default(), &all[..]);
            for cut in cuts.into_iter().cycle().take(all.len()) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                prop_assert!(measure.take(now).is_ok());
                rest = later;
            }
            prop_assert!(measure.take(rest).is_ok());
            prop_assert_eq!((measure.rest, measure.n_head), (0, 0));
        }
    }
}

//! What a server may send before the head of its answer is there.
//!
//! Owns a count of bytes. Interim answers (1xx: RFC 9110, 15.2) may precede an answer in any number, and the library that reads
//! them goes on as long as they come, without giving others a turn. Never reads anything itself.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that may come before the answer's head is complete; the head alone may have half of them.
const MAX_BYTES: usize = 128 << 10;

/// How much patience is left; shared with the stream it holds for.
#[derive(Clone, Debug)]
pub(super) struct Patience(Arc<AtomicUsize>);

/// A stream that ends with an error when patience does.
#[derive(Debug)]
pub(super) struct Limited<S> {
    stream: S,
    patience: Patience,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_BYTES)))
    }

    /// The stream, to be read with this patience.
    pub(super) fn limit<S>(&self, stream: S) -> Limited<S> {
        Limited { stream, patience: self.clone() }
    }

    /// A head is waited for.
    pub(super) fn begin(&self) {
        self.0.store(MAX_BYTES, Ordering::Relaxed);
    }

    /// It is there: what follows has bounds of its own.
    pub(super) fn end(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.patience.0.load(Ordering::Relaxed);
        if left == 0 {
            let what = format!("more than {MAX_BYTES} bytes came before the head of the answer");
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, what)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let n_read = buf.filled().len() - before;
        self.patience.0.store(left.saturating_sub(n_read), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

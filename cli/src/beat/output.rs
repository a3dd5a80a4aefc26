//! What a command writes, passed on as it comes.
//!
//! Owns the copy and the end of it that is kept. If whoever reads us goes away, the command notices as it would without us.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// So much of the end is kept; the agent keeps no more.
const MAX_KEPT_BYTES: usize = 16 << 10;

/// The end of what was written, of all streams together.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// What is kept now.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.kept().iter().copied().collect()
    }

    fn keep(&self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MAX_KEPT_BYTES)..];
        let mut kept = self.kept();
        let n_too_many = (kept.len() + bytes.len()).saturating_sub(MAX_KEPT_BYTES);
        kept.drain(..n_too_many);
        kept.extend(bytes);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, VecDeque<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies until one side ends, and closes both then. Blocks.
pub(super) fn copy(mut from: impl Read, mut to: impl Write, tail: &Tail) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return,
            Ok(n) => n,
        };
        tail.keep(&buffer[..n]);
        if to.write_all(&buffer[..n]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_passed_on_and_the_end_is_kept() {
        let all: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let (tail, mut out) = (Tail::default(), Vec::new());
        copy(&all[..], &mut out, &tail);
        assert_eq!(out, all);
        assert_eq!(tail.bytes(), all[all.len() - MAX_KEPT_BYTES..]);
        let tail = Tail::default();
        copy(&b"a"[..], std::io::sink(), &tail);
        copy(&b"b"[..], std::io::sink(), &tail);
        assert_eq!(tail.bytes(), b"ab");
    }
}

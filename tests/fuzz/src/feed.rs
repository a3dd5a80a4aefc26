//! Choices out of an input's first bytes.
//!
//! Owns that choices come before content, so that a seed can be written and read by people: `1` chooses as 1 does.

/// An input that is taken apart from its front.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    rest: &'a [u8],
}

impl<'a> Feed<'a> {
    /// All of the input.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte; 0 if there is none.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }

    /// A choice among `0..n`: a digit chooses its value.
    pub fn choice(&mut self, n: usize) -> usize {
        usize::from(self.byte().wrapping_sub(b'0')) % n.max(1)
    }

    /// Everything up to the next line end, which is left out; all of the rest if there is none.
    pub fn line(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|&b| b == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        line
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }
}

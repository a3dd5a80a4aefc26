//! Looking for bytes, eight at a time.
//!
//! Owns the search that formats share. Short words are the rule in lines, and there it beats a call to memchr. Never
//! knows what the bytes mean.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// The first byte at or after `at` that is below `LOW`, which is 128 at most, or one of `A` and `B`.
#[inline]
pub(super) fn next<const LOW: u8, const A: u8, const B: u8>(
    bytes: &[u8],
    mut at: usize,
) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let low = word.wrapping_sub(ONES * u64::from(LOW)) & !word;
        let is_a = zero(word ^ (ONES * u64::from(A)));
        let is_b = zero(word ^ (ONES * u64::from(B)));
        // Borrows can only raise false marks above a true one: the lowest mark is always true.
        let marks = (low | is_a | is_b) & HIGHS;
        if marks != 0 {
            return Some(at + (marks.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|&b| b < LOW || b == A || b == B).map(|i| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_byte_found_is_the_first(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'a'), Just(0x20)], 0..40),
            at in 0..41_usize,
        ) {
            let slow = |wanted: &dyn Fn(u8) -> bool| {
                bytes.iter().enumerate().skip(at).find(|(_, b)| wanted(**b)).map(|(i, _)| i)
            };
            prop_assert_eq!(next::<0x20, b'"', b'\\'>(&bytes, at), slow(&|b| b == b'"' || b == b'\\' || b < 0x20));
            prop_assert_eq!(next::<0x21, b'=', b'"'>(&bytes, at), slow(&|b| b == b'"' || b == b'=' || b < 0x21));
            prop_assert_eq!(next::<0, b'"', b'\\'>(&bytes, at), slow(&|b| b == b'"' || b == b'\\'));
        }
    }
}

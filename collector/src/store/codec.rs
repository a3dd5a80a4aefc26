//! How a distribution lies in a blob: stored for years, so every blob begins with the version of its layout.
//!
//! Owns layout 1: varints, and differences where numbers lie close together. What the cheap statistics need comes
//! first, so that they read no further. Never guesses: a blob it does not understand is an error.

use watchkeeper_model::{AgentId, Bound, Distribution, Histogram, Last, Timestamp, Values};

const LAYOUT: u8 = 1;
/// The signal has values.
const HAS_VALUES: u8 = 1;

/// A blob that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The first part of a distribution: enough for counts, sums, averages and extremes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Observations.
    pub count: u64,
    /// Of those with a value: how many, sum, least and greatest.
    pub values: Option<HeadValues>,
}

/// Exact totals of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadValues {
    /// Observations with a value.
    pub count: u64,
    /// Exact sum in base units.
    pub sum: i128,
    /// Least.
    pub min: i64,
    /// Greatest.
    pub max: i64,
}

/// The blob of a distribution.
pub(crate) fn encode(distribution: &Distribution) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(LAYOUT);
    out.push(u8::from(distribution.values.is_some()) * HAS_VALUES);
    put(&mut out, distribution.count.into());
    if let Some(values) = &distribution.values {
        encode_values(&mut out, values);
    }
    out
}

fn encode_values(out: &mut Vec<u8>, values: &Values) {
    put(out, values.count.into());
    put(out, zigzag(values.sum));
    put(out, zigzag(values.min.into()));
    put(out, zigzag(i128::from(values.max) - i128::from(values.min)));
    put(out, zigzag(values.last.at.nanos().into()));
    put(out, values.last.seq.into());
    put(out, values.last.index.into());
    put(out, zigzag(values.last.value.into()));
    let agent = values.last.agent.as_str().as_bytes();
    put(out, agent.len() as u128);
    out.extend_from_slice(agent);
    put(out, values.bounds.len() as u128);
    for bound in &values.bounds {
        put(out, zigzag(bound.at.into()));
        put(out, bound.within.into());
        put(out, bound.covered.into());
    }
    put(out, values.histogram.buckets().len() as u128);
    let mut before = 0_i16;
    for &(index, count) in values.histogram.buckets() {
        put(out, zigzag(i128::from(index) - i128::from(before)));
        put(out, count.into());
        before = index;
    }
}

/// The distribution of a blob.
pub(crate) fn decode(blob: &[u8]) -> Result<Distribution, Malformed> {
    let mut from = Reader::open(blob)?;
    let count = from.unsigned()?;
    let values = if from.has_values { Some(Box::new(decode_values(&mut from)?)) } else { None };
    Ok(Distribution { count, values })
}

/// The beginning of a blob, without its bounds and histogram.
pub(crate) fn decode_head(blob: &[u8]) -> Result<Head, Malformed> {
    let mut from = Reader::open(blob)?;
    let count = from.unsigned()?;
    let values = if from.has_values { Some(decode_head_values(&mut from)?) } else { None };
    Ok(Head { count, values })
}

fn decode_head_values(from: &mut Reader<'_>) -> Result<HeadValues, Malformed> {
    let count = from.unsigned()?;
    let sum = from.signed()?;
    let min: i64 = from.signed()?.try_into().map_err(|_| Malformed)?;
    let spread = from.signed()?;
    let max = i64::try_from(i128::from(min).checked_add(spread).ok_or(Malformed)?)
        .map_err(|_| Malformed)?;
    Ok(HeadValues { count, sum, min, max })
}

fn decode_values(from: &mut Reader<'_>) -> Result<Values, Malformed> {
    let HeadValues { count, sum, min, max } = decode_head_values(from)?;
    let at = Timestamp(from.signed()?.try_into().map_err(|_| Malformed)?);
    let (seq, index) = (from.unsigned()?, from.unsigned()?);
    let value = from.signed()?.try_into().map_err(|_| Malformed)?;
    let agent = AgentId::new(from.text()?);
    let mut bounds = Vec::new();
    for _ in 0..from.length()? {
        let at = from.signed()?.try_into().map_err(|_| Malformed)?;
        bounds.push(Bound { at, within: from.unsigned()?, covered: from.unsigned()? });
    }
    let mut buckets = Vec::new();
    let mut index_before = 0_i128;
    for _ in 0..from.length()? {
        index_before = index_before.checked_add(from.signed()?).ok_or(Malformed)?;
        buckets.push((index_before.try_into().map_err(|_| Malformed)?, from.unsigned()?));
    }
    let last = Last { at, agent, seq, index, value };
    Ok(Values { count, sum, min, max, last, bounds, histogram: Histogram::from_buckets(buckets) })
}

fn put(out: &mut Vec<u8>, mut n: u128) {
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

const fn zigzag(n: i128) -> u128 {
    ((n << 1) ^ (n >> 127)) as u128
}

struct Reader<'a> {
    rest: &'a [u8],
    has_values: bool,
}

impl<'a> Reader<'a> {
    fn open(blob: &'a [u8]) -> Result<Self, Malformed> {
        match blob {
            [LAYOUT, flags @ (0 | HAS_VALUES), rest @ ..] => {
                Ok(Self { rest, has_values: *flags == HAS_VALUES })
            }
            _ => Err(Malformed),
        }
    }

    fn varint(&mut self) -> Result<u128, Malformed> {
        // Nearly all numbers fit nine bytes; 128-bit arithmetic is only for those that do not.
        let mut low = 0_u64;
        for (i, &byte) in self.rest.iter().take(9).enumerate() {
            low |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(low.into());
            }
        }
        let mut n = u128::from(low);
        for (i, &byte) in self.rest.iter().enumerate().skip(9).take(10) {
            n |= u128::from(byte & 0x7f) << (7 * i).min(127);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(n);
            }
        }
        Err(Malformed)
    }

    fn unsigned(&mut self) -> Result<u64, Malformed> {
        self.varint()?.try_into().map_err(|_| Malformed)
    }

    fn signed(&mut self) -> Result<i128, Malformed> {
        let n = self.varint()?;
        Ok((n >> 1) as i128 ^ -((n & 1) as i128))
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        let n = usize::try_from(self.unsigned()?).map_err(|_| Malformed)?;
        // Every item is at least a byte: a length beyond the rest is a lie.
        if n <= self.rest.len() { Ok(n) } else { Err(Malformed) }
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let n = self.length()?;
        let (text, rest) = self.rest.split_at(n);
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::parts::any_distribution;
    use proptest::prelude::*;

    #[test]
    fn a_count_without_values_takes_three_bytes() {
        assert_eq!(encode(&Distribution::counted(7)), [1, 0, 7]);
    }

    #[test]
    fn blobs_of_a_later_layout_are_refused() {
        for blob in [&[][..], &[2, 0, 7], &[1, 4, 7], &[1, 0], &[1, 1, 7, 1], &[1, 0, 0xff]] {
            assert_eq!(decode(blob), Err(Malformed), "{blob:?}");
        }
    }

    proptest! {
        #[test]
        fn a_distribution_reads_as_it_was_written(d in any_distribution()) {
            let blob = encode(&d);
            prop_assert_eq!(decode(&blob).unwrap(), d.clone());
            let head = decode_head(&blob).unwrap();
            prop_assert_eq!(head.count, d.count);
            prop_assert_eq!(head.values.map(|v| v.sum), d.values.as_ref().map(|v| v.sum));
            prop_assert_eq!(head.values.map(|v| v.max), d.values.as_ref().map(|v| v.max));
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(blob in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&blob);
            let mut ours = vec![1, 1];
            ours.extend(blob);
            let _ = decode(&ours);
        }
    }
}

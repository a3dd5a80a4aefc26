//! Checks over what messages say of themselves.
//!
//! Owns the sums. Without TLS nothing but TCP's 16-bit sum protects what is under way, and what reads well is believed: a
//! number that changed would be another batch's, which then counts twice or is taken for delivered.
//!
//! A sum is the first 64 bits of SHA-256 over the fields in the order of their numbers, but for texts that are only for
//! people. Texts end in a zero byte, numbers are big-endian, lists begin with their length. Never 0, which says that there
//! is no sum: older programs send none.

use sha2::{Digest as _, Sha256};

use crate::v1;

#[derive(Default)]
struct Sum(Sha256);

impl Sum {
    fn text(&mut self, text: &str) {
        self.0.update(text.as_bytes());
        self.0.update([0]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn epoch(&mut self, epoch: Option<v1::Epoch>) {
        let epoch = epoch.unwrap_or_default();
        self.0.update(epoch.created_at_ns.to_be_bytes());
        self.number(epoch.random);
    }

    fn each<T>(&mut self, all: &[T], mut add: impl FnMut(&mut Self, &T)) {
        self.number(all.len() as u64);
        all.iter().for_each(|one| add(self, one));
    }

    fn stream(&mut self, stream: &v1::StreamState) {
        self.epoch(stream.epoch);
        self.text(&stream.service);
        self.0.update(stream.kind.to_be_bytes());
        self.number(stream.low_water);
        self.each(&stream.ranges, |sum, range| {
            sum.number(range.first);
            sum.number(range.last);
        });
    }

    fn bounds(&mut self, bounds: &v1::WantedBounds) {
        self.text(&bounds.service);
        self.text(&bounds.signal);
        self.each(&bounds.at, |sum, at| sum.0.update(at.to_be_bytes()));
    }

    fn guard(&mut self, guard: Option<v1::Guard>) {
        let guard = guard.unwrap_or_default();
        self.number(guard.len.into());
        self.number(guard.hash);
    }

    fn frontier(&mut self, frontier: &v1::Frontier) {
        self.text(&frontier.source);
        self.text(&frontier.path);
        self.number(frontier.inode);
        self.0.update(frontier.born_ns.to_be_bytes());
        self.guard(frontier.prefix);
        [frontier.begin, frontier.from, frontier.to].into_iter().for_each(|at| self.number(at));
        self.guard(frontier.guard);
    }

    fn end(self) -> u64 {
        let sum = self.0.finalize();
        let first = sum.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        first.max(1)
    }
}

/// The sum over a batch: the agent's id, and everything but the body, which has its digest.
pub fn check(agent: &str, batch: &v1::Batch) -> u64 {
    let mut sum = Sum::default();
    sum.text(agent);
    sum.text(&batch.service);
    sum.epoch(batch.epoch);
    sum.0.update(batch.kind.to_be_bytes());
    sum.number(batch.seq);
    sum.number(batch.settled_below);
    sum.0.update(batch.format.to_be_bytes());
    sum.0.update(&batch.digest);
    sum.end()
}

/// Whether a batch is not what its agent said, as far as it said so.
pub fn is_damaged(agent: &str, batch: &v1::Batch) -> bool {
    batch.check != 0 && batch.check != check(agent, batch)
}

/// A message with a sum in its field `check`.
pub trait Checked: Sized {
    /// The sum it should have.
    fn sum(&self) -> u64;

    /// The sum that it says.
    fn said(&self) -> u64;

    /// It, saying this sum.
    #[must_use]
    fn saying(self, sum: u64) -> Self;

    /// It, with its sum.
    #[must_use]
    fn checked(self) -> Self {
        let sum = self.sum();
        self.saying(sum)
    }

    /// Whether it is not what was sent, as far as its sender said so.
    fn is_damaged(&self) -> bool {
        self.said() != 0 && self.said() != self.sum()
    }
}

impl Checked for v1::Hello {
    fn sum(&self) -> u64 {
        let mut sum = Sum::default();
        sum.text(&self.agent);
        sum.epoch(self.epoch);
        sum.number(self.instance);
        sum.each(&self.held, |sum, epoch| sum.epoch(Some(*epoch)));
        sum.number(self.spool_is_new.into());
        sum.end()
    }

    fn said(&self) -> u64 {
        self.check
    }

    fn saying(self, sum: u64) -> Self {
        Self { check: sum, ..self }
    }
}

impl Checked for v1::Welcome {
    fn sum(&self) -> u64 {
        let mut sum = Sum::default();
        sum.number(self.incarnation);
        sum.each(&self.streams, Sum::stream);
        sum.each(&self.bounds, Sum::bounds);
        sum.each(&self.frontiers, Sum::frontier);
        sum.end()
    }

    fn said(&self) -> u64 {
        self.check
    }

    fn saying(self, sum: u64) -> Self {
        Self { check: sum, ..self }
    }
}

impl Checked for v1::Receipt {
    fn sum(&self) -> u64 {
        let mut sum = Sum::default();
        sum.epoch(self.epoch);
        sum.text(&self.service);
        sum.0.update(self.kind.to_be_bytes());
        sum.number(self.seq);
        sum.0.update(self.outcome.to_be_bytes());
        sum.number(self.incarnation);
        sum.end()
    }

    fn said(&self) -> u64 {
        self.check
    }

    fn saying(self, sum: u64) -> Self {
        Self { check: sum, ..self }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    const EPOCH: v1::Epoch = v1::Epoch { created_at_ns: 1_700_000_000_000_000_123, random: 77 };

    fn hello() -> v1::Hello {
        v1::Hello {
            agent: "web-1".into(),
            epoch: Some(EPOCH),
            instance: 5,
            version: "0.1.0".into(),
            held: vec![EPOCH, v1::Epoch { created_at_ns: 4, random: 5 }],
            spool_is_new: true,
            check: 0,
        }
    }

    fn welcome() -> v1::Welcome {
        let ranges = vec![v1::Range { first: 9, last: 12 }, v1::Range { first: 300, last: 301 }];
        let stream = v1::StreamState {
            epoch: Some(EPOCH),
            service: "shop".into(),
            kind: v1::Kind::Windows.into(),
            low_water: 7,
            ranges,
        };
        let bounds = v1::WantedBounds {
            service: "shop".into(),
            signal: "requests".into(),
            at: vec![200_000, -1],
        };
        let guard = Some(v1::Guard { len: 256, hash: 0x1234_5678_9abc_def0 });
        let frontier = v1::Frontier {
            source: "shop-log".into(),
            path: "/var/log/a.log".into(),
            inode: 1_234,
            born_ns: EPOCH.created_at_ns,
            prefix: guard,
            begin: 0,
            from: 10,
            to: 4_000,
            guard,
        };
        v1::Welcome {
            incarnation: 99,
            version: "0.1.0".into(),
            streams: vec![stream.clone(), v1::StreamState { low_water: 3, ..stream }],
            bounds: vec![bounds],
            frontiers: vec![frontier],
            check: 0,
        }
    }

    fn receipt(outcome: v1::Outcome, reason: &str) -> v1::Receipt {
        v1::Receipt {
            epoch: Some(EPOCH),
            service: "shop".into(),
            kind: v1::Kind::Events.into(),
            seq: 200,
            outcome: outcome.into(),
            reason: reason.into(),
            incarnation: 99,
            check: 0,
        }
    }

    /// What is left of what a message says when it is believed: everything, or it is not believed.
    fn no_flip_is_believed<T>(message: T, without_words: fn(T) -> T)
    where
        T: Checked + Clone + Default + PartialEq + std::fmt::Debug + Message,
    {
        let message = message.checked();
        assert!(!message.is_damaged(), "{message:?}");
        let whole = message.encode_to_vec();
        let core = |message: T| without_words(message.saying(0));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(flipped) = T::decode(&*bytes) else { continue };
            if !flipped.is_damaged() {
                assert_eq!(core(flipped), core(message.clone()), "bit {bit}");
            }
        }
    }

    #[test]
    fn no_flipped_bit_of_a_hello_a_welcome_or_a_receipt_is_believed() {
        no_flip_is_believed(hello(), |it| v1::Hello { version: String::new(), ..it });
        no_flip_is_believed(welcome(), |it| v1::Welcome { version: String::new(), ..it });
        for (outcome, reason) in [
            (v1::Outcome::Durable, ""),
            (v1::Outcome::Damaged, "the body does not have its digest"),
            (v1::Outcome::Refused, "not of this world"),
        ] {
            let receipt = receipt(outcome, reason);
            no_flip_is_believed(receipt, |it| v1::Receipt { reason: String::new(), ..it });
        }
    }

    #[test]
    fn what_has_no_sum_is_of_an_older_program_and_is_believed() {
        assert!(!hello().is_damaged());
        assert!(!welcome().is_damaged());
        assert!(!receipt(v1::Outcome::Durable, "").is_damaged());
    }
}

//! The least of protobuf: a message taken apart into its fields, changed, and put together again.
//!
//! Owns numbers of fields as `intake.proto` has them. Knows none of Watchkeeper's types.

/// Fields in their order: number, and what stands on the wire behind the key.
#[derive(Clone, Debug)]
pub(super) struct Message(Vec<(u64, u64, Vec<u8>)>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return value;
        }
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Message {
    pub(super) fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let n = match key & 7 {
                0 => {
                    let mut value = Vec::new();
                    put_varint(varint(&mut bytes), &mut value);
                    fields.push((key >> 3, 0, value));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                other => panic!("wire type {other}"),
            };
            let (value, rest) = bytes.split_at(n);
            bytes = rest;
            fields.push((key >> 3, key & 7, value.to_vec()));
        }
        Self(fields)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, kind, value) in &self.0 {
            put_varint(number << 3 | kind, &mut out);
            if *kind == 2 {
                put_varint(value.len() as u64, &mut out);
            }
            out.extend(value);
        }
        out
    }

    /// What stands in a field.
    pub(super) fn get(&self, number: u64) -> Option<&[u8]> {
        self.0.iter().find(|field| field.0 == number).map(|field| &field.2[..])
    }

    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.0.iter_mut().find(|field| field.0 == number).unwrap().2);
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.0.retain(|field| field.0 != number);
    }
}

/// A message of an agent that holds a batch, with the batch changed.
pub(super) fn with_batch(message: &[u8], change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut outer = Message::read(message);
    outer.change(BATCH, |bytes| {
        let mut batch = Message::read(bytes);
        change(&mut batch);
        *bytes = batch.bytes();
    });
    outer.bytes()
}

/// The same batch as an agent of before the check over what it says of itself would send it, of another epoch.
pub(super) fn of_epoch(message: &[u8], created_at_ns: i64, random: u64) -> Vec<u8> {
    with_batch(message, |batch| {
        batch.remove(CHECK);
        batch.change(EPOCH, |bytes| {
            let mut epoch = Message::read(bytes);
            epoch.change(CREATED_AT, |bytes| *bytes = created_at_ns.to_le_bytes().to_vec());
            epoch.change(RANDOM, |bytes| *bytes = random.to_le_bytes().to_vec());
            *bytes = epoch.bytes();
        });
    })
}

/// The outcome in a message of a collector, if it is a receipt.
pub(super) fn outcome_of(message: &[u8]) -> Option<u64> {
    let outer = Message::read(message);
    Some(varint(&mut Message::read(outer.get(RECEIPT)?).get(OUTCOME)?))
}

const BATCH: u64 = 2;
const EPOCH: u64 = 1;
const CREATED_AT: u64 = 1;
const RANDOM: u64 = 2;
const CHECK: u64 = 10;
pub(super) const SEQ: u64 = 4;
pub(super) const FORMAT: u64 = 7;
pub(super) const BODY: u64 = 8;
const RECEIPT: u64 = 2;
const OUTCOME: u64 = 5;
pub(super) const DURABLE: u64 = 1;
pub(super) const NOT_YET: u64 = 4;
pub(super) const DAMAGED: u64 = 5;

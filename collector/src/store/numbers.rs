//! How unsigned numbers lie in SQLite, whose integers are signed.
//!
//! Owns the two ways: counts stop at the greatest signed number, identities keep all their bits. Never mixes them.

/// A count: what does not fit stays at the greatest number that does.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count read back.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// An identity, a hash for one: same bits, other sign.
pub(super) const fn bits(identity: u64) -> i64 {
    identity.cast_signed()
}

/// An identity read back.
pub(super) const fn from_bits(stored: i64) -> u64 {
    stored.cast_unsigned()
}

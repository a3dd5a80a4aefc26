//! What both wrappers of containers' lines write a time as.
//!
//! Owns its form as an expression, of ASCII.

/// RFC 3339, of whatever calendar.
pub const WRAPPER_TIME: &str = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})";

/// With nanoseconds and an offset.
pub const MAX_WRAPPER_TIME: usize = 35;

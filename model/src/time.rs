//! Points in time and aligned windows of event time.
//!
//! Owns the one integer clock reading that passes through cores, wire and store. Never reads a clock: `now` is an
//! argument everywhere, and only the drivers make one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// A point in time: nanoseconds since the Unix epoch, UTC, years 1677 to 2262.
///
/// Arithmetic saturates at the ends of that range: a clock that is centuries off must not end a process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);
    /// The latest representable time.
    pub const MAX: Self = Self(i64::MAX);

    /// A time from whole seconds since the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(SECOND))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// Seconds since the Unix epoch with their fraction, as HTTP answers give them.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This time moved by `nanos`, which may be negative.
    pub const fn shifted(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The start of the aligned stretch of `width` that holds this time. A zero width leaves it as it is.
    pub fn floor(self, width: Duration) -> Self {
        let width = nanos_of(width);
        if width == 0 { self } else { Self(self.0 - self.0.rem_euclid(width)) }
    }

    /// RFC 3339 in UTC with as many digits of a second as needed, `2026-11-22T18:07:09.5Z`.
    pub fn rfc3339(self) -> String {
        self.to_jiff().to_string()
    }

    /// The same instant in the calendar library's type.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The same instant out of the calendar library's type, saturating outside the years 1677 to 2262.
    pub fn from_jiff(at: jiff::Timestamp) -> Self {
        let nanos = at.as_nanosecond();
        Self(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// The same instant out of the calendar library's type, or nothing outside the years 1677 to 2262.
    pub fn checked_from_jiff(at: jiff::Timestamp) -> Option<Self> {
        i64::try_from(at.as_nanosecond()).ok().map(Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(span)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_of(span)))
    }
}

/// A span in nanoseconds, saturating at 292 years.
pub fn nanos_of(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// An aligned stretch of event time: it starts at a multiple of its width since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first instant inside.
    pub start: Timestamp,
    /// Its length in whole seconds: 1, or coarser under pressure; never 0.
    pub width_secs: u32,
}

impl Window {
    /// The window of `width_secs` that holds `at`.
    pub fn holding(at: Timestamp, width_secs: u32) -> Self {
        let width_secs = width_secs.max(1);
        Self { start: at.floor(Duration::from_secs(u64::from(width_secs))), width_secs }
    }

    /// The first instant after it.
    pub fn end(self) -> Timestamp {
        self.start + Duration::from_secs(u64::from(self.width_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_goes_down_before_the_epoch_too() {
        assert_eq!(Timestamp(-1).floor(Duration::from_secs(1)), Timestamp(-SECOND));
        assert_eq!(Timestamp(SECOND + 1).floor(Duration::from_secs(1)), Timestamp(SECOND));
    }

    #[test]
    fn arithmetic_saturates_instead_of_panicking() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp(0).since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn years_that_nanoseconds_do_not_reach_saturate_or_are_none() {
        for (text, saturated, checked) in [
            ("9999-01-01T00:00:00Z", i64::MAX, None),
            ("0001-01-01T00:00:00Z", i64::MIN, None),
            ("1970-01-01T00:00:01Z", SECOND, Some(Timestamp(SECOND))),
        ] {
            let at = text.parse().unwrap();
            assert_eq!(Timestamp::from_jiff(at), Timestamp(saturated), "{text}");
            assert_eq!(Timestamp::checked_from_jiff(at), checked, "{text}");
        }
    }

    #[test]
    fn window_of_ten_seconds_is_aligned_to_the_epoch() {
        let w = Window::holding(Timestamp::from_secs(1_793_491_207), 10);
        assert_eq!((w.start.secs(), w.end().secs()), (1_793_491_200, 1_793_491_210));
    }

    #[test]
    fn rfc3339_shows_utc() {
        assert_eq!(Timestamp(1_661_140_339_572_328_000).rfc3339(), "2022-08-22T03:52:19.572328Z");
    }
}

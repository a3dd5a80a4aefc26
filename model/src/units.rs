//! Units and exact decimal numbers: how "362.453 ms" becomes an integer.
//!
//! Owns base units (ns for time, bytes, nano for ratios, micro for plain numbers) and rounding half up. Never goes
//! through floating point on the way in, so that a threshold compares exactly as it was written.

use std::fmt;

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Time; base unit 1 ns, outside in seconds.
    Time,
    /// Size; base unit 1 byte.
    Bytes,
    /// Share from 0 to 1; base unit 1e-9.
    Ratio,
    /// A plain number; base unit 1e-6.
    Plain,
}

impl Dimension {
    /// How many base units one outside unit (second, byte, ratio 1, plain 1) has.
    pub const fn base_per_unit(self) -> i64 {
        match self {
            Self::Time | Self::Ratio => 1_000_000_000,
            Self::Bytes => 1,
            Self::Plain => 1_000_000,
        }
    }

    /// A value in base units as people outside see it: seconds, bytes, ratio, plain.
    pub fn to_outside(self, base: f64) -> f64 {
        base / self.base_per_unit() as f64
    }

    /// The noun for messages.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Time => "a duration such as 200ms",
            Self::Bytes => "a size such as 1GiB",
            Self::Ratio => "a ratio such as 1% or 0.01",
            Self::Plain => "a plain number",
        }
    }
}

/// The unit in which a signal's values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    Min,
    /// Hours.
    H,
    /// Bytes.
    B,
    /// 1 000 bytes.
    KB,
    /// 1 000² bytes.
    MB,
    /// 1 000³ bytes.
    GB,
    /// 1 024 bytes.
    KiB,
    /// 1 024² bytes.
    MiB,
    /// 1 024³ bytes.
    GiB,
    /// A share from 0 to 1.
    Ratio,
    /// Hundredths.
    Percent,
    /// No unit.
    #[default]
    None,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 16] = [
        Self::Ns,
        Self::Us,
        Self::Ms,
        Self::S,
        Self::Min,
        Self::H,
        Self::B,
        Self::KB,
        Self::MB,
        Self::GB,
        Self::KiB,
        Self::MiB,
        Self::GiB,
        Self::Ratio,
        Self::Percent,
        Self::None,
    ];

    /// As written in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Us => "us",
            Self::Ms => "ms",
            Self::S => "s",
            Self::Min => "min",
            Self::H => "h",
            Self::B => "B",
            Self::KB => "KB",
            Self::MB => "MB",
            Self::GB => "GB",
            Self::KiB => "KiB",
            Self::MiB => "MiB",
            Self::GiB => "GiB",
            Self::Ratio => "ratio",
            Self::Percent => "percent",
            Self::None => "none",
        }
    }

    /// The unit written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|u| u.as_str() == text)
    }

    /// What it measures.
    pub const fn dimension(self) -> Dimension {
        match self {
            Self::Ns | Self::Us | Self::Ms | Self::S | Self::Min | Self::H => Dimension::Time,
            Self::B | Self::KB | Self::MB | Self::GB | Self::KiB | Self::MiB | Self::GiB => {
                Dimension::Bytes
            }
            Self::Ratio | Self::Percent => Dimension::Ratio,
            Self::None => Dimension::Plain,
        }
    }

    /// How many base units one of it has.
    pub const fn base_factor(self) -> i64 {
        match self {
            Self::Ns | Self::B => 1,
            Self::Us | Self::KB => 1_000,
            Self::Ms | Self::MB | Self::None => 1_000_000,
            Self::S | Self::GB | Self::Ratio => 1_000_000_000,
            Self::Min => 60 * 1_000_000_000,
            Self::H => 3_600 * 1_000_000_000,
            Self::KiB => 1 << 10,
            Self::MiB => 1 << 20,
            Self::GiB => 1 << 30,
            Self::Percent => 10_000_000,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decimal number exactly as written: `mantissa × 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    /// Reads `-12.5e3` and the like: JSON's number grammar, a leading `+` or `.5` besides. Digits past the 24th
    /// significant one are dropped: more than 64 bits can tell apart.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, mut at) = match bytes.first()? {
            b'-' => (true, 1),
            b'+' => (false, 1),
            _ => (false, 0),
        };
        let (mut mantissa, mut exponent, mut n_digits, mut after_point) = (0_i128, 0_i32, 0, false);
        while let Some(&b) = bytes.get(at) {
            match b {
                b'0'..=b'9' => {
                    n_digits += 1;
                    if mantissa < 100_000_000_000_000_000_000_000 {
                        mantissa = mantissa * 10 + i128::from(b - b'0');
                        exponent -= i32::from(after_point);
                    } else {
                        exponent = exponent.saturating_add(i32::from(!after_point));
                    }
                }
                b'.' if !after_point => after_point = true,
                b'e' | b'E' => {
                    let power: i32 = text.get(at + 1..)?.parse().ok()?;
                    exponent = exponent.saturating_add(power);
                    at = bytes.len();
                    break;
                }
                _ => return None,
            }
            at += 1;
        }
        (n_digits > 0 && at == bytes.len())
            .then_some(Self { mantissa: if negative { -mantissa } else { mantissa }, exponent })
    }

    /// A whole number.
    pub const fn from_int(value: i64) -> Self {
        Self { mantissa: value as i128, exponent: 0 }
    }

    /// This many of `factor` base units, rounded half up; `None` if it does not fit 64 bits.
    pub fn scale(self, factor: i64) -> Option<i64> {
        let Some(product) = self.mantissa.checked_mul(factor.into()) else {
            // Its last digit is the 20th or a later one, so 64 bits can't tell.
            let shorter =
                Self { mantissa: self.mantissa / 10, exponent: self.exponent.saturating_add(1) };
            return shorter.scale(factor);
        };
        let scaled = if product == 0 {
            0
        } else if self.exponent >= 0 {
            10_i128
                .checked_pow(self.exponent.unsigned_abs())
                .and_then(|p| product.checked_mul(p))?
        } else {
            match 10_i128.checked_pow(self.exponent.unsigned_abs()) {
                Some(divisor) => {
                    product.div_euclid(divisor)
                        + i128::from(
                            product.rem_euclid(divisor) >= divisor - product.rem_euclid(divisor),
                        )
                }
                None => 0,
            }
        };
        i64::try_from(scaled).ok()
    }

    /// The nearest float.
    pub fn to_f64(self) -> f64 {
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_become_base_units_rounded_half_up() {
        for (text, unit, base) in [
            ("362.453", Unit::Ms, Some(362_453_000)),
            ("0.2", Unit::S, Some(200_000_000)),
            ("0.0000000005", Unit::S, Some(1)),
            ("0.00000000049", Unit::S, Some(0)),
            ("-0.0000000005", Unit::S, Some(0)),
            ("-0.0000000006", Unit::S, Some(-1)),
            ("1.5", Unit::KiB, Some(1536)),
            ("99.9", Unit::Percent, Some(999_000_000)),
            ("1e3", Unit::None, Some(1_000_000_000)),
            ("1E-3", Unit::None, Some(1_000)),
            ("1e400", Unit::Ms, None),
            ("1e-400", Unit::Ms, Some(0)),
            ("0e400", Unit::Ms, Some(0)),
            ("9223372036854775808", Unit::B, None),
            ("1793491200123456789", Unit::Ns, Some(1_793_491_200_123_456_789)),
        ] {
            assert_eq!(
                Decimal::parse(text).and_then(|d| d.scale(unit.base_factor())),
                base,
                "{text} {unit}"
            );
        }
    }

    #[test]
    fn many_digits_of_a_long_unit_are_no_reason_to_overflow() {
        let week = 7 * 24 * Unit::H.base_factor();
        for (text, base) in [
            ("999999999999999999999999", None),
            ("-999999999999999999999999", None),
            ("15250.2844524000000000000", Some(9_223_372_036_811_520_000)),
            ("0.999999999999999999999999", Some(week)),
            ("-0.999999999999999999999999", Some(-week)),
            ("0.500000000000000000000001", Some(week / 2)),
        ] {
            assert_eq!(Decimal::parse(text).and_then(|d| d.scale(week)), base, "{text}");
            let _ = Decimal::parse(text).and_then(|d| d.scale(i64::MAX));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "0x10", "1e", "1e+", "NaN", "inf", " 1", "1 ", "1_000"]
        {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_unit_reads_as_it_is_written() {
        for unit in Unit::ALL {
            assert_eq!(Unit::parse(unit.as_str()), Some(unit));
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_exact(n in -99_999_999_999_999_999_i64..99_999_999_999_999_999) {
            prop_assert_eq!(Decimal::parse(&n.to_string()).and_then(|d| d.scale(1)), Some(n));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,40}") {
            let _ = Decimal::parse(&text).and_then(|d| d.scale(Unit::H.base_factor()));
        }
    }
}

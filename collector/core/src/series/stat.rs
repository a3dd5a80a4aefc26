//! Statistics: how a distribution becomes one number, and how that is compared.
//!
//! Owns exact comparison: a measure is a fraction of integers in base units. Never decides what follows from it.

use std::fmt;
use std::time::Duration;

use watchkeeper_model::{Dimension, Distribution};

/// What a rule or a query asks of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stat {
    /// Observations per second over the whole window.
    Rate,
    /// Observations.
    Count,
    /// Sum of values.
    Sum,
    /// Mean of values.
    Avg,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Last value by event time.
    Last,
    /// The value below or at which this share lies, in thousandths: p99.9 is 999.
    Quantile(u16),
    /// Share of judged observations that are not good.
    BadRatio,
    /// How many values a label has.
    Distinct,
    /// Whether there is no observation.
    Absent,
}

impl Stat {
    /// The statistic written so: `rate count sum avg min max last bad_ratio distinct absent p50 … p99.9`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "rate" => Self::Rate,
            "count" => Self::Count,
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "last" => Self::Last,
            "bad_ratio" => Self::BadRatio,
            "distinct" => Self::Distinct,
            "absent" => Self::Absent,
            _ => Self::Quantile(parse_quantile(text)?),
        })
    }

    /// What its value measures for a signal of this dimension.
    pub const fn dimension(self, of_signal: Dimension) -> Dimension {
        match self {
            Self::Rate | Self::Count | Self::Distinct => Dimension::Plain,
            Self::BadRatio => Dimension::Ratio,
            Self::Absent => Dimension::Time,
            _ => of_signal,
        }
    }

    /// Whether no observation means 0 and not "no value".
    pub const fn is_zero_when_empty(self) -> bool {
        matches!(self, Self::Rate | Self::Count | Self::Sum | Self::Distinct)
    }

    /// Whether it needs values, and not just counts.
    pub const fn needs_values(self) -> bool {
        !matches!(self, Self::Rate | Self::Count | Self::BadRatio | Self::Distinct | Self::Absent)
    }

    /// The statistic of a distribution over a window of length `over`; `None` if it has no value there, as for
    /// [`Stat::BadRatio`], [`Stat::Distinct`] and [`Stat::Absent`], which need more than a distribution.
    pub fn measure(self, of: &Distribution, over: Duration) -> Option<Measure> {
        let values = of.values.as_deref();
        let whole = |base: i128| Some(Measure { base, per: 1 });
        let plain = i128::from(Dimension::Plain.base_per_unit());
        match self {
            Self::Count => whole(i128::from(of.count) * plain),
            Self::Rate => {
                let nanos = i128::try_from(over.as_nanos()).ok().filter(|n| *n > 0)?;
                Some(Measure { base: i128::from(of.count) * plain * 1_000_000_000, per: nanos })
            }
            Self::Sum => whole(values.map_or(0, |v| v.sum)),
            Self::Avg => values.map(|v| Measure { base: v.sum, per: i128::from(v.count.max(1)) }),
            Self::Min => whole(i128::from(values?.min)),
            Self::Max => whole(i128::from(values?.max)),
            Self::Last => whole(i128::from(values?.last.value)),
            Self::Quantile(thousandths) => {
                let v = values?;
                let near = v.histogram.quantile(f64::from(thousandths) / 1000.0)?;
                whole(i128::from(near.clamp(v.min, v.max)))
            }
            Self::BadRatio | Self::Distinct | Self::Absent => None,
        }
    }
}

fn parse_quantile(text: &str) -> Option<u16> {
    let (whole, tenth) = match text.strip_prefix('p')?.split_once('.') {
        Some((whole, tenth)) => (whole, tenth),
        None => (text.strip_prefix('p')?, "0"),
    };
    let digits = |t: &str| (1..=2).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(tenth) || tenth.len() != 1 {
        return None;
    }
    let thousandths = whole.parse::<u16>().ok()? * 10 + tenth.parse::<u16>().ok()?;
    (1..=999).contains(&thousandths).then_some(thousandths)
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "rate",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::BadRatio => "bad_ratio",
            Self::Distinct => "distinct",
            Self::Absent => "absent",
            Self::Quantile(q) if q % 10 == 0 => return write!(f, "p{}", q / 10),
            Self::Quantile(q) => return write!(f, "p{}.{}", q / 10, q % 10),
        })
    }
}

/// A value in base units as an exact fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Numerator.
    pub base: i128,
    /// Denominator, > 0.
    pub per: i128,
}

impl Measure {
    /// In outside units.
    pub fn outside(self, dimension: Dimension) -> f64 {
        dimension.to_outside(self.base as f64 / self.per as f64)
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Op {
    /// Every comparison.
    pub const ALL: [Self; 6] = [
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Equal,
        Self::NotEqual,
    ];

    /// As written in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// The comparison written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str() == text)
    }

    /// Whether `measure` stands in this relation to `limit`, exactly.
    pub fn holds(self, measure: Measure, limit: i64) -> bool {
        // Saturating keeps the order where the product does not fit: the left side cannot be near it then.
        let order = measure.base.cmp(&i128::from(limit).saturating_mul(measure.per));
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_reads_as_it_is_written() {
        for text in [
            "rate",
            "count",
            "sum",
            "avg",
            "min",
            "max",
            "last",
            "bad_ratio",
            "distinct",
            "absent",
            "p50",
            "p95",
            "p99.9",
            "p5",
            "p0.1",
        ] {
            assert_eq!(Stat::parse(text).map(|s| s.to_string()).as_deref(), Some(text));
        }
        for text in ["", "p", "p0", "p100", "p99.99", "p9x", "median", "p+5", "p.5", "p5."] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_per_second_over_the_whole_window_and_compares_exactly() {
        let over = Duration::from_secs(300);
        let rate = Stat::Rate.measure(&Distribution::counted(30), over).unwrap();
        let limit = 100_000; // 0.1 per second
        assert!(Op::Equal.holds(rate, limit));
        assert!(!Op::Greater.holds(rate, limit));
        assert!((rate.outside(Dimension::Plain) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn every_comparison_reads_as_it_is_written() {
        for op in Op::ALL {
            assert_eq!(Op::parse(op.as_str()), Some(op));
        }
    }
}

//! A value to compare with, as a person wrote it.
//!
//! Owns its exact conversion to base units. Never goes through floating point.

use watchkeeper_model::{Decimal, Dimension};

/// `200ms`, `1GiB`, `1%`, or a bare number, which is in seconds, bytes, ratio or plain as the signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// With a unit: in base units of its dimension.
    Base {
        /// How many base units.
        base: i64,
        /// Of what.
        dimension: Dimension,
    },
    /// Without a unit.
    Bare(Decimal),
}

impl Threshold {
    /// This many base units of a dimension.
    pub const fn base(base: i64, dimension: Dimension) -> Self {
        Self::Base { base, dimension }
    }

    /// In base units of `dimension`; `None` if it was written in a unit of another one, or does not fit.
    pub fn base_in(&self, dimension: Dimension) -> Option<i64> {
        match self {
            Self::Base { base, dimension: mine } => (*mine == dimension).then_some(*base),
            Self::Bare(number) => number.scale(dimension.base_per_unit()),
        }
    }

    /// In outside units, for people.
    pub fn outside(&self) -> f64 {
        match self {
            Self::Base { base, dimension } => dimension.to_outside(*base as f64),
            Self::Bare(number) => number.to_f64(),
        }
    }

    /// What it measures, if it was written with a unit.
    pub const fn dimension(&self) -> Option<Dimension> {
        match self {
            Self::Base { dimension, .. } => Some(*dimension),
            Self::Bare(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_in_the_signals_outside_unit() {
        let bare = Threshold::Bare(Decimal::parse("0.2").unwrap());
        assert_eq!(bare.base_in(Dimension::Time), Some(200_000_000));
        assert_eq!(bare.base_in(Dimension::Plain), Some(200_000));
    }

    #[test]
    fn a_unit_of_another_dimension_is_no_value() {
        let time = Threshold::base(200_000_000, Dimension::Time);
        assert_eq!(time.base_in(Dimension::Time), Some(200_000_000));
        assert_eq!(time.base_in(Dimension::Bytes), None);
        assert!((time.outside() - 0.2).abs() < 1e-12);
    }
}

//! Values as people write them, so that messages speak the language of the files.
//!
//! Owns the way back from numbers. Never rounds what the grammar can say exactly, except sizes to two decimals.

use std::time::Duration;

use watchkeeper_model::Dimension;
use watchkeeper_model::time::nanos_of;

/// `1h30m`.
pub fn duration(span: Duration) -> String {
    watchkeeper_expr::duration::format(nanos_of(span))
}

/// `1.5GiB`; decimal units where they are rounder.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 7] = [
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("KB", 1_000),
        ("B", 1),
    ];
    let said = UNITS.iter().find(|(_, unit)| {
        bytes >= *unit && (u128::from(bytes) * 100).is_multiple_of(u128::from(*unit))
    });
    let rounded = UNITS.iter().step_by(2).find(|(_, unit)| bytes >= *unit);
    let (name, unit) = match (said, rounded) {
        (Some(said), _) if bytes / said.1 < 10_000 => said,
        (_, Some(rounded)) => rounded,
        _ => return "0B".to_owned(),
    };
    format!("{}{name}", decimal(bytes as f64 / *unit as f64, 2))
}

/// A value in base units: `200ms`, `1GiB`, `1%`, `12.5`.
pub fn value(base: i64, dimension: Dimension) -> String {
    let sign = if base < 0 { "-" } else { "" };
    match dimension {
        Dimension::Time => watchkeeper_expr::duration::format(base),
        Dimension::Bytes => format!("{sign}{}", size(base.unsigned_abs())),
        Dimension::Ratio => format!("{}%", decimal(base as f64 / 1e7, 7)),
        Dimension::Plain => decimal(base as f64 / 1e6, 6),
    }
}

/// At most so many decimals, none that say nothing.
fn decimal(number: f64, n_decimals: usize) -> String {
    let text = format!("{number:.n_decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_the_unit_that_says_them_best() {
        for (bytes, text) in [
            (0, "0B"),
            (512, "512B"),
            (1 << 30, "1GiB"),
            (3 << 29, "1.5GiB"),
            (1_000_000, "1MB"),
            (1_500, "1.5KB"),
            (1_234_567_890, "1.15GiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn values_are_written_in_their_dimension() {
        for (base, dimension, text) in [
            (200_000_000, Dimension::Time, "200ms"),
            (1 << 30, Dimension::Bytes, "1GiB"),
            (10_000_000, Dimension::Ratio, "1%"),
            (1_000_000, Dimension::Ratio, "0.1%"),
            (12_500_000, Dimension::Plain, "12.5"),
            (-1_000_000, Dimension::Plain, "-1"),
        ] {
            assert_eq!(value(base, dimension), text);
        }
    }
}

//! An error budget in words.
//!
//! Owns how much of a budget is left, or by how much it is overspent, said so that a person can picture it. Every text that
//! says it goes through here.

/// How a budget stands, in three or four words: `38.3 % left`, `12.5 % overspent`, or `spent 110 times over` once more
/// than twice of it is gone. `remaining` is a share, below 0 if overspent. What is left is rounded down, so that nothing is
/// said to be left where nothing is.
pub fn budget_words(remaining: f64) -> String {
    let spent = 1.0 - remaining;
    match () {
        () if remaining.is_nan() => "unknown".to_owned(),
        () if spent >= 9.95 => format!("spent {spent:.0} times over"),
        () if spent > 2.0 => format!("spent {spent:.1} times over"),
        () if remaining < 0.0 => {
            // Rounded up to what can be seen.
            let over = (-remaining * 1000.0 - 1e-6).ceil().max(1.0) / 10.0;
            format!("{over:.1} % overspent")
        }
        () => format!("{:.1} % left", (remaining * 1000.0 + 1e-6).floor() / 10.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_to_picture_minus_eleven_thousand_percent() {
        for (remaining, words) in [
            (1.0, "100.0 % left"),
            (0.999_99, "99.9 % left"),
            (0.383, "38.3 % left"),
            (0.000_4, "0.0 % left"),
            (0.0, "0.0 % left"),
            (-0.000_01, "0.1 % overspent"),
            (-0.125, "12.5 % overspent"),
            (-1.0, "100.0 % overspent"),
            (-1.01, "spent 2.0 times over"),
            (-8.9, "spent 9.9 times over"),
            (-9.0, "spent 10 times over"),
            (-109.111, "spent 110 times over"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(budget_words(remaining), words, "{remaining}");
        }
    }
}

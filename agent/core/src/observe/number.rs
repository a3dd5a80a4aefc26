//! Numbers of a line in base units, fast where they are short.
//!
//! Owns the short cut; what a number means is [`Decimal`]'s word, and both always agree.

use watchkeeper_model::Decimal;

const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The number in `text` times `factor`, rounded half up; `None` if it is no number or does not fit.
pub fn scaled(text: &str, factor: i64) -> Option<i64> {
    short(text.as_bytes(), factor).or_else(|| Decimal::parse(text)?.scale(factor))
}

/// Up to 18 digits, perhaps a sign and a point, no exponent. `None` sends the rest down the long way.
fn short(bytes: &[u8], factor: i64) -> Option<i64> {
    let (negative, digits) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let (mut mantissa, mut point) = (0_i64, None);
    for (i, &b) in digits.iter().enumerate() {
        match b {
            b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(b - b'0'),
            b'.' if point.is_none() && digits.len() > 1 => point = Some(i),
            _ => return None,
        }
    }
    let mantissa = if negative { -mantissa } else { mantissa };
    let divisor = POWERS[point.map_or(0, |at| digits.len() - 1 - at)];
    if factor % divisor == 0 {
        return mantissa.checked_mul(factor / divisor);
    }
    let product = mantissa.checked_mul(factor)?;
    let rest = product.rem_euclid(divisor);
    Some(product.div_euclid(divisor) + i64::from(rest >= divisor - rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use watchkeeper_model::Unit;

    proptest! {
        #[test]
        fn agrees_with_exact_decimals(text in "-?[0-9]{0,12}(\\.[0-9]{0,12})?(e[0-9])?", unit in 0..Unit::ALL.len()) {
            let factor = Unit::ALL[unit].base_factor();
            prop_assert_eq!(scaled(&text, factor), Decimal::parse(&text).and_then(|d| d.scale(factor)));
        }
    }
}

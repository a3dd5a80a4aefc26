//! Lines that fit.
//!
//! Owns where a text is broken: between words, and inside one only if it is longer than a line.

/// The text in lines of at most `n_chars`.
pub(crate) fn wrap(text: &str, n_chars: usize) -> Vec<String> {
    let n_chars = n_chars.max(1);
    let mut lines = vec![String::new()];
    let mut n_used = 0;
    for word in text.split_whitespace() {
        let n_word = word.chars().count();
        if n_used > 0 && n_used + 1 + n_word > n_chars {
            lines.push(String::new());
            n_used = 0;
        }
        for (i, c) in word.chars().enumerate() {
            if let (0, Some(line), true) = (i, lines.last_mut(), n_used > 0) {
                line.push(' ');
                n_used += 1;
            }
            if n_used == n_chars {
                lines.push(String::new());
                n_used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
                n_used += 1;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_if_they_can() {
        for (text, n_chars, lines) in [
            ("", 10, vec![""]),
            ("one two", 10, vec!["one two"]),
            ("one two three", 8, vec!["one two", "three"]),
            ("abcdefgh ij", 3, vec!["abc", "def", "gh", "ij"]),
            ("ä ö ü", 3, vec!["ä ö", "ü"]),
        ] {
            assert_eq!(wrap(text, n_chars), lines, "{text:?}");
        }
    }
}

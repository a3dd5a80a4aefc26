//! Lines that fit.
//!
//! Owns where a text is broken: between words, and inside one only if it is longer than a line.

use super::screen::{Screen, Tone};

/// A line that begins with `lead` and goes on below its text, `head` in a tone. Where lines may be as long as they like
/// it is one.
pub(crate) fn hanging(screen: &Screen, lead: &str, tone: Tone, head: &str, rest: &str) -> String {
    let Some(width) = screen.width else {
        return format!("{lead}{}{rest}\n", screen.paint(tone, head));
    };
    let n_lead = lead.chars().count();
    let room = usize::from(width).saturating_sub(n_lead).max(20);
    let mut text = String::new();
    for (i, line) in wrap(&format!("{head}{rest}"), room).iter().enumerate() {
        match line.strip_prefix(head).filter(|_| i == 0) {
            Some(rest) => text += &format!("{lead}{}{rest}\n", screen.paint(tone, head)),
            None if i == 0 => text += &format!("{lead}{}\n", screen.paint(tone, line)),
            None => text += &format!("{}{line}\n", " ".repeat(n_lead)),
        }
    }
    text
}

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
    use watchkeeper_model::Timestamp;

    #[test]
    fn what_goes_on_stands_below_what_began() {
        let shown = |width| {
            let screen = Screen::plain(width, Timestamp::EPOCH);
            hanging(&screen, "  ", Tone::Bad, "page x", " burning fourteen times too fast")
        };
        assert_eq!(shown(None), "  page x burning fourteen times too fast\n");
        assert_eq!(shown(Some(24)), "  page x burning\n  fourteen times too\n  fast\n");
    }

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

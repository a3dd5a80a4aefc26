//! "Did you mean": the nearest of the names that would have been right.
//!
//! Owns edit distance. Never decides what the valid names are.

/// The candidate nearest to `word`, if one is near enough to be a slip of the keyboard: a third of its letters, or
/// the same letters in other case.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(far, candidate)| *far <= limit && *far < candidate.chars().count())
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Letters inserted, left out, exchanged or swapped with their neighbour. Long words are never near.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_keyboard_are_recognised_and_other_words_are_not() {
        let names = ["service", "paths", "start_at", "tail", "labels"];
        for (word, meant) in [
            ("serivce", Some("service")),
            ("path", Some("paths")),
            ("Service", Some("service")),
            ("startat", Some("start_at")),
            ("lables", Some("labels")),
            ("tial", Some("tail")),
            ("x", None),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(closest(word, names), meant, "{word:?}");
        }
    }
}

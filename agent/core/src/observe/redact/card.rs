//! Numbers of payment cards: 13 to 19 digits, also in groups with single spaces or dashes.
//!
//! Owns which issuers' numbers are known and what is no card: a part of a longer number or word, a decimal, a phone
//! number, an IBAN. The check digit (ISO/IEC 7812-1, Luhn) holds for one number in ten by chance, so the issuer's first
//! digits and length must fit too. Looks at one byte of nine where there are no digits.

use super::span::{Found, Mark};

/// The shortest and the longest number.
const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// A number without groups between is looked at as it stands from here on.
const WHOLE: usize = SHORTEST;

/// First six digits of an issuer's numbers, from and to, and how many digits they have.
const ISSUERS: &[(u32, u32, &[usize])] = &[
    // Mir
    (220_000, 220_499, &[16, 17, 18, 19]),
    // Mastercard
    (222_100, 272_099, &[16]),
    (510_000, 559_999, &[16]),
    // Diners Club
    (300_000, 305_999, &[14, 16]),
    (309_500, 309_599, &[14, 16]),
    (360_000, 369_999, &[14, 16]),
    (380_000, 399_999, &[14, 16]),
    // American Express
    (340_000, 349_999, &[15]),
    (370_000, 379_999, &[15]),
    // JCB
    (352_800, 358_999, &[16, 17, 18, 19]),
    // Visa
    (400_000, 499_999, &[13, 16, 19]),
    // Maestro
    (501_800, 501_899, &[13, 14, 15, 16, 17, 18, 19]),
    (502_000, 502_099, &[13, 14, 15, 16, 17, 18, 19]),
    (503_800, 503_899, &[13, 14, 15, 16, 17, 18, 19]),
    (589_300, 589_399, &[13, 14, 15, 16, 17, 18, 19]),
    (630_400, 630_499, &[13, 14, 15, 16, 17, 18, 19]),
    (675_900, 675_999, &[13, 14, 15, 16, 17, 18, 19]),
    (676_100, 676_399, &[13, 14, 15, 16, 17, 18, 19]),
    // Discover
    (601_100, 601_199, &[16, 17, 18, 19]),
    (644_000, 659_999, &[16, 17, 18, 19]),
    // UnionPay
    (620_000, 629_999, &[16, 17, 18, 19]),
];

pub(super) fn find(text: &str, found: &mut Found<'_>) {
    let bytes = text.as_bytes();
    let is_part = |at: usize| matches!(bytes[at], b'0'..=b'9' | b' ' | b'-');
    let mut groups = Vec::new();
    let (mut at, mut floor) = (0, 0);
    // A number covers 13 bytes or more. If `at + 8` is no part of one, none begins before `at + 9`.
    while at + 8 < bytes.len() {
        if let Some(gap) = [8, 4, 0].into_iter().find(|n| !is_part(at + n)) {
            at += gap + 1;
            continue;
        }
        let start = (floor..at).rev().take_while(|&i| is_part(i)).last().unwrap_or(at);
        let end = (at..bytes.len()).find(|&i| !is_part(i)).unwrap_or(bytes.len());
        if end - start >= SHORTEST {
            groups.clear();
            groups.extend(groups_in(bytes, start, end));
            in_groups(text, &groups, found);
        }
        (at, floor) = (end, end);
    }
}

/// A run of digits, and the single byte between it and the group before, if there is just one.
#[derive(Clone, Copy, Debug)]
struct Group {
    start: usize,
    end: usize,
    joint: Option<u8>,
}

impl Group {
    fn len(self) -> usize {
        self.end - self.start
    }
}

fn groups_in(bytes: &[u8], mut at: usize, end: usize) -> impl Iterator<Item = Group> {
    let mut before = None;
    std::iter::from_fn(move || {
        let start = (at..end).find(|&i| bytes[i].is_ascii_digit())?;
        at = (start..end).find(|&i| !bytes[i].is_ascii_digit()).unwrap_or(end);
        let joint = before.filter(|&b| b + 1 == start).map(|b: usize| bytes[b]);
        before = Some(at);
        Some(Group { start, end: at, joint })
    })
}

fn in_groups(text: &str, mut groups: &[Group], found: &mut Found<'_>) {
    while let Some(first) = groups.first() {
        let n = match (n_of_iban(text, groups), last_of_card(text, groups)) {
            (Some(n), _) => n,
            (None, Some(last)) => {
                found.add_in(text, first.start..groups[last].end, Mark::Card);
                last + 1
            }
            (None, None) => 1,
        };
        groups = &groups[n..];
    }
}

/// Which group ends the card that the first group begins.
fn last_of_card(text: &str, groups: &[Group]) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = groups.first().filter(|g| g.len() >= 4 && is_begin(text, g.start))?;
    let joint = groups.get(1).and_then(|g| g.joint);
    let is_joined = |n: usize, g: &Group| n == 0 || (joint.is_some() && g.joint == joint);
    let (mut digits, mut n_digits, mut best) = ([0; LONGEST], 0, None);
    for (n, group) in groups.iter().enumerate().take_while(|(n, g)| is_joined(*n, g)) {
        let Some(room) = digits.get_mut(n_digits..n_digits + group.len()) else { break };
        room.copy_from_slice(&bytes[group.start..group.end]);
        n_digits += group.len();
        let is_phone = n_digits < 16 && text[..first.start].ends_with('+');
        if is_end(text, group.end) && !is_phone && is_card(&digits[..n_digits]) {
            best = Some(n);
        }
        // Only the last group of a card is shorter, and a whole number stands alone.
        if group.len() < 4 || first.len() >= WHOLE {
            break;
        }
    }
    best
}

/// How many of the groups are an IBAN, `DE89 3704 0044 0532 0130 00`: two letters, two check digits by ISO 7064, and
/// groups of four of which the last may be shorter.
fn n_of_iban(text: &str, groups: &[Group]) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = groups.first().filter(|g| g.len() == 2)?;
    let country = bytes[..first.start].last_chunk::<2>()?;
    let rest = groups[1..].iter().take(8).take_while(|g| g.joint == Some(b' ') && g.len() <= 4);
    let n = rest.clone().take_while(|g| g.len() == 4).count();
    let n = 1 + n + usize::from(rest.clone().nth(n).is_some());
    let digits = groups[1..n].iter().chain([first]).map(|g| &bytes[g.start..g.end]);
    let mut check = 0;
    for (i, group) in digits.enumerate() {
        if i + 1 == n {
            for letter in country.iter().filter(|c| c.is_ascii_uppercase()) {
                check = (check * 100 + u32::from(letter - b'A') + 10) % 97;
            }
        }
        check = group.iter().fold(check, |n, d| (n * 10 + u32::from(d - b'0')) % 97);
    }
    (n > 3 && country.iter().all(u8::is_ascii_uppercase) && check == 1).then_some(n)
}

/// Whether a number may begin here: not within a word, a number, or behind a decimal point. Words of scripts that put no
/// spaces between them end where a number begins.
fn is_begin(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    match before.next() {
        Some('.') => !before.next().is_some_and(|c| c.is_ascii_digit()),
        other => !other.is_some_and(|c| c.is_ascii_alphanumeric()),
    }
}

fn is_end(text: &str, at: usize) -> bool {
    let mut after = text[at..].chars();
    match after.next() {
        Some('.') => !after.next().is_some_and(|c| c.is_ascii_digit()),
        other => !other.is_some_and(|c| c.is_ascii_alphanumeric()),
    }
}

fn is_card(digits: &[u8]) -> bool {
    let Some(head) = digits.first_chunk::<6>().filter(|_| digits.len() >= SHORTEST) else {
        return false;
    };
    let head = head.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    let is_known = ISSUERS.iter().any(|(from, to, lengths)| {
        (*from..=*to).contains(&head) && lengths.contains(&digits.len())
    });
    is_known && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let value = |(n, digit): (usize, &u8)| match (n % 2, u32::from(digit - b'0')) {
        (0, digit) => digit,
        (_, digit) if digit > 4 => digit * 2 - 9,
        (_, digit) => digit * 2,
    };
    digits.iter().rev().enumerate().map(value).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_issuer_has_a_number_of_each_of_its_lengths() {
        for (from, to, lengths) in ISSUERS {
            for &n in *lengths {
                for head in [from, to] {
                    let mut digits = format!("{head:0<n$}").into_bytes();
                    let check = (b'0'..=b'9').find(|&d| {
                        digits[n - 1] = d;
                        luhn(&digits)
                    });
                    assert!(check.is_some() && is_card(&digits), "{head} {n}");
                    digits[n - 2] = if digits[n - 2] == b'5' { b'6' } else { b'5' };
                    assert!(!is_card(&digits), "{head} {n}: the check digit does not fit");
                }
            }
        }
    }
}

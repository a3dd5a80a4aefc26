//! What a mail server answers.
//!
//! Owns the form of replies (RFC 5321, section 4.2) and bounds on them. Never reads from a connection.

use std::fmt;

/// The longest line that is taken, in bytes: the standard says 512, real servers say more.
pub(super) const MAX_LINE_BYTES: usize = 2_048;

/// The most lines of one reply that are taken.
const MAX_LINES: usize = 100;

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::channels::email) struct Reply {
    /// Its three digits: 200 to 599.
    pub(in crate::channels::email) code: u16,
    /// The text of each line, with anything that is no text replaced.
    pub(in crate::channels::email) lines: Vec<String>,
}

impl Reply {
    /// The command was carried out.
    pub(in crate::channels::email) const fn is_success(&self) -> bool {
        matches!(self.code, 200..=299)
    }

    /// The server asks for more.
    pub(in crate::channels::email) const fn is_question(&self) -> bool {
        matches!(self.code, 300..=399)
    }

    /// The same command will never succeed.
    pub(in crate::channels::email) const fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The server is about to close the connection.
    pub(super) const fn is_goodbye(&self) -> bool {
        self.code == 421
    }
}

/// `550 5.1.1 no such user`, on one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" "))
    }
}

/// A line that belongs to no reply; holds what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

/// The lines of a reply so far.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    code: Option<u16>,
    lines: Vec<String>,
}

impl Unfinished {
    /// Takes the next line, its line break taken away; answers the reply when it is whole.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<Option<Reply>, Malformed> {
        let shown = || String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        let not_one = || Malformed(format!("{:?} is no SMTP reply", shown()));
        let (digits, rest) = line.split_at_checked(3).ok_or_else(not_one)?;
        let is_code =
            digits.iter().all(u8::is_ascii_digit) && matches!(digits.first(), Some(b'2'..=b'5'));
        let goes_on = match rest.first() {
            Some(b'-') => true,
            Some(b' ') | None => false,
            Some(_) => return Err(not_one()),
        };
        if !is_code {
            return Err(not_one());
        }
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        if self.code.is_some_and(|known| known != code) {
            return Err(Malformed(format!("a reply changed its code to {code} half way")));
        }
        if self.lines.len() == MAX_LINES {
            return Err(Malformed(format!("a reply has more than {MAX_LINES} lines")));
        }
        self.code = Some(code);
        let text = String::from_utf8_lossy(rest.get(1..).unwrap_or_default());
        self.lines.push(text.trim_end().to_owned());
        Ok((!goes_on).then(|| Reply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

/// What a server offers in its answer to EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// STARTTLS.
    pub(super) starttls: bool,
    /// Names of ways to authenticate in upper case, in the server's order.
    pub(super) auth: Vec<String>,
}

impl Offers {
    /// Reads them; the first line is a greeting. `AUTH=` is how very old servers write `AUTH `.
    pub(super) fn of(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("AUTH") => {
                    for word in words.map(str::to_owned) {
                        if !offers.auth.contains(&word) {
                            offers.auth.push(word);
                        }
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Result<Option<Reply>, Malformed> {
        let mut unfinished = Unfinished::default();
        let mut last = Ok(None);
        for line in lines {
            last = Ok(unfinished.push(line.as_bytes())?);
        }
        last
    }

    #[test]
    fn replies_are_read_in_every_form_servers_use() {
        for (lines, want) in [
            (vec!["220 mx ready"], "220 mx ready"),
            (vec!["250"], "250 "),
            (vec!["250 "], "250 "),
            (vec!["250-one", "250-two", "250 three"], "250 one two three"),
            (vec!["250-one", "250"], "250 one "),
            (vec!["550-5.1.1", "550 no such user"], "550 5.1.1 no such user"),
        ] {
            let reply = read(&lines).unwrap().expect("the reply is whole");
            assert_eq!(reply.to_string(), want, "{lines:?}");
        }
        assert_eq!(read(&["250-one"]), Ok(None));
    }

    #[test]
    fn what_is_no_reply_is_said_to_be_none() {
        for (lines, want) in [
            (vec![""], "is no SMTP reply"),
            (vec!["25"], "is no SMTP reply"),
            (vec!["HTTP/1.1 400 Bad Request"], "is no SMTP reply"),
            (vec!["SSH-2.0-OpenSSH_9.2"], "is no SMTP reply"),
            (vec!["099 x"], "is no SMTP reply"),
            (vec!["600 x"], "is no SMTP reply"),
            (vec!["2500 x"], "is no SMTP reply"),
            (vec!["25a x"], "is no SMTP reply"),
            (vec!["250-a", "251 b"], "changed its code"),
            (vec!["250-a"; 101], "more than 100 lines"),
        ] {
            let Malformed(why) = read(&lines).unwrap_err();
            assert!(why.contains(want), "{lines:?}: {why}");
        }
    }

    #[test]
    fn offers_keep_the_order_of_the_server() {
        let offers = |lines: &[&str]| {
            let lines = lines.iter().map(|&line| line.to_owned()).collect();
            Offers::of(&Reply { code: 250, lines })
        };
        let real = offers(&["mx STARTTLS", "SIZE 1", "starttls", "AUTH CRAM-MD5 plain LOGIN"]);
        assert!(real.starttls);
        assert_eq!(real.auth, ["CRAM-MD5", "PLAIN", "LOGIN"]);
        assert_eq!(offers(&["mx", "AUTH=LOGIN PLAIN", "AUTH LOGIN"]).auth, ["LOGIN", "PLAIN"]);
        assert_eq!(offers(&["STARTTLS"]), Offers::default());
    }

    proptest! {
        #[test]
        fn any_lines_end_in_a_reply_or_a_reason(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..20)
        ) {
            let mut unfinished = Unfinished::default();
            for line in &lines {
                match unfinished.push(line) {
                    Ok(Some(reply)) => prop_assert!((200..600).contains(&reply.code)),
                    Ok(None) => {}
                    Err(Malformed(why)) => {
                        prop_assert!(!why.is_empty());
                        break;
                    }
                }
            }
        }
    }
}

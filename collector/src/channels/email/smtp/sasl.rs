//! Ways to prove who we are: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195).
//!
//! Owns which of them can be used with what is known, and the answers to the server's questions. Never sends.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use watchkeeper_config::Secret;

/// Who we are, and how we can prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::channels::email) struct Credentials {
    pub(in crate::channels::email) username: String,
    /// Acting for somebody else; mostly "".
    pub(in crate::channels::email) identity: String,
    /// For PLAIN and LOGIN.
    pub(in crate::channels::email) password: Option<Secret>,
    /// For CRAM-MD5.
    pub(in crate::channels::email) secret: Option<Secret>,
}

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Login,
    CramMd5,
}

impl Mechanism {
    /// By its name as servers offer it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "PLAIN" => Some(Self::Plain),
            "LOGIN" => Some(Self::Login),
            "CRAM-MD5" => Some(Self::CramMd5),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
        }
    }

    /// Whether a listener learns the password.
    pub(super) const fn shows_password(self) -> bool {
        !matches!(self, Self::CramMd5)
    }
}

impl Credentials {
    /// Whether what this way needs is there.
    pub(super) const fn can(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Plain | Mechanism::Login => self.password.is_some(),
            Mechanism::CramMd5 => self.secret.is_some(),
        }
    }

    /// What goes with the AUTH command itself, in base64.
    pub(super) fn first(&self, mechanism: Mechanism) -> Option<String> {
        (mechanism == Mechanism::Plain).then(|| STANDARD.encode(self.plain()))
    }

    /// The answer to the `n`th question, from 0, in base64; `None` if it is one we have no answer to.
    pub(super) fn answer(&self, mechanism: Mechanism, n: usize, question: &str) -> Option<String> {
        let question = STANDARD.decode(question.trim()).ok()?;
        let answer = match (mechanism, n) {
            // It did not take what stood beside the command.
            (Mechanism::Plain, 0) => self.plain(),
            (Mechanism::Login, _) => self.login(n, &question)?,
            (Mechanism::CramMd5, 0) => self.cram_md5(&question),
            _ => return None,
        };
        Some(STANDARD.encode(answer))
    }

    fn password(&self) -> &str {
        self.password.as_ref().map_or("", Secret::expose)
    }

    fn plain(&self) -> Vec<u8> {
        format!("{}\0{}\0{}", self.identity, self.username, self.password()).into_bytes()
    }

    /// Servers ask for `Username:` and `Password:`, or word it otherwise in this order.
    fn login(&self, n: usize, question: &[u8]) -> Option<Vec<u8>> {
        let question = String::from_utf8_lossy(question).to_lowercase();
        let wants_password = match (question.contains("pass"), question.contains("user")) {
            (true, false) => true,
            (false, true) => false,
            _ => n == 1,
        };
        (n < 2).then(|| if wants_password { self.password() } else { &self.username }.into())
    }

    fn cram_md5(&self, challenge: &[u8]) -> Vec<u8> {
        let secret = self.secret.as_ref().map_or("", Secret::expose);
        let mut mac =
            Hmac::<Md5>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(challenge);
        let mut answer = format!("{} ", self.username);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(answer, "{byte:02x}");
        }
        answer.into_bytes()
    }

    /// Everything that would give us away, in the forms a server might repeat it.
    pub(in crate::channels::email) fn telltales(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for secret in [&self.password, &self.secret].into_iter().flatten() {
            texts.push(secret.expose().to_owned());
            texts.push(STANDARD.encode(secret.expose()));
        }
        texts.push(STANDARD.encode(self.plain()));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tim() -> Credentials {
        Credentials {
            username: "tim".into(),
            identity: String::new(),
            password: Some(Secret::new("tanstaaftanstaaf")),
            secret: Some(Secret::new("tanstaaftanstaaf")),
        }
    }

    fn plain(text: Option<String>) -> String {
        String::from_utf8(STANDARD.decode(text.unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn answers_are_those_of_the_standards_examples() {
        // RFC 2195, section 2.
        let challenge = STANDARD.encode("<1896.697170952@postoffice.reston.mci.net>");
        let answer = tim().answer(Mechanism::CramMd5, 0, &challenge);
        assert_eq!(plain(answer), "tim b913a602c7eda7a495b4e6e7334d3890");
        // RFC 4616, section 4.
        assert_eq!(plain(tim().first(Mechanism::Plain)), "\0tim\0tanstaaftanstaaf");
        let acting = Credentials { identity: "Ursel".into(), ..tim() };
        assert_eq!(plain(acting.first(Mechanism::Plain)), "Ursel\0tim\0tanstaaftanstaaf");
    }

    #[test]
    fn login_answers_what_it_is_asked() {
        for (n, question, want) in [
            (0, "Username:", Some("tim")),
            (1, "Password:", Some("tanstaaftanstaaf")),
            (0, "User Name\0", Some("tim")),
            (0, "password:", Some("tanstaaftanstaaf")),
            (0, "", Some("tim")),
            (1, "?", Some("tanstaaftanstaaf")),
            (2, "Token:", None),
        ] {
            let answer = tim().answer(Mechanism::Login, n, &STANDARD.encode(question));
            assert_eq!(answer.map(|a| plain(Some(a))).as_deref(), want, "{n} {question:?}");
        }
        assert_eq!(tim().answer(Mechanism::Login, 0, "no base64!"), None);
        assert_eq!(tim().answer(Mechanism::CramMd5, 1, ""), None);
    }
}

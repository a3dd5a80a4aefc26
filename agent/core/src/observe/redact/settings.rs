//! What to look for, resolved: the opposite of what the user wrote.
//!
//! Owns which detectors there are and their names. Never looks into a text.

use std::collections::BTreeSet;

use super::own::OwnPattern;

/// What is looked for unless it is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Addresses of e-mail.
    Email,
    /// Numbers of payment cards.
    Card,
    /// Bearer tokens, values of `Authorization`, JSON web tokens.
    Bearer,
    /// Passwords and tokens in URLs.
    UrlPassword,
}

impl Detector {
    /// Every detector.
    pub const ALL: [Self; 4] = [Self::Email, Self::Card, Self::Bearer, Self::UrlPassword];

    /// As written in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Bearer => "bearer",
            Self::UrlPassword => "url_password",
        }
    }
}

/// What leaves no host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedactSettings {
    /// What is not looked for.
    pub off: BTreeSet<Detector>,
    /// What is looked for besides.
    pub also: Vec<OwnPattern>,
    /// Whether values of labels are looked into too.
    pub labels: bool,
}

//! E-mail over SMTP.
//!
//! Owns what a person reads in a mail, how mails of one incident form a thread, the exchange with the mail server and
//! the meaning of its answers. Keeps no connection between two mails: they are rare, and servers drop idle ones. What it
//! keeps is which of several recipients have been told of a delivery that is still being tried for the others.

mod facts;
mod smtp;

mod html;
mod message;
mod plain;
mod report;

mod client;
mod config;
mod recipients;
mod server;

pub use client::Email;
pub use config::{EmailConfig, EmailSettings};
pub use server::{SMTP_GLOBAL_KEYS, SmtpDefaults};

#[cfg(test)]
pub(super) mod fake;
#[cfg(test)]
mod look;
#[cfg(test)]
mod tests;

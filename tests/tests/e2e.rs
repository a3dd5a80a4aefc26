//! The real programs, started as a user starts them: from a line in a log to a page, through everything that can go wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod e2e {
    mod crashes;
    mod faults;
    mod input;
    mod nginx;
    mod pages;
    mod redaction;
    mod security;
}

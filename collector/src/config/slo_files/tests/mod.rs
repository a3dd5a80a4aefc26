//! What becomes of SLO files of others: the same settings as of files of our own, or problems that say where and why.

mod files;
mod openslo;
mod problems;
mod property;
mod sloth;
mod texts;

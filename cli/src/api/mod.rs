//! The collector's HTTP API, seen from outside.
//!
//! Reading order: `client` asks and says clearly why there is no answer, `pages` follows lists, `answers` are the
//! shapes that come back, `pretty` writes JSON for people without changing it.

mod answers;
mod client;
mod pages;
mod pretty;

pub(crate) use answers::{
    Agent, Agents, Alert, Alerts, BackedUp, BackupTaken, Correction, Corrections, DeadLetter,
    DeadLetters, Deliveries, Delivery, Events, Points, Receiver, Receivers, RetriedLetter, Series,
    Slo, Slos, Source, Tested, When,
};
pub(crate) use client::{Answer, ApiError, Client};
pub(crate) use pages::{Pages, items, list};
pub(crate) use pretty::pretty;

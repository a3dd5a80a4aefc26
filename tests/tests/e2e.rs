//! The real programs, started as a user starts them: from a line in a log to a page, through everything that can go wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod e2e {
    mod amqp_client;
    mod backup;
    mod blackbox;
    mod broker_input;
    mod broker_letters;
    mod budgets;
    mod crashes;
    mod dry_run;
    mod faults;
    mod heartbeats;
    mod incidents;
    mod input;
    mod joining;
    mod journal;
    mod letters;
    mod maia;
    mod mail;
    mod mtail;
    mod nginx;
    mod pages;
    mod probed_broker;
    mod probes;
    mod processes;
    mod rabbitmq;
    mod real_logs;
    mod receivers;
    mod redaction;
    mod reload;
    mod replay;
    mod reports;
    mod roads;
    mod rotation;
    mod security;
    mod watch;
    mod wire;
}

//! Probes beside Prometheus' blackbox_exporter: both ask the same targets, good and broken, and come to the same verdicts, but
//! for differences that are meant.

mod case;
mod cases;
mod verdicts;

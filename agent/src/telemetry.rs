//! What the agent measures of itself, for `/metrics`.
//!
//! Owns the meter and the registry it is read from. Values come from the status snapshot and the spool when asked for:
//! nothing is counted twice, once for us and once for the metric.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

use watchkeeper_model::SourceTally;

use crate::spool::Spool;
use crate::status::Status;
use crate::transports::RoadKind;

/// The agent's metrics.
pub struct Telemetry {
    registry: Registry,
    /// Kept alive: its instruments are asked when the registry is read.
    _provider: SdkMeterProvider,
}

impl Telemetry {
    /// Registers every metric.
    ///
    /// # Errors
    /// Only if a name is registered twice, which is a bug.
    pub fn build(status: Arc<Status>, spool: Arc<Spool>) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("watchkeeper-agent");
        let waiting = spool.clone();
        meter
            .u64_observable_gauge("watchkeeper_spool_pending_bytes")
            .with_description("Bytes of batches that wait for their receipt.")
            .with_callback(move |o| o.observe(waiting.pending_bytes(), &[]))
            .build();
        let all = spool.clone();
        meter
            .u64_observable_gauge("watchkeeper_spool_bytes")
            .with_description("Bytes of all batches in the spool.")
            .with_callback(move |o| o.observe(all.bytes(), &[]))
            .build();
        watch_letters(&meter, &spool);
        meter
            .u64_observable_gauge("watchkeeper_spool_max_bytes")
            .with_description("The most that may wait; files are not read on beyond 90 % of it.")
            .with_callback(move |o| o.observe(spool.max_bytes(), &[]))
            .build();
        let lags = status.clone();
        meter
            .u64_observable_gauge("watchkeeper_source_lag_bytes")
            .with_description("Bytes written and not yet read, by source.")
            .with_callback(move |o| {
                for source in lags.get().sources {
                    o.observe(source.lag_bytes, &[KeyValue::new("source", source.name)]);
                }
            })
            .build();
        watch_sources(&meter, &status);
        let reloads = status.clone();
        meter
            .u64_observable_gauge("watchkeeper_config_last_reload_successful")
            .with_description(
                "1 while the agent runs with what its file said when it was read last.",
            )
            .with_callback(move |o| {
                o.observe(u64::from(reloads.get().reload.is_successful()), &[]);
            })
            .build();
        let roads = status.clone();
        meter
            .u64_observable_gauge("watchkeeper_road_connected")
            .with_description("1 for the road that is open, by road.")
            .with_callback(move |o| {
                let open = roads.get().road_kind;
                for kind in RoadKind::ALL {
                    o.observe(
                        u64::from(open == Some(kind)),
                        &[KeyValue::new("road", kind.as_str())],
                    );
                }
            })
            .build();
        meter
            .u64_observable_gauge("watchkeeper_connected")
            .with_description("1 while there is a connection to the collector.")
            .with_callback(move |o| o.observe(u64::from(status.get().road.is_none()), &[]))
            .build();
        Ok(Self { registry, _provider: provider })
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// Only if a metric is inconsistent, which is a bug.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }
}

/// Asked of the file: a letter may be taken away by somebody else. What can't be read is not told.
fn watch_letters(meter: &Meter, spool: &Arc<Spool>) {
    let kept = spool.clone();
    meter
        .u64_observable_gauge("watchkeeper_dead_letters")
        .with_description("Batches that are not counted and wait for somebody to look.")
        .with_callback(move |o| {
            if let Ok(letters) = kept.count_letters() {
                o.observe(letters.n_kept, &[]);
            }
        })
        .build();
    let dropped = spool.clone();
    meter
        .u64_observable_counter("watchkeeper_dead_letters_dropped")
        .with_description(
            "Dead letters given up because there were too many, too large or too old ones.",
        )
        .with_callback(move |o| {
            if let Ok(letters) = dropped.count_letters() {
                o.observe(letters.n_dropped, &[]);
            }
        })
        .build();
}

type OfTally = fn(&SourceTally) -> u64;

/// What sources did: only what is sealed, so that nothing is said that could still be lost.
fn watch_sources(meter: &Meter, status: &Arc<Status>) {
    let counters: [(&'static str, &'static str, OfTally); 8] = [
        ("watchkeeper_source_lines", "Lines read, by source.", |t| t.read),
        ("watchkeeper_source_bytes", "Bytes read, by source.", |t| t.bytes),
        ("watchkeeper_source_clamped_lines", "Lines from the future, counted when read.", |t| {
            t.clamped
        }),
        ("watchkeeper_source_truncations", "Files cut in place.", |t| t.truncations),
        ("watchkeeper_source_unknown_bytes", "Bytes whose fate is unknown.", |t| t.bytes_unknown),
        ("watchkeeper_source_abandoned_bytes", "Bytes given up unread.", |t| t.bytes_abandoned),
        ("watchkeeper_source_dropped_events", "Event bodies dropped under pressure.", |t| {
            t.events_dropped
        }),
        ("watchkeeper_source_redactions", "Replacements in event bodies and labels.", |t| {
            t.redacted
        }),
    ];
    for (name, text, of) in counters {
        let status = status.clone();
        meter
            .u64_observable_counter(name)
            .with_description(text)
            .with_callback(move |o| {
                for (source, tally) in status.get().totals {
                    o.observe(of(&tally), &[KeyValue::new("source", source)]);
                }
            })
            .build();
    }
    let skips = status.clone();
    meter
        .u64_observable_counter("watchkeeper_source_skipped_lines")
        .with_description("Lines not counted, by source and reason.")
        .with_callback(move |o| {
            for (source, tally) in skips.get().totals {
                for (reason, n) in tally.skipped {
                    let labels = [
                        KeyValue::new("source", source.clone()),
                        KeyValue::new("reason", reason.as_str()),
                    ];
                    o.observe(n, &labels);
                }
            }
        })
        .build();
    let held_back = status.clone();
    meter
        .u64_observable_counter("watchkeeper_source_held_back_events")
        .with_description("Event bodies not kept because of their limit, by source and event.")
        .with_callback(move |o| {
            for (source, event, n) in held_back.get().held_back {
                o.observe(n, &[KeyValue::new("source", source), KeyValue::new("event", event)]);
            }
        })
        .build();
    let overflows = status.clone();
    meter
        .u64_observable_gauge("watchkeeper_signal_overflowed_values")
        .with_description("Label values that became __overflow__ of late, by signal and label.")
        .with_callback(move |o| {
            for (signal, label, n) in overflows.get().overflowed {
                o.observe(n, &[KeyValue::new("signal", signal), KeyValue::new("label", label)]);
            }
        })
        .build();
    let stages = status.clone();
    meter
        .u64_observable_gauge("watchkeeper_spool_stage")
        .with_description("1 for the stage of pressure that holds.")
        .with_callback(move |o| {
            o.observe(1, &[KeyValue::new("stage", stages.get().stage.as_str())])
        })
        .build();
}

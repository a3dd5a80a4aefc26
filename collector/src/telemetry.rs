//! What the collector measures of itself, for `/metrics`.
//!
//! Owns the meter and the registry it is read from, and the metrics of the store. Other parts take [`Telemetry::meter`] and
//! register theirs; names are `watchkeeper_<noun>_<unit>`, counters end in `_total`. Label values come from
//! enumerations, never from text.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::store::{Store, StoreHealth};

/// The collector's metrics.
pub struct Telemetry {
    registry: Registry,
    /// Kept alive: its instruments are asked when the registry is read.
    provider: SdkMeterProvider,
}

impl Telemetry {
    /// A registry without metrics.
    ///
    /// # Errors
    /// Only if the exporter can't be registered, which is a bug.
    pub fn build() -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        Ok(Self { registry, provider })
    }

    /// Where metrics are registered.
    pub fn meter(&self) -> Meter {
        self.provider.meter("watchkeeper-collector")
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

    /// Registers when the last backup was made.
    pub fn watch_backups(&self, last_at: Arc<AtomicI64>) {
        self.meter()
            .i64_observable_gauge("watchkeeper_backup_last_timestamp_seconds")
            .with_description("When the last backup was made since the start; 0 before.")
            .with_callback(move |o| o.observe(last_at.load(Ordering::Relaxed), &[]))
            .build();
    }

    /// Registers the metrics of the store, which are asked for when they are read. Holds a clone of the store.
    pub fn watch_store(&self, store: &Store) {
        let gauge = |name: &'static str, text: &'static str, of: fn(StoreHealth) -> u64| {
            let store = store.clone();
            self.meter()
                .u64_observable_gauge(name)
                .with_description(text)
                .with_callback(move |o| o.observe(of(store.health()), &[]))
                .build();
        };
        gauge("watchkeeper_store_used_bytes", "Bytes in use in all files.", |h| h.used_bytes);
        gauge("watchkeeper_store_max_bytes", "What the files may use.", |h| h.max_bytes);
        gauge(
            "watchkeeper_store_full",
            "1 while batches are refused because the disk is full.",
            |h| u64::from(h.is_full),
        );
        gauge("watchkeeper_store_active_series", "Series seen today or yesterday.", |h| {
            h.n_series as u64
        });
        gauge(
            "watchkeeper_store_overflowed_rows",
            "Rows counted under __overflow__ since the start: there are too many series.",
            |h| h.n_overflowed,
        );
        gauge(
            "watchkeeper_dead_letters",
            "Batches that can't be counted and wait for somebody to look.",
            |h| h.letters.n_kept,
        );
        let dropped = store.clone();
        self.meter()
            .u64_observable_counter("watchkeeper_dead_letters_dropped")
            .with_description(
                "Dead letters given up because there were too many, too large or too old ones.",
            )
            .with_callback(move |o| o.observe(dropped.health().letters.n_dropped, &[]))
            .build();
        gauge("watchkeeper_store_intake_queue_jobs", "Commits of windows that wait.", |h| {
            h.n_intake_queued as u64
        });
        gauge("watchkeeper_store_events_queue_jobs", "Commits of events that wait.", |h| {
            h.n_events_queued as u64
        });
        gauge("watchkeeper_store_ledger_queue_jobs", "Engine steps that wait.", |h| {
            h.n_ledger_queued as u64
        });
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

//! What the collector decides: deduplication, series, SLOs, alerts, routes and notifications, without any I/O.

//! One target, asked in the same sense by both.
//!
//! Owns how a case is said to blackbox_exporter and to the agent. Asks nobody.

use std::net::SocketAddr;

/// Patience with what answers: tests run beside others.
const PATIENT: &str = "6s";

/// Patience with what is known to hang.
const IMPATIENT: &str = "1s";

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) what: &'static str,
    /// What the exporter is told to probe.
    pub(super) target: String,
    prober: &'static str,
    /// What stands under the exporter's prober.
    module: String,
    /// Our keys, the kind's first.
    keys: String,
    timeout: &'static str,
    pub(super) theirs: &'static str,
    /// Result and reason.
    pub(super) ours: &'static str,
    /// Why they differ.
    pub(super) why: &'static str,
    /// Whether it takes a permission that a machine may refuse.
    pub(super) may_be_forbidden: bool,
}

impl Case {
    /// A target, the exporter's prober and what stands under it, and our keys. Both should find it up.
    pub(super) fn new(
        what: &'static str,
        target: impl ToString,
        (prober, module): (&'static str, &str),
        keys: String,
    ) -> Self {
        Self {
            what,
            target: target.to_string(),
            prober,
            module: module.to_owned(),
            keys,
            timeout: PATIENT,
            theirs: "up",
            ours: "up ok",
            why: "",
            may_be_forbidden: false,
        }
    }

    /// A URL.
    pub(super) fn http(what: &'static str, url: String) -> Self {
        let keys = format!("http: {{url: '{url}'}}");
        Self::new(what, url, ("http", ""), keys)
    }

    /// A URL, with more under the exporter's `http`, more under ours, and more beside it.
    pub(super) fn http_with(
        what: &'static str,
        url: String,
        module: &str,
        (inside, beside): (&str, &str),
    ) -> Self {
        let keys = format!("http: {{url: '{url}'{inside}}}{beside}");
        Self::new(what, url, ("http", module), keys)
    }

    /// A TCP server, with what stands under the exporter's `tcp`, and more under ours.
    pub(super) fn tcp(what: &'static str, at: SocketAddr, module: &str, inside: &str) -> Self {
        Self::new(what, at, ("tcp", module), format!("tcp: {{host: '{at}'{inside}}}"))
    }

    /// A name asked of a server, with more under the exporter's `dns`, and what we expect.
    pub(super) fn dns(
        what: &'static str,
        at: SocketAddr,
        name: &str,
        (module, expect): (&str, &str),
    ) -> Self {
        let module = format!("query_name: {name}.test, query_type: A{module}");
        let keys = format!("dns: {{name: {name}.test, server: '{at}'}}{expect}");
        Self::new(what, at, ("dns", &module), keys)
    }

    /// A gRPC server, and which of its services is asked for.
    pub(super) fn grpc(what: &'static str, at: SocketAddr, service: &str) -> Self {
        let module = format!("service: '{service}'");
        let keys = format!("grpc: {{host: '{at}', service: '{service}'}}");
        Self::new(what, at, ("grpc", &module), keys)
    }

    /// Both should find it down, we for this reason.
    pub(super) fn down(self, ours: &'static str) -> Self {
        Self { theirs: "down", ours, ..self }
    }

    /// As [`Self::down`], because there is no end to it.
    pub(super) fn hangs(self) -> Self {
        Self { timeout: IMPATIENT, ..self.down("down timeout") }
    }

    /// They should differ, and why.
    pub(super) fn differs(
        self,
        theirs: &'static str,
        ours: &'static str,
        why: &'static str,
    ) -> Self {
        Self { theirs, ours, why, ..self }
    }

    /// The machine may forbid it.
    pub(super) fn may_be_forbidden(self) -> Self {
        Self { may_be_forbidden: true, ..self }
    }

    /// What stands in the exporter's module.
    pub(super) fn module(&self) -> String {
        let Self { prober, module, timeout, .. } = self;
        format!(
            "prober: {prober}, timeout: {timeout}, {prober}: {{preferred_ip_protocol: ip4{}{module}}}",
            if module.is_empty() { "" } else { ", " }
        )
    }

    /// What stands in our source, besides its name. One attempt is a verdict.
    pub(super) fn source(&self) -> String {
        let Self { keys, timeout, .. } = self;
        format!(
            "service: shop, every: 10s, timeout: {timeout}, confirm: {{down: 1, up: 1}}, {keys}"
        )
    }
}

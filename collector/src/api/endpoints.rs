//! What there is: every path with its parameters, said once.
//!
//! Owns the table that requests are checked against and that the OpenAPI description is made of, so that neither can say
//! something else than the other. Never answers.

/// A parameter of a query string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// One path with one method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// The name of the body's schema in `components`, of what is posted.
    pub(super) body: Option<&'static str>,
    /// The name of the answer's schema in `components`; none for text.
    pub(super) answer: Option<&'static str>,
}

const fn needed(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, required: true, about }
}

const fn optional(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, required: false, about }
}

const LIMIT: Parameter = optional("limit", "Rows at most, 1 to 1000; 100 if absent.");
const AFTER: Parameter = optional("after", "`next` of the page before.");
const FROM: Parameter = optional("from", "Event time, included: Unix seconds or RFC 3339.");
const TO: Parameter = optional("to", "Event time, not included: Unix seconds or RFC 3339.");

const fn text(path: &'static str, about: &'static str) -> Endpoint {
    Endpoint { method: "get", path, about, parameters: &[], body: None, answer: None }
}

pub(super) const HEALTHZ: Endpoint = text("/healthz", "Whether the process answers.");
pub(super) const READYZ: Endpoint = text(
    "/readyz",
    "Whether it takes batches; 503 while starting or draining, with the reason per component.",
);
pub(super) const METRICS: Endpoint =
    text("/metrics", "Metrics of the collector itself, as Prometheus reads them.");

pub(super) const QUERY: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/query",
    about: "A statistic of a signal over event time, in seconds, bytes, ratio or plain.",
    parameters: &[
        needed("signal", "The signal's name."),
        optional("service", "Only of this service."),
        optional("where", "Only series that match this condition over labels."),
        optional("good", "For bad_ratio: the good series among them."),
        needed("stat", "rate, count, sum, avg, min, max, last, p50 … p99.9, bad_ratio."),
        optional(
            "by",
            "Labels to group by, separated by commas; agent and service may be among them.",
        ),
        optional(
            "from",
            "Event time, included: Unix seconds or RFC 3339; an hour before `to` if absent.",
        ),
        optional("to", "Event time, not included: Unix seconds or RFC 3339; now if absent."),
        optional(
            "step",
            "A point for each multiple of this since the epoch: seconds, or 5m; one point in all if absent.",
        ),
    ],
    body: None,
    answer: Some("QueryAnswer"),
};

pub(super) const SLOS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/slos",
    about: "All SLOs, by name.",
    parameters: &[LIMIT, AFTER],
    body: None,
    answer: Some("Slos"),
};

pub(super) const SLO: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/slos/{name}",
    about: "One SLO, in the same shape.",
    parameters: &[],
    body: None,
    answer: Some("Slos"),
};

pub(super) const REPORTS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/reports",
    about: "What SLOs were worth over a past period of at most 400 days: counts, the budget of that period, corrections, the \
            worst days and incidents; the worst first. Counts are those of the buckets that begin in it.",
    parameters: &[
        optional("slo", "Only this SLO."),
        optional("service", "Only SLOs of this service."),
        optional(
            "from",
            "Event time, included: Unix seconds or RFC 3339; 30 days before `to` if absent. Rounded down to 5 minutes.",
        ),
        optional(
            "to",
            "Event time, not included: Unix seconds or RFC 3339; now if absent. Rounded up to 5 minutes.",
        ),
        optional(
            "period",
            "In place of both: 2026, 2026-10, 2026-Q3, 2026-W45, 2026-11-22, today, yesterday, or this- or last- and \
             week, month, quarter or year.",
        ),
        optional("zone", "Where days begin, and times in texts are: Europe/Berlin; UTC if absent."),
        optional("format", "json, markdown or html; json if absent."),
    ],
    body: None,
    answer: Some("Report"),
};

pub(super) const CORRECTIONS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/corrections",
    about: "What budgets leave out: those added, by number, ended ones among them; then those of the file.",
    parameters: &[LIMIT, AFTER],
    body: None,
    answer: Some("Corrections"),
};

pub(super) const ADD_CORRECTION: Endpoint = Endpoint {
    method: "post",
    path: "/api/v1/corrections",
    about: "Takes a stretch of time out of budgets. `covers` says what is left out of which SLO: whole buckets in which \
            counts are stored, edges rounded outward. The answer comes when it is on disk.",
    parameters: &[],
    body: Some("NewCorrection"),
    answer: Some("Corrections"),
};

pub(super) const END_CORRECTION: Endpoint = Endpoint {
    method: "delete",
    path: "/api/v1/corrections/{id}",
    about: "Takes a correction back, as if it had never been there; the record stays.",
    parameters: &[needed("by", "Who takes it back.")],
    body: None,
    answer: Some("Corrections"),
};

pub(super) const ALERTS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/alerts",
    about: "Alerts by fingerprint; resolved ones for a while.",
    parameters: &[LIMIT, AFTER],
    body: None,
    answer: Some("Alerts"),
};

pub(super) const ACKNOWLEDGE: Endpoint = Endpoint {
    method: "post",
    path: "/api/v1/alerts/{fingerprint}/ack",
    about: "Takes an alert on. The body is {\"by\", \"comment\"}; the answer comes when it is on disk.",
    parameters: &[],
    body: Some("Acknowledge"),
    answer: Some("Acknowledged"),
};

pub(super) const AGENTS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/agents",
    about: "Agents with their sources, by id.",
    parameters: &[LIMIT, AFTER],
    body: None,
    answer: Some("Agents"),
};

pub(super) const EVENTS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/events",
    about: "Events, newest first.",
    parameters: &[
        optional("service", "Only of this service."),
        optional("name", "Only of this name."),
        optional("severity", "At least this bad: info, warning, error, critical."),
        optional("text", "With this in the message or the fields, upper or lower case."),
        optional("correlation", "With this correlation id, or of this trace."),
        FROM,
        TO,
        LIMIT,
        AFTER,
    ],
    body: None,
    answer: Some("Events"),
};

pub(super) const DELIVERIES: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/deliveries",
    about: "What receivers were told, newest first, each with its latest attempt.",
    parameters: &[
        optional("receiver", "Only to this receiver."),
        optional("alert", "Only with an alert of this name or fingerprint."),
        LIMIT,
        AFTER,
    ],
    body: None,
    answer: Some("Deliveries"),
};

pub(super) const RECEIVERS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/receivers",
    about: "Receivers by name, and how each of their integrations is doing.",
    parameters: &[LIMIT, AFTER],
    body: None,
    answer: Some("Receivers"),
};

pub(super) const TEST: Endpoint = Endpoint {
    method: "post",
    path: "/api/v1/receivers/{name}/test",
    about: "Sends a test to each integration of a receiver, or to one, opens and closes it, and says what became of it. \
            The body is {\"integration\", \"severity\"}, or nothing. Takes half a minute at most.",
    parameters: &[],
    body: Some("Test"),
    answer: Some("Tested"),
};

pub(super) const DEAD_LETTERS: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/dead-letters",
    about: "Batches that can't be counted, newest first, wherever they are kept.",
    parameters: &[optional("agent", "Only of this agent."), LIMIT, AFTER],
    body: None,
    answer: Some("DeadLetters"),
};

pub(super) const DEAD_LETTER: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/dead-letters/{id}",
    about: "One of them with what can be read of its content: at most 50 items of each list, the rest counted in `more`.",
    parameters: &[],
    body: None,
    answer: Some("DeadLetterOpened"),
};

pub(super) const RETRY_DEAD_LETTER: Endpoint = Endpoint {
    method: "post",
    path: "/api/v1/dead-letters/{id}/retry",
    about: "Leads it through the intake again as the batch that it is, so that it never counts twice, and says what became \
            of it. It is gone if it was counted, and stays otherwise.",
    parameters: &[],
    body: None,
    answer: Some("DeadLetterRetried"),
};

pub(super) const DROP_DEAD_LETTER: Endpoint = Endpoint {
    method: "delete",
    path: "/api/v1/dead-letters/{id}",
    about: "Takes it away for good without counting it.",
    parameters: &[],
    body: None,
    answer: Some("DeadLetterDropped"),
};

pub(super) const BACKUP: Endpoint = Endpoint {
    method: "post",
    path: "/api/v1/backup",
    about: "Makes a backup of the running collector in a directory of its host that does not exist yet, and answers when it \
            is on disk. Needs the role admin, and content-type: application/json.",
    parameters: &[],
    body: Some("NewBackup"),
    answer: Some("Backup"),
};

pub(super) const OPENAPI: Endpoint = Endpoint {
    method: "get",
    path: "/api/v1/openapi.json",
    about: "This description.",
    parameters: &[],
    body: None,
    answer: Some("OpenApi"),
};

/// Everything.
pub(super) const ALL: [Endpoint; 23] = [
    HEALTHZ,
    READYZ,
    METRICS,
    QUERY,
    SLOS,
    SLO,
    REPORTS,
    CORRECTIONS,
    ADD_CORRECTION,
    END_CORRECTION,
    ALERTS,
    ACKNOWLEDGE,
    AGENTS,
    EVENTS,
    DELIVERIES,
    RECEIVERS,
    TEST,
    DEAD_LETTERS,
    DEAD_LETTER,
    RETRY_DEAD_LETTER,
    DROP_DEAD_LETTER,
    BACKUP,
    OPENAPI,
];

//! From attempts to observations and events.
//!
//! Owns how a probe stands, and what is told of a turn. Never asks.

use std::time::Duration;

use serde_json::json;
use watchkeeper_model::time::nanos_of;
use watchkeeper_model::{Service, Severity, Timestamp};

use super::confirm::{Confirm, ProbeResult, Standing, Taken};
use super::reason::Reason;
use super::seen::Part;
use super::signals;
use super::verdict::{Class, Judged};
use crate::observe::{Accumulator, Happening, InUse, Measures};
use crate::polling::Gap;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// When it was known.
    pub at: Timestamp,
    /// What it is worth.
    pub judged: Judged,
    /// How long it took.
    pub took: Duration,
    /// How long each part of the way took.
    pub phases: Vec<(&'static str, Duration)>,
    /// The steps of a journey, as far as it went.
    pub parts: Vec<Part>,
    /// For how many nanoseconds the certificate that was shown is still valid.
    pub expires_in: Option<i64>,
}

/// Counts what one probe finds.
#[derive(Debug)]
pub struct ProbeObserver {
    name: String,
    target: String,
    measures: Measures,
    standing: Standing,
    confirm: Confirm,
}

impl ProbeObserver {
    /// An observer of this name for a probe of this target (what is asked, without secrets).
    pub fn new(
        name: &str,
        service: &Service,
        target: &str,
        confirm: Confirm,
        into: &mut Accumulator,
    ) -> Self {
        Self {
            name: name.to_owned(),
            target: target.to_owned(),
            measures: Measures::with_room(name, service, &signals::ALL, signals::MAX_SERIES, into),
            standing: Standing::default(),
            confirm,
        }
    }

    /// Goes on where another one stood that asked the same.
    pub fn go_on_from(&mut self, other: &Self) {
        self.standing = other.standing;
    }

    /// How it stands; `None` before anything is known.
    pub fn now(&self) -> Option<ProbeResult> {
        self.standing.now()
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        self.measures.in_use()
    }

    /// Keeps that nobody asked for a while.
    pub fn gap(&mut self, gap: &Gap, now: Timestamp, into: &mut Accumulator) {
        self.measures.event(gap.happening(), now, into);
    }

    /// Counts an attempt; the turn it makes, if it makes one.
    pub fn take(&mut self, finding: &Finding, into: &mut Accumulator) -> Taken {
        let taken = self.standing.take(&finding.judged, self.confirm);
        self.measures.looked(into);
        self.count(finding, taken, into);
        if let Some((before, after)) = taken.turned
            && (before.is_some() || after != ProbeResult::Up)
        {
            self.tell(finding, before, after, into);
        }
        taken
    }

    fn count(&mut self, finding: &Finding, taken: Taken, into: &mut Accumulator) {
        let (name, at) = (self.name.as_str(), finding.at);
        let labels = [name, taken.result.as_str(), taken.reason.as_str()];
        let took = nanos_of(finding.took);
        if taken.result == ProbeResult::Unknown {
            // How long nothing was found out is no latency.
            self.measures.count(&signals::PROBE, &labels, at, into);
        } else {
            self.measures.observe(&signals::PROBE, &labels, took, at, into);
        }
        for (phase, took) in &finding.phases {
            let took = nanos_of(*took);
            self.measures.observe(&signals::PHASE, &[name, phase], took, at, into);
        }
        for part in &finding.parts {
            let result = match part.reason {
                Reason::Ok => ProbeResult::Up,
                reason if reason.is_own_fault() => ProbeResult::Unknown,
                // The journey is confirmed as a whole; a step fails whenever it does.
                _ => ProbeResult::Down,
            };
            let labels = [name, &part.name, result.as_str(), part.reason.as_str()];
            self.measures.observe(&signals::STEP, &labels, nanos_of(part.took), at, into);
        }
        if let Some(nanos) = finding.expires_in {
            self.measures.observe(&signals::CERTIFICATE, &[name], nanos, at, into);
        }
    }

    fn tell(
        &mut self,
        finding: &Finding,
        before: Option<ProbeResult>,
        after: ProbeResult,
        into: &mut Accumulator,
    ) {
        let Judged { class, reason, why, condition } = &finding.judged;
        let (condition, saw) = condition.clone().unzip();
        let step = finding.parts.iter().find(|part| part.reason != Reason::Ok);
        let step = step.map(|part| part.name.as_str()).filter(|_| *class != Class::Good);
        let fields = json!({
            "probe": self.name,
            "target": self.target,
            "before": before.map(ProbeResult::as_str),
            "after": after.as_str(),
            "reason": reason.as_str(),
            "why": why,
            "condition": condition,
            "saw": saw,
            "step": step,
            "seconds": finding.took.as_secs_f64(),
        });
        let severity = match after {
            ProbeResult::Up => Severity::Info,
            ProbeResult::Degraded | ProbeResult::Unknown => Severity::Warning,
            ProbeResult::Down => Severity::Error,
        };
        let message = format!("{} is {}: {why}", self.name, after.as_str());
        let happening = Happening { name: after.as_str(), severity, message, fields };
        self.measures.event(happening, finding.at, into);
    }
}

#[cfg(test)]
mod tests {
    use watchkeeper_model::{AgentId, Body, Event, Labels};

    use super::*;
    use crate::seal::SealOrder;

    fn finding(class: Class, reason: Reason) -> Finding {
        let why = "`status == 200` does not hold: status = 503".to_owned();
        let condition = Some(("status == 200".to_owned(), "status = 503".to_owned()));
        Finding {
            at: Timestamp::from_secs(7),
            judged: Judged { class, reason, why, condition },
            took: Duration::from_millis(12),
            phases: vec![("connect", Duration::from_millis(2))],
            parts: Vec::new(),
            expires_in: None,
        }
    }

    /// Label sets with counts and sums, and events.
    fn sealed(acc: &mut Accumulator) -> (Vec<String>, Vec<Event>) {
        let (mut series, mut all) = (Vec::new(), Vec::new());
        for service in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
            for body in service.bodies {
                match body {
                    Body::Windows { series: part, .. } => {
                        series.extend(part.iter().map(|s| {
                            let of = &s.windows[0].distribution;
                            let last = of.values.as_ref().map(|v| v.last.value);
                            let labels: Vec<&str> = s.labels.iter().map(|(_, v)| v).collect();
                            format!("{} {} {} {last:?}", s.signal, labels.join(","), of.count)
                        }));
                    }
                    Body::Events { events, .. } => all.extend(events),
                }
            }
        }
        series.sort();
        (series, all)
    }

    fn observer(confirm: Confirm) -> (ProbeObserver, Accumulator) {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let service = Service::new("shop").unwrap();
        let observer = ProbeObserver::new("home", &service, "http://x/", confirm, &mut acc);
        (observer, acc)
    }

    #[test]
    fn each_attempt_counts_once_with_result_reason_and_latency() {
        let (mut observer, mut acc) = observer(Confirm::default());
        for (class, reason) in [
            (Class::Good, Reason::Ok),
            (Class::Bad, Reason::Status),
            (Class::Bad, Reason::Status),
            (Class::Unknown, Reason::Resources),
        ] {
            observer.take(&finding(class, reason), &mut acc);
        }
        let (series, _) = sealed(&mut acc);
        assert_eq!(
            series,
            [
                "probe home,ok,up 1 Some(12000000)",
                "probe home,resources,unknown 1 None",
                "probe home,status,degraded 1 Some(12000000)",
                "probe home,status,down 1 Some(12000000)",
                "probe_phase connect,home 4 Some(2000000)",
            ]
        );
    }

    #[test]
    fn a_turn_tells_before_after_why_the_condition_and_what_it_saw() {
        let (mut observer, mut acc) = observer(Confirm { down: 1, up: 1 });
        for class in [Class::Good, Class::Bad, Class::Bad, Class::Good] {
            observer.take(&finding(class, Reason::Status), &mut acc);
        }
        let (_, events) = sealed(&mut acc);
        let names: Vec<_> = events.iter().map(|e| (e.name.as_str(), e.severity)).collect();
        // That a probe is up from the start is no news.
        assert_eq!(names, [("down", Severity::Error), ("up", Severity::Info)]);
        assert_eq!(events[0].message, "home is down: `status == 200` does not hold: status = 503");
        let fields: serde_json::Value = serde_json::from_str(&events[0].fields).unwrap();
        for (field, value) in [
            ("before", "up"),
            ("after", "down"),
            ("reason", "status"),
            ("condition", "status == 200"),
            ("saw", "status = 503"),
            ("target", "http://x/"),
        ] {
            assert_eq!(fields[field], value, "{field}");
        }
    }

    #[test]
    fn a_step_counts_by_itself_and_is_named_in_the_turn() {
        let (mut observer, mut acc) = observer(Confirm { down: 1, up: 1 });
        let part = |name: &str, reason| Part {
            name: name.to_owned(),
            reason,
            took: Duration::from_millis(5),
        };
        let parts = vec![part("log in", Reason::Ok), part("order", Reason::Status)];
        let found = Finding { parts, ..finding(Class::Bad, Reason::Status) };
        observer.take(&found, &mut acc);
        let (series, events) = sealed(&mut acc);
        let steps: Vec<_> = series.iter().filter(|s| s.starts_with("probe_step")).collect();
        assert_eq!(
            steps,
            [
                "probe_step home,ok,up,log in 1 Some(5000000)",
                "probe_step home,status,down,order 1 Some(5000000)",
            ]
        );
        assert!(events[0].fields.contains(r#""step":"order""#), "{}", events[0].fields);
    }
}

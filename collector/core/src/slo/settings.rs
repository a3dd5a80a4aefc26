//! What an SLO is, and how it judges observations.
//!
//! Owns exactness: objectives are integers, bounds compare in base units, and what had to be estimated is counted.
//! Never keeps state.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use watchkeeper_expr::Verdict;
use watchkeeper_model::{Decimal, Dimension, Distribution, Labels, Service, Timestamp};

use super::calendar::Calendar;
use super::counts::Counts;
use super::method::Method;
use super::tally::Over;
use super::tier::{LeftOut, Tier};
use crate::series::{Filter, Threshold};

/// The buckets in which counts are stored for the whole window of an SLO.
pub const BUCKET: Duration = Duration::from_secs(300);

/// The share of observations that may be bad, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objective {
    allowed_nano: u64,
}

impl Objective {
    /// From percent, `99.9`; `None` unless 0 < x < 100 with at most seven digits after the point that count.
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let target_nano = u64::try_from(percent.scale(10_000_000)?).ok()?;
        (1..1_000_000_000)
            .contains(&target_nano)
            .then(|| Self { allowed_nano: 1_000_000_000 - target_nano })
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        (1_000_000_000 - self.allowed_nano) as f64 / 10_000_000.0
    }

    /// 1 − target, in 1e-9.
    pub const fn allowed_nano(self) -> u64 {
        self.allowed_nano
    }

    /// 1 − target.
    pub fn allowed(self) -> f64 {
        self.allowed_nano as f64 / 1e9
    }
}

/// The time over which an objective must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SloWindow {
    /// The last so long.
    Rolling(Duration),
    /// A calendar period: the budget begins anew with each.
    Calendar(Calendar),
}

impl SloWindow {
    /// How far back its counts may lie.
    pub const fn reach(&self) -> Duration {
        match self {
            Self::Rolling(length) => *length,
            Self::Calendar(calendar) => calendar.longest(),
        }
    }

    /// The length of time that burn windows go by. Periods of a calendar have those of 30 days, whatever their length.
    pub const fn tier_period(&self) -> Duration {
        match self {
            Self::Rolling(length) => *length,
            Self::Calendar(_) => Duration::from_secs(30 * 86_400),
        }
    }

    /// As counts are summed over it.
    pub fn over(&self) -> Over {
        match self {
            Self::Rolling(length) => Over::Last(*length),
            Self::Calendar(calendar) => Over::Period(calendar.clone()),
        }
    }
}

/// How a series stands to an SLO by its labels alone: the same for all its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// `where` does not match: it is none of its business.
    Outside,
    /// A condition ended in an error.
    Unjudged,
    /// `good` does not match: bad, whatever the values are.
    Bad,
    /// Good where `below` holds, or no `below` is given.
    ByValue,
}

/// A part of a composite.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// The SLO's name; no composite itself.
    pub slo: String,
    /// How much it weighs among the others; above 0.
    pub weight: f64,
    /// What it counts, see [`SloSettings::definition`].
    pub definition: u64,
    /// How it counts.
    pub method: Method,
}

/// An SLO, ready to judge.
#[derive(Clone, Debug, PartialEq)]
pub struct SloSettings {
    /// Its name, and its alert's `alertname`; unique among SLOs.
    pub name: String,
    /// Whose.
    pub service: Service,
    /// Of which signal; "" for a composite.
    pub signal: String,
    /// The SLOs it is composed of; none if it has a signal of its own.
    pub composite: Vec<Component>,
    /// Which observations count.
    pub scope: Filter,
    /// Which of them are good.
    pub good: Filter,
    /// And whose value is at or below this.
    pub below: Option<Threshold>,
    /// What is counted as good or bad: observations, or slices of time.
    pub method: Method,
    /// How many must be good.
    pub objective: Objective,
    /// Over which time.
    pub window: SloWindow,
    /// The window as it is shown: `30d`, `month (Europe/Berlin)`.
    pub window_text: String,
    /// Observations, or slices, needed in a tier's long window before it can fire; 10 by default.
    pub min_events: u64,
    /// Bad ones among them; 2 by default.
    pub min_bad: u64,
    /// How long without any window before `NoData`; 15 min by default.
    pub no_data: Duration,
    /// Labels of its own, none reserved.
    pub labels: Labels,
    /// For people.
    pub annotations: Labels,
}

/// Signals of agents that look for themselves, and may come to know nothing.
const LOOKING: [&str; 4] = ["probe", "probe_step", "watch", "heartbeat"];

/// Whether the agent could not tell: that is neither good nor bad, and no part of the total.
fn says_nothing(signal: &str, labels: &Labels) -> bool {
    LOOKING.contains(&signal) && labels.get("result") == "unknown"
}

impl SloSettings {
    /// An SLO over everything of a signal, with defaults elsewhere.
    pub fn new(name: &str, service: Service, signal: &str, objective: Objective) -> Self {
        Self {
            name: name.to_owned(),
            service,
            signal: signal.to_owned(),
            composite: Vec::new(),
            scope: Filter::all(),
            good: Filter::all(),
            below: None,
            method: Method::default(),
            objective,
            window: SloWindow::Rolling(Duration::from_secs(30 * 86_400)),
            window_text: "30d".to_owned(),
            min_events: 10,
            min_bad: 2,
            no_data: Duration::from_secs(900),
            labels: Labels::default(),
            annotations: Labels::default(),
        }
    }

    /// Whether it speaks about this signal at all.
    pub fn concerns(&self, service: &Service, signal: &str) -> bool {
        self.composite.is_empty() && self.service == *service && self.signal == signal
    }

    /// What becomes of a part of a window of the series with these labels (`agent` and the agent's among them).
    pub fn judge(&self, labels: &Labels, dimension: Dimension, of: &Distribution) -> Counts {
        self.weigh(self.stance(labels), dimension, of)
    }

    /// How a series with these labels stands to it, whatever its values are.
    pub fn stance(&self, labels: &Labels) -> Stance {
        if says_nothing(&self.signal, labels) {
            return Stance::Outside;
        }
        match (self.scope.verdict(labels), self.good.verdict(labels)) {
            (Verdict::NoMatch, _) => Stance::Outside,
            (Verdict::Unjudged, _) | (_, Verdict::Unjudged) => Stance::Unjudged,
            (Verdict::Match, Verdict::NoMatch) => Stance::Bad,
            (Verdict::Match, Verdict::Match) => Stance::ByValue,
        }
    }

    /// What becomes of a part of a window of a series that stands to it like this.
    pub fn weigh(&self, stance: Stance, dimension: Dimension, of: &Distribution) -> Counts {
        match stance {
            Stance::Outside => Counts::default(),
            Stance::Unjudged => unjudged(of.count),
            Stance::Bad => Counts { total: of.count, ..Counts::default() },
            Stance::ByValue => self.judge_values(dimension, of),
        }
    }

    fn judge_values(&self, dimension: Dimension, of: &Distribution) -> Counts {
        let Some(below) = self.below else {
            return Counts { good: of.count, total: of.count, ..Counts::default() };
        };
        let Some(limit) = below.base_in(dimension) else {
            return unjudged(of.count);
        };
        let within = of.within(limit);
        Counts {
            good: within.within,
            total: within.total,
            // An observation without a value can be neither below nor above.
            unjudged: of.count.saturating_sub(within.total),
            estimated: within.estimated,
        }
    }

    /// Identifies what is counted: equal where stored counts may be used again. Objectives, window, labels and name
    /// are not in it; the length of slices is.
    pub fn definition(&self) -> u64 {
        let mut hash = Sha256::new();
        let below = self.below.map_or_else(String::new, |b| format!("{b:?}"));
        let parts =
            [self.service.as_str(), &self.signal, self.scope.text(), self.good.text(), &below];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        if let Method::Timeslices(slices) = self.method {
            hash.update(slices.length.as_secs().to_be_bytes());
        }
        for part in &self.composite {
            hash.update((part.slo.len() as u64).to_be_bytes());
            hash.update(&part.slo);
            hash.update(part.definition.to_be_bytes());
        }
        let mut head = [0; 8];
        head.copy_from_slice(&hash.finalize()[..8]);
        u64::from_be_bytes(head)
    }

    /// The bucket in which counts of a window are stored.
    pub fn bucket_of(&self, at: Timestamp) -> Timestamp {
        at.floor(self.method.bucket())
    }

    /// The windows it looks at: its own and those of its tiers.
    pub fn overs(&self) -> Vec<Over> {
        let (tiers, _) = self.tiers();
        let burn = tiers.iter().flat_map(|tier| [tier.short, tier.long]).map(Over::Last);
        burn.chain([self.window.over()]).collect()
    }

    /// The tiers that can fire, the worst first, and those that can't.
    pub fn tiers(&self) -> (Vec<Tier>, Vec<LeftOut>) {
        let methods = self.composite.iter().map(|part| part.method).chain([self.method]);
        let least = methods.filter_map(Method::slice).max().unwrap_or_default();
        Tier::table(self.window.tier_period(), least, self.objective)
    }
}

/// The width of the buckets in which a window of this length is counted, of a few widths so that windows share buckets: at
/// most a sixtieth of it; a minute in the windows of tickets of which a person would see five.
pub(super) const fn width_of(over: Duration) -> Duration {
    let secs = match over.as_secs() {
        ..300 => 1,
        300..1_800 => 5,
        1_800..18_000 => 30,
        18_000..43_200 => 60,
        43_200.. => 300,
    };
    Duration::from_secs(secs)
}

const fn unjudged(n: u64) -> Counts {
    Counts { good: 0, total: 0, unjudged: n, estimated: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_outside_its_range_is_none_and_no_panic() {
        let cases = [
            ("99.9", true),
            ("0", false),
            ("100", false),
            ("199", false),
            ("-1", false),
            ("1e30", false),
        ];
        for (text, is_one) in cases {
            let percent = Decimal::parse(text).unwrap();
            assert_eq!(Objective::from_percent(percent).is_some(), is_one, "{text}");
        }
    }

    #[test]
    fn what_an_agent_could_not_tell_is_outside_of_totals() {
        let objective = Objective::from_percent(Decimal::parse("99").unwrap()).unwrap();
        let service = Service::new("shop").unwrap();
        let mut probes = SloSettings::new("up", service.clone(), "probe", objective);
        probes.good = Filter::compile("result == 'up'").unwrap();
        let mut requests = SloSettings::new("ok", service, "requests", objective);
        requests.good = probes.good.clone();
        for (slo, result, stance) in [
            (&probes, "up", Stance::ByValue),
            (&probes, "down", Stance::Bad),
            (&probes, "unknown", Stance::Outside),
            (&requests, "unknown", Stance::Bad),
        ] {
            assert_eq!(slo.stance(&Labels::new([("result", result)])), stance, "{result}");
        }
    }
}

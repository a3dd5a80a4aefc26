//! Burn-rate tiers: which windows must burn how fast, and what follows.
//!
//! Owns the table of the SRE workbook and how it scales. Never counts.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::settings::Objective;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

/// No short window is shorter: it must hold some agents' flushes.
const SHORTEST: u64 = 5;

/// Severity, factor in tenths, long and short window in seconds, for 30 days.
const TABLE: [(TierSeverity, u32, u64, u64); 4] = [
    (TierSeverity::Page, 144, HOUR, 5 * MINUTE),
    (TierSeverity::Page, 60, 6 * HOUR, 30 * MINUTE),
    (TierSeverity::Ticket, 30, DAY, 2 * HOUR),
    (TierSeverity::Ticket, 10, 3 * DAY, 6 * HOUR),
];

/// How bad a burning tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TierSeverity {
    /// For the working day.
    Ticket,
    /// Somebody must get up.
    Page,
}

impl TierSeverity {
    /// As the alert's `severity` label has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// One row of the table, scaled to an SLO's period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// What it means if it burns.
    pub severity: TierSeverity,
    /// The burn rate to exceed, in tenths: 144 is 14.4.
    pub factor_tenths: u32,
    /// The long window.
    pub long: Duration,
    /// The short window.
    pub short: Duration,
}

/// A tier that can never fire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    /// Which one.
    pub tier: Tier,
    /// The objective in percent.
    pub objective: f64,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} tier at {}x can never fire with an objective of {} %: even if everything is bad the budget burns \
             only {:.1}x as fast",
            self.tier.severity.as_str(),
            self.tier.factor(),
            self.objective,
            100.0 / (100.0 - self.objective),
        )
    }
}

impl Tier {
    /// The tiers of a period, the worst first. Windows scale with periods under 30 days; a short window is never under
    /// 5 s and a long one never under 12 of its short ones (the table's own ratio), nor longer than the period. So a
    /// 10-minute SLO has 5 s and 1 min in every tier, and the lower factor of a severity decides. Where slices are counted, a
    /// short window has at least two of them, so that the one under way never decides alone; zero if none are.
    pub fn table(
        period: Duration,
        slice: Duration,
        objective: Objective,
    ) -> (Vec<Self>, Vec<LeftOut>) {
        let shortest = SHORTEST.max(2 * slice.as_secs());
        let tiers = TABLE.map(|(severity, factor_tenths, long, short)| {
            let short = scaled(short, period).max(shortest).min(period.as_secs().max(1));
            let long = scaled(long, period).max(12 * short).min(period.as_secs().max(1));
            let (long, short) = (Duration::from_secs(long), Duration::from_secs(short));
            Self { severity, factor_tenths, long, short }
        });
        let (firing, left_out): (Vec<_>, Vec<_>) =
            tiers.into_iter().partition(|tier| tier.can_fire(objective));
        let percent = objective.percent();
        (firing, left_out.into_iter().map(|tier| LeftOut { tier, objective: percent }).collect())
    }

    /// Names it among the tiers of any SLO: `page/144/3600/300`.
    pub fn name(&self) -> String {
        let (long, short) = (self.long.as_secs(), self.short.as_secs());
        format!("{}/{}/{long}/{short}", self.severity.as_str(), self.factor_tenths)
    }

    /// The burn rate to exceed.
    pub fn factor(&self) -> f64 {
        f64::from(self.factor_tenths) / 10.0
    }

    /// Whether everything being bad would exceed it.
    pub fn can_fire(&self, objective: Objective) -> bool {
        u64::from(self.factor_tenths) * objective.allowed_nano() < 10_000_000_000
    }

    /// Whether these counts burn strictly faster than the factor, without rounding.
    pub fn is_exceeded(&self, counts: &Counts, objective: Objective) -> bool {
        let bad = u128::from(counts.bad()) * 10_000_000_000;
        bad > u128::from(self.factor_tenths)
            * u128::from(objective.allowed_nano())
            * u128::from(counts.total)
    }
}

/// `secs` of the 30-day table for another period, to the nearest second.
fn scaled(secs: u64, period: Duration) -> u64 {
    let month = u128::from(30 * DAY);
    let period = u128::from(period.as_secs()).min(month);
    u64::try_from((u128::from(secs) * period + month / 2) / month).unwrap_or(secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Decimal;

    fn objective(percent: &str) -> Objective {
        Objective::from_percent(Decimal::parse(percent).unwrap()).unwrap()
    }

    fn windows(period_secs: u64) -> Vec<(u32, u64, u64)> {
        let (tiers, _) =
            Tier::table(Duration::from_secs(period_secs), Duration::ZERO, objective("99.9"));
        tiers.iter().map(|t| (t.factor_tenths, t.long.as_secs(), t.short.as_secs())).collect()
    }

    #[test]
    fn windows_scale_with_the_period_and_factors_stay() {
        let month =
            vec![(144, 3600, 300), (60, 21_600, 1800), (30, 86_400, 7200), (10, 259_200, 21_600)];
        for (period, sentence, expected) in [
            (30 * DAY, "30 days are the table", month.clone()),
            (90 * DAY, "longer periods use the 30-day table", month),
            (
                3 * DAY,
                "3 days are a tenth of it",
                vec![(144, 360, 30), (60, 2160, 180), (30, 8640, 720), (10, 25_920, 2160)],
            ),
            (
                600,
                "10 minutes have the least windows that make sense",
                vec![(144, 60, 5), (60, 60, 5), (30, 60, 5), (10, 60, 5)],
            ),
            (
                20,
                "no window is longer than the period",
                vec![(144, 20, 5), (60, 20, 5), (30, 20, 5), (10, 20, 5)],
            ),
        ] {
            assert_eq!(windows(period), expected, "{sentence}");
        }
    }

    #[test]
    fn a_short_window_has_two_slices_at_least() {
        for (slice, expected) in [
            (60, vec![(3600, 300), (21_600, 1800), (86_400, 7200), (259_200, 21_600)]),
            (300, vec![(7200, 600), (21_600, 1800), (86_400, 7200), (259_200, 21_600)]),
            (3600, vec![(86_400, 7200), (86_400, 7200), (86_400, 7200), (259_200, 21_600)]),
        ] {
            let slice = Duration::from_secs(slice);
            let (tiers, _) = Tier::table(Duration::from_secs(30 * DAY), slice, objective("99.9"));
            let windows: Vec<(u64, u64)> =
                tiers.iter().map(|tier| (tier.long.as_secs(), tier.short.as_secs())).collect();
            assert_eq!(windows, expected, "{slice:?}");
        }
    }

    #[test]
    fn a_tier_that_cannot_fire_is_left_out() {
        for (percent, n_firing) in
            [("99.9", 4), ("93.1", 4), ("93.05", 3), ("83.3", 2), ("66.6", 1), ("0.1", 1)]
        {
            let (tiers, left_out) =
                Tier::table(Duration::from_secs(30 * DAY), Duration::ZERO, objective(percent));
            // A factor of 1 can always be exceeded, if only by everything being bad.
            assert_eq!((tiers.len(), left_out.len()), (n_firing, 4 - n_firing), "{percent} %");
        }
    }

    #[test]
    fn exactly_the_factor_does_not_burn() {
        let (tiers, _) =
            Tier::table(Duration::from_secs(30 * DAY), Duration::ZERO, objective("99.9"));
        let counts = |bad: u64| Counts { good: 10_000 - bad, total: 10_000, ..Counts::default() };
        assert!(!tiers[0].is_exceeded(&counts(144), objective("99.9")));
        assert!(tiers[0].is_exceeded(&counts(145), objective("99.9")));
        assert!(!tiers[3].is_exceeded(&counts(0), objective("99.9")));
    }
}

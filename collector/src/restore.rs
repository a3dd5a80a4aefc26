//! What the engine was when the collector ended, out of the store.
//!
//! Owns the way from rows to [`Restored`]: the ledger as it stands, counts of SLOs as they were stored, and what burn
//! windows and rules need judged again from the windows themselves. Blocks: to be called where blocking is allowed.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeeper_collector_core::engine::{self, Restored, RestoredSlo};
use watchkeeper_collector_core::series::{Observed, Part as _};
use watchkeeper_collector_core::slo::{Counts, Method, SloSettings, Stance};
use watchkeeper_model::{Distribution, Service, Timestamp, Window};

use crate::store::{SeriesKey, SloIncrement, Store, StoredWindow, Wanted, WindowsCommit};

/// Everything.
///
/// # Errors
/// If the store cannot be read.
pub fn restore(
    store: &Store,
    settings: &engine::Settings,
    now: Timestamp,
) -> anyhow::Result<(Restored, Vec<SloIncrement>)> {
    let reads = store.reads();
    let ledger = reads.ledger()?;
    let tallies = reads.source_totals()?.into_iter().map(|t| (t.agent, t.tally)).collect();
    let (slos, recomputed) = restore_slos(store, settings, &settings.slos, now)?;
    let restored = Restored {
        alerts: ledger.alerts,
        groups: ledger.groups,
        incidents: ledger.incidents,
        deliveries: ledger.deliveries,
        agents: ledger.agents,
        tallies,
        last_incident: ledger.last_incident,
        last_delivery: ledger.last_delivery,
        slos,
        corrections: ledger.corrections,
        observed: observed(store, settings, now)?,
    };
    Ok((restored, recomputed))
}

/// The counts of `wanted` SLOs among all.
///
/// # Errors
/// If the store cannot be read.
pub fn restore_slos(
    store: &Store,
    settings: &engine::Settings,
    wanted: &[SloSettings],
    now: Timestamp,
) -> anyhow::Result<(Vec<RestoredSlo>, Vec<SloIncrement>)> {
    let (mut slos, mut recomputed) = (Vec::new(), Vec::new());
    // A composite has no counts of its own.
    let wanted: Vec<&SloSettings> = wanted.iter().filter(|slo| slo.composite.is_empty()).collect();
    let mut all_fine = fine_counts(store, settings, &wanted, now)?;
    for slo in wanted {
        let mut restored = RestoredSlo::new(slo, settings, now);
        let since = now - settings.look_back_of(slo);
        let mut coarse = store.reads().slo_counts(&slo.name, slo.definition(), since)?;
        if coarse.is_empty() {
            let gained = recompute(store, settings, slo, now)?;
            coarse = gained.iter().map(|g| (g.bucket, counts_of(g))).collect();
            recomputed.extend(gained);
        }
        coarse.iter().for_each(|(bucket, counts)| restored.coarse(*bucket, counts));
        for (start, counts) in all_fine.remove(&slo.name).unwrap_or_default() {
            restored.fine(start, &counts);
        }
        slos.push(restored);
    }
    Ok((slos, recomputed))
}

/// Makes recomputed counts durable, so that the next start finds them.
///
/// # Errors
/// If the store cannot be written.
pub async fn commit_recomputed(store: &Store, slo: Vec<SloIncrement>) -> anyhow::Result<()> {
    if !slo.is_empty() {
        store.commit_windows(WindowsCommit { slo, ..WindowsCommit::default() }).await?;
    }
    Ok(())
}

/// What the stored windows say of an SLO that was never judged under its present definition.
fn recompute(
    store: &Store,
    settings: &engine::Settings,
    slo: &SloSettings,
    now: Timestamp,
) -> anyhow::Result<Vec<SloIncrement>> {
    let mut buckets: BTreeMap<Timestamp, Counts> = BTreeMap::new();
    let together_secs = i64::try_from(slo.method.bucket().as_secs()).unwrap_or(i64::MAX);
    scan(store, slo, now - settings.look_back_of(slo), together_secs, |window, counts| {
        // An hour of counts in one slice would be a verdict on a minute that says nothing of it.
        if slo.method != Method::Occurrences && i64::from(window.width_secs) > together_secs {
            return;
        }
        let sum = buckets.entry(slo.bucket_of(window.start)).or_default();
        sum.good += counts.good;
        sum.total += counts.total;
        sum.unjudged += counts.unjudged;
        sum.estimated += counts.estimated;
    })?;
    let gain = |(bucket, counts): (Timestamp, Counts)| SloIncrement {
        slo: slo.name.clone(),
        definition: slo.definition(),
        bucket,
        good: counts.good,
        total: counts.total,
        unjudged: counts.unjudged,
        estimated: counts.estimated,
    };
    Ok(buckets.into_iter().map(gain).collect())
}

fn counts_of(gain: &SloIncrement) -> Counts {
    Counts {
        good: gain.good,
        total: gain.total,
        unjudged: gain.unjudged,
        estimated: gain.estimated,
    }
}

type Fine = BTreeMap<Timestamp, Counts>;

/// Counts of all these SLOs finer than they are stored: each signal is read once, whoever looks at it.
fn fine_counts(
    store: &Store,
    settings: &engine::Settings,
    wanted: &[&SloSettings],
    now: Timestamp,
) -> anyhow::Result<BTreeMap<String, Fine>> {
    let mut signals: BTreeMap<(&Service, &str), Vec<&SloSettings>> = BTreeMap::new();
    for slo in wanted {
        signals.entry((&slo.service, &slo.signal)).or_default().push(slo);
    }
    let mut fine = BTreeMap::new();
    for slos in signals.into_values() {
        for (slo, counts) in slos.iter().zip(fine_counts_of(store, settings, &slos, now)?) {
            fine.insert(slo.name.clone(), counts);
        }
    }
    Ok(fine)
}

/// The same for SLOs over one signal.
fn fine_counts_of(
    store: &Store,
    settings: &engine::Settings,
    slos: &[&SloSettings],
    now: Timestamp,
) -> anyhow::Result<Vec<Fine>> {
    let mut fine = vec![Fine::new(); slos.len()];
    let each: Vec<(Timestamp, Duration)> = slos
        .iter()
        .map(|slo| (now - settings.fine_look_back_of(slo), settings.fine_grain_of(slo)))
        .collect();
    let (Some(slo), Some((from, _))) = (slos.first(), each.iter().min()) else {
        return Ok(fine);
    };
    let mut concerned = |series: &SeriesKey| {
        let stances = slos.iter().map(|slo| slo.stance(&series.labels)).enumerate();
        let stances: Vec<_> = stances.filter(|(_, s)| *s != Stance::Outside).collect();
        (!stances.is_empty()).then_some(stances)
    };
    let wanted = wanted(slo, *from, 0);
    store.reads().scan(&wanted, &mut concerned, &mut |series, stances, window| {
        let Some(distribution) = readable(&window) else { return Ok(()) };
        for (at, stance) in stances {
            let (slo, (from, grain), start) = (slos[*at], each[*at], window.window.start);
            if start >= from {
                let counts = slo.weigh(*stance, series.unit.dimension(), &distribution);
                fine[*at].entry(start.floor(grain)).or_default().add(&counts);
            }
        }
        Ok(())
    })?;
    Ok(fine)
}

/// Judges an SLO's stored windows since `from`, `together_secs` of them at a time.
fn scan(
    store: &Store,
    slo: &SloSettings,
    from: Timestamp,
    together_secs: i64,
    mut visit: impl FnMut(Window, Counts),
) -> anyhow::Result<()> {
    let wanted = wanted(slo, from, together_secs);
    let mut concerned = |series: &SeriesKey| {
        let stance = slo.stance(&series.labels);
        (stance != Stance::Outside).then_some(stance)
    };
    store.reads().scan(&wanted, &mut concerned, &mut |series, stance, window| {
        let Some(distribution) = readable(&window) else { return Ok(()) };
        let counts = slo.weigh(*stance, series.unit.dimension(), &distribution);
        if counts != Counts::default() {
            visit(window.window, counts);
        }
        Ok(())
    })?;
    Ok(())
}

/// Everything of an SLO's signal since `from`.
fn wanted(slo: &SloSettings, from: Timestamp, together_secs: i64) -> Wanted {
    Wanted {
        signal: Some(slo.signal.clone()),
        service: Some(slo.service.as_str().to_owned()),
        from,
        to: Timestamp::MAX,
        together_secs,
    }
}

fn observed(
    store: &Store,
    settings: &engine::Settings,
    now: Timestamp,
) -> anyhow::Result<Vec<Observed>> {
    // How far back the rules of each signal look.
    let mut signals: BTreeMap<(String, String), Duration> = BTreeMap::new();
    for rule in &settings.rules {
        let signal = (rule.service.as_str().to_owned(), rule.signal.clone());
        let over = signals.entry(signal).or_default();
        *over = rule.over.max(*over);
    }
    let mut observed = Vec::new();
    for ((service, signal), over) in signals {
        let wanted = Wanted {
            signal: Some(signal),
            service: Some(service),
            // A bucket of a rule's ring may begin before its window does.
            from: now - over - over / 100 - Duration::from_secs(10),
            to: Timestamp::MAX,
            together_secs: 0,
        };
        store.reads().scan(&wanted, &mut |_| Some(()), &mut |series, (), window| {
            let Some(distribution) = readable(&window) else { return Ok(()) };
            observed.push(Observed {
                service: series.service.clone(),
                signal: series.signal.clone(),
                dimension: series.unit.dimension(),
                labels: series.labels.clone(),
                window: window.window,
                distribution,
            });
            Ok(())
        })?;
    }
    Ok(observed)
}

/// Counts that rotted on disk must not keep the collector from starting: the rest is judged without them.
fn readable(window: &StoredWindow<'_>) -> Option<Distribution> {
    match window.distribution() {
        Ok(distribution) => Some(distribution),
        Err(error) => {
            tracing::error!(%error, start = %window.window.start, "a stored window cannot be read and is left out");
            None
        }
    }
}

//! The counts of one SLO as they were observed, and running sums over every window that matters.
//!
//! Owns which bucket is in which sum. Buckets keep what was observed; what it is worth (a slice's verdict, nothing where
//! a correction covers it) is worked out when it joins or leaves a sum, so changing either is a new sum over the same
//! buckets. Several views may look at one tally: the SLO's own, and one for each composite that it is part of.

use std::time::Duration;

use watchkeeper_model::Timestamp;
use watchkeeper_model::time::nanos_of;

use super::calendar::Calendar;
use super::counts::Counts;
use super::excluded::Excluded;
use super::method::Method;
use super::packed::Packed;
use super::settings::{BUCKET, width_of};
use crate::series::{Part, Ring};

/// A window over which counts are summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The last so long.
    Last(Duration),
    /// The present period.
    Period(Calendar),
}

impl Over {
    /// How far back its counts may lie.
    pub const fn reach(&self) -> Duration {
        match self {
            Self::Last(length) => *length,
            Self::Period(calendar) => calendar.longest(),
        }
    }

    /// Whether it is summed over finer buckets than those stored, where observations are counted.
    pub fn is_fine(&self) -> bool {
        self.width() < BUCKET
    }

    /// How wide its buckets are, where observations are counted.
    pub const fn width(&self) -> Duration {
        width_of(self.reach())
    }
}

/// The windows that one SLO looks at, and what it leaves out of them.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Whose: the SLO itself, or a composite.
    pub of: String,
    /// Over which windows.
    pub overs: Vec<Over>,
    /// What is left out.
    pub excluded: Excluded,
}

/// The counts of one SLO.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    method: Method,
    views: Vec<View>,
    /// One ring for each width of buckets, the finest first, with the windows counted in it.
    rings: Vec<Spans>,
}

impl Tally {
    /// No counts yet.
    pub fn new(method: Method, views: Vec<View>) -> Self {
        let mut overs: Vec<(Duration, usize, Over)> = Vec::new();
        for (view, of) in views.iter().enumerate() {
            for over in &of.overs {
                let width = match method {
                    Method::Occurrences => width_of(over.reach()),
                    Method::Timeslices(slices) => slices.length,
                };
                if !overs.iter().any(|(_, v, o)| *v == view && o == over) {
                    overs.push((width, view, over.clone()));
                }
            }
        }
        overs.sort_by_key(|(width, ..)| *width);
        let mut rings: Vec<Spans> = Vec::new();
        for (width, view, over) in overs {
            match rings.last_mut().filter(|ring| ring.ring.width() == width) {
                Some(ring) => ring.widen(view, over),
                None => rings.push(Spans::new(width, view, over)),
            }
        }
        Self { method, views, rings }
    }

    /// The same windows and method over the counts of `old`. Where those do not reach, as for a longer window than before,
    /// it begins with nothing: what is older is given by [`Self::fill`] afterwards, and lands only there.
    #[must_use]
    pub fn taking_over(mut self, old: &Self, now: Timestamp) -> Self {
        for mine in &mut self.rings {
            let divides =
                |ring: &&Spans| nanos_of(mine.ring.width()) % nanos_of(ring.ring.width()) == 0;
            let theirs = old.rings.iter().filter(divides).max_by_key(|ring| ring.ring.window());
            if let Some(theirs) = theirs {
                mine.take_over(theirs, now);
            }
        }
        self.recount(now);
        self
    }

    /// Adds counts of a window that starts `at`.
    pub fn add(&mut self, at: Timestamp, counts: &Counts, now: Timestamp) {
        for ring in &mut self.rings {
            ring.add(at, counts, now, self.method, &self.views);
        }
    }

    /// Adds stored counts: of a bucket as they are stored to windows counted in such, `fine` ones to those counted finer.
    pub fn restore(&mut self, at: Timestamp, counts: &Counts, fine: bool, now: Timestamp) {
        let bucket = self.method.bucket();
        let (method, views) = (self.method, &self.views);
        for ring in self.rings.iter_mut().filter(|ring| (ring.ring.width() < bucket) == fine) {
            ring.add(at, counts, now, method, views);
        }
    }

    /// Adds what was restored under the same method and windows, where it is not known already.
    pub fn fill(&mut self, restored: &Self, now: Timestamp) {
        for ring in &mut self.rings {
            let same = |theirs: &&Spans| theirs.ring.width() == ring.ring.width();
            if let Some(theirs) = restored.rings.iter().find(same) {
                ring.fill(theirs, now, self.method, &self.views);
            }
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Timestamp) {
        for ring in &mut self.rings {
            ring.advance(now, self.method, &self.views);
        }
    }

    /// Leaves other stretches of time out than before; whether that changed anything.
    pub fn exclude(&mut self, of: &str, excluded: &Excluded, now: Timestamp) -> bool {
        let mut changed = false;
        for view in self.views.iter_mut().filter(|view| view.of == of && view.excluded != *excluded)
        {
            view.excluded.clone_from(excluded);
            changed = true;
        }
        if changed {
            self.recount(now);
        }
        changed
    }

    fn recount(&mut self, now: Timestamp) {
        for ring in &mut self.rings {
            ring.recount(now, self.method, &self.views);
        }
    }

    /// Whose views there are.
    pub fn seen_by(&self) -> impl Iterator<Item = &str> {
        self.views.iter().map(|view| view.of.as_str())
    }

    /// Which view is somebody's.
    pub fn view(&self, of: &str) -> Option<usize> {
        self.views.iter().position(|view| view.of == of)
    }

    /// The sum over a window as of the last time that time passed.
    pub fn sum(&self, view: usize, over: &Over) -> Counts {
        self.span(view, over).map(|(_, span)| span.sum).unwrap_or_default()
    }

    /// The sum over a window as of `now`, whether or not time was let pass before.
    pub fn sum_at(&self, view: usize, over: &Over, now: Timestamp) -> Counts {
        let found = self.span(view, over);
        found
            .map(|(ring, span)| ring.sum_at(span, now, self.method, &self.views))
            .unwrap_or_default()
    }

    /// What the buckets of a window are worth, the oldest first: where each starts, and its counts. Empty ones are left out.
    pub fn buckets(&self, view: usize, over: &Over, now: Timestamp) -> Vec<(Timestamp, Counts)> {
        let Some((ring, span)) = self.span(view, over) else {
            return Vec::new();
        };
        let (from, to) = bounds(&ring.ring, over, now);
        ring.worth(from, to, span.view, self.method, &self.views).collect()
    }

    /// What the buckets that start in `from..to` are worth, as wide as those of a window and whether or not they are in it: as
    /// far back as they are kept. Empty ones are left out.
    pub fn between(
        &self,
        view: usize,
        over: &Over,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<(Timestamp, Counts)> {
        let Some((ring, span)) = self.span(view, over) else {
            return Vec::new();
        };
        let (from, to) = (ring.ring.index(from), ring.ring.index(to));
        ring.worth(from, to, span.view, self.method, &self.views).collect()
    }

    /// How wide the buckets of a window are.
    pub fn width(&self, view: usize, over: &Over) -> Duration {
        self.span(view, over).map_or(self.method.bucket(), |(ring, _)| ring.ring.width())
    }

    /// What is left out of a view.
    pub fn excluded(&self, view: usize) -> Option<&Excluded> {
        self.views.get(view).map(|view| &view.excluded)
    }

    /// The end of the newest bucket that holds anything.
    pub fn newest(&self) -> Option<Timestamp> {
        self.rings.iter().filter_map(|ring| ring.ring.newest_end()).min()
    }

    /// The finest width of buckets: how often time alone may change anything.
    pub fn grain(&self) -> Duration {
        self.rings.first().map_or(self.method.bucket(), |ring| ring.ring.width())
    }

    fn span(&self, view: usize, over: &Over) -> Option<(&Spans, &Span)> {
        let mut all =
            self.rings.iter().flat_map(|ring| ring.spans.iter().map(move |span| (ring, span)));
        all.find(|(_, span)| span.view == view && span.over == *over)
    }
}

/// Buckets of one width, and running sums over the windows counted in them.
#[derive(Clone, Debug, PartialEq)]
struct Spans {
    ring: Ring<Packed>,
    spans: Vec<Span>,
    /// Until when time has passed.
    seen: Timestamp,
    /// From this bucket on all is known from before: the store is asked for older ones only.
    taken_from: i64,
}

#[derive(Clone, Debug, PartialEq)]
struct Span {
    view: usize,
    over: Over,
    /// The first bucket in `sum`.
    from: i64,
    /// The first bucket after it.
    to: i64,
    /// When a calendar's next period begins.
    turns_at: Timestamp,
    sum: Counts,
}

/// The buckets of a window: a period has those that start in it, so none is in two.
fn bounds(ring: &Ring<Packed>, over: &Over, now: Timestamp) -> (i64, i64) {
    match over {
        Over::Last(length) => (ring.first_within(*length, now), i64::MAX),
        Over::Period(calendar) => {
            let (start, end) = calendar.period(now);
            let first = |at: Timestamp| ring.index(at.shifted(-1)).saturating_add(1);
            (first(start), first(end))
        }
    }
}

impl Spans {
    fn new(width: Duration, view: usize, over: Over) -> Self {
        let ring = Ring::new(over.reach(), width);
        let mut spans =
            Self { ring, spans: Vec::new(), seen: Timestamp(i64::MIN), taken_from: i64::MAX };
        spans.widen(view, over);
        spans
    }

    /// Makes room for another window. Only before anything is added.
    fn widen(&mut self, view: usize, over: Over) {
        let longest = self.ring.window().max(over.reach());
        self.ring = Ring::new(longest, self.ring.width());
        let (from, to, turns_at) = (i64::MIN, i64::MAX, Timestamp(i64::MIN));
        self.spans.push(Span { view, over, from, to, turns_at, sum: Counts::default() });
    }

    fn take_over(&mut self, theirs: &Self, now: Timestamp) {
        let width = nanos_of(theirs.ring.width());
        let reach = theirs.ring.first_within(theirs.ring.window(), now).saturating_mul(width);
        // A wide bucket that they know in part only is left to the store.
        self.taken_from = self.ring.index(Timestamp(reach).shifted(-1)).saturating_add(1);
        for (index, counts) in theirs.ring.iter().filter(|(_, counts)| !counts.is_empty()) {
            let at = Timestamp(index.saturating_mul(width));
            if self.ring.index(at) >= self.taken_from
                && let Some((_, bucket)) = self.ring.bucket(at, now)
            {
                bucket.add(counts);
            }
        }
    }

    fn fill(&mut self, restored: &Self, now: Timestamp, method: Method, views: &[View]) {
        let width = nanos_of(self.ring.width());
        for (index, counts) in restored.ring.range(i64::MIN, self.taken_from) {
            if !counts.is_empty() {
                let at = Timestamp(index.saturating_mul(width));
                self.add(at, &counts.counts(), now, method, views);
            }
        }
    }

    fn add(
        &mut self,
        at: Timestamp,
        counts: &Counts,
        now: Timestamp,
        method: Method,
        views: &[View],
    ) {
        self.advance(now, method, views);
        let width = nanos_of(self.ring.width());
        let Some((index, bucket)) = self.ring.bucket(at, now) else {
            return;
        };
        let before = method.worth(&bucket.counts());
        bucket.add(&Packed::from(*counts));
        let after = method.worth(&bucket.counts());
        let start = Timestamp(index.saturating_mul(width));
        for span in self.spans.iter_mut().filter(|span| (span.from..span.to).contains(&index)) {
            if !views[span.view].excluded.covers(start) {
                span.sum.remove(&before);
                span.sum.add(&after);
            }
        }
    }

    /// What buckets `from..to` are worth in a view.
    fn worth<'a>(
        &'a self,
        from: i64,
        to: i64,
        view: usize,
        method: Method,
        views: &'a [View],
    ) -> impl Iterator<Item = (Timestamp, Counts)> + 'a {
        let (width, excluded) = (nanos_of(self.ring.width()), &views[view].excluded);
        self.ring
            .range(from, to)
            .filter(|(_, counts)| !counts.is_empty())
            .map(move |(index, counts)| (Timestamp(index.saturating_mul(width)), counts))
            .filter(|(start, _)| excluded.is_empty() || !excluded.covers(*start))
            .map(move |(start, counts)| (start, method.worth(&counts.counts())))
    }

    fn total(&self, from: i64, to: i64, view: usize, method: Method, views: &[View]) -> Counts {
        let mut sum = Counts::default();
        self.worth(from, to, view, method, views).for_each(|(_, counts)| sum.add(&counts));
        sum
    }

    /// The sum of a window as of `now`, without letting time pass.
    fn sum_at(&self, span: &Span, now: Timestamp, method: Method, views: &[View]) -> Counts {
        let (from, to) = bounds(&self.ring, &span.over, now);
        if from < span.from || to != span.to {
            return self.total(from, to, span.view, method, views);
        }
        let mut sum = span.sum;
        sum.remove(&self.total(span.from, from, span.view, method, views));
        sum
    }

    fn advance(&mut self, now: Timestamp, method: Method, views: &[View]) {
        if now < self.seen {
            // The clock was set back: a running sum can't go there.
            self.ring.set_back(now);
            return self.recount(now, method, views);
        }
        self.seen = now;
        for at in 0..self.spans.len() {
            let span = &self.spans[at];
            if matches!(span.over, Over::Period(_)) && now < span.turns_at {
                continue;
            }
            let (from, to) = bounds(&self.ring, &span.over, now);
            if (from, to) != (span.from, span.to) {
                let sum = self.sum_at(span, now, method, views);
                self.spans[at].turn(sum, from, to, now);
            }
        }
        self.ring.expire(now);
    }

    fn recount(&mut self, now: Timestamp, method: Method, views: &[View]) {
        self.seen = now;
        for at in 0..self.spans.len() {
            let span = &self.spans[at];
            let (from, to) = bounds(&self.ring, &span.over, now);
            let sum = self.total(from, to, span.view, method, views);
            self.spans[at].turn(sum, from, to, now);
        }
        self.ring.expire(now);
    }
}

impl Span {
    fn turn(&mut self, sum: Counts, from: i64, to: i64, now: Timestamp) {
        (self.sum, self.from, self.to) = (sum, from, to);
        if let Over::Period(calendar) = &self.over {
            self.turns_at = calendar.period(now).1;
        }
    }
}

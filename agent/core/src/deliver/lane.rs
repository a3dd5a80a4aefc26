//! One lane of the sender: what is to be sent in which order, and what is under way without an answer.
//!
//! Owns the order. What is sealed while the road is open goes first, so that what happens now is judged now; what had
//! piled up before fills the rest, oldest first. If more is sealed than the road takes, what waits has piled up too. Never
//! decides when: the sender does.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use watchkeeper_model::{BatchKey, Kind, Timestamp};

use super::present::PRESENT;
use super::sender::{Lane, Offer, RowId};

/// How many rows are asked of the spool at once.
pub(super) const LOAD_ROWS: usize = 64;

/// How much may be without a receipt at once.
#[derive(Clone, Copy, Debug)]
struct Quota {
    n_batches: usize,
    n_bytes: usize,
}

impl Quota {
    const fn of(lane: Lane) -> Self {
        match lane {
            Kind::Windows => Self { n_batches: 32, n_bytes: 4 << 20 },
            Kind::Events => Self { n_batches: 8, n_bytes: 2 << 20 },
        }
    }
}

/// A batch without an answer.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) row: RowId,
    pub(super) sent_at: Timestamp,
    n_bytes: usize,
}

/// Rows of the spool that are read in their order.
#[derive(Debug)]
struct Stretch {
    /// Rows up to this one were loaded.
    cursor: RowId,
    /// The last row of it.
    end: RowId,
    /// The spool may have more behind the cursor.
    more: bool,
    queue: VecDeque<Offer>,
}

impl Stretch {
    fn of(after: RowId, end: RowId) -> Self {
        Self { cursor: after, end, more: after < end, queue: VecDeque::new() }
    }

    fn is_wanting(&self) -> bool {
        self.queue.is_empty() && self.more
    }
}

/// One lane.
#[derive(Debug)]
pub(super) struct LaneState {
    lane: Lane,
    quota: Quota,
    /// What is sealed from now on.
    fresh: Stretch,
    /// When all of it was under way last.
    fresh_at: Timestamp,
    /// What was there before.
    backlog: Stretch,
    /// The stretch that the spool was asked for last; `None` if it has answered.
    loading: Option<RowId>,
    in_flight: BTreeMap<BatchKey, InFlight>,
    n_bytes: usize,
}

impl LaneState {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            quota: Quota::of(lane),
            fresh: Stretch::of(0, RowId::MAX),
            fresh_at: Timestamp::MAX,
            backlog: Stretch::of(0, 0),
            loading: None,
            in_flight: BTreeMap::new(),
            n_bytes: 0,
        }
    }

    /// Nothing is known to be delivered; everything pending is to be read again. What lies behind `border` is fresh.
    pub(super) fn reset(&mut self, border: RowId) {
        self.in_flight.clear();
        self.n_bytes = 0;
        self.begin(border);
    }

    /// Some row that was read before is to be offered again. What was not read yet is still the freshest.
    pub(super) fn rewind(&mut self) {
        self.begin(self.fresh.cursor);
    }

    fn begin(&mut self, border: RowId) {
        let border = match self.lane {
            Kind::Windows => border,
            // Bodies wait for all counts sealed before them, so none of them can go before another.
            Kind::Events => 0,
        };
        self.fresh = Stretch::of(border, RowId::MAX);
        self.fresh_at = Timestamp::MAX;
        self.backlog = Stretch::of(0, border);
        self.loading = None;
    }

    /// The spool has more.
    pub(super) fn grew(&mut self) {
        self.fresh.more = true;
    }

    /// What lies behind `border` is of the present. If what lies before it has waited too long, it is backlog from now on.
    pub(super) fn keep_to_the_present(&mut self, border: RowId, now: Timestamp) {
        self.mind_what_is_sent(now);
        // What the spool is being asked for would be in both; and bodies can't go before one another.
        let may = !self.is_loading_fresh() && self.lane == Kind::Windows;
        if may && border > self.backlog.end && self.fresh_at + PRESENT <= now {
            self.fresh = Stretch::of(border, RowId::MAX);
            self.fresh_at = now;
            // What of it is under way, or answered, the spool does not offer again.
            self.backlog.end = border;
            self.backlog.more = true;
        }
    }

    fn mind_what_is_sent(&mut self, now: Timestamp) {
        let is_sent = self.fresh.queue.is_empty() && !self.fresh.more && !self.is_loading_fresh();
        self.fresh_at = if is_sent { now } else { self.fresh_at.min(now) };
    }

    fn is_loading_fresh(&self) -> bool {
        self.loading == Some(self.fresh.end)
    }

    /// The next batch to send, if there is room for it: it is under way from now on.
    pub(super) fn send(&mut self, now: Timestamp) -> Option<RowId> {
        self.mind_what_is_sent(now);
        let has_room = self.in_flight.len() < self.quota.n_batches
            && (self.n_bytes < self.quota.n_bytes || self.in_flight.is_empty());
        if !has_room {
            return None;
        }
        let offer = self.fresh.queue.pop_front().or_else(|| self.backlog.queue.pop_front())?;
        let Offer { row, key, n_bytes } = offer;
        self.n_bytes += n_bytes;
        self.in_flight.insert(key, InFlight { row, sent_at: now, n_bytes });
        Some(row)
    }

    /// Which rows to ask the spool for, once; the answer comes by [`Self::loaded`].
    pub(super) fn load(&mut self) -> Option<RangeInclusive<RowId>> {
        if self.loading.is_some() {
            return None;
        }
        let stretch = [&mut self.fresh, &mut self.backlog].into_iter().find(|s| s.is_wanting())?;
        // Rows sealed while the spool is read set it again.
        stretch.more = false;
        self.loading = Some(stretch.end);
        Some(stretch.cursor + 1..=stretch.end)
    }

    /// The spool's answer to [`Self::load`]; `complete` if there are no more in it.
    pub(super) fn loaded(&mut self, offers: Vec<Offer>, complete: bool) {
        let Some(end) = self.loading.take() else { return };
        let stretch = if end == self.fresh.end { &mut self.fresh } else { &mut self.backlog };
        stretch.more |= !complete;
        for offer in offers {
            stretch.cursor = stretch.cursor.max(offer.row);
            if !self.in_flight.contains_key(&offer.key) {
                stretch.queue.push_back(offer);
            }
        }
    }

    /// Takes a batch out that was answered; `None` if it is not under way.
    pub(super) fn take(&mut self, key: &BatchKey) -> Option<InFlight> {
        let taken = self.in_flight.remove(key)?;
        self.n_bytes = self.n_bytes.saturating_sub(taken.n_bytes);
        Some(taken)
    }

    /// Which batch lies in a row, if it is under way.
    pub(super) fn key_of(&self, row: RowId) -> Option<BatchKey> {
        self.in_flight.iter().find(|(_, batch)| batch.row == row).map(|(key, _)| key.clone())
    }

    /// Everything without an answer.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        self.in_flight.values()
    }

    /// A clock that was set back: nothing was sent after `now`.
    pub(super) fn mind_the_clock(&mut self, now: Timestamp) {
        self.in_flight.values_mut().for_each(|b| b.sent_at = b.sent_at.min(now));
    }
}

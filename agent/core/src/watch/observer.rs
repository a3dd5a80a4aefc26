//! From looks at files to observations and events.
//!
//! Owns the order: what changed, what it comes to, how that is judged, what is told. Never looks.

use std::time::Duration;

use serde_json::{Value as Json, json};
use watchkeeper_model::time::nanos_of;
use watchkeeper_model::{FileRef, Service, Severity, Timestamp, readable};

use super::age::Sleeps;
use super::figures::Figures;
use super::files::{Change, Files, LookSpan};
use super::listing::{Listing, Sums};
use super::row::{self, HEAD, Head, Stored};
use super::telling::{self, KINDS, Telling};
use super::verdict::{self, Expectation, Judgement, Outcome, Turn};
use super::{FileName, signals};
use crate::observe::{Accumulator, Happening, InUse, Measure, Measures};
use crate::polling::Gap;

/// What an observer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// The source's name.
    pub name: String,
    /// Whose files they are.
    pub service: Service,
    /// What is not written for so long is finished.
    pub settle: Duration,
    /// What has to hold.
    pub expect: Vec<Expectation>,
}

/// Counts and judges what one source sees.
#[derive(Debug)]
pub struct WatchObserver {
    settings: WatchSettings,
    measures: Measures,
    files: Files,
    sleeps: Sleeps,
    telling: Telling,
    head: Head,
    /// The head is not stored as it is.
    head_is_unsaved: bool,
    /// Rows of files that are not looked for any more.
    forget: Vec<FileRef>,
    /// Nobody looked since the start, but somebody did before.
    was_away: bool,
}

impl WatchObserver {
    /// Goes on from what was stored. `reads` says what is looked for: files that were not looked for before are no news.
    pub fn new(
        settings: WatchSettings,
        reads: &str,
        stored: Stored,
        forget: Vec<FileRef>,
        into: &mut Accumulator,
    ) -> Self {
        let Stored { files, head, .. } = stored;
        let was_away = head.is_some();
        let is_new = head.as_ref().is_none_or(|head| head.reads != reads);
        let turn = head.and_then(|head| head.turn);
        Self {
            measures: Measures::new(&settings.name, &settings.service, &signals::ALL, into),
            files: Files::new(files, is_new, settings.settle),
            settings,
            sleeps: Sleeps::default(),
            telling: Telling::new(),
            head: Head { reads: reads.to_owned(), turn },
            head_is_unsaved: is_new,
            forget,
            was_away,
        }
    }

    /// Goes on with other settings.
    pub fn reconfigure(&mut self, settings: WatchSettings, into: &mut Accumulator) {
        if (&settings.name, &settings.service) != (&self.settings.name, &self.settings.service) {
            self.measures = Measures::new(&settings.name, &settings.service, &signals::ALL, into);
        }
        self.files.set_settle(settings.settle);
        self.settings = settings;
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        self.measures.in_use()
    }

    /// When to look again, by the time awake, because something that is being written may be finished then.
    pub fn next_settled(&self) -> Option<Duration> {
        self.files.next_settled()
    }

    /// Keeps that nobody looked for a while.
    pub fn gap(&mut self, gap: &Gap, now: Timestamp, into: &mut Accumulator) {
        self.sleeps.add(gap, now);
        self.measures.event(gap.happening(), now, into);
    }

    /// Takes in a look.
    pub fn look(&mut self, listing: &Listing, span: LookSpan, into: &mut Accumulator) {
        let now = span.ended.now;
        self.measures.looked(into);
        let changes = match listing.too_many {
            None => Some(self.files.look(&listing.files, &listing.unseen, span)),
            Some(_) => None,
        };
        let n_changes = changes.as_deref().map(telling::by_kind);
        self.count_changes(n_changes.unwrap_or_default(), now, into);
        self.tell(&changes.unwrap_or_default(), now, into);
        let figures = self.figures(listing, n_changes, now);
        let judgement = match listing.unseen.first() {
            Some(unseen) => verdict::blind(unseen.why),
            None => {
                self.count(&figures, now, into);
                verdict::judge(&self.settings.expect, &figures)
            }
        };
        self.count_free(&figures, now, into);
        let why = listing.unseen.first().map(ToString::to_string);
        self.judged(&judgement, why, &figures, listing.took, now, into);
        self.was_away = false;
    }

    /// Takes in that a look has not ended for so long.
    pub fn no_answer(&mut self, since: Duration, now: Timestamp, into: &mut Accumulator) {
        self.measures.looked(into);
        let why = format!("a look has not ended for {}", readable::span(since));
        let judgement = verdict::no_answer();
        self.judged(&judgement, Some(why), &Figures::default(), since, now, into);
    }

    fn figures(&self, listing: &Listing, changes: Option<[u64; 4]>, now: Timestamp) -> Figures {
        let (sums, writing) = match listing.too_many {
            None => {
                let (sums, n_writing) = self.files.sums();
                (sums, Some(n_writing))
            }
            Some(sums) => (sums, None),
        };
        let Sums { n, bytes, oldest, newest, first_came } = sums;
        let age = |at: Option<Timestamp>| at.map_or(Duration::ZERO, |at| self.sleeps.age(at, now));
        Figures {
            count: n,
            oldest: age(oldest),
            newest: age(newest),
            waited: age(first_came),
            bytes,
            writing,
            changes,
            free_bytes: listing.space.map(|space| space.bytes),
            free_inodes: listing.space.and_then(|space| space.inodes),
        }
    }

    fn count(&mut self, figures: &Figures, now: Timestamp, into: &mut Accumulator) {
        for (measure, value) in [
            (&signals::COUNT, signals::COUNT.whole(figures.count)),
            (&signals::OLDEST, nanos_of(figures.oldest)),
            (&signals::NEWEST, nanos_of(figures.newest)),
            (&signals::WAITED, nanos_of(figures.waited)),
            (&signals::BYTES, signals::BYTES.whole(figures.bytes)),
        ] {
            self.put(measure, value, now, into);
        }
    }

    fn count_free(&mut self, figures: &Figures, now: Timestamp, into: &mut Accumulator) {
        let all = [
            (&signals::FREE_BYTES, figures.free_bytes),
            (&signals::FREE_INODES, figures.free_inodes),
        ];
        for (measure, free) in all {
            if let Some(free) = free {
                self.put(measure, measure.whole(free), now, into);
            }
        }
    }

    fn put(&mut self, measure: &Measure, value: i64, now: Timestamp, into: &mut Accumulator) {
        let labels: &[&str] = &[&self.settings.name];
        self.measures.observe(measure, labels, value, now, into);
    }

    fn count_changes(&mut self, n_changes: [u64; 4], now: Timestamp, into: &mut Accumulator) {
        for (kind, n) in KINDS.iter().zip(n_changes).filter(|(_, n)| *n > 0) {
            let (labels, value) = ([self.settings.name.as_str(), kind], signals::CHANGES.whole(n));
            self.measures.observe(&signals::CHANGES, &labels, value, now, into);
        }
    }

    fn tell(&mut self, changes: &[Change], now: Timestamp, into: &mut Accumulator) {
        for happening in self.telling.tell(changes, self.was_away, now) {
            self.measures.event(happening, now, into);
        }
    }

    /// Counts how a look was judged, and tells it if that is another judgement than the one before.
    fn judged(
        &mut self,
        judgement: &Judgement,
        why: Option<String>,
        figures: &Figures,
        took: Duration,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        let Turn { outcome, reason } = &judgement.turn;
        let labels = [self.settings.name.as_str(), outcome.as_str(), reason];
        self.measures.observe(&signals::LOOK, &labels, nanos_of(took), now, into);
        let is_news = match &self.head.turn {
            Some(before) => *before != judgement.turn,
            // What begins well is no news.
            None => *outcome != Outcome::Ok,
        };
        if is_news {
            let happening = self.turned(judgement, why, figures);
            self.measures.event(happening, now, into);
        }
        if self.head.turn.as_ref() != Some(&judgement.turn) {
            self.head.turn = Some(judgement.turn.clone());
            self.head_is_unsaved = true;
        }
    }

    fn turned(&self, judgement: &Judgement, why: Option<String>, figures: &Figures) -> Happening {
        let Turn { outcome, reason } = &judgement.turn;
        let file = self.culprit(reason).map(ToString::to_string);
        let (name, severity, what) = match outcome {
            Outcome::Ok => ("watch_ok", Severity::Info, "as expected again".to_owned()),
            Outcome::Failed => ("watch_failed", Severity::Error, unmet(judgement, file.as_deref())),
            Outcome::Unknown => {
                let why = why.unwrap_or_else(|| unmet(judgement, None));
                ("watch_unknown", Severity::Warning, format!("not known: {why}"))
            }
        };
        let word = |turn: &Turn| json!({ "result": turn.outcome.as_str(), "reason": turn.reason });
        let failed: Vec<Json> = judgement
            .unmet
            .iter()
            .map(|unmet| {
                let seen: serde_json::Map<String, Json> = unmet
                    .seen
                    .iter()
                    .map(|(name, value)| ((*name).into(), value.clone().into()))
                    .collect();
                json!({ "expect": unmet.text, "seen": seen })
            })
            .collect();
        let mut fields = json!({
            "watch": self.settings.name,
            "before": self.head.turn.as_ref().map(word),
            "after": word(&judgement.turn),
        });
        if !failed.is_empty() {
            fields["failed"] = failed.into();
        }
        if *outcome != Outcome::Unknown {
            fields["count"] = figures.count.into();
            fields["oldest_seconds"] = figures.oldest.as_secs_f64().into();
            fields["waited_seconds"] = figures.waited.as_secs_f64().into();
            fields["bytes"] = figures.bytes.into();
        }
        if let Some(file) = file {
            fields["path"] = file.into();
        }
        let message = format!("{}: {what}", self.settings.name);
        Happening { name, severity, message, fields }
    }

    /// The file that a reason speaks of.
    fn culprit(&self, reason: &str) -> Option<&FileName> {
        match reason {
            "oldest" => self.files.first_by(|file| file.seen.modified),
            "waited" => self.files.first_by(|file| file.came),
            _ => None,
        }
    }

    /// What to store, and what to forget.
    pub fn checkpoint(&self) -> (Vec<(FileRef, String)>, Vec<FileRef>) {
        let (mut store, mut forget) = (Vec::new(), self.forget.clone());
        if self.head_is_unsaved {
            store.push((HEAD, self.head.encode()));
        }
        for (name, file) in self.files.unsaved() {
            match file {
                Some((stat, came)) => store.push((row::key(name), row::encode(name, stat, came))),
                None => forget.push(row::key(name)),
            }
        }
        (store, forget)
    }

    /// The last checkpoint is durable.
    pub fn committed(&mut self) {
        self.files.saved();
        self.forget.clear();
        self.head_is_unsaved = false;
    }

    /// Whether there is something to store.
    pub fn has_unsaved(&self) -> bool {
        self.head_is_unsaved || !self.forget.is_empty() || self.files.has_unsaved()
    }
}

/// What does not hold, and the values it was judged by.
fn unmet(judgement: &Judgement, file: Option<&str>) -> String {
    let one = |unmet: &verdict::Unmet| {
        let seen: Vec<String> =
            unmet.seen.iter().map(|(name, value)| format!("{name} is {value}")).collect();
        let verb = match judgement.turn.outcome {
            Outcome::Unknown => "has no answer",
            Outcome::Ok | Outcome::Failed => "does not hold",
        };
        format!("{} {verb}: {}", unmet.text, seen.join(", "))
    };
    let all: Vec<String> = judgement.unmet.iter().map(one).collect();
    let file = file.map(|file| format!(" ({file})")).unwrap_or_default();
    format!("{}{file}", all.join("; "))
}

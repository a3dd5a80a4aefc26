//! From a line to observations and events.
//!
//! Owns what becomes of one line: counted as read once, as skipped at most once, observed by each signal whose
//! condition it meets, kept by each event whose condition it meets. Never knows which file it came from.

use std::path::Path;
use std::sync::Arc;

use watchkeeper_expr::{Condition, Verdict};
use watchkeeper_model::{Event, FileRef, Severity, SkipReason, TimeBasis, Timestamp, Unit};

use super::accumulator::{Accumulator, Observation, SignalId, SignalSpec, SourceId};
use super::event::MessageIs;
use super::evidence::{Evidence, Notice, Rule, Words};
use super::fields::{Field, Fields};
use super::ids::{IdFinder, Ids, trace_in};
use super::in_use::InUse;
use super::limit::Bucket;
use super::number::scaled;
use super::parser::{Parser, is_blank};
use super::past::{Past, Placed};
use super::series::LabelKey;
use super::settings::{EventSettings, LineSettings, MAX_AHEAD, RETENTION, SignalSettings};
use super::slots::Slots;
use super::time::TimeReader;

/// Turns lines of one source into observations and events.
#[derive(Debug)]
pub struct LineObserver {
    source: SourceId,
    parser: Parser,
    time: Option<(usize, TimeReader)>,
    signals: Vec<SignalRule>,
    events: Vec<EventRule>,
    ids: Option<IdFinder>,
    labels: LabelKey,
    /// What explanations need.
    words: Words,
    /// What lines have shown, if anybody asked.
    evidence: Option<Box<Evidence>>,
    /// What time it was, if lines are read long after they were written.
    past: Option<Past>,
}

#[derive(Debug)]
struct SignalRule {
    id: SignalId,
    name: Arc<str>,
    filter: Condition,
    /// Slot, and base units per unit written.
    value: Option<(usize, i64)>,
    labels: Vec<usize>,
}

#[derive(Debug)]
struct EventRule {
    name: Arc<str>,
    filter: Condition,
    severity: Severity,
    message: Option<usize>,
    correlation: Option<usize>,
    trace: Option<usize>,
    bucket: Option<Bucket>,
}

impl LineObserver {
    /// An observer of these settings, its source and signals made known to the accumulator.
    pub fn new(settings: &LineSettings, into: &mut Accumulator) -> Self {
        let mut slots = Slots::with_given(&settings.given);
        let time = settings.time.as_ref();
        let time = time.map(|t| (slots.slot(&t.field), TimeReader::new(t.format.clone())));
        let basis = if time.is_some() { TimeBasis::Line } else { TimeBasis::Agent };
        let signals = settings
            .signals
            .iter()
            .map(|signal| SignalRule::new(signal, settings, basis, &mut slots, into))
            .collect();
        let events: Vec<EventRule> =
            settings.events.iter().map(|e| EventRule::new(e, &mut slots)).collect();
        let is_unnamed = |e: &EventRule| e.correlation.is_none() || e.trace.is_none();
        Self {
            source: into.source(&settings.source, &settings.service),
            words: words(settings, &slots),
            parser: Parser::new(&settings.format, slots),
            time,
            signals,
            ids: events.iter().any(is_unnamed).then(|| IdFinder::new(&settings.format)),
            events,
            labels: LabelKey::default(),
            evidence: None,
            past: None,
        }
    }

    /// Takes, from now on, the times in lines for what time it was when they were written.
    pub fn read_as_past(&mut self, past: Past) {
        self.past = Some(past);
    }

    /// What time it was, as far as lines have said since [`Self::read_as_past`].
    pub fn past_mut(&mut self) -> Option<&mut Past> {
        self.past.as_mut()
    }

    /// Keeps, from now on, what lines show: examples of what is skipped and why, and how many each rule matches.
    pub fn keep_evidence(&mut self) {
        let signals = self.signals.iter().map(|rule| &*rule.name);
        let events = self.events.iter().map(|rule| &*rule.name);
        self.evidence = Some(Box::new(Evidence::new(&self.words, signals, events)));
    }

    /// What lines have shown since [`Self::keep_evidence`].
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_deref()
    }

    /// The next records are of this file, from this byte on: for the places of examples.
    pub fn reading(&mut self, file: FileRef, path: &Path, from: u64) {
        if let Some(evidence) = &mut self.evidence {
            evidence.reading(file, path, from);
        }
    }

    /// The source its lines are counted for.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Under which ids it counts.
    pub fn in_use(&self) -> InUse {
        InUse {
            sources: [self.source].into(),
            signals: self.signals.iter().map(|rule| rule.id).collect(),
        }
    }

    /// Gives the `n`th of the settings' given fields, for every line from the next on; an empty text is absent.
    pub fn give(&mut self, n: usize, text: &str) {
        self.parser.give(n, text);
    }

    /// Counts a record that is no line to be looked into.
    pub fn skip(&mut self, reason: SkipReason, into: &mut Accumulator) {
        let tally = into.tally(self.source);
        tally.read += 1;
        tally.skip(reason, 1);
        if let Some(evidence) = &mut self.evidence {
            evidence.begin();
            if evidence.is_first(reason) {
                evidence.skip(reason, &[], None);
            }
        }
    }

    /// Counts a line that is not of its wrapper's form as unparsable.
    pub fn skip_unwrapped(&mut self, line: &[u8], into: &mut Accumulator) {
        let reason = SkipReason::Unparsable;
        let tally = into.tally(self.source);
        tally.read += 1;
        tally.skip(reason, 1);
        if let Some(evidence) = &mut self.evidence {
            evidence.begin();
            if evidence.is_first(reason) {
                evidence.skip_unwrapped(line);
            }
        }
    }

    /// Counts a line, without its line end.
    pub fn observe(&mut self, line: &[u8], now: Timestamp, into: &mut Accumulator) {
        into.tally(self.source).read += 1;
        let looked = match self.evidence.take() {
            None => self.look_into(line, now, into, &mut ()),
            Some(evidence) => self.look_and_tell(line, now, into, evidence),
        };
        if let Err(reason) = looked {
            into.tally(self.source).skip(reason, 1);
        }
    }

    fn look_and_tell(
        &mut self,
        line: &[u8],
        now: Timestamp,
        into: &mut Accumulator,
        mut evidence: Box<Evidence>,
    ) -> Result<(), SkipReason> {
        evidence.begin();
        let looked = self.look_into(line, now, into, &mut *evidence);
        if matches!(looked, Ok(()) | Err(SkipReason::NoTime | SkipReason::TooLate)) {
            evidence.note_fields(line);
        }
        if let Err(reason) = looked
            && evidence.is_first(reason)
        {
            // Read again: what was found the first time does not outlive the look.
            let text = std::str::from_utf8(line).ok();
            let fields = text.and_then(|text| self.parser.read(text).ok());
            let slot = self.words.time.as_ref().map(|(slot, _)| *slot);
            evidence.skip(reason, line, fields.zip(slot).map(|(fields, slot)| fields.get(slot)));
        }
        self.evidence = Some(evidence);
        looked
    }

    fn look_into(
        &mut self,
        line: &[u8],
        now: Timestamp,
        into: &mut Accumulator,
        notice: &mut impl Notice,
    ) -> Result<(), SkipReason> {
        let Ok(line) = std::str::from_utf8(line) else { return Err(SkipReason::InvalidUtf8) };
        let Ok(fields) = self.parser.read(line) else {
            return Err(if is_blank(line) { SkipReason::Blank } else { SkipReason::Unparsable });
        };
        let (at, now) = match &mut self.time {
            None => (now, now),
            Some((slot, time)) => {
                let at = time.read(fields.get(*slot), now).ok_or(SkipReason::NoTime)?;
                notice.time(at);
                match when(at, now, self.past.as_mut()) {
                    Placed::At(at) => {
                        (at, self.past.as_ref().and_then(Past::latest).unwrap_or(now))
                    }
                    Placed::Clamped(at) => {
                        into.tally(self.source).clamped += 1;
                        (at, at)
                    }
                    Placed::TooLate => return Err(SkipReason::TooLate),
                    Placed::Outside => return Ok(()),
                }
            }
        };
        for (i, rule) in self.signals.iter().enumerate() {
            let verdict = rule.judge(&fields);
            notice.judged(Rule::Signal(i), &rule.filter, verdict, line, &fields);
            if verdict != Verdict::Match {
                continue;
            }
            let observed = rule.observe(&fields, at, &mut self.labels, self.source, now, into);
            if let Err(slot) = observed {
                into.tally(self.source).skip(SkipReason::NoValue, 1);
                notice.without_value(i, slot, line, &fields);
            }
        }
        let mut ids = None;
        for (i, rule) in self.events.iter_mut().enumerate() {
            let verdict = rule.filter.evaluate(&fields);
            notice.judged(Rule::Event(i), &rule.filter, verdict, line, &fields);
            if verdict == Verdict::Match {
                if !rule.bucket.as_mut().is_none_or(|bucket| bucket.take(now)) {
                    into.hold_back(self.source, &rule.name);
                    continue;
                }
                let find = || self.ids.as_mut().map_or(Ids::default(), |ids| ids.find(line));
                let (event, message) = rule.event(&fields, line, at, ids.get_or_insert_with(find));
                into.event_of_line(self.source, event, message);
            }
        }
        notice.asked(line);
        Ok(())
    }
}

/// Where a line belongs that says it was written `at`.
fn when(at: Timestamp, now: Timestamp, past: Option<&mut Past>) -> Placed {
    match past {
        Some(past) => past.place(at, now),
        None if at < now - RETENTION => Placed::TooLate,
        None if at > now + MAX_AHEAD => Placed::Clamped(now),
        None => Placed::At(at),
    }
}

fn words(settings: &LineSettings, slots: &Slots) -> Words {
    let slot_of = |field: &String| slots.names().iter().position(|name| name == field);
    let time = settings.time.as_ref();
    Words {
        fields: slots.names().to_vec(),
        time: time.and_then(|t| Some((slot_of(&t.field)?, t.format.as_str().to_owned()))),
        format: settings.format.clone(),
    }
}

impl SignalRule {
    fn new(
        signal: &SignalSettings,
        source: &LineSettings,
        basis: TimeBasis,
        slots: &mut Slots,
        into: &mut Accumulator,
    ) -> Self {
        let unit = signal.value.as_ref().map_or(Unit::None, |v| v.unit);
        let id = into.signal(SignalSpec {
            service: source.service.clone(),
            name: signal.name.clone(),
            unit,
            basis,
            labels: signal.labels.iter().map(|(label, _)| label.clone()).collect(),
            bounds: signal.bounds.clone(),
            max_series: signal.max_series,
        });
        let mut filter = signal.filter.clone();
        filter.bind(|field| slots.slot(field));
        Self {
            id,
            name: signal.name.as_str().into(),
            filter,
            value: signal.value.as_ref().map(|v| (slots.slot(&v.field), v.unit.base_factor())),
            labels: signal.labels.iter().map(|(_, field)| slots.slot(field)).collect(),
        }
    }

    fn judge(&self, fields: &Fields<'_>) -> Verdict {
        if self.filter.is_always() { Verdict::Match } else { self.filter.evaluate(fields) }
    }

    /// Counts the line; the slot of its value if that is none.
    fn observe(
        &self,
        fields: &Fields<'_>,
        at: Timestamp,
        labels: &mut LabelKey,
        source: SourceId,
        now: Timestamp,
        into: &mut Accumulator,
    ) -> Result<(), usize> {
        let value = match self.value {
            None => None,
            Some((slot, factor)) => {
                let (Field::Number(text) | Field::Text(text)) = fields.get(slot) else {
                    return Err(slot);
                };
                Some(scaled(text, factor).ok_or(slot)?)
            }
        };
        labels.clear();
        for &slot in &self.labels {
            labels.push(fields.get(slot).as_label());
        }
        into.observe(&Observation { signal: self.id, source, labels, value, at }, now);
        Ok(())
    }
}

impl EventRule {
    fn new(event: &EventSettings, slots: &mut Slots) -> Self {
        let mut filter = event.filter.clone();
        filter.bind(|field| slots.slot(field));
        Self {
            name: event.name.as_str().into(),
            filter,
            severity: event.severity,
            message: event.message.as_ref().map(|field| slots.slot(field)),
            correlation: event.correlation.as_ref().map(|field| slots.slot(field)),
            trace: event.trace.as_ref().map(|field| slots.slot(field)),
            bucket: event.limit.map(Bucket::full),
        }
    }

    /// The event a line is. `usual` are the ids that the line has where no field is named for them.
    fn event(
        &self,
        fields: &Fields<'_>,
        line: &str,
        at: Timestamp,
        usual: &Ids,
    ) -> (Event, MessageIs) {
        let text = |slot: Option<usize>| match slot.map_or(Field::Absent, |s| fields.get(s)) {
            Field::Json(written) => written,
            other => other.as_label(),
        };
        let said = text(self.message);
        let (message, kind) = match said {
            "" => (line, MessageIs::TheLine),
            said => (said, MessageIs::Said),
        };
        let correlation = self.correlation.map_or(&*usual.correlation, |slot| text(Some(slot)));
        let event = Event {
            at,
            source: String::new(),
            name: self.name.to_string(),
            severity: self.severity,
            message: message.to_owned(),
            correlation: correlation.to_owned(),
            trace: self.trace.map_or(&*usual.trace, |slot| trace_in(fields, slot)).to_owned(),
            fields: fields.body(),
            truncated: false,
        };
        (event, kind)
    }
}

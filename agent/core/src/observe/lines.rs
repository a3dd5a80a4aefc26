//! From a line to observations and events.
//!
//! Owns what becomes of one line: counted as read once, as skipped at most once, observed by each signal whose
//! condition it meets, kept by each event whose condition it meets. Never knows which file it came from.

use std::sync::Arc;

use watchkeeper_expr::{Condition, Verdict};
use watchkeeper_model::{Event, Severity, SkipReason, TimeBasis, Timestamp, Unit};

use super::accumulator::{Accumulator, Observation, SignalId, SignalSpec, SourceId};
use super::event::MessageIs;
use super::fields::{Field, Fields};
use super::ids::{IdFinder, Ids, trace_in};
use super::limit::Bucket;
use super::number::scaled;
use super::parser::Parser;
use super::series::LabelKey;
use super::settings::{EventSettings, LineSettings, MAX_AHEAD, RETENTION, SignalSettings};
use super::slots::Slots;
use super::time::TimeFormat;

/// Turns lines of one source into observations and events.
#[derive(Debug)]
pub struct LineObserver {
    source: SourceId,
    parser: Parser,
    time: Option<(usize, TimeFormat)>,
    signals: Vec<SignalRule>,
    events: Vec<EventRule>,
    ids: Option<IdFinder>,
    labels: LabelKey,
}

#[derive(Debug)]
struct SignalRule {
    id: SignalId,
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
        let time = settings.time.as_ref().map(|t| (slots.slot(&t.field), t.format));
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
            parser: Parser::new(&settings.format, slots),
            time,
            signals,
            ids: events.iter().any(is_unnamed).then(|| IdFinder::new(&settings.format)),
            events,
            labels: LabelKey::default(),
        }
    }

    /// The source its lines are counted for.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Gives the `n`th of the settings' given fields, for every line from the next on; an empty text is absent.
    pub fn give(&mut self, n: usize, text: &str) {
        self.parser.give(n, text);
    }

    /// Counts a record that is no line to be looked into.
    pub fn skip(&self, reason: SkipReason, into: &mut Accumulator) {
        let tally = into.tally(self.source);
        tally.read += 1;
        tally.skip(reason, 1);
    }

    /// Counts a line, without its line end.
    pub fn observe(&mut self, line: &[u8], now: Timestamp, into: &mut Accumulator) {
        into.tally(self.source).read += 1;
        if let Err(reason) = self.look_into(line, now, into) {
            into.tally(self.source).skip(reason, 1);
        }
    }

    fn look_into(
        &mut self,
        line: &[u8],
        now: Timestamp,
        into: &mut Accumulator,
    ) -> Result<(), SkipReason> {
        let Ok(line) = std::str::from_utf8(line) else { return Err(SkipReason::InvalidUtf8) };
        let Ok(fields) = self.parser.read(line) else {
            let blank = line.bytes().all(|b| b == 0 || b.is_ascii_whitespace());
            return Err(if blank { SkipReason::Blank } else { SkipReason::Unparsable });
        };
        let at = match self.time {
            None => now,
            Some((slot, format)) => {
                let at = format.read(fields.get(slot)).ok_or(SkipReason::NoTime)?;
                if at < now - RETENTION {
                    return Err(SkipReason::TooLate);
                }
                if at > now + MAX_AHEAD {
                    into.tally(self.source).clamped += 1;
                    now
                } else {
                    at
                }
            }
        };
        for rule in &self.signals {
            if rule.filter.is_always() || rule.filter.evaluate(&fields) == Verdict::Match {
                rule.observe(&fields, at, &mut self.labels, self.source, now, into);
            }
        }
        let mut ids = None;
        for rule in &mut self.events {
            if rule.filter.evaluate(&fields) == Verdict::Match {
                if !rule.bucket.as_mut().is_none_or(|bucket| bucket.take(now)) {
                    into.hold_back(self.source, &rule.name);
                    continue;
                }
                let find = || self.ids.as_mut().map_or(Ids::default(), |ids| ids.find(line));
                let (event, message) = rule.event(&fields, line, at, ids.get_or_insert_with(find));
                into.event_of_line(self.source, event, message);
            }
        }
        Ok(())
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
            filter,
            value: signal.value.as_ref().map(|v| (slots.slot(&v.field), v.unit.base_factor())),
            labels: signal.labels.iter().map(|(_, field)| slots.slot(field)).collect(),
        }
    }

    fn observe(
        &self,
        fields: &Fields<'_>,
        at: Timestamp,
        labels: &mut LabelKey,
        source: SourceId,
        now: Timestamp,
        into: &mut Accumulator,
    ) {
        let value = match self.value {
            None => None,
            Some((slot, factor)) => {
                let (Field::Number(text) | Field::Text(text)) = fields.get(slot) else {
                    return into.tally(source).skip(SkipReason::NoValue, 1);
                };
                let Some(value) = scaled(text, factor) else {
                    return into.tally(source).skip(SkipReason::NoValue, 1);
                };
                Some(value)
            }
        };
        labels.clear();
        for &slot in &self.labels {
            labels.push(fields.get(slot).as_label());
        }
        into.observe(&Observation { signal: self.id, source, labels, value, at }, now);
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
            fields: line.to_owned(),
            truncated: false,
        };
        (event, kind)
    }
}

//! What stands about one source.
//!
//! Owns what is said where. Never computes a number, and never knows how much room there is.

use watchkeeper_config::format;
use watchkeeper_model::{SkipReason, Timestamp};

use super::layout::{Page, Side, Tone, aligned, plain};
use super::report::{
    EventReport, ExampleReport, Found, SignalReport, SkippedReport, SourceReport, Value,
};
use super::show::Detail;
use super::words;

/// One source on the page.
pub(super) struct Sheet<'a> {
    page: &'a mut Page,
    source: &'a SourceReport,
    detail: Detail,
    now: Timestamp,
    /// Any line got as far as the conditions.
    is_asked: bool,
}

impl<'a> Sheet<'a> {
    /// A source in so much detail.
    pub(super) fn on(
        page: &'a mut Page,
        source: &'a SourceReport,
        detail: Detail,
        now: Timestamp,
    ) -> Self {
        let is_asked = source.matched + source.unmatched.n > 0;
        Self { page, source, detail, now, is_asked }
    }

    /// Writes it.
    pub(super) fn draw(&mut self) {
        let source = self.source;
        let service = format!(" (service {})", source.service);
        self.page.line(0, &[(Tone::Strong, source.name.clone()), plain(service)]);
        self.files();
        if source.lines == 0 {
            return;
        }
        if !source.fields.is_empty() && self.detail.has_examples {
            self.page.say(2, "fields   ", &plain(source.fields.join(", ")));
        }
        self.time();
        self.page.gap();
        self.lines();
        if !source.signals.is_empty() {
            self.page.gap();
            self.signals(&source.signals);
        }
        if !source.events.is_empty() {
            self.page.gap();
            self.events(&source.events);
        }
        if source.signals.is_empty() && source.events.is_empty() {
            self.note((
                Tone::Warning,
                "this source has no signals and no events: nothing is counted",
            ));
        }
    }

    fn files(&mut self) {
        let source = self.source;
        let what = match (source.n_files, source.files.first()) {
            (0, _) if source.n_compressed > 0 => {
                (Tone::Bad, format!("none that is read, of {}", source.paths.join(", ")))
            }
            (0, _) => (Tone::Bad, format!("no file matches {}", source.paths.join(", "))),
            (1, Some(file)) => plain(file.path.clone()),
            (n, _) => plain(format!("{} of {}", words::things(n, "file"), source.paths.join(", "))),
        };
        self.page.say(2, "files    ", &what);
        self.compressed();
        for problem in source.problems.iter().take(5) {
            self.page.say(2, "problem  ", &(Tone::Bad, problem.clone()));
        }
        if source.n_problems > 5 {
            let more = format!("{} more", words::count(source.n_problems - 5));
            self.page.say(2, "         ", &(Tone::Bad, more));
        }
        if source.n_files > 0 {
            self.page.say(2, "read     ", &plain(read(source)));
        }
    }

    /// What matches and is not read, for it is compressed.
    fn compressed(&mut self) {
        let source = self.source;
        let Some(first) = source.compressed.first() else { return };
        let others = match source.n_compressed {
            1 => String::new(),
            n => format!(" and {}", words::things(n - 1, "more file")),
        };
        let said = format!("{first}{others}: compressed, and not read");
        self.page.say(2, "skipped  ", &(Tone::Warning, said));
        if self.detail.has_advice {
            let is_gzip = source.compressed.iter().any(|path| path.ends_with(".gz"));
            let advice = if is_gzip {
                "with `compressed: read` gzip files are read, each line once"
            } else {
                "of compressed files only gzip files (.gz) can be read"
            };
            self.page.say(2, "         ", &(Tone::Faint, advice.to_owned()));
        }
    }

    /// Lines that have what a condition asks for, in another type.
    fn mistyped(&mut self, mistyped: &Found) {
        let Some(first) = &mistyped.first else { return };
        let n = words::things(mistyped.n, "line");
        let said =
            format!("unjudged: its condition could not be answered for {n} with all its fields");
        self.note((Tone::Warning, &said));
        self.example(first);
        self.advice(&first.why, &mistyped.advice);
    }

    fn time(&mut self) {
        let source = self.source;
        let time = &source.time;
        let said = match (&time.field, time.earliest, time.latest) {
            (None, ..) => "lines count by the time they are read: there is no `time:`".to_owned(),
            (Some(_), Some(earliest), Some(latest)) => format!(
                "{} to {} UTC, the latest {}",
                words::moment(earliest),
                words::moment(latest),
                words::age(latest, self.now),
            ),
            (Some(field), ..) => format!("no line has a time in field `{field}`"),
        };
        self.page.say(2, "time     ", &plain(said));
        if time.clamped > 0 {
            let clamped = format!(
                "{} more than a minute ahead of this clock: counted by the time of reading",
                words::things(time.clamped, "line")
            );
            self.page.say(2, "         ", &(Tone::Warning, clamped));
        }
        if !time.advice.is_empty() && self.detail.has_advice {
            self.page.say(2, "         ", &(Tone::Faint, time.advice.clone()));
        }
    }

    /// What became of the lines. It adds up.
    fn lines(&mut self) {
        let source = self.source;
        let row = |tone, name: &str, n: u64, what: &str| {
            vec![
                (tone, name.to_owned()),
                plain(words::count(n)),
                plain(words::share(n, source.lines)),
                (Tone::Faint, what.to_owned()),
            ]
        };
        let tone = if source.matched == 0 { Tone::Bad } else { Tone::Plain };
        let head = |name: &str| (Tone::Strong, name.to_owned());
        let mut rows = vec![
            vec![head("LINES"), head(&words::count(source.lines)), head(""), head("")],
            row(tone, "matched", source.matched, "met the condition of a signal or event"),
        ];
        if source.unmatched.n > 0 {
            rows.push(row(Tone::Plain, "unmatched", source.unmatched.n, "met none of them"));
        }
        let skipped = || source.skipped.iter().filter(|s| s.reason != SkipReason::NoValue.as_str());
        for skipped in skipped() {
            let tone = tone_of(skipped, source.lines);
            rows.push(row(tone, skipped.reason, skipped.n, &skipped.meaning));
        }
        let sides = [Side::Left, Side::Right, Side::Right, Side::Left];
        let mut notes = vec![None, None];
        notes.extend(
            (source.unmatched.n > 0).then_some((source.unmatched.first.as_ref(), "")).map(Some),
        );
        notes.extend(skipped().map(|s| Some((s.first.as_ref(), &*s.advice))));
        for (cells, note) in aligned(&sides, rows).iter().zip(notes) {
            self.page.line(2, cells);
            if let Some((Some(first), advice)) = note {
                self.example(first);
                self.advice(&first.why, advice);
            }
        }
        if !self.is_asked {
            self.note((Tone::Bad, "no line got as far as the conditions of signals and events"));
        }
        let left = words::bytes(source.left_bytes);
        let left = match source.complete {
            _ if source.left_bytes == 0 => return,
            true => {
                format!("{left} behind the last line end: a line counts once its end is written")
            }
            false => format!("{left} not read"),
        };
        self.page.say(2, "left  ", &(Tone::Warning, left));
    }

    fn signals(&mut self, signals: &[SignalReport]) {
        let head = ["SIGNAL", "OBSERVED", "LABEL SETS", "P50", "P95", "P99", "MAX"];
        let has_values = signals.iter().any(|s| s.values.is_some());
        let n_columns = if has_values { head.len() } else { 3 };
        let heads = head[..n_columns].iter().map(|h| (Tone::Strong, (*h).to_owned())).collect();
        let row = |signal: &SignalReport| {
            let tone = if signal.observed == 0 { Tone::Bad } else { Tone::Plain };
            let mut cells = vec![
                plain(signal.name.clone()),
                (tone, words::count(signal.observed)),
                plain(words::count(signal.label_sets)),
            ];
            if let Some(values) = &signal.values {
                // Percentiles are known to 1 %, the greatest value exactly.
                let percentiles = [values.p50, values.p95, values.p99].map(|v| (v, 2));
                let all = percentiles.into_iter().chain([(values.max, 4)]);
                cells.extend(all.map(|(v, n)| plain(words::value(v.base, v.unit, n))));
            }
            cells
        };
        let rows = std::iter::once(heads).chain(signals.iter().map(row)).collect();
        let mut sides = [Side::Right; 7];
        sides[0] = Side::Left;
        let mut rows = aligned(&sides, rows).into_iter();
        rows.next().into_iter().for_each(|cells| self.page.line(2, &cells));
        for (signal, cells) in signals.iter().zip(rows) {
            self.page.line(2, &cells);
            self.signal(signal);
        }
    }

    fn signal(&mut self, signal: &SignalReport) {
        self.bounds(signal);
        self.label_sets(signal);
        for overflow in &signal.overflowed {
            let (label, n) = (&overflow.label, words::things(overflow.n, "value"));
            let said = format!("label `{label}` overflows: {n} became `__overflow__`");
            self.note((Tone::Warning, &said));
            self.advice("", &overflow.advice);
        }
        for empty in &signal.empty_labels {
            let said = format!(
                "label `{}` is empty: no counted line has a value in `{}`",
                empty.label, empty.field
            );
            self.note((Tone::Warning, &said));
            self.advice("", &empty.advice);
        }
        if signal.matched == 0 {
            self.condition(&signal.condition, &signal.advice);
        }
        self.mistyped(&signal.mistyped);
        let without = &signal.without_value;
        if without.n > 0 {
            let n = words::things(without.n, "line");
            let said = format!("no_value: {n} met its condition without a usable value");
            self.note((Tone::Warning, &said));
            if let Some(first) = &without.first {
                self.example(first);
                self.advice(&first.why, &without.advice);
            }
        }
    }

    /// A condition that no line met, and why.
    fn condition(&mut self, condition: &str, why: &str) {
        if !self.is_asked {
            return;
        }
        if !condition.is_empty() && self.detail.has_examples {
            self.note((Tone::Faint, &format!("where {condition}")));
        }
        self.advice(why, "");
    }

    fn bounds(&mut self, signal: &SignalReport) {
        if signal.values.is_none() {
            return;
        }
        let rows = signal.bounds.iter().map(|bound| {
            let Value { base, unit } = bound.at;
            vec![
                plain(format!("at most {}", format::value(base, unit.dimension()))),
                plain(words::count(bound.within)),
                plain(words::share(bound.within, bound.of)),
            ]
        });
        for cells in aligned(&[Side::Left, Side::Right, Side::Right], rows.collect()) {
            self.page.line(4, &cells);
        }
    }

    fn label_sets(&mut self, signal: &SignalReport) {
        // A signal without labels has one set that says nothing.
        let is_told = signal.top.iter().any(|set| !set.labels.is_empty());
        let n = self.detail.n_label_sets.min(signal.top.len());
        if !is_told || n == 0 {
            return;
        }
        let rows = signal.top[..n].iter().map(|set| {
            vec![
                plain(words::count(set.n)),
                plain(words::share(set.n, signal.observed)),
                plain(words::labels(&set.labels)),
            ]
        });
        for cells in aligned(&[Side::Right, Side::Right, Side::Left], rows.collect()) {
            self.page.line(4, &cells);
        }
        let n_more = signal.label_sets - n as u64;
        if n_more > 0 {
            let more = format!("and {}", words::things(n_more, "more label set"));
            self.note((Tone::Faint, &more));
        }
    }

    fn events(&mut self, events: &[EventReport]) {
        let head = ["EVENT", "KEPT", "SEVERITY", "FIRST"].map(|h| (Tone::Strong, h.to_owned()));
        let row = |event: &EventReport| {
            let tone = if event.n == 0 { Tone::Bad } else { Tone::Plain };
            let message = event.message.as_deref().unwrap_or_default();
            vec![
                plain(event.name.clone()),
                (tone, words::count(event.n)),
                plain(event.severity.as_str()),
                plain(words::line(message, false)),
            ]
        };
        let rows = std::iter::once(head.to_vec()).chain(events.iter().map(row)).collect();
        let sides = [Side::Left, Side::Right, Side::Left, Side::Left];
        let mut rows = aligned(&sides, rows).into_iter();
        rows.next().into_iter().for_each(|cells| self.page.line(2, &cells));
        for (event, cells) in events.iter().zip(rows) {
            self.page.line(2, &cells);
            if event.held_back > 0 {
                let more = words::count(event.held_back);
                let said = format!(
                    "{more} more held back by its `limit`, which goes by the time of reading"
                );
                self.note((Tone::Faint, &said));
            }
            if event.n == 0 {
                self.condition(&event.condition, &event.advice);
            }
            self.mistyped(&event.mistyped);
        }
    }

    /// Where a line stood and what it says, on one line.
    fn example(&mut self, example: &ExampleReport) {
        let has_place = !example.short_place.is_empty();
        if !self.detail.has_examples || (example.line.is_empty() && !has_place) {
            return;
        }
        let place = format!("{}  ", example.short_place);
        let line = words::line(&example.line, example.cut);
        self.page.line(4, &[(Tone::Faint, place), plain(line)]);
    }

    /// What is wrong, and what could be done.
    fn advice(&mut self, why: &str, advice: &str) {
        if !self.detail.has_why {
            return;
        }
        let advice = if self.detail.has_advice { advice } else { "" };
        let between = if why.is_empty() || advice.is_empty() { "" } else { "; " };
        if !why.is_empty() || !advice.is_empty() {
            self.page.say(4, "→ ", &plain(format!("{why}{between}{advice}")));
        }
    }

    fn note(&mut self, (tone, text): (Tone, &str)) {
        self.page.say(4, "", &(tone, text.to_owned()));
    }
}

/// How much was read, and how fast.
fn read(source: &SourceReport) -> String {
    if source.lines == 0 {
        return match source.left_bytes {
            0 => "nothing: there is no line yet".to_owned(),
            n => format!("nothing: {} without a line end", words::bytes(n)),
        };
    }
    let (lines, bytes) = (words::things(source.lines, "line"), words::bytes(source.bytes));
    let rate = words::rate(source.bytes, source.seconds);
    let rate = rate.map_or_else(String::new, |rate| format!(", {rate}"));
    format!("{lines}, {bytes} in {}{rate}", words::seconds(source.seconds))
}

/// How much attention a reason deserves.
fn tone_of(skipped: &SkippedReport, n_lines: u64) -> Tone {
    match skipped.reason {
        reason if reason == SkipReason::Blank.as_str() => Tone::Plain,
        _ if skipped.n * 2 >= n_lines => Tone::Bad,
        _ => Tone::Warning,
    }
}

//! Cutting what one seal holds of one service into bodies that fit a batch.
//!
//! Owns the size of a body. Order never matters to the collector: parts of a window add up.

use watchkeeper_model::{Body, Event, Frontier, SeriesWindows, SourceTally};

use super::size;

/// The most a body takes encoded.
pub const MAX_BODY_BYTES: usize = 768 * 1024;

/// What is left of it for content, beside sealing time and trace context.
const ROOM: usize = MAX_BODY_BYTES - 1024;

/// What one seal holds of one service.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) series: Vec<SeriesWindows>,
    pub(crate) tallies: Vec<SourceTally>,
    pub(crate) frontiers: Vec<Frontier>,
    pub(crate) events: Vec<Event>,
}

/// How many of the latest events go with the counts, and how much of each.
const N_SAMPLES: usize = 3;
const SAMPLE_MESSAGE_BYTES: usize = 512;
const SAMPLE_FIELDS_BYTES: usize = 1024;

/// The bodies of one service: windows first, tallies and samples in the first of them, then events.
///
/// The frontiers stand on every body: a collector must know for each how far the seal went that it is part of. Sources
/// bound how many files one seal covers, so that they leave most of a body to the rest.
pub(crate) fn bodies(content: Content) -> Vec<Body> {
    let Content { series, tallies, frontiers, events } = content;
    let used_by_frontiers = frontiers.iter().map(size::frontier).sum::<usize>();
    let room = ROOM.saturating_sub(used_by_frontiers);
    let mut windows = WindowsBodies { room, ..WindowsBodies::default() };
    for sample in events.iter().rev().take(N_SAMPLES).map(sample) {
        windows.make_room(size::event(&sample));
        windows.open.samples.push(sample);
    }
    for tally in tallies {
        windows.make_room(size::tally(&tally));
        windows.open.tallies.push(tally);
    }
    series.into_iter().for_each(|series| windows.push(series));
    if !frontiers.is_empty() && windows.is_empty() {
        windows.close();
    }
    let events = event_bodies(events, room);
    windows
        .finish()
        .into_iter()
        .enumerate()
        .map(|(i, part)| Body::Windows {
            series: part.series,
            tallies: part.tallies,
            samples: part.samples,
            frontiers: frontiers.clone(),
            continued: i > 0,
        })
        .chain(
            events.into_iter().map(|events| Body::Events { events, frontiers: frontiers.clone() }),
        )
        .collect()
}

fn sample(event: &Event) -> Event {
    let mut sample = event.clone();
    for (text, max) in
        [(&mut sample.message, SAMPLE_MESSAGE_BYTES), (&mut sample.fields, SAMPLE_FIELDS_BYTES)]
    {
        let kept = text.floor_char_boundary(max);
        sample.truncated |= kept < text.len();
        text.truncate(kept);
    }
    sample
}

#[derive(Default)]
struct Part {
    series: Vec<SeriesWindows>,
    tallies: Vec<SourceTally>,
    samples: Vec<Event>,
}

#[derive(Default)]
struct WindowsBodies {
    room: usize,
    used: usize,
    open: Part,
    done: Vec<Part>,
}

impl WindowsBodies {
    /// Takes `bytes` of the room, in a new body if there is not enough. Says whether it is a new one.
    fn make_room(&mut self, bytes: usize) -> bool {
        let full = self.used > 0 && self.used + bytes > self.room;
        if full {
            self.close();
        }
        self.used += bytes;
        full
    }

    fn close(&mut self) {
        self.used = 0;
        self.done.push(std::mem::take(&mut self.open));
    }

    fn is_empty(&self) -> bool {
        self.used == 0 && self.done.is_empty()
    }

    fn push(&mut self, mut series: SeriesWindows) {
        let head = size::series(&series);
        let whole = head + series.windows.iter().map(size::window).sum::<usize>();
        if self.used + whole <= self.room && !series.windows.is_empty() {
            self.used += whole;
            self.open.series.push(series);
            return;
        }
        let windows = std::mem::take(&mut series.windows);
        let mut begun = false;
        for window in windows {
            let bytes = size::window(&window);
            let moved = self.make_room(if begun { bytes } else { head + bytes });
            if moved && begun {
                // The new body repeats the series.
                self.used += head;
            }
            if moved || !begun {
                self.open.series.push(series.clone());
                begun = true;
            }
            if let Some(last) = self.open.series.last_mut() {
                last.windows.push(window);
            }
        }
    }

    fn finish(mut self) -> Vec<Part> {
        if self.used > 0 {
            self.close();
        }
        self.done
    }
}

fn event_bodies(events: Vec<Event>, room: usize) -> Vec<Vec<Event>> {
    let (mut bodies, mut open, mut used) = (Vec::new(), Vec::new(), 0);
    for event in events {
        let bytes = size::event(&event);
        if !open.is_empty() && used + bytes > room {
            bodies.push(std::mem::take(&mut open));
            used = 0;
        }
        used += bytes;
        open.push(event);
    }
    if !open.is_empty() {
        bodies.push(open);
    }
    bodies
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::{
        Distribution, FileRef, Guard, Labels, Severity, TimeBasis, Timestamp, Unit, Window,
        WindowPart,
    };

    fn series(name: &str, n_windows: i64) -> SeriesWindows {
        let part = |i| WindowPart {
            window: Window::holding(Timestamp::from_secs(i), 1),
            distribution: Distribution::counted(1),
        };
        SeriesWindows {
            signal: "requests".into(),
            unit: Unit::None,
            labels: Labels::new([("path", name)]),
            basis: TimeBasis::Line,
            windows: (0..n_windows).map(part).collect(),
        }
    }

    fn frontier(inode: u64) -> Frontier {
        Frontier {
            source: "s".into(),
            path: "/var/log/app.log".into(),
            file: FileRef { inode, born: Timestamp(0) },
            prefix: Guard::default(),
            begin: 0,
            from: 0,
            to: 1,
            guard: Guard::default(),
        }
    }

    fn bytes_of(body: &Body) -> usize {
        match body {
            Body::Windows { series, tallies, frontiers, samples, continued: _ } => {
                series
                    .iter()
                    .map(|s| size::series(s) + s.windows.iter().map(size::window).sum::<usize>())
                    .sum::<usize>()
                    + tallies.iter().map(size::tally).sum::<usize>()
                    + frontiers.iter().map(size::frontier).sum::<usize>()
                    + samples.iter().map(size::event).sum::<usize>()
            }
            Body::Events { events, frontiers } => {
                events.iter().map(size::event).sum::<usize>()
                    + frontiers.iter().map(size::frontier).sum::<usize>()
            }
        }
    }

    #[test]
    fn large_content_is_cut_and_nothing_is_lost_or_doubled() {
        let long = "x".repeat(900);
        let all: Vec<SeriesWindows> = (0..3_000)
            .map(|i| series(&format!("{long}{i}"), i % 7 + 1))
            .chain([series("/", 60_000)])
            .collect();
        let n_windows: usize = all.iter().map(|s| s.windows.len()).sum();
        let tally = SourceTally { source: "s".into(), read: 1, ..SourceTally::default() };
        let event = Event {
            at: Timestamp(0),
            source: "s".into(),
            name: "e".into(),
            severity: Severity::Info,
            message: String::new(),
            correlation: String::new(),
            trace: String::new(),
            fields: "f".repeat(250_000),
            truncated: false,
        };
        let content = Content {
            series: all,
            tallies: vec![tally.clone()],
            frontiers: (0..500).map(frontier).collect(),
            events: vec![event; 10],
        };
        let bodies = bodies(content);
        assert!(bodies.iter().all(|b| bytes_of(b) <= ROOM));
        assert!(bodies.len() > 6);
        let Body::Windows { tallies, samples, .. } = &bodies[0] else { panic!("windows first") };
        assert_eq!((tallies.as_slice(), samples.len()), ([tally].as_slice(), 3));
        let mut seen = 0;
        let (mut n_events, mut last_was_events) = (0, false);
        for (i, body) in bodies.iter().enumerate() {
            match body {
                Body::Windows { series, frontiers, continued, .. } => {
                    assert_eq!((*continued, frontiers.len()), (i > 0, 500));
                    assert!(!last_was_events, "windows come first");
                    seen += series.iter().map(|s| s.windows.len()).sum::<usize>();
                    assert!(series.iter().all(|s| !s.windows.is_empty()));
                }
                Body::Events { events, frontiers } => {
                    assert_eq!(frontiers.len(), 500);
                    n_events += events.len();
                    last_was_events = true;
                }
            }
        }
        assert_eq!((seen, n_events), (n_windows, 10));
    }

    #[test]
    fn nothing_makes_no_batch() {
        assert_eq!(bodies(Content::default()), []);
    }
}

//! A report as a table for people.
//!
//! Owns what is left out where there is no room for all. What stands about one source is its `sheet`'s business.

use watchkeeper_model::Timestamp;

use super::layout::{Look, Page, Tone, plain};
use super::report::{Report, SourceReport};
use super::sheet::Sheet;
use super::words;

/// What a run does while its table grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It reads files to their end.
    Reading,
    /// It reads standard input to its end.
    Listening,
    /// It goes on until it is stopped.
    Following,
}

/// How much of a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    /// Label sets of each signal.
    pub(super) n_label_sets: usize,
    /// Lines, and the names of their fields.
    pub(super) has_examples: bool,
    /// What is wrong with them.
    pub(super) has_why: bool,
    /// What could be done.
    pub(super) has_advice: bool,
}

impl Detail {
    /// Everything.
    pub(super) const FULL: Self =
        Self { n_label_sets: 10, has_examples: true, has_why: true, has_advice: true };

    /// Numbers only.
    const BARE: Self =
        Self { n_label_sets: 0, has_examples: false, has_why: false, has_advice: false };

    /// From everything to the bare numbers.
    const ALL: [Self; 7] = [
        Self::FULL,
        Self { n_label_sets: 5, ..Self::FULL },
        Self { n_label_sets: 3, has_advice: false, ..Self::FULL },
        Self { n_label_sets: 3, has_examples: true, ..Self::BARE },
        Self { n_label_sets: 3, ..Self::BARE },
        Self { n_label_sets: 1, ..Self::BARE },
        Self::BARE,
    ];
}

/// The whole report.
pub(super) fn table(report: &Report, look: Look, detail: Detail, now: Timestamp) -> Vec<String> {
    let mut page = Page::new(look);
    let stopped = if report.complete { "" } else { ", stopped before the end" };
    let title =
        format!("dry run of {}{stopped}: nothing is sent, nothing is stored", report.config);
    page.say(0, "", &(Tone::Faint, title));
    for source in &report.sources {
        page.gap();
        Sheet::on(&mut page, source, detail, now).draw();
    }
    for source in &report.left_out {
        page.gap();
        let left_out = format!("{} ({}): a dry run reads `tail` sources", source.name, source.kind);
        page.say(0, "left out: ", &plain(left_out));
    }
    page.into_lines()
}

/// As much of the report as fits so many lines; what is cut off is told.
pub(super) fn fitted(report: &Report, look: Look, n_lines: usize, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for detail in Detail::ALL {
        lines = table(report, look, detail, now);
        if lines.len() <= n_lines {
            return lines;
        }
    }
    let n_cut = lines.len() - n_lines.saturating_sub(1);
    lines.truncate(n_lines.saturating_sub(1));
    let mut page = Page::new(look);
    page.line(0, &[(Tone::Faint, format!("… {n_cut} more lines at the end of the run"))]);
    lines.extend(page.into_lines());
    lines.truncate(n_lines);
    lines
}

/// What goes on, below a table that grows.
pub(super) fn progress(report: &Report, look: Look, doing: Doing) -> String {
    let sum = |of: fn(&SourceReport) -> u64| report.sources.iter().map(of).sum::<u64>();
    let (read, left) = (sum(|s| s.bytes), sum(|s| s.left_bytes));
    let said = match doing {
        Doing::Following => "following; Ctrl-C ends it".to_owned(),
        Doing::Listening => "reading standard input; Ctrl-C stops it".to_owned(),
        Doing::Reading => {
            let (all, share) = (words::bytes(read + left), words::share(read, read + left));
            format!("reading: {} of {all} ({share}); Ctrl-C stops it", words::bytes(read))
        }
    };
    let mut page = Page::new(look);
    page.line(0, &[(Tone::Faint, said)]);
    page.into_lines().concat()
}

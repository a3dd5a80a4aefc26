//! `timeWindow`: rolling, or along a calendar.
//!
//! Owns which periods of OpenSLO are ours: weeks, months, quarters and years that begin where the calendar's do.

use jiff::civil::{DateTime, Time, Weekday};
use watchkeeper_collector_core::slo::CalendarUnit;
use watchkeeper_config::{Fields, Node, Reader, read};

use super::duration::{Shorthand, Span, read_shorthand};
use crate::config::slo_files::entry::entry;

/// A window in our words: the key, and what it says.
pub(super) type Window = (&'static str, Node);

/// Minutes up to so many were probably meant to be months.
const FEW: u32 = 12;

/// Reads the list, which has one window.
pub(super) fn read_windows(node: &Node, reader: &mut Reader<'_>) -> Option<Window> {
    let windows = read::list_of(read::node)(node, reader)?;
    let [window] = windows.as_slice() else {
        let n = windows.len();
        reader
            .error(node.place(), format!("`timeWindow` has exactly one window, and this has {n}"))
            .help("such as [{duration: 30d, isRolling: true}]");
        return None;
    };
    window.fields(reader, &["duration", "isRolling", "calendar"], |f| {
        let duration = f.required("duration", read_shorthand);
        let is_rolling = f.or("isRolling", !f.has("calendar"), read::bool);
        let has_calendar = f.has("calendar");
        let calendar = f.optional("calendar", read_calendar);
        let place = f.place().clone();
        match (is_rolling, has_calendar) {
            (true, false) => rolling(f, &duration?),
            (false, true) => along(f, &duration?, &calendar?),
            (true, true) => {
                f.reader()
                    .error(&place, "a window is rolling or has a `calendar`, not both")
                    .help("leave out `calendar`, or write isRolling: false");
                None
            }
            (false, false) => {
                f.reader()
                    .error(&place, "`calendar` is missing: the window does not roll")
                    .help("say calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}, or isRolling: true");
                None
            }
        }
    })
}

fn rolling(f: &mut Fields<'_, '_, '_>, duration: &Shorthand) -> Option<Window> {
    let place = f.node("duration")?.place().clone();
    let Some(text) = duration.fixed() else {
        f.reader()
            .error(&place, format!("{} are no rolling window: their lengths differ", place.text()))
            .help("write days, such as 30d or 90d; or isRolling: false with a `calendar`");
        return None;
    };
    if duration.span == Span::Minute && duration.n <= FEW {
        f.reader()
            .warning(&place, format!("{text} is a window of minutes"))
            .help("m are minutes; a month is 1M with a `calendar`, or 30d rolling");
    }
    Some(("window", Node::text_at(&place, text)))
}

/// When a calendar's first period begins, and where.
struct Start {
    at: DateTime,
    written: Node,
    zone: Node,
}

fn read_calendar(node: &Node, reader: &mut Reader<'_>) -> Option<Start> {
    node.fields(reader, &["startTime", "timeZone"], |f| {
        let at = f.required("startTime", |node, reader| {
            let text = read::string(node, reader)?;
            let at = text.trim().parse::<DateTime>().ok();
            if at.is_none() {
                reader
                    .error(node.place(), format!("{text:?} is no time of a calendar"))
                    .help("such as 2026-01-01 00:00:00, without an offset");
            }
            Some((at?, node.clone()))
        });
        let zone = f.required("timeZone", read::node);
        let (at, written) = at?;
        Some(Start { at, written, zone: zone? })
    })
}

fn along(f: &mut Fields<'_, '_, '_>, duration: &Shorthand, start: &Start) -> Option<Window> {
    let place = f.node("duration")?.place().clone();
    let unit = match (duration.n, duration.span) {
        (1, Span::Week) | (7, Span::Day) => CalendarUnit::Week,
        (1, Span::Month) => CalendarUnit::Month,
        (3, Span::Month) | (1, Span::Quarter) => CalendarUnit::Quarter,
        (12, Span::Month) | (4, Span::Quarter) | (1, Span::Year) => CalendarUnit::Year,
        _ => {
            f.reader()
                .error(&place, format!("a calendar has no periods of {}", place.text()))
                .help("its periods are 1w, 1M, 1Q and 1Y; m are minutes, M months");
            return None;
        }
    };
    refuse_other_start(unit, start, f.reader())?;
    let unit = entry("unit", Node::text_at(&place, unit.as_str()));
    let zone = entry("zone", start.zone.clone());
    Some(("calendar", Node::map_at(&place, vec![unit, zone])))
}

/// Our periods begin where the calendar's do, whenever that is said to have been first.
fn refuse_other_start(unit: CalendarUnit, start: &Start, reader: &mut Reader<'_>) -> Option<()> {
    let day = start.at.date();
    let (is_first, first) = match unit {
        CalendarUnit::Week => (day.weekday() == Weekday::Monday, "a Monday"),
        CalendarUnit::Month => (day.day() == 1, "the first of a month"),
        CalendarUnit::Quarter => {
            let is_first = day.day() == 1 && day.month() % 3 == 1;
            (is_first, "the first of January, April, July or October")
        }
        CalendarUnit::Year => (day.day() == 1 && day.month() == 1, "the first of January"),
    };
    if is_first && start.at.time() == Time::midnight() {
        return Some(());
    }
    let written = start.written.place();
    reader
        .error(written, format!("no {} begins at {}", unit.as_str(), start.at.strftime("%F %T")))
        .help(format!("here it begins on {first} at 00:00:00; a `startTime` says the same"));
    None
}

//! Corrections: planned maintenance that no budget pays for.
//!
//! Owns their schema. What they name has to be there: a slip in a name would leave out nothing, and nobody would notice
//! before the night of the maintenance.

use jiff::civil::Weekday;
use watchkeeper_collector_core::slo::{Concerned, Correction, SloSettings, Weekly, When, Zone};
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_expr::spelling::closest;
use watchkeeper_model::Timestamp;

use super::objectives::read_name;
use super::slos::read_zone;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

pub(super) fn read_correction(node: &Node, reader: &mut Reader<'_>) -> Option<Located<Correction>> {
    let keys = ["name", "slos", "service", "from", "to", "weekly", "reason"];
    node.fields(reader, &keys, |f| {
        let name = f.or("name", String::new(), read_name);
        let slos = f.or("slos", Vec::new(), read::non_empty(read::string));
        let service = f.optional("service", read::service);
        let when = read_when(f);
        let reason = f.required("reason", read::string);
        if let (Some(node), true) = (f.node("service"), f.has("slos")) {
            let place = node.place().clone();
            f.reader()
                .error(&place, "a correction is about `slos` or a `service`, not both")
                .help("leave one of them out; without either it is about all SLOs");
        }
        let place = f.place().clone();
        let concerned = Concerned { slos, service };
        Some(Located { value: Correction { name, concerned, when: when?, reason: reason? }, place })
    })
}

fn read_when(f: &mut Fields<'_, '_, '_>) -> Option<When> {
    let place = f.place().clone();
    match (f.has("weekly"), f.has("from") || f.has("to")) {
        (true, false) => f.optional("weekly", read_weekly).map(When::Weekly),
        (false, true) => {
            let (from, to) = (f.required("from", read_time), f.required("to", read_time));
            let (from, to) = (from?, to?);
            if from < to {
                return Some(When::Once { from, to });
            }
            f.reader().error(&place, "`to` is not after `from`");
            None
        }
        (both, _) => {
            let is = if both { "both once and weekly" } else { "neither once nor weekly" };
            f.reader().error(&place, format!("the correction is {is}")).help(
                "give it `from` and `to`, or weekly: {days: [sun], from: \"02:00\", to: \"03:00\", zone: Europe/Berlin}",
            );
            None
        }
    }
}

/// RFC 3339; the offset must be there, or nobody knows when it is meant.
fn read_time(node: &Node, reader: &mut Reader<'_>) -> Option<Timestamp> {
    let text = read::string(node, reader)?;
    let time = text.parse::<jiff::Timestamp>().ok().map(Timestamp::from_jiff);
    if time.is_none() {
        reader
            .error(node.place(), format!("{text:?} is no time with an offset"))
            .help("write RFC 3339, such as 2026-12-01T22:00:00+01:00");
    }
    time
}

fn read_weekly(node: &Node, reader: &mut Reader<'_>) -> Option<Weekly> {
    node.fields(reader, &["days", "from", "to", "zone"], |f| {
        let days = f.required("days", read::non_empty(read::choice(&DAYS)));
        let from = f.required("from", |n, r| read_hour(n, r, 24 * 60 - 1));
        let to = f.required("to", |n, r| read_hour(n, r, 24 * 60));
        let n_before = f.reader().problems().n_errors();
        let zone = f.or("zone", Zone::UTC, read_zone);
        let is_read = f.reader().problems().n_errors() == n_before;
        Some(Weekly {
            days: days?,
            from_minute: from?,
            to_minute: to?,
            zone: is_read.then_some(zone)?,
        })
    })
}

/// `HH:MM` as minutes after midnight.
fn read_hour(node: &Node, reader: &mut Reader<'_>, last: u16) -> Option<u16> {
    let text = read::string(node, reader)?;
    let number = |part: &str| part.parse::<u16>().ok().filter(|_| part.len() == 2);
    let minutes = text.split_once(':').and_then(|(hour, minute)| {
        let minute = number(minute).filter(|minute| *minute < 60)?;
        Some(number(hour)?.checked_mul(60)? + minute).filter(|all| *all <= last)
    });
    if minutes.is_none() {
        reader
            .error(node.place(), format!("{text:?} is no time of day"))
            .help("write it in quotes as \"02:00\"; `to` may be \"24:00\"");
    }
    minutes
}

/// What a correction names must be there.
pub(super) fn refuse_unknown(
    corrections: &[Located<Correction>],
    slos: &[Located<SloSettings>],
    reader: &mut Reader<'_>,
) {
    let names: Vec<&str> = slos.iter().map(|slo| slo.name.as_str()).collect();
    let services: Vec<&str> = slos.iter().map(|slo| slo.service.as_str()).collect();
    for correction in corrections {
        for name in correction.concerned.slos.iter().filter(|n| !names.contains(&n.as_str())) {
            let near = closest(name, names.iter().copied());
            let meant = near.map_or_else(String::new, |near| format!("did you mean {near}?"));
            reader.error(&correction.place, format!("no SLO is named {name:?}")).help(meant);
        }
        let service = correction.concerned.service.iter();
        for service in service.filter(|service| !services.contains(&service.as_str())) {
            let near = closest(service.as_str(), services.iter().copied());
            let meant = near.map_or_else(String::new, |near| format!("did you mean {near}?"));
            reader
                .error(&correction.place, format!("no SLO is about the service {service}"))
                .help(meant);
        }
    }
}

//! The `heartbeat:` section of an agent's file.
//!
//! Owns its keys, their defaults, and that exactly one of two says when runs are due. Never looks at a clock.

use std::time::Duration;

use watchkeeper_agent_core::heartbeat::{NoSchedule, Plan, Schedule};
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_config::{Fields, Located, Node, Reader, read};
use watchkeeper_model::{Service, Zone};

use super::source::HeartbeatSource;
use crate::sources::lines::read_zone;
use crate::sources::{Beside, Kind, Source, Stored};

const KEYS: [&str; 7] = ["name", "service", "schedule", "zone", "every", "grace", "max_duration"];

/// How much later a run may begin if nothing is said.
const GRACE: Duration = Duration::from_secs(5 * 60);

const DAY: u64 = 86_400;

/// What a `heartbeat` source needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSourceSettings {
    /// Its name, which is what jobs call it; empty until it has one.
    pub name: String,
    /// Whose job it is.
    pub service: Service,
    /// What is expected of it.
    pub plan: Plan,
}

impl Kind for HeartbeatSourceSettings {
    const TAG: &'static str = "heartbeat";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        node.fields(reader, &KEYS, |f| {
            let given_name = f.optional("name", read::located(read_name));
            let name = given_name.as_ref().map_or(String::new(), |name| name.value.clone());
            let service = f.required("service", read::service);
            let schedule = read_schedule(f);
            let grace = f.or("grace", GRACE, span(0, 30 * DAY));
            let max_duration = f.optional("max_duration", span(1, 30 * DAY));
            let plan = Plan { schedule: schedule?, grace, max_duration };
            Some((given_name, Self { name, service: service?, plan }))
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    fn service(&self) -> &Service {
        &self.service
    }

    fn reads(&self) -> String {
        // Jobs know it by its name: under another one it is another.
        format!("{}\n{}", Self::TAG, self.name)
    }

    fn build(self, stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(HeartbeatSource::new(self, &stored, into, &beside.beats()))
    }
}

fn span(least: u64, most: u64) -> impl Fn(&Node, &mut Reader<'_>) -> Option<Duration> {
    read::duration_in(Duration::from_secs(least)..=Duration::from_secs(most))
}

/// A name that can stand in a URL as it is.
fn read_name(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let name = read::string(node, reader)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Some(name);
    }
    reader
        .error(node.place(), format!("{name:?} is no name of a heartbeat"))
        .help("jobs call it by its name: 1 to 63 letters, digits, `-`, `_` and `.`");
    None
}

fn read_schedule(f: &mut Fields<'_, '_, '_>) -> Option<Schedule> {
    let place = f.place().clone();
    let zone = f.optional("zone", read_zone);
    if f.has("zone") && f.has("every") && !f.has("schedule") {
        f.reader()
            .error(&place, "`zone` says nothing beside `every`")
            .help("leave it out: `every` counts from one run to the next");
        return None;
    }
    match (f.has("schedule"), f.has("every")) {
        (true, false) if f.has("zone") && zone.is_none() => None,
        (true, false) => {
            let zone = zone.unwrap_or(Zone::UTC);
            f.optional("schedule", |node, reader| read_cron(node, reader, zone))
        }
        (false, true) => f.optional("every", span(10, 400 * DAY)).map(Schedule::Every),
        (true, true) => {
            f.reader()
                .error(&place, "`schedule` and `every` each say when runs are due")
                .help("keep one of them");
            None
        }
        (false, false) => {
            f.reader()
                .error(&place, "when runs are due is not said")
                .help("add `schedule: \"0 3 * * *\"` as in the crontab, or `every: 1h`");
            None
        }
    }
}

fn read_cron(node: &Node, reader: &mut Reader<'_>, zone: Zone) -> Option<Schedule> {
    let text = read::string(node, reader)?;
    match Schedule::cron(&text, zone) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            let help = match error {
                NoSchedule::NotUnderstood(_) => {
                    "minute, hour, day of month, month, day of week, such as \"0 3 * * 1-5\"; or @hourly, @daily, @weekly, @monthly"
                }
                NoSchedule::Never => "there is no such day in any year",
            };
            reader.error(node.place(), format!("{text:?} {error}")).help(help);
            None
        }
    }
}

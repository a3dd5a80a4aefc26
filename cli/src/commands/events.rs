//! `events`: error lines, probes turning, files changing; the newest first.
//!
//! Owns the filters as they are typed. The collector filters.

use crate::api::{self, Events, Pages};
use crate::commands::alerts::more;
use crate::commands::moment::Moment;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say};

/// Events shown if nobody says how many.
const DEFAULT_LIMIT: u32 = 50;

/// How much of a trace's id is shown.
const TRACE_CHARS: usize = 12;

/// Options of `events`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this service
    #[arg(long)]
    service: Option<String>,
    /// Only of this name, such as error
    #[arg(long)]
    name: Option<String>,
    /// At least this bad: info, warning, error, critical
    #[arg(long)]
    severity: Option<String>,
    /// With this in the message or the fields
    #[arg(long)]
    text: Option<String>,
    /// With this request or trace id
    #[arg(long)]
    correlation: Option<String>,
    /// From here: -1h, RFC 3339, local time such as 2026-11-22T18:00, or unix seconds
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    from: Option<Moment>,
    /// Before here
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    to: Option<Moment>,
    #[command(flatten)]
    pages: Pages,
    /// Exit with 1 if an event shown is an error or worse
    #[arg(long)]
    exit_code: bool,
}

/// Shows events.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let pages = args.pages.or_limit(DEFAULT_LIMIT);
    let filters = args.filters(&context.screen);
    let answer = api::list(&context.client()?, "events", &filters, &pages).await?;
    let events: Events = answer.read()?;
    let is_bad = events.events.iter().any(|e| Tone::of_severity(&e.severity) == Tone::Bad);
    let shown = if context.is_json() { answer.pretty() } else { draw(&events, &context.screen) };
    context.print(&shown);
    Ok(Outcome::failed_if(args.exit_code && is_bad))
}

impl Args {
    fn filters(&self, screen: &Screen) -> Vec<(&'static str, String)> {
        let time = |moment: &Option<Moment>| moment.as_ref().map(|m| m.resolve(screen).rfc3339());
        let all = [
            ("service", self.service.clone()),
            ("name", self.name.clone()),
            ("severity", self.severity.clone()),
            ("text", self.text.clone()),
            ("correlation", self.correlation.clone()),
            ("from", time(&self.from)),
            ("to", time(&self.to)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn draw(events: &Events, screen: &Screen) -> String {
    if events.events.is_empty() {
        return "no events\n".to_owned();
    }
    let mut grid = Grid::new([
        Column::left("TIME").wraps(8),
        Column::left("SEVERITY"),
        Column::left("SERVICE"),
        Column::left("AGENT").spare(),
        Column::left("NAME").spare(),
        Column::left("MESSAGE").wraps(24),
        Column::left("CORRELATION").wraps(16),
        Column::left("TRACE").spare(),
    ]);
    for event in &events.events {
        grid.row([
            event.time.map_or_else(String::new, |at| say::clock(at.0, screen)).into(),
            Cell::new(Tone::of_severity(&event.severity), event.severity.as_str()),
            event.service.as_str().into(),
            event.agent.as_str().into(),
            event.name.as_str().into(),
            event.message.as_str().into(),
            Cell::new(Tone::Faint, event.correlation.as_deref().unwrap_or_default()),
            Cell::new(Tone::Faint, short(event.trace.as_deref().unwrap_or_default())),
        ]);
    }
    let more = events.next.0.as_deref().map_or_else(String::new, more);
    grid.draw(screen) + &more
}

/// The beginning of a trace's id: enough to see which events share one. `--output json` has all of it.
fn short(trace: &str) -> String {
    match trace.char_indices().nth(TRACE_CHARS) {
        Some((end, _)) => format!("{}…", &trace[..end]),
        None => trace.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    #[test]
    fn filters_go_out_as_they_were_typed_and_times_in_utc() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line = "x --service shop --text boom --from -1h --to 2026-11-22T19:00:00+01:00";
        let Line { args } = clap::Parser::parse_from(line.split(' '));
        let screen = Screen::plain(None, Timestamp::from_secs(1_795_370_829));
        let expected = [
            ("service", "shop"),
            ("text", "boom"),
            ("from", "2026-11-22T17:07:09Z"),
            ("to", "2026-11-22T18:00:00Z"),
        ];
        let expected: Vec<_> = expected.map(|(n, v)| (n, v.to_owned())).into();
        assert_eq!(args.filters(&screen), expected);
    }

    #[test]
    fn an_event_is_one_line() {
        let events: Events = serde_json::from_str(
            r#"{"events":[{"time":"2026-11-22T18:07:05.25Z","service":"shop","agent":"web-1","name":"error",
                "severity":"error","message":"payment timed out","correlation":"req-4711",
                "trace":"4bf92f3577b34da6a3ce929d0e0e4736","fields":{}}]}"#,
        )
        .unwrap();
        let shown = draw(&events, &Screen::plain(None, Timestamp::from_secs(1_795_370_829)));
        let line = shown.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect();
        let expected = [
            "18:07:05",
            "error",
            "shop",
            "web-1",
            "error",
            "payment timed out",
            "req-4711",
            "4bf92f3577b3…",
        ];
        assert_eq!(words, expected);
    }
}

//! `report`: what SLOs were worth over a past period, as text, as a page or as JSON.
//!
//! Owns how the question is typed. Everything in the answer, its look too, is the collector's.

use clap::ValueEnum;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::commands::moment::Moment;
use crate::context::{Context, Outcome};
use crate::terminal::Screen;

/// Options of `report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  watchkeeper report --period last-month --format html > october.html\n  \
                        watchkeeper report --service shop --from -7d"
)]
pub(crate) struct Args {
    /// Only this SLO; all without this and --service
    #[arg(long, conflicts_with = "service")]
    slo: Option<String>,
    /// Only SLOs of this service
    #[arg(long)]
    service: Option<String>,
    /// Where the period begins: RFC 3339, local time, `-7d`; 30 days before its end if absent
    #[arg(long, allow_hyphen_values = true, conflicts_with = "period")]
    from: Option<Moment>,
    /// Where it ends, in the same ways; now if absent
    #[arg(long, allow_hyphen_values = true, conflicts_with = "period")]
    to: Option<Moment>,
    /// Or its name: 2026, 2026-10, 2026-Q3, 2026-W45, 2026-11-22, today, yesterday, last-month, this-week, …
    #[arg(long)]
    period: Option<String>,
    /// Where days begin and times are told: Europe/Berlin; where you are if absent
    #[arg(long, value_parser = zone)]
    zone: Option<TimeZone>,
    /// How it is written
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How a report is written. Its values explain themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
}

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Json => "json",
        }
    }
}

/// Shows a report.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let format = match args.format {
        Some(format) => format,
        None if context.is_json() => Format::Json,
        None => Format::Markdown,
    };
    let parameters = parameters(args, format, &context.screen);
    let answer = context.client()?.get(&["api", "v1", "reports"], &parameters).await?;
    match format {
        Format::Json => context.print(&answer.pretty()),
        Format::Markdown | Format::Html => context.print(answer.text()),
    }
    Ok(Outcome::Done)
}

fn parameters(args: &Args, format: Format, screen: &Screen) -> Vec<(&'static str, String)> {
    let zone = args.zone.clone().unwrap_or_else(|| screen.zone.clone());
    // Local times are those of the zone that is asked for.
    let there = Screen { zone: zone.clone(), ..screen.clone() };
    let moment = |moment: &Option<Moment>| moment.as_ref().map(|m| m.resolve(&there).rfc3339());
    let known = |name: &&str| TimeZoneDatabase::bundled().get(name).is_ok();
    let given = [
        ("slo", args.slo.clone()),
        ("service", args.service.clone()),
        ("from", moment(&args.from)),
        ("to", moment(&args.to)),
        ("period", args.period.clone()),
        // A zone without a name, or that only this machine knows, is none to ask with.
        ("zone", zone.iana_name().filter(known).map(str::to_owned)),
        ("format", Some(format.as_str().to_owned())),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn zone(name: &str) -> Result<TimeZone, String> {
    let found = TimeZoneDatabase::bundled().get(name);
    found.map_err(|_| format!("no time zone is named {name:?}: expected one as Europe/Berlin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use watchkeeper_model::Timestamp;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_typed_is_asked_where_the_reader_is() {
        let screen = Screen::plain(None, Timestamp::from_secs(1_795_370_829));
        for (line, asked) in [
            ("r", "zone=UTC format=html"),
            ("r --slo a --from -1h", "slo=a from=2026-11-22T17:07:09Z zone=UTC format=html"),
            (
                "r --service s --period last-month --zone Europe/Berlin",
                "service=s period=last-month zone=Europe/Berlin format=html",
            ),
            (
                "r --from 2026-11-01 --to 2026-11-02T12:00 --zone Europe/Berlin",
                "from=2026-10-31T23:00:00Z to=2026-11-02T11:00:00Z zone=Europe/Berlin format=html",
            ),
        ] {
            let args = Line::try_parse_from(line.split(' ')).unwrap().args;
            let found: Vec<String> = parameters(&args, Format::Html, &screen)
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(found.join(" "), asked, "{line}");
        }
    }
}

//! `query`: counts, rates and percentiles of a signal.
//!
//! Owns when points are listed and when they become a line of blocks. Every number is the collector's.

use std::num::NonZeroUsize;
use std::time::Duration;

use watchkeeper_expr::duration;
use watchkeeper_model::Timestamp;
use watchkeeper_model::time::nanos_of;

use crate::api::{Points, Series};
use crate::commands::moment::Moment;
use crate::context::{Context, Outcome};
use crate::terminal::{Cell, Column, Grid, Screen, Tone, say, sparkline};

/// More points than this are drawn, not listed.
const MAX_LISTED: usize = 24;

/// More series than this are drawn, not listed.
const MAX_SIDE_BY_SIDE: usize = 4;

/// Options of `query`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Values are in seconds, bytes, ratio (0 to 1) or plain numbers, as the signal's unit is.\n\n\
    Examples:\n  watchkeeper query requests --service shop --by status\n  \
    watchkeeper query requests --stat p95 --where 'path == \"/checkout\"' --from -6h --step 5m\n  \
    watchkeeper query process_cpu --stat avg --by service --top 3\n  \
    watchkeeper query requests --stat bad_ratio --good 'int(status) < 500' --by agent"
)]
pub(crate) struct Args {
    /// The signal, such as requests
    signal: String,
    /// count, rate, sum, avg, min, max, last, p50 to p99.9, bad_ratio
    #[arg(long, default_value = "count")]
    stat: String,
    /// Only of this service
    #[arg(long)]
    service: Option<String>,
    /// Only series whose labels match this condition
    #[arg(long = "where", value_name = "CONDITION")]
    filter: Option<String>,
    /// For bad_ratio: the good series among them
    #[arg(long, value_name = "CONDITION")]
    good: Option<String>,
    /// One result for each value of these labels
    #[arg(long, value_delimiter = ',', value_name = "LABEL,…")]
    by: Vec<String>,
    /// Only so many of them, those with the largest values, the largest first; JSON has all
    #[arg(long, value_name = "NUMBER")]
    top: Option<NonZeroUsize>,
    /// From here: -1h, RFC 3339, local time such as 2026-11-22T18:00, or unix seconds
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", default_value = "-1h")]
    from: Moment,
    /// Before here
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", default_value = "now")]
    to: Moment,
    /// A point for each of these, such as 1m; one point in all without it
    #[arg(long, value_name = "DURATION", value_parser = parse_step)]
    step: Option<Duration>,
}

/// Shows numbers.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let ask = Ask::of(args, &context.screen);
    let parameters = ask.parameters(args);
    let answer = context.client()?.get(&["api", "v1", "query"], &parameters).await?;
    let shown = if context.is_json() {
        answer.pretty()
    } else {
        draw(&top(answer.read()?, args.top), args, &ask, &context.screen)
    };
    context.print(&shown);
    Ok(Outcome::Done)
}

fn parse_step(text: &str) -> Result<Duration, String> {
    let nanos = duration::parse(text).map_err(|error| error.to_string())?;
    match u64::try_from(nanos) {
        Ok(nanos) if nanos >= 1_000_000_000 && nanos.is_multiple_of(1_000_000_000) => {
            Ok(Duration::from_nanos(nanos))
        }
        _ => Err("a step is whole seconds, at least 1s".to_owned()),
    }
}

/// The time that is asked for.
struct Ask {
    from: Timestamp,
    to: Timestamp,
    step: Option<Duration>,
}

impl Ask {
    fn of(args: &Args, screen: &Screen) -> Self {
        Self { from: args.from.resolve(screen), to: args.to.resolve(screen), step: args.step }
    }

    fn parameters(&self, args: &Args) -> Vec<(&'static str, String)> {
        let by = (!args.by.is_empty()).then(|| args.by.join(","));
        let all = [
            ("signal", Some(args.signal.clone())),
            ("stat", Some(args.stat.clone())),
            ("service", args.service.clone()),
            ("where", args.filter.clone()),
            ("good", args.good.clone()),
            ("by", by),
            ("from", Some(self.from.rfc3339())),
            ("to", Some(self.to.rfc3339())),
            ("step", self.step.map(|step| step.as_secs().to_string())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The points of a series at their places, gaps where there are none.
    fn placed(&self, series: &Series) -> Vec<Option<f64>> {
        let Some(step) = self.step else {
            return series.points.iter().map(|(_, value)| Some(*value)).collect();
        };
        let step = nanos_of(step);
        let first = self.from.nanos().div_euclid(step);
        let last = self.to.shifted(-1).nanos().div_euclid(step);
        let mut values = vec![None; usize::try_from(last - first + 1).unwrap_or(0)];
        for (at, value) in &series.points {
            let place = (at * 1e9 / step as f64).round() as i64 - first;
            if let Some(slot) = usize::try_from(place).ok().and_then(|place| values.get_mut(place))
            {
                *slot = Some(*value);
            }
        }
        values
    }
}

fn draw(points: &Points, args: &Args, ask: &Ask, screen: &Screen) -> String {
    let (from, to) = (say::clock(ask.from, screen), say::clock(ask.to, screen));
    if points.series.is_empty() {
        return format!("no {} from {from} to {to}\n", args.signal);
    }
    let n_points = points.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    let table = match ask.step {
        None => totals(points, args),
        Some(_) if n_points <= MAX_LISTED && points.series.len() <= MAX_SIDE_BY_SIDE => {
            listed(points, args, screen)
        }
        Some(_) => lines(points, args, ask, screen),
    };
    let resolution = Duration::try_from_secs_f64(points.resolution_seconds).unwrap_or_default();
    let resolution = say::written(resolution);
    let title =
        format!("{} of {} from {from} to {to}, known to {resolution}", args.stat, args.signal);
    format!("{}\n{}", screen.paint(Tone::Faint, &title), table.draw(screen))
}

/// The series whose largest values are largest, in that order; all in the collector's order if no number is given.
fn top(mut points: Points, n: Option<NonZeroUsize>) -> Points {
    let Some(n) = n else { return points };
    let largest = |series: &Series| {
        let values = series.points.iter().map(|(_, value)| *value);
        values.reduce(f64::max).unwrap_or(f64::NEG_INFINITY)
    };
    points.series.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
    points.series.truncate(n.get());
    points
}

fn label_columns(args: &Args) -> Vec<Column> {
    args.by.iter().map(|name| Column::left(name.clone()).wraps(10)).collect()
}

fn label_cells(series: &Series, args: &Args) -> Vec<Cell> {
    let value =
        |name| series.labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
    args.by.iter().map(|name| Cell::from(value(name).unwrap_or("\"\""))).collect()
}

/// One number for each series.
fn totals(points: &Points, args: &Args) -> Grid {
    let mut columns = label_columns(args);
    columns.push(Column::right(args.stat.to_uppercase()));
    let mut grid = Grid::new(columns);
    for series in &points.series {
        let mut cells = label_cells(series, args);
        let value = series.points.first().map(|(_, value)| say::number(*value));
        cells.push(value.unwrap_or_else(|| say::NOTHING.to_owned()).into());
        grid.row(cells);
    }
    grid
}

/// A row for each time, the series side by side.
fn listed(points: &Points, args: &Args, screen: &Screen) -> Grid {
    let name = |series: &Series| match args.by.len() {
        0 => args.stat.to_uppercase(),
        _ => label_text(series, args),
    };
    let mut columns = vec![Column::left("TIME")];
    columns.extend(points.series.iter().map(|series| Column::right(name(series))));
    let mut times: Vec<f64> =
        points.series.iter().flat_map(|s| s.points.iter().map(|p| p.0)).collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let mut grid = Grid::new(columns);
    for time in times {
        let at = Timestamp((time * 1e9) as i64);
        let mut cells = vec![Cell::from(say::clock(at, screen))];
        for series in &points.series {
            let value =
                series.points.iter().find(|(when, _)| *when == time).map(|p| say::number(p.1));
            cells.push(value.unwrap_or_else(|| say::NOTHING.to_owned()).into());
        }
        grid.row(cells);
    }
    grid
}

/// A line of blocks for each series.
fn lines(points: &Points, args: &Args, ask: &Ask, screen: &Screen) -> Grid {
    let mut columns = label_columns(args);
    let n_cells = (screen.columns() / 2).clamp(10, 60);
    columns.push(Column::left("OVER TIME"));
    columns.extend(["LEAST", "MOST", "LAST"].map(Column::right));
    let mut grid = Grid::new(columns);
    for series in &points.series {
        let values = || series.points.iter().map(|(_, value)| *value);
        let number =
            |value: Option<f64>| value.map_or_else(|| say::NOTHING.to_owned(), say::number);
        let mut cells = label_cells(series, args);
        cells.push(sparkline(&ask.placed(series), n_cells).into());
        cells.push(number(values().reduce(f64::min)).into());
        cells.push(number(values().reduce(f64::max)).into());
        cells.push(number(values().next_back()).into());
        grid.row(cells);
    }
    grid
}

fn label_text(series: &Series, args: &Args) -> String {
    let value = |name| series.labels.get(name).map_or("", String::as_str);
    let pairs: Vec<String> = args.by.iter().map(|name| format!("{name}={}", value(name))).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        <Line as clap::Parser>::parse_from(format!("x {line}").split(' ')).args
    }

    fn screen() -> Screen {
        Screen::plain(None, Timestamp::from_secs(1_795_370_829))
    }

    fn points(json: &str) -> Points {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_asked_goes_out_with_times_in_utc() {
        let args = args("requests --stat p95 --by status,agent --from -10m --step 1m");
        let found = Ask::of(&args, &screen()).parameters(&args);
        let expected = [
            ("signal", "requests"),
            ("stat", "p95"),
            ("by", "status,agent"),
            ("from", "2026-11-22T17:57:09Z"),
            ("to", "2026-11-22T18:07:09Z"),
            ("step", "60"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn totals_have_a_row_for_each_series() {
        let args = args("requests --by status");
        let points = points(
            r#"{"resolution_seconds":1,"series":[{"labels":{"status":"200"},"points":[[1795370829,1234]]},
                {"labels":{"status":""},"points":[[1795370829,7.5]]}]}"#,
        );
        let shown = draw(&points, &args, &Ask::of(&args, &screen()), &screen());
        assert_eq!(
            shown,
            "count of requests from 17:07:09 to 18:07:09, known to 1s\nstatus  COUNT\n200     1,234\n\"\"        7.5\n"
        );
    }

    #[test]
    fn the_top_is_what_is_largest() {
        let series = |name: &str, values: &[f64]| Series {
            labels: [("service".to_owned(), name.to_owned())].into(),
            points: values.iter().enumerate().map(|(n, value)| (n as f64, *value)).collect(),
        };
        let all = [("a", &[1.0, 9.0][..]), ("b", &[2.0]), ("none", &[]), ("c", &[12.0, 0.0])];
        let series: Vec<Series> = all.map(|(name, values)| series(name, values)).into();
        let names = |n: Option<usize>| -> Vec<String> {
            let points = Points { resolution_seconds: 1.0, series: series.clone() };
            let kept = top(points, n.and_then(NonZeroUsize::new)).series;
            kept.iter().map(|series| series.labels["service"].clone()).collect()
        };
        assert_eq!(names(Some(2)), ["c", "a"]);
        assert_eq!(names(Some(9)), ["c", "a", "b", "none"]);
        assert_eq!(names(None), ["a", "b", "none", "c"]);
    }

    #[test]
    fn few_points_are_listed_and_many_are_drawn() {
        let args = args("requests --by status --from -30m --step 1m");
        let ask = Ask::of(&args, &screen());
        let series = |n: usize| {
            let first = 1_795_370_829 / 60 * 60 - 60 * 30;
            let points: Vec<(f64, f64)> =
                (0..n).map(|i| ((first + 60 * i as i64) as f64, i as f64)).collect();
            let labels = [("status".to_owned(), "200".to_owned())].into();
            Points { resolution_seconds: 1.0, series: vec![Series { labels, points }] }
        };
        let few = draw(&series(2), &args, &ask, &screen());
        assert!(
            few.contains("status=200") && few.contains("17:37:00") && few.lines().count() == 4,
            "{few}"
        );
        let many = draw(&series(30), &args, &ask, &screen());
        assert!(many.contains('█') && many.lines().count() == 3, "{many}");
    }

    #[test]
    fn gaps_stay_where_they_are() {
        let args = args("requests --from 1795370820 --to 1795370826 --step 2s");
        let ask = Ask::of(&args, &screen());
        let points = vec![(1_795_370_820.0, 1.0), (1_795_370_824.0, 3.0), (99.0, 9.0)];
        let series = Series { labels: [].into(), points };
        assert_eq!(ask.placed(&series), [Some(1.0), None, Some(3.0)]);
    }

    #[test]
    fn nothing_found_is_said() {
        let args = args("requests");
        let shown = draw(&Points::default(), &args, &Ask::of(&args, &screen()), &screen());
        assert_eq!(shown, "no requests from 17:07:09 to 18:07:09\n");
    }
}

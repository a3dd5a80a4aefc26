//! `status`: everything on one screen.
//!
//! Owns the choice of what is worth a line: one for each kind of thing, and one for each thing that is wrong.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::{
    self, Agent, Agents, Alert, Alerts, Answer, ApiError, Client, Deliveries, Delivery, Pages,
    Receiver, Receivers, Slo, Slos,
};
use crate::commands::{alerts, deliveries, slo};
use crate::context::{Context, Outcome};
use crate::terminal::{Screen, Tone, hanging, say};

/// Deliveries that are looked at.
const RECENT_DELIVERIES: u32 = 100;

/// Things of one kind that are named before the rest is only counted.
const MAX_NAMED: usize = 5;

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit with 1 if something is firing, burning, silent, failing or not ready
    #[arg(long)]
    exit_code: bool,
}

/// Shows everything.
pub(crate) async fn run(args: &Args, context: &Context) -> anyhow::Result<Outcome> {
    let client = context.client()?;
    let readiness = readiness(&client).await?;
    let answers = match Answers::ask(&client).await {
        Ok(answers) => answers,
        Err(error) => {
            // What is known is shown, although it is not all that was asked for.
            context.print(&collector(&client, &readiness, &context.screen));
            return Err(error.into());
        }
    };
    let found = answers.read()?;
    let shown = if context.is_json() {
        answers.json(&client, &readiness)?
    } else {
        collector(&client, &readiness, &context.screen) + &draw(&found, &context.screen)
    };
    context.print(&shown);
    Ok(Outcome::failed_if(args.exit_code && (!readiness.is_empty() || found.is_bad())))
}

/// Why it is not ready, by component; empty if it is.
async fn readiness(client: &Client) -> Result<Vec<String>, ApiError> {
    let answer = client.get_any(&["readyz"], &[]).await?;
    if answer.is_success() {
        return Ok(Vec::new());
    }
    let reasons = answer.text().lines().map(str::trim).filter(|line| !line.is_empty());
    let reasons: Vec<String> = reasons.take(20).map(str::to_owned).collect();
    Ok(if reasons.is_empty() { vec!["no reason given".to_owned()] } else { reasons })
}

/// What the collector says, as it came.
struct Answers {
    agents: Answer,
    alerts: Answer,
    slos: Answer,
    deliveries: Answer,
    /// Collectors of before do not say.
    receivers: Option<Answer>,
}

/// The same, read.
#[derive(Debug, Default)]
struct Found {
    agents: Vec<Agent>,
    alerts: Vec<Alert>,
    slos: Vec<Slo>,
    /// The newest of each receiver.
    deliveries: Vec<Delivery>,
    receivers: Vec<Receiver>,
}

#[derive(Serialize)]
struct Json<'a> {
    url: String,
    ready: bool,
    reasons: &'a [String],
    agents: Option<&'a RawValue>,
    alerts: Option<&'a RawValue>,
    slos: Option<&'a RawValue>,
    deliveries: Option<&'a RawValue>,
    receivers: Option<&'a RawValue>,
}

impl Answers {
    async fn ask(client: &Client) -> Result<Self, ApiError> {
        let all = Pages::default();
        let recent = all.or_limit(RECENT_DELIVERIES);
        let receivers = async { Ok(api::list(client, "receivers", &[], &all).await.ok()) };
        let (agents, alerts, slos, deliveries, receivers) = tokio::try_join!(
            api::list(client, "agents", &[], &all),
            api::list(client, "alerts", &[], &all),
            api::list(client, "slos", &[], &all),
            api::list(client, "deliveries", &[], &recent),
            receivers,
        )?;
        Ok(Self { agents, alerts, slos, deliveries, receivers })
    }

    fn read(&self) -> Result<Found, ApiError> {
        let mut alerts = self.alerts.read::<Alerts>()?.alerts;
        alerts::sort(&mut alerts);
        Ok(Found {
            agents: self.agents.read::<Agents>()?.agents,
            alerts,
            slos: self.slos.read::<Slos>()?.slos,
            deliveries: newest(self.deliveries.read::<Deliveries>()?.deliveries),
            receivers: match &self.receivers {
                Some(answer) => answer.read::<Receivers>()?.receivers,
                None => Vec::new(),
            },
        })
    }

    fn json(&self, client: &Client, reasons: &[String]) -> anyhow::Result<String> {
        let json = Json {
            url: client.address(),
            ready: reasons.is_empty(),
            reasons,
            agents: api::items(&self.agents, "agents"),
            alerts: api::items(&self.alerts, "alerts"),
            slos: api::items(&self.slos, "slos"),
            deliveries: api::items(&self.deliveries, "deliveries"),
            receivers: self.receivers.as_ref().and_then(|answer| api::items(answer, "receivers")),
        };
        Ok(api::pretty(&serde_json::to_string(&json)?))
    }
}

/// The newest delivery to each receiver of which it is known what became of it.
fn newest(deliveries: Vec<Delivery>) -> Vec<Delivery> {
    let mut newest: BTreeMap<String, Delivery> = BTreeMap::new();
    for delivery in deliveries.into_iter().filter(|d| d.outcome() != "pending") {
        let known =
            newest.entry(deliveries::recipient(&delivery)).or_insert_with(|| delivery.clone());
        if known.at < delivery.at {
            *known = delivery;
        }
    }
    newest.into_values().collect()
}

impl Found {
    fn is_bad(&self) -> bool {
        self.alerts.iter().any(alerts::is_wrong)
            || self.slos.iter().any(|slo| slo.state != "ok")
            || self.agents.iter().any(|agent| agent.state == "silent")
            || self.deliveries.iter().any(deliveries::is_failing)
    }
}

/// One line of the screen.
fn line(name: &str, text: &str) -> String {
    format!("{name:<12}{text}\n")
}

fn collector(client: &Client, reasons: &[String], screen: &Screen) -> String {
    let state = match reasons {
        [] => screen.paint(Tone::Good, "ready"),
        _ => screen.paint(Tone::Bad, "not ready"),
    };
    let reasons = reasons.iter().map(|reason| Trouble::new(Tone::Bad, reason, String::new()));
    line("collector", &format!("{} {state}", client.address())) + &named(reasons, screen)
}

fn draw(found: &Found, screen: &Screen) -> String {
    [agents(found, screen), alerts_of(found, screen), slos(found, screen), receivers(found, screen)]
        .concat()
}

fn agents(found: &Found, screen: &Screen) -> String {
    let counts = counted(found.agents.iter().map(|agent| agent.state.clone()));
    let silent = found.agents.iter().filter(|agent| agent.state == "silent").map(|agent| {
        let since = agent
            .last_beat
            .map_or_else(|| "never heard".to_owned(), |at| say::moment(at.0, screen));
        Trouble::new(Tone::Bad, &format!("{} is silent", agent.id), format!(", last beat {since}"))
    });
    let behind =
        found.agents.iter().filter(|a| a.state == "live" && a.lag_bytes > 1 << 20).map(|agent| {
            let lag = say::bytes(agent.lag_bytes);
            Trouble::new(Tone::Warning, &agent.id, format!(" has {lag} still to read"))
        });
    line("agents", &text_of(&counts, "none yet")) + &named(silent.chain(behind), screen)
}

fn alerts_of(found: &Found, screen: &Screen) -> String {
    let wrong = || found.alerts.iter().filter(|alert| alerts::is_wrong(alert));
    let by_severity = counted(wrong().map(|alert| match alert.label("severity") {
        "" => "without severity".to_owned(),
        word => word.to_owned(),
    }));
    let n_pending = found.alerts.iter().filter(|alert| alert.state == "pending").count();
    let mut words = match wrong().count() {
        0 => vec!["none firing".to_owned()],
        n => vec![format!("{n} firing: {}", text_of(&by_severity, ""))],
    };
    if n_pending > 0 {
        words.push(format!("{n_pending} pending"));
    }
    let lines = wrong().map(|alert| {
        let head = format!("{} {}", alert.label("severity"), alerts::name(alert));
        let since = alert
            .starts_at
            .map_or_else(String::new, |at| format!(" since {}", say::moment(at.0, screen)));
        let state = match alerts::state(alert).strip_prefix("firing, ") {
            Some(more) => format!(" ({more})"),
            None => String::new(),
        };
        Trouble::new(alerts::tone(alert), head.trim(), format!("{since}{state}: {}", alert.reason))
    });
    line("alerts", &words.join("; ")) + &named(lines, screen)
}

fn slos(found: &Found, screen: &Screen) -> String {
    let counts = counted(found.slos.iter().map(|slo| slo::words(&slo.state)));
    let left = |slo: &&Slo| slo.budget_remaining.filter(|_| slo.total > 0);
    let worst = found
        .slos
        .iter()
        .filter(|slo| left(slo).is_some())
        .min_by(|a, b| left(a).unwrap_or(1.0).total_cmp(&left(b).unwrap_or(1.0)));
    let worst = worst.map(|slo| {
        let gone = |at: api::When| format!(", gone {}", say::relative(at.0, screen.now));
        let exhausts = slo.exhausts_at.map_or_else(String::new, gone);
        let head = format!("worst budget: {}", slo.name);
        Trouble::new(
            slo::tone(&slo.state),
            &head,
            format!(" {}{exhausts}", slo::budget_left(slo, 10)),
        )
    });
    line("SLOs", &text_of(&counts, "none")) + &named(worst.into_iter(), screen)
}

fn receivers(found: &Found, screen: &Screen) -> String {
    let failing = || found.deliveries.iter().filter(|d| deliveries::is_failing(d));
    let text = match (found.deliveries.len(), failing().count()) {
        (0, _) => "nothing told yet".to_owned(),
        (n, 0) => format!("{} told, none failing", say::things(n, "receiver")),
        (n, bad) => format!("{bad} of {n} failing"),
    };
    let lines = failing().map(|delivery| {
        let at = delivery
            .at
            .map_or_else(String::new, |at| format!(" {}", say::relative(at.0, screen.now)));
        let rest = format!(": {}{at}: {}", delivery.action, deliveries::outcome(delivery, screen));
        Trouble::new(Tone::Bad, &deliveries::recipient(delivery), rest)
    });
    line("receivers", &text) + &named(lines.chain(waiting(found)), screen)
}

/// Those for whom something waits, and why.
fn waiting(found: &Found) -> impl Iterator<Item = Trouble> {
    let all = found.receivers.iter().flat_map(|r| r.integrations.iter().map(move |i| (r, i)));
    all.filter(|(_, integration)| integration.waiting > 0).map(|(receiver, integration)| {
        let head = format!("{}/{}", receiver.name, integration.integration);
        let held = match (integration.held.as_deref(), integration.breaker.as_str()) {
            (_, "open") => {
                let error = integration.last_error.as_deref().unwrap_or_default();
                format!(", left alone for a while: {error}")
            }
            (Some(why), _) => format!(" ({why})"),
            (None, _) => String::new(),
        };
        let rest = format!(" has {} waiting{held}", integration.waiting);
        Trouble::new(Tone::Warning, &head, rest)
    })
}

/// How many there are of each word, the most first.
fn counted(words: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| Reverse(*n));
    counts
}

fn text_of(counts: &[(String, usize)], nothing: &str) -> String {
    if counts.is_empty() {
        return nothing.to_owned();
    }
    counts.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
}

/// A line of its own below its kind's.
struct Trouble {
    tone: Tone,
    head: String,
    rest: String,
}

impl Trouble {
    fn new(tone: Tone, head: &str, rest: String) -> Self {
        Self { tone, head: head.to_owned(), rest }
    }
}

/// The first few; the others are counted.
fn named(troubles: impl Iterator<Item = Trouble>, screen: &Screen) -> String {
    let troubles: Vec<Trouble> = troubles.collect();
    let shown = troubles.iter().take(MAX_NAMED);
    let mut text: String = shown.map(|t| hanging(screen, "  ", t.tone, &t.head, &t.rest)).collect();
    if troubles.len() > MAX_NAMED {
        text += &format!("  and {} more\n", troubles.len() - MAX_NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    fn screen() -> Screen {
        Screen::plain(None, Timestamp::from_secs(1_795_370_829))
    }

    fn found() -> Found {
        fn from<T: serde::de::DeserializeOwned>(json: &str) -> T {
            serde_json::from_str(json).unwrap()
        }
        Found {
            agents: from(
                r#"[{"id":"a","state":"live"},{"id":"b","state":"live","lag_bytes":3145728},
                    {"id":"c","state":"silent","last_beat":"2026-11-22T17:55:09Z"},{"id":"d","state":"stopped"}]"#,
            ),
            alerts: from(
                r#"[{"labels":{"alertname":"shop-availability","severity":"page"},"state":"firing","stale":true,
                     "starts_at":"2026-11-22T18:03:57Z","reason":"burning 21.3x"},
                    {"labels":{"alertname":"Watchdog","severity":"none"},"state":"firing"},
                    {"labels":{"alertname":"Soon","severity":"page"},"state":"pending"}]"#,
            ),
            slos: from(
                r#"[{"name":"x","state":"ok","total":10,"budget_remaining":0.9},
                    {"name":"y","state":"page","total":10,"budget_remaining":-0.123,"exhausts_at":null},
                    {"name":"z","state":"no_data"}]"#,
            ),
            deliveries: newest(from(
                r#"[{"receiver":"chat","kind":"slack","at":"2026-11-22T18:07:00Z","outcome":"ok"},
                    {"receiver":"chat","kind":"slack","at":"2026-11-22T18:00:00Z","outcome":"failed"},
                    {"receiver":"ops","kind":"webhook","at":"2026-11-22T18:06:30Z","outcome":"pending"},
                    {"receiver":"ops","kind":"webhook","at":"2026-11-22T18:06:09Z","outcome":"retry","status":503,
                     "action":"open","error":"status 503"}]"#,
            )),
            receivers: from(
                r#"[{"name":"chat","integrations":[{"integration":"slack[0]","waiting":40,"held":"paced","breaker":"closed"}]},
                    {"name":"ops","integrations":[{"integration":"webhook[0]","waiting":1,"held":"broken","breaker":"open",
                     "last_error":"status 503"},{"integration":"webhook[1]","waiting":0,"breaker":"closed"}]}]"#,
            ),
        }
    }

    #[test]
    fn everything_stands_on_one_screen() {
        let shown = draw(&found(), &screen());
        let expected = "\
agents      2 live, 1 silent, 1 stopped
  c is silent, last beat 17:55:09 (12m ago)
  b has 3.0 MiB still to read
alerts      1 firing: 1 page; 1 pending
  page shop-availability since 18:03:57 (3m 12s ago) (stale): burning 21.3x
SLOs        1 no data, 1 ok, 1 page
  worst budget: y ░░░░░░░░░░ -12.3%, overspent
receivers   1 of 2 failing
  ops/webhook: open 1m ago: retry 503: status 503
  chat/slack[0] has 40 waiting (paced)
  ops/webhook[0] has 1 waiting, left alone for a while: status 503
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_new_collector_has_nothing_to_say() {
        let shown = draw(&Found::default(), &screen());
        assert_eq!(
            shown,
            "agents      none yet\nalerts      none firing\nSLOs        none\nreceivers   nothing told yet\n"
        );
        assert!(!Found::default().is_bad());
    }

    #[test]
    fn each_kind_of_trouble_counts() {
        assert!(found().is_bad());
        let only: [fn(&mut Found); 4] = [
            |f| f.agents = found().agents,
            |f| f.alerts = found().alerts,
            |f| f.slos = found().slos,
            |f| f.deliveries = found().deliveries,
        ];
        for set in only {
            let mut one = Found::default();
            set(&mut one);
            assert!(one.is_bad(), "{one:?}");
        }
    }
}

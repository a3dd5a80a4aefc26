//! What it costs to keep many SLOs: CPU time of the engine per second of its own time, in virtual time.
//!
//! Owns a benchmark. Every SLO gets counts once a second, as batches bring them, from one agent or spread over many; a
//! tenth of them burns. `cargo run --release -p watchkeeper-collector --example engine_load -- 10000 1 120` (SLOs, agents,
//! seconds); without arguments it shows 1 000 and 10 000 SLOs with 1 and 100 agents.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeeper_collector_core::alert::BuiltinSettings;
use watchkeeper_collector_core::engine::{
    Committed, Engine, Input, ReceiverSettings, Restored, Settings,
};
use watchkeeper_collector_core::route::{RouteSettings, RouteTree};
use watchkeeper_collector_core::slo::{Counts, Judged, Objective, SloSettings};
use watchkeeper_model::{AgentId, Decimal, Service, Timestamp, Window};

/// SLOs that one batch speaks of.
const TOGETHER: usize = 50;
const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn settings(n_slos: usize) -> Result<Settings> {
    let percent = Decimal::parse("99.9").context("a number")?;
    let objective = Objective::from_percent(percent).context("an objective")?;
    let service = Service::new("shop").context("a service")?;
    let slos = (0..n_slos)
        .map(|i| SloSettings::new(&format!("slo-{i}"), service.clone(), "requests", objective));
    Ok(Settings {
        slos: slos.collect(),
        rules: Vec::new(),
        corrections: Vec::new(),
        builtin: BuiltinSettings::default(),
        routes: RouteTree::build(&RouteSettings::default(), "nobody"),
        receivers: vec![ReceiverSettings { name: "nobody".to_owned(), integrations: Vec::new() }],
        external_url: String::new(),
    })
}

/// One second of all SLOs, as the agents' batches bring it.
fn batches(names: &[Arc<str>], n_agents: usize, second: Timestamp) -> Vec<Input> {
    let service = Service::new("shop").expect("a service");
    let window = Window::holding(second, 1);
    let chunks = names.chunks(TOGETHER).enumerate();
    let batch = |(i, chunk): (usize, &[Arc<str>])| {
        let agent = AgentId::new(&format!("web-{}", i % n_agents));
        let judged = chunk.iter().enumerate().map(|(j, slo)| {
            let bad = if j % 10 == 0 { 10 } else { 0 };
            let counts = Counts { good: 100 - bad, total: 100, ..Counts::default() };
            Judged { slo: slo.clone(), agent: agent.clone(), window, counts }
        });
        Input::Committed(Box::new(Committed {
            agent: agent.clone(),
            service: service.clone(),
            judged: judged.collect(),
            observed: Vec::new(),
            events: Vec::new(),
            tallies: Vec::new(),
            n_lost: 0,
        }))
    };
    chunks.map(batch).collect()
}

fn run(n_slos: usize, n_agents: usize, seconds: u32) -> Result<()> {
    let (mut engine, _) = Engine::new(settings(n_slos)?, Restored::default(), T0);
    let names: Vec<Arc<str>> = (0..n_slos).map(|i| format!("slo-{i}").into()).collect();
    let (mut spent, mut n_effects) = (Duration::ZERO, 0);
    for second in 0..seconds {
        let start = T0 + Duration::from_secs(second.into());
        let inputs = batches(&names, n_agents, start);
        let step = Duration::from_secs(1) / u32::try_from(inputs.len())?.max(1);
        let mut now = start;
        let before = cpu()?;
        for input in inputs {
            while let Some(due) = engine.next_deadline().filter(|due| *due <= now) {
                n_effects += engine.handle(Input::Tick, due.max(start)).len();
                if engine.next_deadline().is_some_and(|next| next <= due) {
                    break;
                }
            }
            n_effects += engine.handle(input, now).len();
            now = now + step;
        }
        // What comes first is restoring, and the tenth that burns begins to.
        if second >= seconds / 4 {
            spent += cpu()? - before;
        }
    }
    let counted = seconds - seconds / 4;
    let slos = engine.slos(T0 + Duration::from_secs(seconds.into()));
    ensure!(slos.iter().all(|slo| slo.total == u64::from(seconds) * 100), "every count is there");
    let share = spent.as_secs_f64() / f64::from(counted);
    println!(
        "{n_slos} SLOs, {n_agents} agents: {:.1} % of a core, {:.2} µs an SLO and second; {n_effects} effects",
        100.0 * share,
        1e6 * share / n_slos as f64
    );
    Ok(())
}

/// CPU time of this thread: the first number in the kernel's account of its scheduling, in nanoseconds.
fn cpu() -> Result<Duration> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let spent = account.split_whitespace().next().context("no number")?;
    Ok(Duration::from_nanos(spent.parse()?))
}

fn main() -> Result<()> {
    let arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    match arguments.collect::<Result<Vec<_>, _>>()?.as_slice() {
        [n_slos, n_agents, seconds] => run(*n_slos, *n_agents, u32::try_from(*seconds)?),
        _ => [(1_000, 1), (10_000, 1), (10_000, 100)]
            .into_iter()
            .try_for_each(|(n_slos, n_agents)| run(n_slos, n_agents, 60)),
    }
}

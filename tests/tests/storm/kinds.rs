//! Every kind of fault: whom it may meet, by road, and how one is drawn.
//!
//! Owns the list. When one comes is the plan's, what it does is in `faults`.

use super::chance::Chance;

/// Agents of a storm.
pub(crate) const N_AGENTS: usize = 3;

/// By what agents reach the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// Directly.
    Grpc,
    /// Through a broker.
    Amqp,
    /// Directly, and through a broker while that does not work.
    Both,
}

impl Road {
    /// The ways of one agent, the better one first.
    pub(crate) const fn ways(self) -> &'static [Way] {
        match self {
            Self::Grpc => &[Way::Grpc],
            Self::Amqp => &[Way::Amqp],
            Self::Both => &[Way::Grpc, Way::Amqp],
        }
    }

    /// Whether there is a broker.
    pub(crate) fn has_broker(self) -> bool {
        self != Self::Grpc
    }
}

/// One way of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the collector.
    Grpc,
    /// To the broker.
    Amqp,
}

/// Something that bytes go over, with a proxy in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// From the agent of that number.
    Agent(usize, Way),
    /// From the collector to the broker.
    Collector,
}

/// Whom a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The agent of that number.
    Agent(usize),
    /// The collector.
    Collector,
    /// The broker.
    Broker,
}

/// Which backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// The oldest that agents can still make up for.
    Oldest,
    /// The last.
    Newest,
}

/// One thing that goes wrong. What lasts does so for that many steps, beside what they bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`, and a start.
    Kill(Target),
    /// SIGTERM, and a start.
    Stop(Target),
    /// SIGSTOP, and SIGCONT later.
    Freeze(Target, usize),
    /// The broker is started without its data.
    NewBroker,
    /// Every connection over it is cut now.
    Cut(Link),
    /// A connection over it is cut after so many more bytes, in the middle of whatever that is.
    CutAfter(Link, u64),
    /// Everything over it takes so many milliseconds longer.
    Delay(Link, u64, usize),
    /// Its connections stay open and carry nothing, new ones too.
    HalfOpen(Link, usize),
    /// A bit of what is sent flips, after so many more bytes.
    Flip(Link, u64),
    /// A bit of what is answered flips, after so many more bytes.
    FlipBack(Link, u64),
    /// Somebody else fills the disk that the data lie on.
    FullDisk(Target, usize),
    /// An agent runs with a clock that is so many seconds off.
    WrongClock(usize, i64, usize),
    /// A second agent runs with a copy of this one's spool, and writes so many lines of its own.
    Clone(usize, u64),
    /// A backup of the running collector is taken.
    Backup,
    /// The collector is killed and restored from a backup.
    Restore(Age),
    /// A log is rotated so many times, with so many lines each, without waiting for anybody.
    Rush(usize, u64, u64),
    /// Another configuration that counts the same is loaded.
    Reload(Target, u64),
    /// Everything is healed; the counts have to be the truth.
    Calm,
}

impl Chance {
    fn agent(&mut self) -> usize {
        self.below(N_AGENTS as u64) as usize
    }

    fn link(&mut self, road: Road) -> Link {
        Link::Agent(self.agent(), self.one_of(road.ways()))
    }

    fn steps(&mut self) -> usize {
        1 + self.below(4) as usize
    }
}

/// One of a kind.
pub(crate) type Draw = fn(&mut Chance, Road) -> Fault;

/// A kind of fault, with its name.
pub(crate) type Kind = (&'static str, Draw);

/// Those that may meet any site. Each comes once in as many steps as there are kinds.
const ANYWHERE: [Kind; 21] = [
    ("kill agent", |c, _| Fault::Kill(Target::Agent(c.agent()))),
    ("kill collector", |_, _| Fault::Kill(Target::Collector)),
    ("stop agent", |c, _| Fault::Stop(Target::Agent(c.agent()))),
    ("stop collector", |_, _| Fault::Stop(Target::Collector)),
    ("freeze agent", |c, _| Fault::Freeze(Target::Agent(c.agent()), c.steps())),
    ("freeze collector", |c, _| Fault::Freeze(Target::Collector, c.steps())),
    ("cut", |c, road| Fault::Cut(c.link(road))),
    ("cut after", |c, road| Fault::CutAfter(c.link(road), c.below(4_000))),
    ("delay", |c, road| Fault::Delay(c.link(road), c.one_of(&[5, 50, 400]), c.steps())),
    ("half-open", |c, road| Fault::HalfOpen(c.link(road), c.steps())),
    ("flip", |c, road| Fault::Flip(c.link(road), c.below(3_000))),
    ("flip back", |c, road| Fault::FlipBack(c.link(road), c.below(800))),
    ("full disk of agent", |c, _| Fault::FullDisk(Target::Agent(c.agent()), c.steps())),
    ("full disk of collector", |c, _| Fault::FullDisk(Target::Collector, c.steps())),
    ("wrong clock", |c, _| {
        let seconds = c.one_of(&[-1_500, -90, -5, 3, 5, 90, 1_500]);
        Fault::WrongClock(c.agent(), seconds, c.steps())
    }),
    ("clone", |c, _| Fault::Clone(c.agent(), 1 + c.below(200))),
    ("backup", |_, _| Fault::Backup),
    ("restore", |c, _| Fault::Restore(c.one_of(&[Age::Oldest, Age::Newest]))),
    ("rush", |c, _| Fault::Rush(c.agent(), 2 + c.below(20), 1 + c.below(100))),
    ("reload agent", |c, _| Fault::Reload(Target::Agent(c.agent()), c.below(3))),
    ("reload collector", |c, _| Fault::Reload(Target::Collector, c.below(2))),
];

/// Those of a site with a broker, besides.
const WITH_BROKER: [Kind; 8] = [
    ("kill broker", |_, _| Fault::Kill(Target::Broker)),
    ("stop broker", |_, _| Fault::Stop(Target::Broker)),
    // Long enough for signs of life to be missed.
    ("freeze broker", |c, _| Fault::Freeze(Target::Broker, 2 + c.below(14) as usize)),
    ("new broker", |_, _| Fault::NewBroker),
    ("cut collector off", |c, _| match c.below(2) {
        0 => Fault::Cut(Link::Collector),
        _ => Fault::CutAfter(Link::Collector, c.below(4_000)),
    }),
    ("delay collector", |c, _| Fault::Delay(Link::Collector, c.one_of(&[5, 50, 400]), c.steps())),
    ("half-open collector", |c, _| Fault::HalfOpen(Link::Collector, c.steps())),
    ("flip at collector", |c, _| match c.below(2) {
        0 => Fault::Flip(Link::Collector, c.below(2_000)),
        _ => Fault::FlipBack(Link::Collector, c.below(3_000)),
    }),
];

/// The kinds of a road.
pub(crate) fn kinds(road: Road) -> Vec<Kind> {
    let with_broker = if road.has_broker() { &WITH_BROKER[..] } else { &[] };
    [&ANYWHERE[..], with_broker].concat()
}

/// The name of a fault's kind, for whoever counts them.
pub(crate) fn name(fault: Fault) -> String {
    let of = |target: Target| match target {
        Target::Agent(_) => " agent",
        Target::Collector => " collector",
        Target::Broker => " broker",
    };
    let over = |link: Link| match link {
        Link::Agent(_, Way::Grpc) => " grpc",
        Link::Agent(_, Way::Amqp) => " amqp",
        Link::Collector => " collector-broker",
    };
    let (verb, whom) = match fault {
        Fault::Kill(target) => ("kill", of(target)),
        Fault::Stop(target) => ("stop", of(target)),
        Fault::Freeze(target, _) => ("freeze", of(target)),
        Fault::NewBroker => ("new broker", ""),
        Fault::Cut(link) => ("cut", over(link)),
        Fault::CutAfter(link, _) => ("cut after", over(link)),
        Fault::Delay(link, ..) => ("delay", over(link)),
        Fault::HalfOpen(link, _) => ("half-open", over(link)),
        Fault::Flip(link, _) => ("flip", over(link)),
        Fault::FlipBack(link, _) => ("flip back", over(link)),
        Fault::FullDisk(target, _) => ("full disk", of(target)),
        Fault::WrongClock(_, seconds, _) if seconds < 0 => ("clock behind", ""),
        Fault::WrongClock(..) => ("clock ahead", ""),
        Fault::Clone(..) => ("clone", ""),
        Fault::Backup => ("backup", ""),
        Fault::Restore(Age::Oldest) => ("restore oldest", ""),
        Fault::Restore(Age::Newest) => ("restore newest", ""),
        Fault::Rush(..) => ("rush", ""),
        Fault::Reload(target, _) => ("reload", of(target)),
        Fault::Calm => ("calm", ""),
    };
    format!("{verb}{whom}")
}

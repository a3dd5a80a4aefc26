//! The `redis:` section of a probe.
//!
//! Owns its keys, and the names its conditions know.

use watchkeeper_agent_core::probe::Expectations;
use watchkeeper_config::{Node, Reader, Secret, read};
use watchkeeper_expr::Type;
use watchkeeper_model::Masks;

use super::prober::RedisProber;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober, SHORTEST_SECRET};
use crate::sources::probe::net::Way;

const PORT: u16 = 6379;

/// The most words of a command.
const MAX_WORDS: usize = 64;

/// A server, and what it is asked besides whether it answers.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct RedisProbe {
    pub(super) way: Way,
    /// Who asks, where that is not the default user.
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    /// The number of a database.
    pub(super) database: u16,
    /// A command that changes nothing.
    pub(super) command: Vec<String>,
}

impl ProbeKind for RedisProbe {
    const TAG: &'static str = "redis";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("info", Type::Json),
        ("value", Type::Json),
        ("tls", Type::String),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
        ("certificate.chain_expires_in", Type::Duration),
    ];

    const USUAL: &'static [(&'static str, &'static str)] = &[];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let keys = [&Way::KEYS[..], &["username", "password", "database", "command"]].concat();
        node.fields(reader, &keys, |f| {
            let way = Way::read(f, PORT);
            let username = f.optional("username", read::string);
            let password = Way::read_password(way.as_ref(), f);
            let database = f.or("database", 0, read::integer(0..=i64::from(u16::MAX)));
            let place = f.node("command").map(|node| node.place().clone());
            let command = f.or("command", Vec::new(), read::non_empty(read::string));
            let place_of_user = f.node("username").map(|node| node.place().clone());
            if let Some(place) = place_of_user.filter(|_| !f.has("password")) {
                let problem = f.reader().error(&place, "`username` is given without `password`");
                problem.help("add `password: {env: NAME}`, or leave both out");
                return None;
            }
            if let Some(place) = place.filter(|_| command.len() > MAX_WORDS) {
                let problem = f.reader().error(&place, "the command is too long");
                problem.help(format!("it may have {MAX_WORDS} words"));
                return None;
            }
            let database = u16::try_from(database).unwrap_or(0);
            Some(Self { way: way?, username, password, database, command })
        })
    }

    fn target(&self) -> String {
        match self.database {
            0 => self.way.host.to_string(),
            database => format!("{}/{database}", self.way.host),
        }
    }

    fn secrets(&self) -> Masks {
        let mut masks = Masks::default();
        self.password.iter().for_each(|password| masks.add(password.expose(), SHORTEST_SECRET));
        masks
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(RedisProber::new(self.clone(), expectations))
    }
}

//! The `postgres:` section of a probe.
//!
//! Owns its keys, and the names its conditions know.

use watchkeeper_agent_core::probe::Expectations;
use watchkeeper_config::{Node, Reader, Secret, read};
use watchkeeper_expr::Type;
use watchkeeper_model::Masks;

use super::prober::PostgresProber;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober, SHORTEST_SECRET};
use crate::sources::probe::net::Way;

const PORT: u16 = 5432;

/// A server, and what it is asked besides whether it lets somebody in.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct PostgresProbe {
    pub(super) way: Way,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    /// That of the user's name if none is given.
    pub(super) database: Option<String>,
    pub(super) query: Option<String>,
}

impl ProbeKind for PostgresProbe {
    const TAG: &'static str = "postgres";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("rows", Type::Int),
        ("row", Type::Json),
        ("value", Type::Json),
        ("replica", Type::Bool),
        ("lag", Type::Duration),
        ("connections", Type::Int),
        ("max_connections", Type::Int),
        ("connections_ratio", Type::Double),
        ("version", Type::String),
        ("tls", Type::String),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
        ("certificate.chain_expires_in", Type::Duration),
    ];

    const USUAL: &'static [(&'static str, &'static str)] = &[];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let keys = [&Way::KEYS[..], &["user", "password", "database", "query"]].concat();
        node.fields(reader, &keys, |f| {
            let way = Way::read(f, PORT);
            let user = f.required("user", read::string);
            let password = Way::read_password(way.as_ref(), f);
            let database = f.optional("database", read::string);
            let query = f.optional("query", read::string);
            Some(Self { way: way?, user: user?, password, database, query })
        })
    }

    fn target(&self) -> String {
        format!("{}/{}", self.way.host, self.database.as_deref().unwrap_or(&self.user))
    }

    fn secrets(&self) -> Masks {
        let mut masks = Masks::default();
        self.password.iter().for_each(|password| masks.add(password.expose(), SHORTEST_SECRET));
        masks
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(PostgresProber::new(self.clone(), expectations))
    }
}

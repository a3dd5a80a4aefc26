//! The `host:` section of an agent's file.
//!
//! Owns its keys and defaults. Never looks at the host.

use std::time::Duration;

use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_config::{Located, Node, Reader};
use watchkeeper_model::Service;

use super::source::HostSource;
use crate::sources::head::Head;
use crate::sources::{Beside, Kind, Source, Stored};

/// How often is looked if nothing else is said.
const EVERY: Duration = Duration::from_secs(10);

/// What a `host` source needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSourceSettings {
    /// Its name, its service and how often it looks.
    pub head: Head,
}

impl Kind for HostSourceSettings {
    const TAG: &'static str = "host";

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<(Option<Located<String>>, Self)> {
        node.fields(reader, &Head::KEYS, |f| {
            let (given_name, head) = Head::read(f, EVERY);
            Some((given_name, Self { head: head? }))
        })
    }

    fn name(&self) -> &str {
        &self.head.name
    }

    fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.head.name);
    }

    fn service(&self) -> &Service {
        &self.head.service
    }

    fn reads(&self) -> String {
        Self::TAG.to_owned()
    }

    fn build(self, _stored: Stored, into: &mut Accumulator, beside: &Beside) -> Box<dyn Source> {
        Box::new(HostSource::new(self, into, beside.clone()))
    }
}

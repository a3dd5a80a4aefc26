//! The `exec:` section of a probe.
//!
//! Owns its keys, and the names its conditions know. Never runs anything.

use std::path::PathBuf;

use watchkeeper_agent_core::probe::Expectations;
use watchkeeper_config::{Fields, Node, Reader, Secret, read};
use watchkeeper_expr::Type;
use watchkeeper_model::Masks;

use super::prober::ExecProber;
use crate::sources::probe::kinds::kind::{ProbeKind, Prober, SHORTEST_SECRET};

/// How much of each output is kept if nothing else is said.
const MAX_OUTPUT: u64 = 64 << 10;

/// The most that may be asked for: it lies in memory.
const MOST_OUTPUT: u64 = 16 << 20;

/// A program, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct ExecProbe {
    /// What is run, and what it is given; never empty.
    pub(super) command: Vec<String>,
    /// What it finds in its environment, besides a few of our own.
    pub(super) env: Vec<(String, Secret)>,
    /// Where it runs.
    pub(super) dir: Option<PathBuf>,
    /// Bytes of each output that are kept.
    pub(super) max_output: usize,
}

impl ProbeKind for ExecProbe {
    const TAG: &'static str = "exec";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("exit", Type::Int),
        ("output", Type::String),
        ("errors", Type::String),
        ("value", Type::Double),
        ("json", Type::Json),
    ];

    const USUAL: &'static [(&'static str, &'static str)] = &[("exit", "exit == 0")];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["command", "shell", "env", "dir", "max_output"], |f| {
            let command = read_command(f);
            let env = f.optional("env", read::map_of(read::secret)).unwrap_or_default();
            let dir = f.optional("dir", read::path);
            let max_output = f.or("max_output", MAX_OUTPUT, read::size_in(1..=MOST_OUTPUT));
            let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
            if let Some((name, _)) = env.iter().find(|(name, _)| !is_name(&name.value)) {
                f.reader().error(&name.place, "this is no variable's name");
                return None;
            }
            Some(Self {
                command: command?,
                env: env.into_iter().map(|(name, value)| (name.value, value)).collect(),
                dir,
                max_output: usize::try_from(max_output).ok()?,
            })
        })
    }

    fn target(&self) -> String {
        // What a program is given may be a secret.
        self.command[0].clone()
    }

    fn secrets(&self) -> Masks {
        let mut masks = Masks::default();
        self.env.iter().for_each(|(_, value)| masks.add(value.expose(), 2 * SHORTEST_SECRET));
        masks
    }

    fn open(&self, expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(ExecProber::new(self.clone(), expectations))
    }
}

/// `command: [PROGRAM, ARGUMENT, …]`, or `shell: TEXT` for who wants one.
fn read_command(f: &mut Fields<'_, '_, '_>) -> Option<Vec<String>> {
    let command = f.optional("command", read::non_empty(read::string));
    let shell = f.optional("shell", read::string);
    let place = f.place().clone();
    match (command, shell) {
        (Some(command), None) => Some(command),
        (None, Some(text)) => Some(["/bin/sh", "-c", &text].map(str::to_owned).into()),
        (Some(_), Some(_)) => {
            f.reader().error(&place, "`command` and `shell` are two programs").help("write one");
            None
        }
        (None, None) if f.has("command") || f.has("shell") => None,
        (None, None) => {
            f.reader()
                .error(&place, "it is not said what to run")
                .help("write command: [PROGRAM, ARGUMENT], which asks no shell, or shell: 'TEXT'");
            None
        }
    }
}

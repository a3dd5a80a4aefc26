//! The way in for new settings.
//!
//! Owns the handle that whoever hears the signal has. Never waits: the worker goes over when it can, and says so.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use watchkeeper_config::Problems;
use watchkeeper_model::Timestamp;

use crate::config::AgentSettings;
use crate::facts;
use crate::sources::Waker;
use crate::status::{Reload, Status};
use crate::worker::Command;

/// How settings reach a running agent; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader {
    commands: Sender<Command>,
    waker: Waker,
    status: Arc<Status>,
}

impl Reloader {
    pub(crate) fn new(commands: Sender<Command>, waker: Waker, status: Arc<Status>) -> Self {
        Self { commands, waker, status }
    }

    /// What came of reading the file again: good settings go to the worker, bad ones change nothing.
    pub fn reload(&self, read: Result<(AgentSettings, Problems), Problems>, now: Timestamp) {
        match read {
            Ok((settings, warnings)) => {
                facts::configuration_warned(&warnings);
                let command = Command::Reload(Box::new(settings), now);
                if self.status.get().draining || self.commands.send(command).is_err() {
                    facts::reload_while_stopping();
                }
                self.waker.wake();
            }
            Err(problems) => {
                facts::configuration_bad(&problems);
                let why = match problems.n_errors() {
                    1 => "1 error, see the log".to_owned(),
                    n => format!("{n} errors, see the log"),
                };
                self.status.update(|s| s.reload = Reload::Failed { at: now, why });
            }
        }
    }
}

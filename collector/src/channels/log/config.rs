//! `log_configs` of a receiver.
//!
//! Owns its keys and defaults. Never opens a file.

use std::path::PathBuf;

use watchkeeper_config::{Node, Reader, read};

use super::client::Log;
use crate::channels::Channel;
use crate::channels::registry::{ChannelDefaults, ChannelSettings};

/// The size at which a file is put aside.
const DEFAULT_MAX_BYTES: u64 = 16 << 20;

/// A log as written.
#[derive(Clone, Debug)]
pub struct LogConfig {
    path: Option<PathBuf>,
    max_bytes: u64,
    send_resolved: Option<bool>,
}

impl LogConfig {
    /// Reads it; problems are reported to the reader.
    pub fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["path", "max_bytes", "send_resolved"], |f| {
            let path = f.optional("path", read::path);
            if let (true, Some(node)) = (!f.has("path"), f.node("max_bytes")) {
                let place = node.place().clone();
                f.reader().error(&place, "`max_bytes` is useless without `path`");
            }
            Some(Self {
                path,
                max_bytes: f.or("max_bytes", DEFAULT_MAX_BYTES, read::size_in(1 << 20..=1 << 40)),
                send_resolved: f.optional("send_resolved", read::bool),
            })
        })
    }

    /// What the channel needs. It is no kind of Alertmanager's; an end is told as a beginning is.
    pub fn resolve(self, defaults: &ChannelDefaults, _: &mut Reader<'_>) -> Option<LogSettings> {
        Some(LogSettings {
            path: self.path,
            max_bytes: self.max_bytes,
            send_resolved: self.send_resolved.or(defaults.send_resolved).unwrap_or(true),
        })
    }
}

/// A log as needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The file, if there is one beside the log.
    pub(super) path: Option<PathBuf>,
    /// The size of the file at which it is put aside as `PATH.1`.
    pub(super) max_bytes: u64,
    pub(super) send_resolved: bool,
}

impl ChannelSettings for LogSettings {
    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn max_alerts(&self) -> usize {
        0
    }

    fn build(&self) -> Result<Box<dyn Channel>, String> {
        Ok(Box::new(Log::build(self)))
    }
}

#[cfg(test)]
mod tests {
    use crate::channels::registry::tests::problems_of;

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, want) in [
            ("{paths: x}", "path"),
            ("{path: x, max_bytes: 1KiB}", "1KiB"),
            ("{max_bytes: 1GiB}", "useless without `path`"),
        ] {
            let problems = problems_of(&format!("name: r\nlog_configs: [{text}]\n"));
            assert!(problems.contains(want), "{text}:\n{problems}");
        }
    }
}

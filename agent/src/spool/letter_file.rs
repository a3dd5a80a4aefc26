//! The dead letters of a spool, seen from another process: for a person at the machine.
//!
//! Owns opening the file beside a running agent, or without one. Whoever may write the file may do this, and nobody else:
//! the admin endpoint knows no passwords. Only asks for a letter to be offered again: the agent does it, with its next look
//! or at its next start, and keeps its own books. Never makes a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use watchkeeper_model::{AgentId, Timestamp};

use super::letters::{self, SpooledLetter};
use super::schema::{self, SpoolError, explain};

/// An open spool, as far as its dead letters go.
#[derive(Debug)]
pub struct LetterFile {
    connection: Connection,
    path: PathBuf,
    agent: AgentId,
}

impl LetterFile {
    /// Opens the spool in an agent's `data_dir`.
    ///
    /// # Errors
    /// If there is none, it may not be written, or it is of another version.
    pub fn open(directory: &Path) -> Result<Self, SpoolError> {
        let path = directory.join(schema::FILE);
        // SQLite would only say that it can't open it.
        let found = std::fs::OpenOptions::new().read(true).write(true).open(&path);
        found.map_err(|error| SpoolError::Io { path: path.clone(), error })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<(Connection, Option<String>, String)> {
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            let version = schema::get(&connection, "version")?;
            let agent = schema::get(&connection, "agent")?.unwrap_or_default();
            Ok((connection, version, agent))
        };
        let (connection, version, agent) = open().map_err(|error| explain(error, &path))?;
        if version.as_deref() != Some(&schema::version()) {
            let version = version.unwrap_or_default();
            return Err(SpoolError::OtherVersion { path, version });
        }
        Ok(Self { connection, path, agent: AgentId::new(&agent) })
    }

    /// All letters, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn letters(&self) -> Result<Vec<SpooledLetter>, SpoolError> {
        letters::letters(&self.connection, &self.agent)
    }

    /// The body of a letter, as it lies there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn body(&self, id: u64) -> Result<Option<Vec<u8>>, SpoolError> {
        letters::body(&self.connection, id).map_err(|error| explain(error, &self.path))
    }

    /// Asks the agent to offer a letter again; whether there is one that can be offered.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn ask(&self, id: u64, now: Timestamp) -> Result<bool, SpoolError> {
        letters::ask(&self.connection, id, now).map_err(|error| explain(error, &self.path))
    }

    /// Takes a letter away for good; whether there was one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn discard(&self, id: u64) -> Result<bool, SpoolError> {
        letters::discard(&self.connection, id).map_err(|error| explain(error, &self.path))
    }
}

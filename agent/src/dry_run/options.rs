//! What may be typed for a dry run.
//!
//! Owns which options go together. Never looks at the configuration.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::choice::Choice;

/// Options of a dry run.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Dry run")]
pub struct DryRunOptions {
    /// Read the files of all `tail` sources from their beginning and show what would be counted, what skipped, and why.
    /// Nothing is sent or stored.
    #[arg(long, conflicts_with = "check")]
    pub dry_run: bool,
    /// Go on reading what is written, until Ctrl-C.
    #[arg(long, requires = "dry_run", conflicts_with = "stdin")]
    pub(super) follow: bool,
    /// Read standard input in place of the source's files.
    #[arg(long, requires = "dry_run", conflicts_with = "files")]
    pub(super) stdin: bool,
    /// Only this source; needed for standard input and for LOG where there are several.
    #[arg(long, requires = "dry_run", value_name = "NAME")]
    pub(super) source: Option<String>,
    /// A table for people, or one JSON document.
    #[arg(long, requires = "dry_run", value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
    /// Read these files in place of the source's `paths`.
    #[arg(requires = "dry_run", value_name = "LOG")]
    pub(super) files: Vec<PathBuf>,
}

impl DryRunOptions {
    /// What is to be read in place of everything.
    pub(super) fn choice(&self) -> Choice {
        Choice { source: self.source.clone(), files: self.files.clone(), stdin: self.stdin }
    }
}

/// How the report is written. Its values explain themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    #[default]
    Table,
    Json,
}

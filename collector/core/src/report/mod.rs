//! Reports: what SLOs were worth over a past period, and what people were told of them.
//!
//! In reading order: `period` is which time, `division` the rows it is shown in, `share` adds up counts, `incidents` puts
//! together what the ledger has, `figures` is the report, `document` a text without a form, `words` what the report says.

mod division;
mod document;
mod figures;
mod incidents;
mod period;
mod phrase;
mod share;
#[cfg(test)]
mod tests;
mod words;

pub use division::{Division, Row, Step};
pub use document::{Block, Cell, Column, Document, Table, Tone};
pub use figures::{
    Assembled, CorrectionUse, Draft, Figures, PartUse, Report, RowUse, ServiceReport, SloReport,
    Verdict, drafts_of, report_of,
};
pub use incidents::{Episode, IncidentFacts, Telling, Word, episodes_of};
pub use period::{AskedPeriod, MAX_PERIOD, Period, PeriodProblem};
pub use share::{Sums, TimeShare};
pub use words::document_of;

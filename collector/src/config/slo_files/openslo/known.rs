//! What documents refer to: indicators, services and sources, by name.
//!
//! Owns that each indicator is read once, so that what is wrong with it is told once, however many SLOs refer to it.

use std::collections::BTreeMap;

use watchkeeper_config::{Located, Reader, read};
use watchkeeper_expr::spelling::closest;

use super::document::{Document, Kind};
use super::indicator::{Indicator, read_spec};

/// All that can be referred to.
pub(super) struct Known {
    /// Types of data sources; `None` if one says none.
    sources: BTreeMap<String, Option<String>>,
    /// `None` if one can't be used, which has been reported.
    indicators: BTreeMap<String, Option<Indicator>>,
    services: Vec<String>,
    /// Whether nothing else is anywhere.
    is_whole: bool,
}

impl Known {
    /// Finds all of them.
    pub(super) fn gather(documents: &[Document], is_whole: bool, reader: &mut Reader<'_>) -> Self {
        let of = |kind| documents.iter().filter(move |document| document.kind == kind);
        let services = of(Kind::Service).map(|d| d.name.value.clone()).collect();
        let mut known =
            Self { sources: BTreeMap::new(), indicators: BTreeMap::new(), services, is_whole };
        for document in of(Kind::Service) {
            document.spec.fields(reader, &["description"], |_| Some(()));
        }
        for document in of(Kind::DataSource) {
            let keys = ["description", "type", "connectionDetails"];
            let kind = document.spec.fields(reader, &keys, |f| f.required("type", read::string));
            known.sources.insert(document.name.value.clone(), kind);
        }
        let read = |document: &Document, known: &Self, reader: &mut Reader<'_>| {
            read_spec(&document.spec, &document.title(), known, reader)
        };
        for document in of(Kind::Sli) {
            let indicator = read(document, &known, reader);
            known.indicators.insert(document.name.value.clone(), indicator);
        }
        known
    }

    /// The indicator of this name; `None` if it is not there or can't be used, which is reported.
    pub(super) fn indicator(
        &self,
        name: &Located<String>,
        reader: &mut Reader<'_>,
    ) -> Option<&Indicator> {
        match self.indicators.get(&name.value) {
            Some(indicator) => indicator.as_ref(),
            None => {
                self.is_missing("SLI", name, self.indicators.keys(), reader);
                None
            }
        }
    }

    /// The type of the data source of this name; `None` if it is not there or says none, which is reported.
    pub(super) fn source_type(
        &self,
        name: &Located<String>,
        reader: &mut Reader<'_>,
    ) -> Option<String> {
        match self.sources.get(&name.value) {
            Some(kind) => kind.clone(),
            None => {
                self.is_missing("DataSource", name, self.sources.keys(), reader);
                None
            }
        }
    }

    /// Services need no document. If there are some, a slip of the keyboard is told.
    pub(super) fn check_service(&self, name: &Located<String>, reader: &mut Reader<'_>) {
        let names = || self.services.iter().map(String::as_str);
        if names().any(|known| known == name.value) {
            return;
        }
        if let Some(near) = closest(&name.value, names()) {
            reader
                .warning(&name.place, format!("no Service is named {:?}", name.value))
                .help(format!("did you mean {near}?"));
        }
    }

    fn is_missing<'a>(
        &self,
        kind: &str,
        name: &Located<String>,
        names: impl Iterator<Item = &'a String>,
        reader: &mut Reader<'_>,
    ) {
        let message = format!("no {kind} is named {:?}", name.value);
        let meant = closest(&name.value, names.map(String::as_str));
        let meant = meant.map(|near| format!("did you mean {near}?"));
        if self.is_whole {
            let help = "it is one of the documents that `slo_files` finds";
            reader.error(&name.place, message).help(meant.unwrap_or_else(|| help.to_owned()));
        } else {
            let help = "it has to be in another one of `slo_files`, and was not looked for there";
            let here = format!("{message} in this file");
            reader.warning(&name.place, here).help(meant.unwrap_or_else(|| help.to_owned()));
        }
    }
}

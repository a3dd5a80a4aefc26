//! Texts of others and of our own, and what becomes of them.
//!
//! Owns no case.

use watchkeeper_collector_core::slo::SloSettings;
use watchkeeper_config::{ProcessEnv, Reader, documents_str, load_str};

use crate::config::slo_files::format::translate;
use crate::config::{annotations, composites, objectives, slos};

/// The SLOs of a text, and its problems as `line:column: severity: message (help)`.
pub(super) fn of_others(text: &str, is_whole: bool) -> (Vec<SloSettings>, Vec<String>) {
    let mut reader = Reader::new(&ProcessEnv);
    let documents = documents_str("slos.yaml", text, &mut reader).unwrap_or_default();
    let entries = translate(&documents, is_whole, &mut reader);
    let mut slos: Vec<_> =
        entries.iter().filter_map(|e| slos::read_slo(e, &mut reader)).flatten().collect();
    composites::resolve(&mut slos, &mut reader);
    objectives::refuse_same_names(&slos, &[], &mut reader);
    annotations::check_slos(&entries, &slos, &mut reader);
    let problems = match reader.finish(Some(())) {
        Ok((_, problems)) | Err(problems) => problems,
    };
    let words = problems.report().into_iter().map(|p| {
        let severity = format!("{:?}", p.severity).to_lowercase();
        format!("{}:{}: {severity}: {} ({})", p.line, p.column, p.message, p.help)
    });
    (slos.into_iter().map(|slo| slo.value).collect(), words.collect())
}

/// The SLOs of a file of our own.
pub(super) fn of_ours(text: &str) -> Vec<SloSettings> {
    let mut reader = Reader::new(&ProcessEnv);
    let settings = load_str("c.yaml", text, &mut reader)
        .and_then(|document| crate::config::read(&document, &mut reader, false));
    match reader.finish(settings) {
        Ok((settings, _)) => settings.engine.slos.clone(),
        Err(problems) => panic!("{}", problems.render()),
    }
}

pub(super) const RATIO: &str = "ratioMetric: {counter: true, good: {metricSource: {type: watchkeeper, spec: {where: \"status == '200'\"}}}, \
    total: {metricSource: {type: watchkeeper, spec: {signal: requests, where: \"method == 'GET'\"}}}}";

pub(super) const VALUES: &str =
    "thresholdMetric: {metricSource: {type: watchkeeper, spec: {signal: requests, unit: ms}}}";

/// A document of the kind SLO; `more` are lines of its `spec`.
pub(super) fn slo(name: &str, sli: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n  service: shop\n  indicator: {{spec: {{{sli}}}}}\n{more}"
    )
}

pub(super) const ROLLING: &str =
    "timeWindow: [{duration: 30d, isRolling: true}]\nbudgetingMethod: Occurrences\n";

/// An SLO with a usual indicator and window and these lines more.
pub(super) fn usual(more: &str) -> String {
    slo("web", RATIO, &format!("{ROLLING}{more}"))
}

/// Each text has a problem with these words.
#[track_caller]
pub(super) fn say(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let (_, problems) = of_others(text, true);
        let is_told = problems.iter().any(|p| p.contains(expected));
        assert!(is_told, "{text}\nexpected {expected}\n{problems:#?}");
    }
}

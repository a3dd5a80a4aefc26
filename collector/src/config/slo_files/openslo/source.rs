//! `metricSource`: where numbers come from.
//!
//! Owns the refusal of every type that is not ours, by name. Never reads a query of others.

use watchkeeper_config::{Fields, Located, Node, Reader, read};

use super::known::Known;

/// The one type that is ours, however its letters are written.
const OURS: &str = "watchkeeper";

/// Reads `{metricSource: …}` and returns its `spec`, if it is ours. `title` is whose it is, `SLI "web"`.
pub(super) fn read_source(
    node: &Node,
    title: &str,
    known: &Known,
    reader: &mut Reader<'_>,
) -> Option<Node> {
    node.fields(reader, &["metricSource"], |f| {
        f.required("metricSource", |node, reader| {
            node.fields(reader, &["metricSourceRef", "type", "spec"], |f| {
                let kind = read_type(f, known)?;
                if !kind.eq_ignore_ascii_case(OURS) {
                    refuse(&kind, title, f.reader());
                    return None;
                }
                f.required("spec", read::node)
            })
        })
    })
}

/// What is written, or what the data source is that is referred to.
fn read_type(f: &mut Fields<'_, '_, '_>, known: &Known) -> Option<Located<String>> {
    let written = f.optional("type", read::located(read::string));
    let source = f.optional("metricSourceRef", read::located(read::string));
    let place = f.place().clone();
    match (written, source) {
        (Some(written), _) => Some(written),
        (None, Some(source)) => {
            let value = known.source_type(&source, f.reader())?;
            Some(Located { value, place: source.place })
        }
        (None, None) => {
            f.reader()
                .error(&place, "`type` is missing")
                .help("write type: watchkeeper, or metricSourceRef with the name of a DataSource");
            None
        }
    }
}

fn refuse(kind: &Located<String>, title: &str, reader: &mut Reader<'_>) {
    reader
        .error(&kind.place, format!("{title} asks a metric source of the type {:?}", kind.value))
        .help("Watchkeeper counts what its agents send, and asks no other system: write type: watchkeeper and spec: {signal: requests, where: …}, see docs/openslo.md");
}

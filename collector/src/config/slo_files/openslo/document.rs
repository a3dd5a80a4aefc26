//! What the documents of all kinds share: version, kind and metadata.
//!
//! Owns which kinds there are. Never reads a `spec`, and leaves versions to `format`.

use std::fmt;

use watchkeeper_config::{Located, Node, Reader, read};

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Slo,
    Sli,
    Service,
    DataSource,
    AlertPolicy,
    AlertCondition,
    AlertNotificationTarget,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Slo,
        Self::Sli,
        Self::Service,
        Self::DataSource,
        Self::AlertPolicy,
        Self::AlertCondition,
        Self::AlertNotificationTarget,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Slo => "SLO",
            Self::Sli => "SLI",
            Self::Service => "Service",
            Self::DataSource => "DataSource",
            Self::AlertPolicy => "AlertPolicy",
            Self::AlertCondition => "AlertCondition",
            Self::AlertNotificationTarget => "AlertNotificationTarget",
        }
    }

    const fn is_alerting(self) -> bool {
        matches!(self, Self::AlertPolicy | Self::AlertCondition | Self::AlertNotificationTarget)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One document, its `spec` not read yet.
pub(super) struct Document {
    pub(super) kind: Kind,
    pub(super) name: Located<String>,
    pub(super) display_name: Option<Node>,
    pub(super) labels: Option<Node>,
    pub(super) annotations: Option<Node>,
    pub(super) spec: Node,
}

impl Document {
    /// `SLO "web"`.
    pub(super) fn title(&self) -> String {
        format!("{} {:?}", self.kind, self.name.value)
    }
}

/// Reads what all documents share; `None` if it is of a kind that means nothing here, or wrong, which is reported.
pub(super) fn read_document(node: &Node, reader: &mut Reader<'_>) -> Option<Document> {
    node.fields(reader, &["apiVersion", "kind", "metadata", "spec"], |f| {
        let kind = f.required("kind", read::choice(&Kind::ALL.map(|kind| (kind.as_str(), kind))));
        let metadata = f.required("metadata", read_metadata);
        if let (Some(kind), Some(metadata)) = (kind.filter(|kind| kind.is_alerting()), &metadata) {
            f.reader()
                .warning(&metadata.name.place, format!("{kind} {:?} is left out", metadata.name.value))
                .help("burn rates decide when somebody is told, and `alerting` in the collector's file who");
            return None;
        }
        let spec = f.required("spec", read::node);
        let Metadata { name, display_name, labels, annotations } = metadata?;
        Some(Document { kind: kind?, name, display_name, labels, annotations, spec: spec? })
    })
}

/// What stands in `metadata`.
pub(super) struct Metadata {
    pub(super) name: Located<String>,
    display_name: Option<Node>,
    labels: Option<Node>,
    annotations: Option<Node>,
}

pub(super) fn read_metadata(node: &Node, reader: &mut Reader<'_>) -> Option<Metadata> {
    node.fields(reader, &["name", "displayName", "labels", "annotations"], |f| {
        let name = f.required("name", read::located(read::string));
        let display_name = f.optional("displayName", read::node);
        let labels = f.optional("labels", read::node);
        let annotations = f.optional("annotations", read::node);
        Some(Metadata { name: name?, display_name, labels, annotations })
    })
}

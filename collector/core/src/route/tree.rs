//! The routing tree.
//!
//! Owns inheritance, the order of matching and group keys. Never knows what a receiver is beyond its name.

use std::collections::BTreeSet;
use std::time::Duration;

use watchkeeper_model::Labels;

use super::matcher::{MatchOp, Matcher};

/// What alerts are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// All labels, `'...'`: every alert is its own group.
    All,
    /// These labels.
    Labels(BTreeSet<String>),
}

/// When groups are flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a new group waits for more of its alerts.
    pub group_wait: Duration,
    /// The least time between two notifications of a group.
    pub group_interval: Duration,
    /// How long until an unchanged group is told again.
    pub repeat_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
        }
    }
}

/// One route as written; what is `None` is inherited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteSettings {
    /// Its receiver; the root must have one.
    pub receiver: Option<String>,
    /// All of them must match; the root has none.
    pub matchers: Vec<Matcher>,
    /// Whether routes after it are tried too.
    pub proceed: bool,
    /// What to group by.
    pub group_by: Option<GroupBy>,
    /// `group_wait`
    pub group_wait: Option<Duration>,
    /// `group_interval`
    pub group_interval: Option<Duration>,
    /// `repeat_interval`
    pub repeat_interval: Option<Duration>,
    /// Routes under it.
    pub routes: Vec<RouteSettings>,
}

/// One route with everything inherited.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its matchers and those above it, as Alertmanager writes them: `{}/{severity="page"}`. Unique in its tree: a
    /// second sibling with the same matchers has `#2` behind its own.
    pub key: String,
    /// Who is told.
    pub receiver: String,
    /// What alerts are grouped by.
    pub group_by: GroupBy,
    /// When.
    pub timing: Timing,
    matchers: Vec<Matcher>,
    proceed: bool,
    /// Whether it or a route above it asks for an `alertname`.
    names_alert: bool,
    routes: Vec<Route>,
}

impl Route {
    /// The labels of an alert that its group is formed by.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                Labels::new(labels.iter().filter(|(name, _)| names.contains(*name)))
            }
        }
    }

    /// The key of a group, `{}/{severity="page"}:{alertname="X"}`.
    pub fn group_key(&self, group_labels: &Labels) -> String {
        format!("{}:{group_labels}", self.key)
    }

    fn find<'r>(&'r self, labels: &Labels, found: &mut Vec<&'r Self>) -> bool {
        if !self.matchers.iter().all(|m| m.matches(labels)) {
            return false;
        }
        let before = found.len();
        for route in &self.routes {
            if route.find(labels, found) && !route.proceed {
                break;
            }
        }
        if found.len() == before {
            found.push(self);
        }
        true
    }
}

/// A routing tree, ready.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTree {
    root: Route,
}

impl RouteTree {
    /// Resolves what is inherited. `receiver` is the root's where it names none.
    pub fn build(settings: &RouteSettings, receiver: &str) -> Self {
        let above = Route {
            key: String::new(),
            receiver: receiver.to_owned(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            timing: Timing::default(),
            matchers: Vec::new(),
            proceed: false,
            names_alert: false,
            routes: Vec::new(),
        };
        Self { root: resolve(settings, &above, 1) }
    }

    /// The root route.
    pub fn root(&self) -> &Route {
        &self.root
    }

    /// The routes of an alert: the deepest that match, in the tree's order; the root where none does.
    pub fn find(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::new();
        self.root.find(labels, &mut found);
        found
    }

    /// As [`Self::find`], but only routes that ask for an `alertname`, themselves or on the way to them.
    pub fn find_by_name(&self, labels: &Labels) -> Vec<&Route> {
        self.find(labels).into_iter().filter(|route| route.names_alert).collect()
    }
}

fn resolve(settings: &RouteSettings, above: &Route, nth: usize) -> Route {
    let matchers = Matcher::list_text(&settings.matchers);
    let mut key = match above.key.as_str() {
        "" => matchers,
        parent => format!("{parent}/{matchers}"),
    };
    if nth > 1 {
        key = format!("{key}#{nth}");
    }
    let positive = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
    let mut route = Route {
        key,
        receiver: settings.receiver.clone().unwrap_or_else(|| above.receiver.clone()),
        group_by: settings.group_by.clone().unwrap_or_else(|| above.group_by.clone()),
        timing: Timing {
            group_wait: settings.group_wait.unwrap_or(above.timing.group_wait),
            group_interval: settings.group_interval.unwrap_or(above.timing.group_interval),
            repeat_interval: settings.repeat_interval.unwrap_or(above.timing.repeat_interval),
        },
        matchers: settings.matchers.clone(),
        proceed: settings.proceed,
        names_alert: above.names_alert
            || settings.matchers.iter().any(|m| m.name == "alertname" && positive(m)),
        routes: Vec::new(),
    };
    for (i, child) in settings.routes.iter().enumerate() {
        let same = |other: &&RouteSettings| {
            Matcher::list_text(&other.matchers) == Matcher::list_text(&child.matchers)
        };
        let nth = 1 + settings.routes[..i].iter().filter(same).count();
        let child = resolve(child, &route, nth);
        route.routes.push(child);
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(
        receiver: &str,
        matchers: &[&str],
        proceed: bool,
        routes: Vec<RouteSettings>,
    ) -> RouteSettings {
        RouteSettings {
            receiver: (!receiver.is_empty()).then(|| receiver.to_owned()),
            matchers: matchers.iter().map(|m| Matcher::parse(m).unwrap()).collect(),
            proceed,
            routes,
            ..RouteSettings::default()
        }
    }

    #[test]
    fn the_deepest_match_wins_and_continue_goes_on() {
        let tree = RouteTree::build(
            &route(
                "root",
                &[],
                false,
                vec![
                    route("audit", &["service=~\".+\""], true, vec![]),
                    route(
                        "shop",
                        &["service=shop"],
                        false,
                        vec![
                            route("shop-pages", &["severity=page"], false, vec![]),
                            route("", &["severity=ticket"], false, vec![]),
                        ],
                    ),
                    route("never", &["service=shop"], false, vec![]),
                ],
            ),
            "",
        );
        for (labels, expected) in [
            (vec![("service", "shop"), ("severity", "page")], vec!["audit", "shop-pages"]),
            (vec![("service", "shop"), ("severity", "ticket")], vec!["audit", "shop"]),
            (vec![("service", "shop")], vec!["audit", "shop"]),
            (vec![("service", "x")], vec!["audit"]),
            (vec![("a", "b")], vec!["root"]),
        ] {
            let labels = Labels::new(labels);
            let found: Vec<_> = tree.find(&labels).iter().map(|r| r.receiver.as_str()).collect();
            assert_eq!(found, expected, "{labels}");
        }
    }

    #[test]
    fn keys_are_alertmanagers_and_unique() {
        let twice = || route("", &["severity=page", "a!=b"], true, vec![]);
        let tree = RouteTree::build(&route("root", &[], false, vec![twice(), twice()]), "");
        let labels = Labels::new([("severity", "page"), ("service", "shop")]);
        let keys: Vec<_> =
            tree.find(&labels).iter().map(|r| r.group_key(&Labels::default())).collect();
        assert_eq!(
            keys,
            [r#"{}/{a!="b",severity="page"}:{}"#, r#"{}/{a!="b",severity="page"}#2:{}"#]
        );
    }

    #[test]
    fn timings_and_grouping_are_inherited() {
        let mut root = route("root", &[], false, vec![route("", &["a=b"], false, vec![])]);
        root.group_wait = Some(Duration::ZERO);
        root.group_by = Some(GroupBy::Labels(["service".to_owned()].into()));
        root.routes[0].repeat_interval = Some(Duration::from_secs(60));
        let tree = RouteTree::build(&root, "");
        let labels = Labels::new([("a", "b"), ("service", "shop")]);
        let found = tree.find(&labels);
        assert_eq!(
            found[0].timing,
            Timing {
                group_wait: Duration::ZERO,
                group_interval: Duration::from_secs(300),
                repeat_interval: Duration::from_secs(60)
            }
        );
        assert_eq!(found[0].group_labels(&labels), Labels::new([("service", "shop")]));
    }

    #[test]
    fn only_a_route_that_asks_by_name_is_found_by_name() {
        let tree = RouteTree::build(
            &route(
                "root",
                &[],
                false,
                vec![
                    route("x", &["alertname!=Other"], true, vec![]),
                    route("dead-man", &["alertname=Watchdog"], false, vec![]),
                ],
            ),
            "",
        );
        let labels = Labels::new([("alertname", "Watchdog")]);
        let found: Vec<_> =
            tree.find_by_name(&labels).iter().map(|r| r.receiver.as_str()).collect();
        assert_eq!(found, ["dead-man"]);
    }
}

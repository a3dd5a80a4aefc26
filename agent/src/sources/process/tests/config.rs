//! The keys of the section.

use std::time::Duration;

use super::scene::settings;
use crate::sources::Kind as _;

#[test]
fn exactly_one_key_says_which_process_is_meant() {
    for (yaml, reads) in [
        ("systemd: nginx.service", "process\nsystemd nginx.service"),
        ("launchd: com.maia.vtt-watcher, every: 1s", "process\nlaunchd com.maia.vtt-watcher"),
        ("pidfile: /run/shop.pid", "process\npidfile /run/shop.pid"),
        ("pidfile: run/shop.pid", "process\npidfile run/shop.pid"),
        ("match: '^/usr/bin/shop --serve$'", "process\nmatch ^/usr/bin/shop --serve$"),
    ] {
        let settings = settings(yaml).unwrap();
        assert_eq!(settings.reads(), reads);
        let every = if yaml.contains("1s") { 1 } else { 10 };
        assert_eq!(settings.head.every, Duration::from_secs(every));
    }
}

#[test]
fn slips_are_told_with_what_would_be_right() {
    for (yaml, said) in [
        ("every: 5s", "which process is meant is not said"),
        ("pidfile: ''", "a path is needed, and this is empty"),
        ("pidfile: /run/x.pid, match: x", "`pidfile` and `match` each say which process is meant"),
        ("systemd: 'shop*'", "one source watches one unit"),
        ("systemd: '--help'", "is no name of a unit"),
        ("launchd: gui/501/com.x", "without system/ or gui/501/ before it"),
        ("match: '('", "is no regular expression"),
        ("match: ''", "matches every process"),
        ("match: '.*'", "matches every process"),
        ("match: x, every: 0s", "1s"),
        ("unit: nginx", "unknown key `unit`"),
    ] {
        let problems = settings(yaml).unwrap_err();
        assert!(problems.contains(said), "{yaml}: {problems}");
    }
}

//! The `journal:` section.

use std::path::Path;

use watchkeeper_agent_core::observe::{Format, TimeFormat};
use watchkeeper_agent_core::tail::StartAt;

use super::worker::{load, settings};

#[test]
fn a_full_section_becomes_settings() {
    let read = settings(
        r#"
  name: nginx
  service: web
  units: [nginx.service, 'getty@tty1.service']
  matches: [_TRANSPORT=stdout, PRIORITY=3, PRIORITY=4]
  directory: /var/log/journal
  start_at: beginning
  command: /usr/bin/journalctl
  max_line: 64KiB
  time: {field: _SOURCE_REALTIME_TIMESTAMP, format: unix_us}
  signals: [{name: errors, labels: {unit: _SYSTEMD_UNIT}, where: 'PRIORITY == "3"'}]
  events: [{name: error, where: 'PRIORITY == "3"', message: MESSAGE}]
"#,
    );
    assert_eq!(read.lines.source, "nginx");
    assert_eq!(read.units, ["nginx.service", "getty@tty1.service"]);
    assert_eq!(read.matches.len(), 3);
    assert_eq!(read.directory.as_deref(), Some(Path::new("/var/log/journal")));
    assert_eq!(read.start_at, StartAt::Beginning);
    assert_eq!(read.command, Path::new("/usr/bin/journalctl"));
    assert_eq!(read.max_line_bytes, 64 << 10);
    assert_eq!(read.lines.time.unwrap().field, "_SOURCE_REALTIME_TIMESTAMP");
}

#[test]
fn without_more_than_a_service_it_is_the_own_journal_in_its_own_time() {
    let read = settings("{service: web}");
    assert_eq!((read.start_at, read.directory, read.max_line_bytes), (StartAt::End, None, 1 << 20));
    assert_eq!(read.command, Path::new("journalctl"));
    assert_eq!(read.lines.format, Format::Json);
    let time = read.lines.time.unwrap();
    assert_eq!((time.field.as_str(), time.format), ("__REALTIME_TIMESTAMP", TimeFormat::UnixUs));
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let journal = |rest: &str| format!("journal:\n  service: web\n{rest}");
    for (yaml, told) in [
        (journal("  format: json"), "3:11: error: `format` is not for journals"),
        (journal("  format: text"), "MESSAGE.level"),
        (journal("  units: [nginx*]"), "3:11: error: \"nginx*\" is no name of a unit"),
        (journal("  units: [nginx*]"), "patterns are not read"),
        (journal("  units: ['a b']"), "such as nginx.service"),
        (journal("  units: ['--all']"), "is no name of a unit"),
        (journal("  units: []"), "the list is empty"),
        (journal("  matches: [PRIORITY]"), "3:13: error: \"PRIORITY\" is no match of a field"),
        (journal("  matches: [priority=3]"), "write FIELD=value"),
        (journal("  matches: ['+']"), "write FIELD=value"),
        (journal("  matches: ['--boot']"), "write FIELD=value"),
        (journal("  matches: [/usr/bin/x]"), "write FIELD=value"),
        (journal("  matches: [__CURSOR=x]"), "use a condition in `where`"),
        (journal("  start_at: middle"), "start_at"),
        (journal("  max_line: 1B"), "out of range"),
        (journal("  command: ''"), "a path is needed"),
        (journal("  paths: [/x]"), "unknown key `paths`"),
        (journal("  signals: [{name: a-b}]"), "`a-b` is no name of a signal"),
        ("journal: {name: x}".to_owned(), "`service` is missing"),
        ("jornal: {service: x}".to_owned(), "did you mean `journal`?"),
    ] {
        let problems = load(&yaml).expect_err(&yaml).render();
        assert!(problems.contains(told), "{yaml}\n{problems}");
    }
}

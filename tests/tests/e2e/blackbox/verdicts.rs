//! Both asked, and their verdicts compared.
//!
//! Owns the exporter of the test's own, how both are asked and how their verdicts are printed. The table is in `cases`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use watchkeeper_tests::harness::{Process, Site, eventually, find_program, free_port, get_text};

use super::case::Case;
use super::cases::{self, Targets};

/// How many at a time the exporter is asked for: what hangs should not delay what does not.
const AT_ONCE: usize = 16;

/// An exporter of the test's own, whose module `m7` is that of the case 7.
async fn exporter(program: &Path, site: &Site, cases: &[Case]) -> (Process, u16) {
    let module = |(n, case): (usize, &Case)| format!("  m{n}: {{{}}}\n", case.module());
    let modules: String = cases.iter().enumerate().map(module).collect();
    let file = site.path().join("blackbox.yaml");
    std::fs::write(&file, format!("modules:\n{modules}")).unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let log = site.path().join("blackbox.log");
    let mut process = Process::start_command(&mut command, &log).unwrap();
    let url = format!("http://127.0.0.1:{port}/-/healthy");
    eventually("the exporter answers", Duration::from_secs(30), || {
        assert!(process.is_running(), "the exporter ended: {}", process.log());
        let url = url.clone();
        async move { get_text(&url).await.ok().filter(|(status, _)| *status == 200) }
    })
    .await;
    (process, port)
}

/// The exporter's verdicts, by case.
async fn theirs(port: u16, cases: &[Case]) -> Vec<&'static str> {
    let asked = cases.iter().enumerate().map(|(n, case)| async move {
        let url = format!("http://127.0.0.1:{port}/probe?module=m{n}&target={}", case.target);
        let (status, said) = get_text(&url).await.unwrap();
        assert_eq!(status, 200, "{}: {said}", case.what);
        match said.lines().find_map(|line| line.strip_prefix("probe_success ")) {
            Some("1") => "up",
            Some("0") => "down",
            other => panic!("{}: {other:?} in {said}", case.what),
        }
    });
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

/// Our verdicts with their reasons, by case.
async fn ours(site: &Site, cases: &[Case]) -> Vec<String> {
    let judged = || async {
        let counted = site.stat_by("probe", "count", "probe,result,reason").await.ok()?;
        let mut verdicts: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for verdict in counted.keys() {
            let (probe, verdict) = verdict.split_once(' ')?;
            verdicts.entry(probe[1..].parse().ok()?).or_default().push(verdict.to_owned());
        }
        // Asked a second time it should not have changed its mind: then both are shown.
        let all: Vec<String> = verdicts.into_values().map(|said| said.join(", ")).collect();
        (all.len() == cases.len()).then_some(all)
    };
    eventually("each probe has been made", Duration::from_secs(40), judged).await
}

fn print(cases: &[Case], theirs: &[&str], ours: &[String]) {
    println!("{:<54} {:<9} {:<20} WHY", "TARGET", "EXPORTER", "OURS");
    for ((case, theirs), ours) in cases.iter().zip(theirs).zip(ours) {
        let why = if ours.split(' ').next() == Some(theirs) { "" } else { case.why };
        println!("{:<54} {theirs:<9} {ours:<20} {why}", case.what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_are_those_of_blackbox_exporter_or_differ_for_a_reason() {
    let Some(program) = find_program("prometheus-blackbox-exporter") else { return };
    let Some(openssl) = find_program("openssl") else { return };
    let mut site = Site::new("").unwrap();
    let targets = Targets::start(&openssl, &site).await;
    let cases = cases::all(&targets);
    assert!(cases.len() >= 40);
    let (_exporter, port) = exporter(&program, &site, &cases).await;
    let source =
        |(n, case): (usize, &Case)| format!("  - probe: {{name: p{n}, {}}}\n", case.source());
    let sources: String = cases.iter().enumerate().map(source).collect();
    site.configure_sources(&sources).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    let (theirs, ours) = tokio::join!(theirs(port, &cases), ours(&site, &cases));
    print(&cases, &theirs, &ours);
    let mut wrong = Vec::new();
    for ((case, theirs), ours) in cases.iter().zip(theirs).zip(ours) {
        if ours == "unknown unable" && case.may_be_forbidden {
            println!("left out: {}: this machine lets nobody send echoes", case.what);
        } else if (theirs, ours.as_str()) != (case.theirs, case.ours) {
            let wanted = (case.theirs, case.ours);
            wrong.push(format!("{}: ({theirs:?}, {ours:?}) and not {wanted:?}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_difference_has_a_reason_and_sameness_none() {
    for case in cases::all(&Targets::nowhere()) {
        let is_same = case.ours.split(' ').next() == Some(case.theirs);
        assert_eq!(is_same, case.why.is_empty(), "{}", case.what);
    }
}

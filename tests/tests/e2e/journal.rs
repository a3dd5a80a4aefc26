//! A real journal that is written while agents and `journalctl` are killed: every entry is counted once.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use watchkeeper_tests::harness::{JournalWriter, Site, eventually};

const LIMIT: Duration = Duration::from_secs(60);

fn agent_file(site: &Site, journal: &Path) -> String {
    format!(
        "agent: {{id: web-1, data_dir: {}, admin: '127.0.0.1:{}'}}\n\
         collector:\n  grpc: {{endpoint: 'http://127.0.0.1:{}'}}\n\
         sources:\n  - journal:\n      name: sys\n      service: shop\n      directory: {}\n      start_at: beginning\n\
         \x20     units: [shop.service]\n\
         \x20     signals: [{{name: entries, labels: {{priority: PRIORITY}}}}]\n\
         \x20     events: [{{name: error, where: 'PRIORITY == \"3\"', severity: error, message: MESSAGE}}]\n",
        site.path().join("agent").display(),
        site.admin_port,
        site.port,
        journal.display(),
    )
}

/// A site with a journal; `None`, said aloud, where none can be made.
async fn site() -> Option<(Site, JournalWriter)> {
    let mut site = Site::new("").unwrap();
    let directory = site.path().join("journal");
    std::fs::create_dir(&directory).unwrap();
    let Some(writer) = JournalWriter::find(&directory) else {
        assert!(std::env::var_os("CI").is_none(), "systemd-journal-remote is missing");
        println!("left out: systemd-journal-remote is missing");
        return None;
    };
    std::fs::write(site.path().join("agent.yaml"), agent_file(&site, &directory)).unwrap();
    site.start_collector(&[]).await.unwrap();
    site.start_agent(&[]).unwrap();
    Some((site, writer))
}

/// Every `journalctl` that reads the journal of this site.
fn readers(site: &Site) -> Vec<Pid> {
    let wanted = format!("--directory={}", site.path().join("journal").display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|p| p.file_name().to_str()?.parse::<i32>().ok());
    let reads = |id: &i32| {
        let words = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.split(|b| *b == 0).any(|word| word == wanted.as_bytes())
    };
    ids.filter(reads).filter_map(Pid::from_raw).collect()
}

/// Waits until everything written is counted, and makes sure that it stays so.
async fn all_counted(site: &Site, writer: &mut JournalWriter) {
    writer.finish().unwrap();
    let counted = || async {
        let counted = site.counted_by("entries", "priority").await.ok()?;
        assert!(
            counted.iter().all(|(p, n)| Some(n) <= writer.written.get(p)),
            "{counted:?} were counted, {:?} were written",
            writer.written
        );
        (counted == writer.written).then_some(())
    };
    eventually("every entry is counted", LIMIT, counted).await;
}

#[tokio::test]
async fn every_entry_of_a_journal_is_counted_once_through_kills_of_agent_and_journalctl() {
    let Some((mut site, mut writer)) = site().await else { return };
    for round in 0_u64..16 {
        for n in 0..150_u64 {
            writer.entry([6, 6, 4, 3][(n % 4) as usize]).unwrap();
            if n == round * 9 {
                site.agent.as_mut().unwrap().kill();
                site.start_agent(&[]).unwrap();
            }
        }
        match round % 4 {
            1 => writer.archive().unwrap(),
            2 => readers(&site).into_iter().for_each(|id| {
                // It may end by itself meanwhile.
                let _ = kill_process(id, Signal::KILL);
            }),
            // It reads for a while before it is killed again.
            _ => {
                eventually("some are counted", LIMIT, || async {
                    let counted = site.counted_by("entries", "priority").await.ok()?;
                    (counted.values().sum::<u64>() > round * 75).then_some(())
                })
                .await
            }
        }
    }
    all_counted(&site, &mut writer).await;
    eventually("there is one journalctl", LIMIT, || async {
        (readers(&site).len() == 1).then_some(())
    })
    .await;
    // What would be counted twice would have come before this one.
    writer.entry(5).unwrap();
    all_counted(&site, &mut writer).await;

    // What it is comes with its next beat, after its counts.
    let source = eventually("its beat says what the source is", LIMIT, || async {
        let agents = site.api("agents").await.ok()?;
        let source = agents["agents"][0]["sources"][0].clone();
        (source["kind"] == "journal").then_some(source)
    })
    .await;
    assert_eq!(source["read"].as_u64(), Some(writer.written.values().sum()), "{source}");
    let page = site.api("events?limit=1000").await.unwrap();
    let n_events = page["events"].as_array().unwrap().len() as u64;
    assert_eq!(n_events, writer.written["3"].min(1000), "each error is one event");

    // Told with the next beat.
    eventually("the source is well", LIMIT, || async {
        let agents = site.api("agents").await.ok()?;
        (agents["agents"][0]["sources"][0]["state"] == "ok").then_some(())
    })
    .await;

    site.agent.as_mut().unwrap().kill();
    eventually("the journalctl of a killed agent ends by itself", LIMIT, || async {
        readers(&site).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_lost_its_spool_goes_on_in_the_journal_where_the_collector_knows() {
    let Some((mut site, mut writer)) = site().await else { return };
    for _ in 0..3 {
        (0..100).for_each(|_| writer.entry(6).unwrap());
        all_counted(&site, &mut writer).await;
        site.agent.as_mut().unwrap().kill();
        std::fs::remove_dir_all(site.path().join("agent")).unwrap();
        (0..50).for_each(|_| writer.entry(4).unwrap());
        site.start_agent(&[]).unwrap();
        all_counted(&site, &mut writer).await;
    }
    let status = site.agent.as_mut().unwrap().stop(LIMIT).unwrap();
    assert!(status.success());
    assert!(readers(&site).is_empty(), "a stopped agent has ended its journalctl");
}

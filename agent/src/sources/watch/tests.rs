//! The `watch` source on real files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use glob::Pattern;
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_agent_core::watch::{Blindness, FileName, Hash, Listing, MAX_FILES, Stat, Sums};
use watchkeeper_config::{Reader, load_str};
use watchkeeper_daemon::clock;
use watchkeeper_model::{AgentId, Body, Labels, Timestamp};

use super::ear::{Ear, Watches};
use super::hash::Hashes;
use super::patterns::Patterns;
use super::walk::{BOUNDS, Bounds, Sight, Walker};
use super::*;
use crate::sources::{Beside, Health, Kind as _, Source as _, Wakes, read};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(yaml: &str) -> Result<WatchSourceSettings, String> {
    let mut reader = Reader::new(&|_: &str| None);
    let config = load_str("watch", yaml, &mut reader).and_then(|d| read(d.root(), &mut reader));
    let (config, _) = reader.finish(config).map_err(|problems| problems.render())?;
    Ok(config.settings.as_kind::<WatchSourceSettings>().unwrap().clone())
}

fn inbox(dir: &Path, keys: &str) -> WatchSourceSettings {
    let paths = format!("{}/*.vtt", dir.display());
    settings(&format!("watch: {{name: inbox, service: vtt, paths: ['{paths}'], {keys}}}")).unwrap()
}

/// A source that is polled in virtual time, with real files.
struct Scene {
    acc: Accumulator,
    wakes: Wakes,
    source: WatchSource,
    began: Timestamp,
    secs: u64,
    rows: std::collections::BTreeMap<watchkeeper_model::FileRef, String>,
}

impl Scene {
    fn new(settings: WatchSourceSettings) -> Self {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let wakes = Wakes::new();
        let source = WatchSource::new(settings, &[], &mut acc, Beside::new(wakes.waker()));
        let began = clock::now();
        Self { acc, wakes, source, began, secs: 0, rows: std::collections::BTreeMap::new() }
    }

    fn store(&mut self) {
        let checkpoint = self.source.checkpoint();
        self.rows.extend(checkpoint.store);
        checkpoint.forget.iter().for_each(|key| _ = self.rows.remove(key));
        self.source.committed(Timestamp(0));
    }

    fn restart(&mut self, settings: WatchSourceSettings) {
        self.store();
        let rows: Vec<String> = self.rows.values().cloned().collect();
        let beside = Beside::new(self.wakes.waker());
        self.source = WatchSource::new(settings, &rows, &mut self.acc, beside);
    }

    fn poll(&mut self) -> Timestamp {
        let running = Duration::from_secs(self.secs);
        self.source.poll_at(self.began + running, running, &mut self.acc)
    }

    /// Looks once, after a while that is no gap; what was told.
    fn look(&mut self) -> Vec<String> {
        self.secs += 25;
        self.poll();
        let since = Instant::now();
        loop {
            self.poll();
            let (events, n_looks) = sealed(&mut self.acc);
            if n_looks > 0 {
                return events;
            }
            assert!(events.is_empty() && since.elapsed() < LIMIT, "{events:?}");
            self.wakes.wait(Duration::from_millis(50));
        }
    }
}

/// Messages of events, and how often was looked.
fn sealed(acc: &mut Accumulator) -> (Vec<String>, u64) {
    let (mut all, mut n_looks) = (Vec::new(), 0);
    for service in acc.seal(Timestamp(0), &SealOrder::default(), Vec::new()).services {
        for body in service.bodies {
            match body {
                Body::Windows { tallies, .. } => {
                    n_looks += tallies.iter().map(|tally| tally.read).sum::<u64>();
                }
                Body::Events { events, .. } => all.extend(events.into_iter().map(|e| e.message)),
            }
        }
    }
    (all, n_looks)
}

fn walk_within(paths: &[String], exclude: &[String], hash: bool, bounds: Bounds) -> Listing {
    let all = |texts: &[String]| -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
    };
    let patterns = Arc::new(Patterns::new(&all(paths), &all(exclude)));
    let (ear, wakes) = (Ear::default(), Wakes::new());
    let watches = Watches::new("w", Arc::clone(&patterns), &ear, wakes.waker());
    Walker::new(patterns, hash, watches, bounds).look()
}

fn names(listing: &Listing, below: &Path) -> Vec<String> {
    let prefix = format!("{}/", below.display());
    let mut all: Vec<String> =
        listing.files.iter().map(|(name, _)| name.to_string().replace(&prefix, "")).collect();
    all.sort();
    all
}

#[test]
fn keys_have_defaults_and_bounds() {
    let given = settings("watch: {service: vtt, paths: [/srv/in/*]}").unwrap();
    assert_eq!((given.head.every, given.settle), (Duration::from_secs(10), Duration::from_secs(2)));
    assert!(!given.hash && given.expect.is_empty() && given.exclude.is_empty());
    assert_eq!(given.reads(), "watch\n/srv/in/*");
    let given = settings(
        "watch: {name: inbox, service: vtt, paths: [\"/srv/vtt/inbox/*.vtt\"], every: 5s, settle: 0s, hash: true, \
         exclude: [/srv/vtt/inbox/old], expect: ['oldest < duration(\"1h\")', 'count <= 100']}",
    )
    .unwrap();
    assert_eq!(given.expect.len(), 2);
    assert_eq!(given.reads(), "watch without /srv/vtt/inbox/old\n/srv/vtt/inbox/*.vtt");
    for (yaml, said) in [
        ("watch: {service: s}", "`paths` is missing"),
        ("watch: {service: s, paths: []}", "at least one"),
        ("watch: {service: s, paths: [/]}", "names no file"),
        ("watch: {service: s, paths: ['/in/*/../x']}", "goes up behind a wildcard"),
        ("watch: {service: s, paths: ['/in/[']}", "is no pattern of paths"),
        ("watch: {service: s, paths: [/in/*], settle: 2h}", "1h"),
        ("watch: {service: s, paths: [/in/*], expect: ['oldst < duration(\"1h\")']}", "oldest"),
        ("watch: {service: s, paths: [/in/*], expect: ['oldest < 3600']}", "duration"),
        ("watch: {service: s, paths: [/in/*], start_at: end}", "unknown key `start_at`"),
    ] {
        let problems = settings(yaml).unwrap_err();
        assert!(problems.contains(said), "{yaml}: {problems}");
    }
}

#[test]
fn what_matches_is_found_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["a.vtt", "b.txt", ".c.vtt", "deep/er/d.vtt", "deep/e.vtt", "old/f.vtt", "x\ny.vtt"]
    {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), name).unwrap();
    }
    fs::write(dir.path().join(OsStr::from_bytes(b"\xff.vtt")), "").unwrap();
    fs::create_dir(at("folder.vtt")).unwrap();
    symlink(at("b.txt"), at("link.vtt")).unwrap();
    symlink(at("nothing"), at("dangling.vtt")).unwrap();
    symlink(dir.path(), at("deep/loop")).unwrap();
    let pattern = |text: &str| format!("{}/{text}", dir.path().display());
    let look = |paths: &[&str], exclude: &[&str]| {
        let all = |texts: &[&str]| texts.iter().map(|text| pattern(text)).collect::<Vec<_>>();
        let listing = walk_within(&all(paths), &all(exclude), false, BOUNDS);
        assert_eq!(listing.unseen, [], "{paths:?}");
        assert!(listing.space.is_some_and(|space| space.bytes > 0));
        names(&listing, dir.path())
    };
    let top = [".c.vtt", "\\xff.vtt", "a.vtt", "link.vtt", "x\\ny.vtt"];
    assert_eq!(look(&["*.vtt"], &[]), top);
    assert_eq!(look(&["deep/**/*.vtt"], &[]), ["deep/e.vtt", "deep/er/d.vtt"]);
    let all = look(&["**/*.vtt", "deep/*.vtt", "a.vtt"], &["old", "**/.*"]);
    assert_eq!(all.len(), 6, "{all:?}");
    // By its name a link is followed.
    assert_eq!(look(&["deep/loop/a.vtt"], &[]), ["deep/loop/a.vtt"]);
    assert_eq!(look(&["deep/*/b.txt"], &[]), ["deep/loop/b.txt"]);
    assert_eq!(look(&["a.vtt", "none"], &[]), ["a.vtt"]);
}

#[test]
fn what_can_not_be_seen_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let pattern = |text: &str| format!("{}/{text}", dir.path().display());
    symlink("self.vtt", dir.path().join("self.vtt")).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    fs::create_dir(dir.path().join("closed")).unwrap();
    let closed = fs::Permissions::from_mode(0o000);
    fs::set_permissions(dir.path().join("closed"), closed).unwrap();
    let unseen = |path: &str| {
        let listing = walk_within(&[pattern(path)], &[], false, BOUNDS);
        let all: Vec<_> = listing.unseen.iter().map(|u| (u.why, u.problem.clone())).collect();
        all.first().cloned()
    };
    let (why, problem) = unseen("none/*").unwrap();
    assert_eq!((why, problem.ends_with("/none does not exist")), (Blindness::Missing, true));
    let (why, problem) = unseen("*.vtt").unwrap();
    assert_eq!(why, Blindness::Unreadable);
    assert!(problem.contains("/self.vtt: Too many levels of symbolic links"), "{problem}");
    // What may be below it is not gone.
    assert_eq!(unseen("*/a.vtt"), unseen("*.vtt"));
    let (why, problem) = unseen("closed").unwrap();
    assert_eq!(why, Blindness::Unreadable);
    assert!(problem.contains("/closed is a folder: name the files in it, such as "), "{problem}");
    let (why, problem) = unseen("file/*").unwrap();
    assert_eq!((why, problem.contains("Not a directory")), (Blindness::Unreadable, true));
    if !rustix::process::geteuid().is_root() {
        let (why, problem) = unseen("closed/*").unwrap();
        assert_eq!((why, problem.contains("Permission denied")), (Blindness::Denied, true));
    }
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(unseen("**/a.vtt"), None, "`**` follows no links");
}

#[test]
fn a_look_is_bounded_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..50 {
        fs::create_dir(dir.path().join(format!("{n}"))).unwrap();
        symlink("b", dir.path().join(format!("{n}/b"))).unwrap();
    }
    let paths = [format!("{}/**", dir.path().display())];
    for bounds in [Bounds { entries: 30, ..BOUNDS }, Bounds { folders: 10, ..BOUNDS }] {
        let listing = walk_within(&paths, &[], false, bounds);
        let first = &listing.unseen[0];
        assert_eq!((first.at.to_string().as_str(), first.why), ("/", Blindness::TooMany));
        assert!(first.problem.contains("exclude"), "{}", first.problem);
    }
    // Fifty entries, in the last folder that is looked at.
    let flat = [format!("{}/*", dir.path().display())];
    let within = |entries| walk_within(&flat, &[], false, Bounds { entries, ..BOUNDS }).unseen;
    assert_eq!(within(49)[0].why, Blindness::TooMany);
    assert_eq!(within(50), []);
    let few = walk_within(&paths, &[], false, Bounds { unseen: 5, ..BOUNDS });
    assert_eq!(few.unseen.len(), 6);
    assert_eq!(few.unseen[5].at.to_string(), "/");
}

#[test]
fn too_many_files_are_added_up() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..=MAX_FILES {
        fs::File::create(dir.path().join(format!("{n}.vtt"))).unwrap();
    }
    let mut scene = Scene::new(inbox(dir.path(), "expect: ['count <= 100']"));
    assert_eq!(scene.look(), ["inbox: count <= 100 does not hold: count is 20,001"]);
    let Health::Failing(why) = scene.source.health() else { panic!("{:?}", scene.source.health()) };
    assert!(why.starts_with("20,001 files match: they are added up"), "{why}");
    fs::remove_file(dir.path().join("0.vtt")).unwrap();
    assert_eq!(scene.look(), [""; 0]);
    assert_eq!(scene.source.health(), Health::Ok);
}

#[test]
fn what_several_patterns_mean_is_looked_at_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("in/deep")).unwrap();
    let n_files = MAX_FILES / 2 + 1;
    for n in 0..n_files {
        fs::File::create(dir.path().join(format!("in/deep/{n}.vtt"))).unwrap();
    }
    let all = ["**/*.vtt", "in/deep/*.vtt", "in/*/*", "in/deep/0.vtt"];
    let paths = all.map(|text| format!("{}/{text}", dir.path().display()));
    let listing = walk_within(&paths, &[], false, BOUNDS);
    assert_eq!((listing.files.len(), listing.too_many), (n_files, None));
    let bounds = Bounds { entries: n_files as u64 + 2, folders: 3, ..BOUNDS };
    assert_eq!(walk_within(&paths, &[], false, bounds).unseen, []);
}

#[test]
fn content_is_compared_if_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vtt");
    fs::write(&path, "one").unwrap();
    let listing = walk_within(&[format!("{}/*", dir.path().display())], &[], true, BOUNDS);
    // The first 128 bits of sha256sum's.
    assert_eq!(listing.files[0].1.hash, Hash::Known(0x7692_c3ad_3540_bb80_3c02_0b3a_ee66_cd88));
    let settings = inbox(dir.path(), "hash: true, settle: 0s");
    let mut scene = Scene::new(settings.clone());
    assert_eq!(scene.look(), [""; 0]);
    // As many bytes, and the old time: only its content tells.
    let was = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(was).unwrap();
    // The first look sees that something changed, the second one reads it.
    let told = [scene.look(), scene.look()].concat();
    assert_eq!(told, [format!("{} was changed: hash", path.display())]);
    scene.restart(settings);
    assert_eq!([scene.look(), scene.look()].concat(), [""; 0]);
}

/// Reading a process's memory from its beginning is an error for every user.
#[cfg(target_os = "linux")]
#[test]
fn content_that_can_not_be_read_is_told_at_each_look() {
    let path = "/proc/self/mem".to_owned();
    let look = |hash, bounds| walk_within(from_ref(&path), &[], hash, bounds);
    let listing = look(true, BOUNDS);
    let (unseen, files) = (&listing.unseen[0], &listing.files);
    assert_eq!((unseen.at.to_string(), unseen.why), (path.clone(), Blindness::Unreadable));
    let said = "the content of /proc/self/mem can't be compared: ";
    assert!(unseen.problem.starts_with(said), "{}", unseen.problem);
    assert_eq!((files.len(), files[0].1.hash), (1, Hash::None));
    assert_eq!(look(false, BOUNDS).unseen, []);
    // Beyond the bound nothing else is hidden by it.
    assert_eq!(look(true, Bounds { unseen: 0, ..BOUNDS }).unseen, []);
    let (mut hashes, (name, stat)) = (Hashes::default(), &files[0]);
    for _ in 0..3 {
        hashes.begin();
        assert!(hashes.of(name, stat).is_err());
        hashes.end();
    }
}

#[test]
fn a_file_that_may_not_be_read_is_told_if_its_content_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vtt");
    fs::write(&path, "a").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let listing = walk_within(&[path.display().to_string()], &[], true, BOUNDS);
    if !rustix::process::geteuid().is_root() {
        assert_eq!(listing.unseen[0].why, Blindness::Denied);
    }
}

#[test]
fn changes_are_told_also_those_while_the_agent_was_down() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a.vtt"), "a").unwrap();
    fs::write(at("b.vtt"), "b").unwrap();
    let settings = inbox(dir.path(), "settle: 0s");
    let mut scene = Scene::new(settings.clone());
    assert_eq!(scene.look(), [""; 0]);
    fs::rename(at("a.vtt"), at("c.vtt")).unwrap();
    fs::write(at("d.vtt"), "dd").unwrap();
    let (a, b, c, d) = (at("a.vtt"), at("b.vtt"), at("c.vtt"), at("d.vtt"));
    let (a, b, c, d) = (a.display(), b.display(), c.display(), d.display());
    assert_eq!(scene.look(), [format!("{a} was renamed to {c}"), format!("{d} was created, 2 B")]);
    scene.store();
    fs::remove_file(at("b.vtt")).unwrap();
    fs::set_permissions(at("d.vtt"), fs::Permissions::from_mode(0o600)).unwrap();
    scene.restart(settings.clone());
    let told = scene.look();
    assert_eq!(
        told,
        [
            format!("{b} was deleted while nobody looked"),
            format!("{d} was changed: mode while nobody looked")
        ]
    );
    // After an edit what was not looked for before is no news, and what is not looked for any more is not deleted.
    scene.store();
    let edited = WatchSourceSettings {
        paths: vec![Pattern::new(&format!("{}/[d-z]*", dir.path().display())).unwrap()],
        ..settings
    };
    fs::write(at("e.txt"), "e").unwrap();
    scene.restart(edited);
    assert_eq!(scene.look(), [""; 0]);
    scene.store();
    assert_eq!(scene.rows.len(), 3, "{:?}", scene.rows);
}

#[test]
fn a_hint_is_followed_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::new(inbox(dir.path(), "settle: 0s, every: 1h"));
    assert_eq!(scene.look(), [""; 0]);
    fs::write(dir.path().join("a.vtt"), "a").unwrap();
    let since = Instant::now();
    loop {
        scene.secs += 1;
        let next = scene.poll();
        let (events, _) = sealed(&mut scene.acc);
        if let [event] = &events[..] {
            assert!(event.contains("a.vtt was created"), "{event}");
            break;
        }
        assert!(next > Timestamp(0) && since.elapsed() < LIMIT);
        scene.wakes.wait(Duration::from_millis(50));
    }
}

/// A file system that answers when it is let go.
struct Hanging(Receiver<Listing>);

impl Sight for Hanging {
    fn look(&mut self) -> Listing {
        self.0.recv_timeout(LIMIT).unwrap_or_default()
    }
}

/// A source that is polled in virtual time, with a file system that hangs.
struct HangingScene {
    acc: Accumulator,
    wakes: Wakes,
    source: WatchSource,
    let_go: Sender<Listing>,
}

impl HangingScene {
    fn new(keys: &str) -> Self {
        let mut acc = Accumulator::new(AgentId::new("a"), Labels::default());
        let wakes = Wakes::new();
        let (let_go, hangs) = channel();
        let (eyes, beside) = (Box::new(Hanging(hangs)), Beside::new(wakes.waker()));
        let settings = inbox(Path::new("/in"), keys);
        let (into, ear) = (&mut acc, Ear::default());
        let source = WatchSource::with(settings, &[], into, beside, (eyes, ear));
        Self { acc, wakes, source, let_go }
    }

    /// When it wants to be polled again.
    fn poll(&mut self, secs: u64) -> Timestamp {
        let (now, running) = (Timestamp::from_secs(secs as i64), Duration::from_secs(secs));
        self.source.poll_at(now, running, &mut self.acc)
    }

    /// A look that takes from one time to another; what was told, and when it wants to be polled again.
    fn look(&mut self, began: u64, ended: u64, listing: Listing) -> (Vec<String>, Timestamp) {
        self.poll(began);
        self.let_go.send(listing).unwrap();
        let since = Instant::now();
        loop {
            let next = self.poll(ended);
            let (events, n_looks) = sealed(&mut self.acc);
            if n_looks > 0 {
                return (events, next);
            }
            assert!(since.elapsed() < LIMIT);
            self.wakes.wait(Duration::from_millis(50));
        }
    }
}

/// One that was written at a time.
fn one_file(secs: i64) -> Listing {
    let at = Timestamp::from_secs(secs);
    let stat = Stat {
        device: 1,
        inode: 1,
        born: None,
        mode: 0o644,
        owner: 0,
        group: 0,
        size: 5,
        modified: at,
        touched: at,
        hash: Hash::None,
    };
    Listing { files: vec![(FileName::new(b"/in/a.vtt"), stat)], ..Listing::default() }
}

#[test]
fn what_is_written_while_a_look_goes_on_is_not_finished() {
    let mut scene = HangingScene::new("every: 5s");
    assert_eq!(scene.look(1, 1, Listing::default()).0, [""; 0]);
    let (told, next) = scene.look(10, 13, one_file(10));
    assert_eq!((told, next), (vec![], Timestamp::from_secs(15)));
    assert_eq!(scene.look(15, 16, one_file(10)).0, ["/in/a.vtt was created, 5 B"]);
}

#[test]
fn what_may_be_finished_is_looked_for_early_once() {
    let many = Listing { too_many: Some(Sums::default()), ..Listing::default() };
    let mut scene = HangingScene::new("every: 5s");
    for (secs, listing, next) in [
        (0, Listing::default(), 5),
        (5, one_file(5), 7),
        // So many that nobody knows which of them are finished.
        (7, many.clone(), 10),
        (10, many, 15),
        (15, one_file(15), 17),
        (17, one_file(15), 20),
    ] {
        let wanted = scene.look(secs, secs, listing).1;
        assert_eq!(wanted, Timestamp::from_secs(next), "{secs}");
    }
}

#[test]
fn a_file_system_that_hangs_delays_nobody_and_is_told() {
    let mut scene = HangingScene::new("every: 1s");
    scene.source.patience = Duration::ZERO;
    for secs in 1..4 {
        scene.poll(secs);
    }
    let (events, n_looks) = sealed(&mut scene.acc);
    assert!(events[0].starts_with("inbox: not known: a look has not ended for"), "{events:?}");
    assert_eq!((events.len(), n_looks), (1, 2));
    assert!(matches!(scene.source.health(), Health::Failing(_)));
    scene.let_go.send(Listing::default()).unwrap();
    assert!(scene.wakes.wait(LIMIT));
    scene.poll(5);
    assert_eq!(sealed(&mut scene.acc).0, ["inbox: as expected again"]);
    assert_eq!(scene.source.health(), Health::Ok);
}

#[test]
fn a_folder_that_goes_away_deletes_nothing_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("in");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("a.vtt"), "a").unwrap();
    let mut scene = Scene::new(inbox(&inner, "settle: 0s"));
    assert_eq!(scene.look(), [""; 0]);
    let away = dir.path().join("away");
    fs::rename(&inner, &away).unwrap();
    assert_eq!(scene.look(), [format!("inbox: not known: {} does not exist", inner.display())]);
    assert!(matches!(scene.source.health(), Health::Waiting(_)));
    fs::rename(&away, &inner).unwrap();
    assert_eq!(scene.look(), ["inbox: as expected again"]);
}

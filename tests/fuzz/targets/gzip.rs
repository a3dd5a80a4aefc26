//! Arbitrary bytes as a gzip file: all of its content if flate2 reads it, and a bounded number of looks if it does not.
#![no_main]

use std::io::{Read as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use libfuzzer_sys::fuzz_target;
use watchkeeper_agent::sources::{Beside, SourceSettings, Stored, Wakes, build, read};
use watchkeeper_agent_core::observe::Accumulator;
use watchkeeper_agent_core::seal::SealOrder;
use watchkeeper_agent_core::tail::{Framer, LineForm};
use watchkeeper_config::{Reader, load_str};
use watchkeeper_fuzz::{Feed, NOW, Seen};
use watchkeeper_model::{AgentId, Labels};

/// More looks than this at a file of a few kilobytes are too many.
const MAX_LOOKS: u32 = 200;

const LINE_BYTES: usize = 1 << 20;

struct Directory {
    settings: SourceSettings,
    dir: tempfile::TempDir,
}

fn directory() -> &'static Directory {
    static DIRECTORY: OnceLock<Directory> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let paths = dir.path().join("*.gz");
        let yaml = format!(
            "tail: {{name: s, service: shop, paths: [{paths:?}], compressed: read, format: text, signals: [{{name: all}}]}}"
        );
        let mut reader = Reader::new(&|_: &str| None);
        let document = load_str("s", &yaml, &mut reader);
        let settings = document.and_then(|d| read(d.root(), &mut reader));
        let (settings, _) = reader.finish(settings).expect("settings without a mistake");
        Directory { settings: settings.settings, dir }
    })
}

/// Compressed in members of so many bytes, with the headers' optional parts, and filled up with zeros.
fn compressed(content: &[u8], member_bytes: usize, parts: usize, n_zeros: usize) -> Vec<u8> {
    let mut file = Vec::new();
    // No content is a member without any.
    let empty = content.is_empty().then_some(content);
    for member in content.chunks(member_bytes).chain(empty) {
        let mut header = GzBuilder::new();
        if parts & 1 != 0 {
            header = header.filename("app.log").comment("of a day");
        }
        if parts & 2 != 0 {
            header = header.extra(vec![7; member.len() % 300]);
        }
        let mut out = header.write(&mut file, Compression::new((parts % 4) as u32));
        out.write_all(member).and_then(|()| out.finish().map(drop)).expect("memory takes it");
    }
    file.resize(file.len() + n_zeros, 0);
    file
}

/// How many records there are behind a mark of the byte order.
fn n_records(content: &[u8]) -> u64 {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let (mut framer, mut n) = (Framer::default(), 0);
    let form = LineForm { max_bytes: LINE_BYTES, keeps_cr: false };
    let framed = framer.frame(content, form, |_, _| n += 1);
    framer.finish(&content[framed.used..], form, |_| n += 1);
    n
}

/// What flate2 makes of it: the content, if it is whole.
fn reference(file: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    MultiGzDecoder::new(file).read_to_end(&mut content).ok()?;
    Some(content)
}

// How it comes: 0 as it stands, 1 compressed here, 2 the same and a bit of it flipped, 3 the same and cut off. Then how
// large members are, what headers have, how much of the file is there at the first look; then the rest.
fuzz_target!(|data: &[u8]| {
    let mut feed = Feed::new(data);
    let (how, member_bytes, parts) = (feed.choice(4), feed.byte(), feed.choice(8));
    let (at, place) = (feed.byte(), usize::from(feed.byte()) << 8 | usize::from(feed.byte()));
    let rest = feed.rest();
    let mut file = rest.to_vec();
    if how > 0 {
        file = compressed(rest, usize::from(member_bytes) * 64 + 1, parts, usize::from(at % 3));
    }
    match how {
        2 if !file.is_empty() => {
            let n = file.len();
            file[place % n] ^= 1 << (at % 8);
        }
        3 => file.truncate(place % (file.len() + 1)),
        _ => {}
    }
    // flate2 takes the zeros behind the last member for a damaged one.
    let content = if how == 1 { Some(rest.to_vec()) } else { reference(&file) };

    let Directory { settings, dir } = directory();
    let path = dir.path().join("a.gz");
    let (before, behind) = file.split_at(file.len() * usize::from(at) / 255);
    std::fs::write(&path, before).expect("a disk with room");
    let mut acc = Accumulator::new(AgentId::new("web-1"), Labels::default());
    let wakes = Wakes::new();
    let mut source = build(settings.clone(), Stored::default(), &mut acc, &Beside::new(wakes.waker()));
    let mut now = NOW;
    for n_looks in 0.. {
        assert!(n_looks < MAX_LOOKS, "it is looked at again and again");
        if n_looks == 2 {
            let mut out = std::fs::OpenOptions::new().append(true).open(&path).expect("it is there");
            out.write_all(behind).expect("a disk with room");
        }
        let progress = source.poll(now, true, &mut acc);
        if n_looks > 20 && progress.next > now && !source.is_behind() {
            break;
        }
        now = now.shifted(Duration::from_secs(5).as_nanos() as i64);
    }
    let mut seen = Seen::default();
    seen.add(&acc.seal(now, &SealOrder::default(), Vec::new()));
    std::fs::remove_file(&path).expect("it is there");

    if let Some(content) = content {
        assert_eq!(seen.tally.bytes, content.len() as u64, "all of it is read");
        assert_eq!(seen.tally.read, n_records(&content));
        assert_eq!(seen.tally.bytes_unknown, 0);
    } else {
        assert!(seen.tally.bytes <= (file.len() as u64) << 11, "more than deflate can hold");
    }
});

//! Dead letters of the spool: refused and broken batches, asked for again, dropped, and bounded.

use std::path::Path;
use std::time::Duration;

use watchkeeper_agent_core::deliver::{RowId, Settled};
use watchkeeper_model::{AgentId, Digest, Kind, Service, Timestamp};

use super::schema::lock;
use super::{LetterFile, SealRequest, Spool, SpoolError, SpoolSettings, SpooledLetter, letters};
use crate::letters::LettersJson;
use crate::wire::SealedBody;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn open(directory: &Path) -> Spool {
    let settings = SpoolSettings { keep: Duration::from_secs(60), ..SpoolSettings::default() };
    Spool::open(directory, AgentId::new("web-1"), settings, 7, T0).unwrap().spool
}

fn seal(spool: &Spool, bodies: &[&str]) {
    let body = |text: &&str| {
        let bytes = text.as_bytes().to_vec();
        let sealed = SealedBody { digest: Digest::of(&bytes), bytes };
        (Service::new("shop").unwrap(), Kind::Windows, sealed)
    };
    let batches = bodies.iter().map(body).collect();
    spool.seal(&SealRequest { batches, ..SealRequest::default() }, T0).unwrap();
}

fn refused(reason: &str) -> Settled {
    Settled::Refused { reason: reason.to_owned() }
}

fn pending(spool: &Spool) -> Vec<(i64, u64)> {
    let (offers, _) = spool.pending(Kind::Windows, 1..=RowId::MAX, 100).unwrap();
    offers.iter().map(|o| (o.row, o.key.seq)).collect()
}

fn one(spool: &Spool) -> SpooledLetter {
    let [letter] = &spool.dead_letters().unwrap()[..] else { panic!("one letter") };
    letter.clone()
}

#[test]
fn a_refused_batch_is_a_letter_until_it_is_offered_again_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    seal(&spool, &["a", "b"]);
    spool.settle(1, &refused("no such unit"), T0).unwrap();
    spool.settle(2, &Settled::Durable, T0).unwrap();
    let letter = one(&spool);
    assert_eq!((letter.key.seq, &*letter.reason, letter.n_bytes), (1, "no such unit", 1));
    assert!(!letter.broken && !letter.asked);
    assert_eq!(spool.offer_letters_again(T0).unwrap(), 0, "nobody has asked");
    for (sentence, forgotten) in [("it is still kept", false), ("its batch was forgotten", true)] {
        if forgotten {
            spool.forget_settled(T0 + Duration::from_secs(61)).unwrap();
            assert_eq!(spool.bytes(), 0);
        }
        // Asked for from outside, beside the agent.
        let file = LetterFile::open(directory.path()).unwrap();
        assert!(file.ask(letter.id, T0).unwrap() && !file.ask(9, T0).unwrap(), "{sentence}");
        assert!(one(&spool).asked, "{sentence}");
        assert_eq!(spool.offer_letters_again(T0).unwrap(), 1, "{sentence}");
        assert_eq!(spool.offer_letters_again(T0).unwrap(), 0, "{sentence}: once");
        let (row, seq) = pending(&spool)[0];
        assert!(row > 2, "{sentence}: behind all that the sender has passed");
        assert_eq!((seq, spool.pending_bytes()), (1, 1), "{sentence}");
        let sent = spool.outgoing(row, T0).unwrap().unwrap();
        assert_eq!((sent.body, sent.key), (b"a".to_vec(), letter.key.clone()), "{sentence}");
        spool.settle(row, &refused("still none"), T0).unwrap();
        let again = one(&spool);
        assert_eq!((&*again.reason, again.asked), ("still none", false), "{sentence}");
    }
    let file = LetterFile::open(directory.path()).unwrap();
    file.ask(letter.id, T0).unwrap();
    drop(spool);
    let spool = open(directory.path());
    assert_eq!(spool.offer_letters_again(T0).unwrap(), 1, "also by the next process");
    spool.settle(pending(&spool)[0].0, &Settled::Durable, T0).unwrap();
    assert_eq!(spool.dead_letters().unwrap(), []);
    seal(&spool, &["c"]);
    assert_eq!(pending(&spool)[0].1, 3, "numbers go on");
}

#[test]
fn a_batch_that_rotted_is_kept_and_never_offered() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    seal(&spool, &["a", "b"]);
    lock(&spool.sealing).execute("UPDATE batch SET body = x'00' WHERE row = 1", []).unwrap();
    assert!(spool.outgoing(1, T0).unwrap().is_none());
    assert!(spool.outgoing(1, T0).unwrap().is_none(), "it is gone");
    let letter = one(&spool);
    assert!(letter.broken && letter.reason.contains("not what was sealed"), "{letter:?}");
    let file = LetterFile::open(directory.path()).unwrap();
    assert_eq!(file.letters().unwrap(), std::slice::from_ref(&letter));
    assert_eq!(file.body(letter.id).unwrap(), Some(vec![0]));
    assert!(!file.ask(letter.id, T0).unwrap());
    assert_eq!((spool.offer_letters_again(T0).unwrap(), spool.pending_bytes()), (0, 1));
    let shown = &LettersJson::of(&file.letters().unwrap()).dead_letters[0];
    assert_eq!((&*shown.id, &*shown.agent, shown.retryable), ("agent-1", "web-1", false));
    assert!(file.discard(letter.id).unwrap() && !file.discard(letter.id).unwrap());
    assert_eq!(spool.dead_letters().unwrap(), []);
}

#[test]
fn letters_are_bounded_and_what_goes_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    seal(&spool, &["a", "bb", "ccc", "dddd"]);
    for row in 1..=4 {
        spool.settle(row, &refused("no"), T0.shifted(row)).unwrap();
    }
    let seqs = || -> Vec<u64> {
        spool.dead_letters().unwrap().iter().map(|letter| letter.key.seq).collect()
    };
    let shrink = |n, n_bytes| letters::shrink(&lock(&spool.sealing), n, n_bytes).unwrap();
    shrink(4, 10);
    assert_eq!(seqs(), [1, 2, 3, 4], "just within");
    shrink(3, 10);
    assert_eq!(seqs(), [2, 3, 4], "the oldest goes");
    shrink(3, 7);
    assert_eq!(seqs(), [3, 4], "and more, for their size");
    spool.offer_letters_again(T0.shifted(3) + Duration::from_secs(90 * 86_400)).unwrap();
    assert_eq!(seqs(), [3, 4], "just young enough");
    spool.offer_letters_again(T0.shifted(4) + Duration::from_secs(90 * 86_400)).unwrap();
    let counts = spool.count_letters().unwrap();
    assert_eq!((seqs(), counts.n_kept, counts.n_dropped), (vec![4], 1, 3));
}

#[test]
fn a_letter_whose_number_was_taken_follows_its_batch_to_its_new_identity() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    seal(&spool, &["a"]);
    spool.settle(1, &refused("no"), T0).unwrap();
    LetterFile::open(directory.path()).unwrap().ask(1, T0).unwrap();
    spool.offer_letters_again(T0).unwrap();
    let row = pending(&spool)[0].0;
    spool.rekey(row, 8, T0).unwrap();
    spool.settle(row, &Settled::Durable, T0).unwrap();
    assert_eq!(spool.dead_letters().unwrap(), []);
}

#[test]
fn only_a_spool_of_this_version_is_opened_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let error = |directory: &Path| LetterFile::open(directory).unwrap_err();
    assert!(matches!(error(directory.path()), SpoolError::Io { .. }));
    assert!(!directory.path().join("spool.db").exists(), "none is made");
    let spool = open(directory.path());
    lock(&spool.sealing).execute("UPDATE meta SET value = '2' WHERE key = 'version'", []).unwrap();
    assert!(matches!(error(directory.path()), SpoolError::OtherVersion { .. }));
}

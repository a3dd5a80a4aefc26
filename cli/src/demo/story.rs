//! The plot: ten quiet minutes, payments go down, two receivers are paged, payments come back, both are told.
//!
//! Owns the order and how long each scene may take. Whether it went well is for the ending to say.

use std::time::{Duration, Instant};

use super::ending::Ending;
use super::files::BREAKING;
use super::receivers::{Receiver, Told, Word};
use super::shop::{BROKEN_RATE, Mood, Shop, USUAL_RATE};
use super::stage::{ASK_AGAIN, Stage};
use super::voice::Voice;
use super::watch;
use crate::terminal::{Tone, say};

/// How long everything is well at first.
const QUIET: Duration = Duration::from_secs(3);

/// The shop stays broken at least so long, to be looked at.
const BROKEN: Duration = Duration::from_secs(3);

/// How long receivers may take to be told.
const TELLING: Duration = Duration::from_secs(15);

/// How long whatever else was opened may take to be closed.
const CLOSING: Duration = Duration::from_secs(6);

/// How long the collector may take to have counted everything.
const COUNTING: Duration = Duration::from_secs(8);

/// Tells it, and writes into `ending` what came to pass.
pub(super) async fn tell(stage: &Stage, voice: &Voice, ending: &mut Ending) -> anyhow::Result<()> {
    let plot = async {
        stage.is_set().await?;
        play(stage, voice, ending).await
    };
    tokio::select! {
        told = plot => told,
        () = watch::follow(stage, voice) => Ok(()),
        () = hear(stage, voice) => Ok(()),
        error = failing(stage) => Err(error),
    }
}

async fn play(stage: &Stage, voice: &Voice, ending: &mut Ending) -> anyhow::Result<()> {
    voice.say("shop", "its log begins with ten quiet minutes");
    let shop = Shop::open(&stage.dir).await?;
    let opened = say::count(shop.written().n_requests);
    voice.say("shop", &format!("open: {opened} requests so far, {USUAL_RATE} more a second"));
    tokio::time::sleep(QUIET).await;

    voice.say_in(Tone::Strong, "shop", &format!(
        "PAYMENTS ARE DOWN: checkouts fail, everybody tries again, {BROKEN_RATE} requests a second"
    ));
    shop.turn(Mood::Broken);
    let broken = Instant::now();
    let paged = until_told(stage, Word::Page, broken, TELLING).await;
    tokio::time::sleep(BROKEN.saturating_sub(broken.elapsed())).await;
    shop.turn(Mood::Well);
    voice.say_in(Tone::Strong, "shop", "payments are back");
    let recovered = Instant::now();

    let closed = until_told(stage, Word::Over, recovered, TELLING).await;
    until(stage, CLOSING, || stage.record.open().is_empty()).await;
    ending.open = stage.record.open();
    let written = shop.close().await?;
    ending.written = written;
    let since_error = |told: &[Told], error: Option<Instant>| {
        told.iter()
            .filter_map(|t| Some((t.receiver, t.at.saturating_duration_since(error?))))
            .collect()
    };
    let told = stage.record.first(broken, |t| t.alert == BREAKING);
    ending.told = since_error(&told, written.first_error);
    ending.paged = since_error(&paged, written.first_error);
    ending.closed = since_error(&closed, written.last_error);
    count(stage, voice, ending).await?;
    // What the collector says of it in the end is told, too.
    tokio::time::sleep(2 * watch::EVERY).await;
    Ok(())
}

/// The first such word about [`BREAKING`] to each receiver since then, as soon as all have heard it or time is up.
async fn until_told(stage: &Stage, word: Word, since: Instant, limit: Duration) -> Vec<Told> {
    let found = || stage.record.first(since, |t| t.word == word && t.alert == BREAKING);
    until(stage, limit, || found().len() == Receiver::ALL.len()).await;
    found()
}

/// Waits until what was told is enough, or time is up: whoever needs to know which looks again.
async fn until(stage: &Stage, limit: Duration, enough: impl Fn() -> bool) {
    let mut changes = stage.record.changes();
    let reached = async { while !enough() && changes.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(limit, reached).await;
}

/// Waits until the collector has counted what was written, or time is up.
async fn count(stage: &Stage, voice: &Voice, ending: &mut Ending) -> anyhow::Result<()> {
    let began = Instant::now();
    let lines = ending.n_written();
    loop {
        ending.n_counted = stage.counted("requests").await? + stage.counted("queries").await?;
        // Fewer may still be on their way; more will never become right.
        if ending.n_counted >= lines || began.elapsed() > COUNTING {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    let (written, counted) = (say::count(lines), say::count(ending.n_counted));
    let tone = if ending.n_counted == lines { Tone::Good } else { Tone::Bad };
    voice.say_in(tone, "count", &format!("{written} lines written, {counted} counted"));
    Ok(())
}

/// Tells what receivers are told.
async fn hear(stage: &Stage, voice: &Voice) {
    let mut changes = stage.record.changes();
    let mut n_heard = 0;
    loop {
        for told in stage.record.after(n_heard) {
            n_heard += 1;
            relate(&told, voice);
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn relate(told: &Told, voice: &Voice) {
    let (tone, what) = match told.word {
        Word::Page => (Tone::Bad, "is paged:"),
        Word::Less => (Tone::Warning, "is told:"),
        Word::Over => (Tone::Good, "is told that it is over:"),
    };
    voice.say_in(tone, told.receiver.name(), what);
    // A page is shown whole once it is about what the story is about; else the first line says enough.
    let n_lines = if told.word == Word::Page && told.alert == BREAKING { usize::MAX } else { 1 };
    let lines: Vec<&str> = told.text.lines().take(n_lines).collect();
    voice.quote(tone, &lines.join("\n"));
}

/// Ends when agent or collector do, which they should not.
async fn failing(stage: &Stage) -> anyhow::Error {
    loop {
        if let Err(error) = stage.check() {
            return error;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

//! The hub: the loop that owns the engine.
//!
//! Owns the order handle → persist → deliver. Everyone else sends inputs and sees copies. Its queue holds 4 096 inputs;
//! whoever adds beyond that waits, and with it the agents. Never decides anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use opentelemetry::metrics::{Counter, Meter};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use watchkeeper_collector_core::alert::Fingerprint;
use watchkeeper_collector_core::engine::{
    CorrectionView, Effect, Engine, Fact, Input, RestoredSlo, Settings, Snapshot,
};
use watchkeeper_collector_core::notify::DeliveryRow;
use watchkeeper_collector_core::slo::CorrectionRow;
use watchkeeper_daemon::{clock, crash};

use crate::api::{self, Acknowledged, Corrected, EngineGone};
use crate::channels::IntegrationKey;
use crate::dispatch::{self, Dispatch, Outcome};
use crate::facts;
use crate::store::{LedgerWrite, Store, writes_of};

const QUEUE: usize = 4096;
/// Inputs handled before their effects are persisted together.
const TOGETHER: usize = 256;
/// Rows kept for the next attempt while the ledger cannot be written.
const MAX_UNWRITTEN: usize = 100_000;
/// The loop looks at the clock at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

enum Message {
    Input(Box<Input>),
    Snapshot(oneshot::Sender<Snapshot>),
    Acknowledge {
        fingerprint: Fingerprint,
        by: String,
        comment: String,
        done: oneshot::Sender<Acknowledged>,
    },
    /// Of a correction: adding one, or ending that of the number.
    Correct {
        input: Box<Input>,
        ends: Option<u64>,
        done: oneshot::Sender<Corrected>,
    },
    Reload {
        input: Box<Input>,
        done: oneshot::Sender<BTreeSet<IntegrationKey>>,
    },
}

/// How everyone else reaches the engine; cheap to clone.
#[derive(Clone)]
pub struct HubHandle(mpsc::Sender<Message>);

/// The receiving end, to be given to [`Hub::new`].
pub struct HubQueue(mpsc::Receiver<Message>);

/// A handle and its queue.
pub fn channel() -> (HubHandle, HubQueue) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (HubHandle(sender), HubQueue(receiver))
}

#[cfg(test)]
impl HubQueue {
    /// What the engine would have been told by now.
    pub(crate) fn inputs(&mut self) -> Vec<Input> {
        let told = std::iter::from_fn(|| self.0.try_recv().ok());
        told.filter_map(|message| match message {
            Message::Input(input) => Some(*input),
            _ => None,
        })
        .collect()
    }
}

impl HubHandle {
    /// Tells the engine; waits while its queue is full. After the hub has ended nobody is told.
    pub async fn send(&self, input: Input) {
        let _ = self.0.send(Message::Input(Box::new(input))).await;
    }

    /// Gives the engine new settings and waits until it goes by them; the integrations it still needs.
    ///
    /// # Errors
    /// If the hub has ended.
    pub async fn reload(
        &self,
        settings: Settings,
        restored: Vec<RestoredSlo>,
    ) -> Result<BTreeSet<IntegrationKey>, EngineGone> {
        let input = Box::new(Input::Reload { settings: Box::new(settings), restored });
        self.ask(|done| Message::Reload { input, done }).await
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, EngineGone> {
        let (answer, asked) = oneshot::channel();
        self.0.send(message(answer)).await.map_err(|_| EngineGone)?;
        asked.await.map_err(|_| EngineGone)
    }
}

impl api::Engine for HubHandle {
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, EngineGone>> {
        self.ask(Message::Snapshot).boxed()
    }

    fn acknowledge(
        &self,
        fingerprint: &str,
        by: &str,
        comment: &str,
    ) -> BoxFuture<'_, Result<Acknowledged, EngineGone>> {
        let Ok(fingerprint) = fingerprint.parse::<Fingerprint>() else {
            return async { Ok(Acknowledged::NoSuchAlert) }.boxed();
        };
        let (by, comment) = (by.to_owned(), comment.to_owned());
        async move { self.ask(|done| Message::Acknowledge { fingerprint, by, comment, done }).await }.boxed()
    }

    fn record_tests(&self, rows: Vec<DeliveryRow>) -> BoxFuture<'_, ()> {
        self.send(Input::Tested(rows)).boxed()
    }

    fn add_correction(&self, row: CorrectionRow) -> BoxFuture<'_, Result<Corrected, EngineGone>> {
        let input = Box::new(Input::AddCorrection(Box::new(row)));
        self.ask(|done| Message::Correct { input, ends: None, done }).boxed()
    }

    fn end_correction(&self, id: u64, by: &str) -> BoxFuture<'_, Result<Corrected, EngineGone>> {
        let input = Box::new(Input::EndCorrection { id, by: by.to_owned() });
        self.ask(move |done| Message::Correct { input, ends: Some(id), done }).boxed()
    }
}

/// The loop's state.
pub struct Hub {
    engine: Engine,
    store: Store,
    dispatch: Arc<Dispatch>,
    queue: mpsc::Receiver<Message>,
    outcomes: mpsc::Receiver<Outcome>,
    unwritten: Vec<LedgerWrite>,
    wordings_failed: Counter<u64>,
}

impl Hub {
    /// A hub over a restored engine. `outcomes` are those of `dispatch`; what it counts is registered with `meter`.
    pub fn new(
        engine: Engine,
        store: Store,
        dispatch: Arc<Dispatch>,
        queue: HubQueue,
        outcomes: mpsc::Receiver<Outcome>,
        meter: &Meter,
    ) -> Self {
        let wordings_failed = meter
            .u64_counter("watchkeeper_annotations_failed")
            .with_description("Annotations told as they are written: an expression in them failed.")
            .build();
        let (queue, unwritten) = (queue.0, Vec::new());
        Self { engine, store, dispatch, queue, outcomes, unwritten, wordings_failed }
    }

    /// Runs until `stop`; then takes in what is queued and ends. `first` are the effects of the engine's restoring.
    pub async fn run(mut self, first: Vec<Effect>, stop: CancellationToken) {
        self.carry_out(first).await;
        loop {
            let wake = clock::now() + LONGEST_SLEEP;
            let deadline = self.engine.next_deadline().map_or(wake, |at| at.min(wake));
            tokio::select! {
                message = self.queue.recv() => match message {
                    None => break,
                    Some(message) => self.take(message).await,
                },
                Some(outcome) = self.outcomes.recv() => self.take_outcomes(outcome).await,
                () = tokio::time::sleep_until(clock::instant(deadline)) => self.handle(vec![Input::Tick]).await,
                () = stop.cancelled() => break,
            }
        }
        self.finish().await;
    }

    /// Takes in what has been sent before the end, and the outcomes of what is being delivered.
    async fn finish(&mut self) {
        self.queue.close();
        while let Some(message) = self.queue.recv().await {
            self.take(message).await;
        }
        while let Ok(outcome) = self.outcomes.try_recv() {
            let input = Input::Delivered { delivery: outcome.delivery, reply: outcome.reply };
            self.handle(vec![input]).await;
        }
        self.carry_out(Vec::new()).await;
    }

    /// Handles a message and whatever else waits, so that their rows share a commit.
    async fn take(&mut self, first: Message) {
        let mut inputs = Vec::new();
        let mut questions = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Input(input) => inputs.push(*input),
                // What comes behind a reload was judged by the new settings.
                reload @ Message::Reload { .. } => {
                    questions.push(reload);
                    break;
                }
                question => questions.push(question),
            }
            if inputs.len() < TOGETHER {
                next = self.queue.try_recv().ok();
            }
        }
        self.handle(inputs).await;
        for question in questions {
            self.answer(question).await;
        }
    }

    /// Handles an outcome and whatever others wait: a message that told of many ends many deliveries at once.
    async fn take_outcomes(&mut self, first: Outcome) {
        let mut inputs = Vec::new();
        let mut next = Some(first);
        while let Some(Outcome { delivery, reply, .. }) = next.take() {
            inputs.push(Input::Delivered { delivery, reply });
            if inputs.len() < TOGETHER {
                next = self.outcomes.try_recv().ok();
            }
        }
        self.handle(inputs).await;
    }

    async fn answer(&mut self, question: Message) {
        match question {
            Message::Input(_) => {}
            Message::Reload { input, done } => {
                self.handle(vec![*input]).await;
                let in_use = self.engine.receivers_in_use();
                let keys = in_use.iter().map(|(receiver, id)| IntegrationKey::new(receiver, id));
                let _ = done.send(keys.collect());
            }
            Message::Snapshot(asked) => {
                // Whoever asked may have gone.
                let _ = asked.send(self.engine.snapshot(clock::now()));
            }
            Message::Correct { input, ends, done } => {
                let corrected = self.correct(*input, ends).await;
                let _ = done.send(corrected);
            }
            Message::Acknowledge { fingerprint, by, comment, done } => {
                let known = self
                    .engine
                    .snapshot(clock::now())
                    .alerts
                    .iter()
                    .any(|a| a.fingerprint == fingerprint && a.ends_at.is_none());
                if known {
                    self.handle(vec![Input::Acknowledge { fingerprint, by, comment }]).await;
                }
                let answer = if known { Acknowledged::Done } else { Acknowledged::NoSuchAlert };
                let _ = done.send(answer);
            }
        }
    }

    /// Adds a correction, or ends the one of that number, and says how it stands then.
    async fn correct(&mut self, input: Input, ends: Option<u64>) -> Corrected {
        let rows = |engine: &Engine| -> Vec<CorrectionView> {
            let all = engine.corrections(clock::now()).into_iter();
            all.filter(|correction| correction.added.is_some()).collect()
        };
        let number = |view: &CorrectionView| view.added.as_ref().map_or(0, |row| row.id);
        let before = rows(&self.engine);
        let is_live = |view: &CorrectionView| {
            ends == Some(number(view)) && view.added.as_ref().is_some_and(|row| row.ended.is_none())
        };
        if ends.is_some() && !before.iter().any(is_live) {
            return Corrected::NoSuchCorrection;
        }
        let last = before.iter().map(number).max().unwrap_or(0);
        self.handle(vec![input]).await;
        let found = rows(&self.engine).into_iter().find(|view| match ends {
            Some(id) => number(view) == id,
            None => number(view) > last,
        });
        match found {
            Some(view) if self.unwritten.is_empty() => Corrected::Done(Box::new(view)),
            Some(_) => Corrected::NotOnDisk,
            None => Corrected::TooMany,
        }
    }

    async fn handle(&mut self, inputs: Vec<Input>) {
        let mut effects = Vec::new();
        for input in inputs {
            effects.extend(self.engine.handle(input, clock::now()));
        }
        self.carry_out(effects).await;
    }

    /// Rows first, durably; then deliveries and facts. What an integration answers at once goes back in.
    async fn carry_out(&mut self, mut effects: Vec<Effect>) {
        if effects.is_empty() && !self.unwritten.is_empty() {
            // Nothing new, but the ledger still owes rows of before: perhaps there is room again.
            self.persist(&[]).await;
        }
        while !effects.is_empty() {
            let recorded = self.persist(&effects).await;
            crash::point("collector.before_deliver");
            let mut answers = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Deliver(delivery) => {
                        let delivery = dispatch::Delivery::new(*delivery, recorded);
                        answers.extend(self.dispatch.submit(delivery));
                    }
                    Effect::Fact(fact) => {
                        if matches!(fact, Fact::WordingFailed { .. }) {
                            self.wordings_failed.add(1, &[]);
                        }
                        facts::decided(&fact);
                    }
                    _ => {}
                }
            }
            effects = Vec::new();
            for Outcome { delivery, reply, .. } in answers {
                effects
                    .extend(self.engine.handle(Input::Delivered { delivery, reply }, clock::now()));
            }
        }
    }

    /// Whether the rows are on disk. Those that are not are tried again with the next ones, in order.
    async fn persist(&mut self, effects: &[Effect]) -> bool {
        self.unwritten.extend(writes_of(effects));
        if self.unwritten.is_empty() {
            return true;
        }
        crash::point("collector.before_ledger_commit");
        match self.store.persist(self.unwritten.clone(), clock::now()).await {
            Ok(()) => {
                self.unwritten.clear();
                crash::point("collector.after_ledger_commit");
                true
            }
            Err(error) => {
                facts::ledger_failed(&error);
                let excess = self.unwritten.len().saturating_sub(MAX_UNWRITTEN);
                self.unwritten.drain(..excess);
                false
            }
        }
    }
}

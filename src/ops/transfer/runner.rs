//! Runs a transfer: makes the engine's steps happen against the service and the disk, in their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::engine::{Call, Engine, Event, Step};
use super::escort::Escort;
use super::journal::{Archive, Journal};
use super::port::Port;
use super::record::Record;
use super::{Kind, State, Summary};
use crate::model::text;
use crate::ops::Ops;

/// Answers waiting to be taken in; calls wait when there are more.
const EVENTS_MAX: usize = 256;
/// The rate shown is that of so many seconds.
const RATE_SPAN: Duration = Duration::from_secs(5);
/// A cancel from another process is seen within this time.
const CANCEL_LOOK: Duration = Duration::from_millis(500);
/// Leases are given back at the end, but not waited for longer than this: they end by themselves.
const RELEASE_WAIT: Duration = Duration::from_secs(8);

/// A transfer under way.
pub(super) struct Runner {
    pub(super) ops: Ops,
    pub(super) port: Arc<Port>,
    pub(super) archive: Archive,
    pub(super) engine: Engine,
    pub(super) journal: Journal,
    pub(super) summary: watch::Sender<Summary>,
    pub(super) cancel: Arc<Notify>,
    pub(super) proceed: Arc<Notify>,
    pub(super) escort: Escort,
}

/// What a run needs besides.
struct Under {
    began: Instant,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    calls: JoinSet<()>,
    releases: JoinSet<()>,
    rate: Rate,
}

impl Runner {
    /// Runs to the end; dropped before, it leaves everything to be resumed.
    pub(super) async fn run(mut self) {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let mut under =
            Under { began: Instant::now(), events, sender, calls: JoinSet::new(), releases: JoinSet::new(), rate: Rate::default() };
        under.calls.spawn(self.escort.beat(under.sender.clone()));
        let mut events = self.escort.notes();
        let state = loop {
            let step = self.engine.step(under.began.elapsed(), std::mem::take(&mut events));
            let (step, journal) = perform_on_disk(step, self.journal, &mut self.engine).await;
            self.journal = journal;
            for call in step.calls {
                self.begin(call, &mut under);
            }
            if let Some(state) = step.end {
                break state;
            }
            self.show(&mut under.rate);
            events = self.wait(step.wake, &mut under).await;
        };
        let releases = async { while under.releases.join_next().await.is_some() {} };
        if tokio::time::timeout(RELEASE_WAIT, releases).await.is_err() {
            tracing::warn!("leases were not given back in time; they end by themselves");
        }
        self.end(state).await;
    }

    /// Waits until something happened or is due.
    async fn wait(&self, wake: Option<Duration>, under: &mut Under) -> Vec<Event> {
        let due = wake.map(|wake| under.began + wake);
        let id = self.summary.borrow().id.clone();
        loop {
            let look = Instant::now() + CANCEL_LOOK;
            let until = due.map_or(look, |due| due.min(look));
            tokio::select! {
                event = under.events.recv() => {
                    let mut events: Vec<Event> = event.into_iter().collect();
                    while let Ok(event) = under.events.try_recv() {
                        events.push(event);
                    }
                    return events;
                }
                () = self.cancel.notified() => return vec![Event::Cancel],
                () = self.proceed.notified() => return vec![Event::Proceed],
                () = tokio::time::sleep_until(until) => {
                    if self.archive.is_cancel_asked(&id) {
                        self.archive.forget_cancel(&id);
                        return vec![Event::Cancel];
                    }
                    if due.is_some_and(|due| due <= Instant::now()) {
                        return Vec::new();
                    }
                }
            }
            while under.calls.try_join_next().is_some() {}
        }
    }

    /// Begins a call; its answer comes as an event.
    fn begin(&self, call: Call, under: &mut Under) {
        let (port, sender) = (self.port.clone(), under.sender.clone());
        if let Call::Release { ack_ids } = call {
            under.releases.spawn(async move { port.release(ack_ids).await });
            return;
        }
        under.calls.spawn(async move {
            if let Some(event) = port.ask(call).await {
                // Nobody is there any more to hear it: the run was dropped.
                let _ = sender.send(event).await;
            }
        });
    }

    /// Shows how far it is.
    fn show(&self, rate: &mut Rate) {
        let counts = self.engine.counts();
        let rate = rate.of(Instant::now(), counts.moved + counts.discarded);
        self.summary.send_modify(|summary| {
            summary.state = self.engine.state();
            summary.rate = rate;
        });
        self.tell();
    }

    fn tell(&self) {
        self.summary.send_modify(|summary| {
            summary.counts = self.engine.counts();
            summary.duplicates_max = self.engine.unsure();
            let (returned, causes) = self.engine.returned();
            if summary.returned != returned {
                summary.returned_causes = super::returned_causes(causes);
            }
            summary.returned = returned;
            summary.errors = self.engine.errors().map(|error| text::line(error).into_owned()).collect();
            let keeps = matches!(summary.request.kind, Kind::Discard | Kind::Export) || self.engine.has_originals();
            if keeps && summary.copy.is_none() && summary.counts.discarded + summary.counts.moved > 0 {
                summary.copy = Some(self.archive.copies(&summary.id, &summary.request));
            }
        });
    }

    /// Writes the end down, gives the journal free, and says so.
    async fn end(self, state: State) {
        self.tell();
        let Self { mut journal, engine, summary, ops, escort, .. } = self;
        escort.close().await;
        let at = Timestamp::now();
        let errors: Vec<String> = engine.errors().map(str::to_owned).collect();
        let ended = Record::Ended { at, state, counts: engine.counts(), errors };
        let written = tokio::task::spawn_blocking(move || journal.commit(Vec::new(), &[ended])).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the end of the transfer could not be written to its journal");
        }
        let (id, request) = (summary.borrow().id.clone(), summary.borrow().request.clone());
        let counts = engine.counts();
        let action = format!("{}.end", request.action());
        ops.record(
            at,
            &action,
            &request.source,
            &format!("{id}: {state:?}, {} moved, {} discarded, {} failed", counts.moved, counts.discarded, counts.failed),
        );
        summary.send_modify(|summary| {
            summary.state = state;
            summary.ended = Some(at);
            summary.rate = None;
        });
    }
}

/// Makes copies and records durable, off the async threads. Where that fails, nothing else of the step is done.
async fn perform_on_disk(step: Step, mut journal: Journal, engine: &mut Engine) -> (Step, Journal) {
    let Step { copies, originals, records, calls, wake, end } = step;
    if copies.is_empty() && originals.is_empty() && records.is_empty() {
        return (Step { calls, wake, end, ..Step::default() }, journal);
    }
    let written = tokio::task::spawn_blocking(move || {
        let result = journal.keep_originals(originals).and_then(|()| journal.commit(copies, &records));
        (journal, result)
    });
    let (journal, result) = match written.await {
        Ok(done) => done,
        // Only a panic of the disk's code, or the end of the runtime, which ends this task too.
        Err(error) => std::panic::resume_unwind(error.try_into_panic().unwrap_or_else(|_| Box::new("the runtime is shut down"))),
    };
    match result {
        Ok(()) => (Step { calls, wake, end, ..Step::default() }, journal),
        Err(error) => {
            let words = error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"));
            (engine.journal_failed(&words), journal)
        }
    }
}

/// Messages a second of late.
#[derive(Default)]
struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    fn of(&mut self, now: Instant, done: u64) -> Option<f64> {
        while self.0.len() > 1 && self.0[1].0 + RATE_SPAN < now {
            self.0.pop_front();
        }
        // Four points a second are enough.
        if self.0.back().is_none_or(|(at, _)| *at + Duration::from_millis(250) <= now) {
            self.0.push_back((now, done));
        }
        let (since, before) = *self.0.front()?;
        let seconds = now.duration_since(since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
        let rate = (done - before) as f64 / seconds;
        (seconds >= 0.25).then_some(rate)
    }
}

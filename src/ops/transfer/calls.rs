//! The calls of [`Ops`] on transfers.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::draft::Marks;
use super::engine::{Engine, Settings};
use super::escort::{COPY_ACK_DEADLINE, Escort};
use super::journal::{Archive, Journal, unknown};
use super::live::{Handle, Listed};
use super::port::Port;
use super::record::{Began, Record, Story};
use super::runner::Runner;
use super::{Counts, Plan, Source, State, Summary, TransferId};
use crate::error::{Error, Kind, Result};
use crate::ops::{Ops, Place};
use crate::wal::RealDisk;

/// Tries for an id that is not taken.
const ID_TRIES: u32 = 100;
/// On Google, a seek takes effect after up to a minute.
const SEEK_LATE_MAX: Duration = Duration::from_mins(1);

impl Ops {
    /// Starts a transfer in the background and returns its id; refused where the plan has refusals.
    pub async fn start_transfer(&self, plan: Plan) -> Result<TransferId> {
        let (action, target) = (plan.request.action(), plan.request.source.clone());
        self.act(&action, &target, Box::pin(self.start(plan))).await
    }

    async fn start(&self, mut plan: Plan) -> Result<TransferId> {
        // Whoever made the plan: what the context allows holds here, of tasks and files too.
        self.keep_below_max_bulk(&mut plan);
        if !plan.refusals.is_empty() {
            return Err(Error::new(Kind::Refused, plan.refusals.join("; ")));
        }
        if let Some(error) = plan.unconfirmed() {
            return Err(error);
        }
        let terms = self.terms(&plan.request.source).await?;
        let archive = self.archive();
        let force = plan.request.options.force;
        if !force {
            busy(&archive, &plan.request.source, None)?;
        }
        let expected = plan.expected.map(|expected| expected.value.min(plan.request.max.unwrap_or(u64::MAX)));
        let routes = plan.routes.iter().filter_map(|route| Some((route.source.clone()?, route.topic.clone()))).collect();
        let began = Began {
            id: TransferId(String::new()),
            place: self.place(),
            project: self.cloud().project().id().parse().ok(),
            request: plan.request,
            cutoff: plan.cutoff,
            expected,
            routes,
            at: Timestamp::now(),
        };
        let (mut journal, began) = create(&archive, began)?;
        // Two that begin at once see each other here, and neither goes on.
        if !force {
            busy(&archive, &began.request.source, Some(&began.id))?;
        }
        let id = began.id.clone();
        let escort = match Box::pin(self.escort(&began)).await {
            Ok(escort) => escort,
            Err(error) => {
                let ended = Record::Ended {
                    at: Timestamp::now(),
                    state: State::Stopped,
                    counts: Counts::default(),
                    errors: vec![error.to_string()],
                };
                journal.commit(Vec::new(), &[ended])?;
                return Err(error);
            }
        };
        self.launch(&archive, journal, &Story::default(), began, terms, escort)?;
        Ok(id)
    }

    /// Lists the transfers of this project known on this machine, newest first, running ones with their present counts.
    pub fn transfers(&self) -> Result<Vec<Summary>> {
        let archive = self.archive();
        let mut summaries = Vec::new();
        for id in archive.ids()?.into_iter().rev() {
            match self.listed(&archive, &id) {
                Ok(Some(listed)) => {
                    let here = listed.project.as_ref().is_none_or(|project| project.as_str() == self.cloud().project().id())
                        && listed.place == self.place();
                    if here {
                        summaries.push(self.present(&archive, &listed));
                    }
                }
                Ok(None) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(transfer = %id, %error, "a transfer is left out of the list"),
            }
        }
        Ok(summaries)
    }

    /// Names the journals that cannot be read, and why.
    pub(in crate::ops) fn unreadable_transfers(&self) -> Result<Vec<(String, Error)>> {
        let archive = self.archive();
        let failed = |id: TransferId| match self.listed(&archive, &id) {
            Err(error) if !error.is_not_found() => Some((id.0, error)),
            _ => None,
        };
        Ok(archive.ids()?.into_iter().filter_map(failed).collect())
    }

    /// Tells of each message or task that a discard dealt with why it failed; `None` is kept and taken away.
    pub(in crate::ops) fn transfer_outcomes(&self, id: &TransferId) -> Result<std::collections::HashMap<String, Option<String>>> {
        let story = self.archive().read(id)?;
        let failed = story.failed.into_iter().map(|(id, why)| (id.id().into_owned(), Some(why)));
        Ok(failed.chain(story.kept.into_iter().map(|id| (id.id().into_owned(), None))).collect())
    }

    /// Follows a transfer of this process until it ends.
    pub fn watch_transfer(&self, id: &TransferId) -> Result<watch::Receiver<Summary>> {
        let handle = self.0.transfers.get(id);
        handle.map(|handle| handle.summary).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("transfer `{id}` does not run in this process"))
                .with_hint("list them with `redrive transfers list`")
        })
    }

    /// Stops a running transfer within one batch; what is leased is released. One of another process is asked to stop.
    pub async fn cancel_transfer(&self, id: &TransferId) -> Result<()> {
        self.act("transfer.cancel", id, async {
            match self.0.transfers.get(id) {
                Some(handle) if is_running(handle.summary.borrow().state) => {
                    handle.cancel.notify_one();
                    Ok(())
                }
                _ => self.cancel_elsewhere(id),
            }
        })
        .await
    }

    fn cancel_elsewhere(&self, id: &TransferId) -> Result<()> {
        let archive = self.archive();
        let listed = self.known(&archive, id)?;
        if !archive.is_running(id) {
            let state = listed.summary.state;
            return Err(Error::new(Kind::FailedPrecondition, format!("transfer `{id}` does not run: it is {}", words(state))));
        }
        archive.ask_cancel(id)
    }

    /// Lets the rest follow the canary of a transfer of this process.
    pub async fn proceed_transfer(&self, id: &TransferId) -> Result<()> {
        self.act("transfer.proceed", id, async {
            match self.0.transfers.get(id) {
                Some(handle) if matches!(handle.summary.borrow().state, State::Asking | State::Watching) => {
                    handle.proceed.notify_one();
                    Ok(())
                }
                _ => Err(Error::new(Kind::FailedPrecondition, format!("transfer `{id}` does not wait for an answer in this process"))),
            }
        })
        .await
    }

    /// Goes on with a transfer that was cancelled, stopped or cut off by a crash; one that was done in part tries again what failed.
    pub async fn resume_transfer(&self, id: &TransferId) -> Result<()> {
        self.act("transfer.resume", id, Box::pin(self.resume(id))).await
    }

    async fn resume(&self, id: &TransferId) -> Result<()> {
        let archive = self.archive();
        let (mut journal, mut story, began) = reopen(archive.clone(), id.clone()).await?;
        if story.ended.as_ref().is_some_and(|ended| ended.state == State::Done) {
            return Err(Error::new(Kind::FailedPrecondition, format!("transfer `{id}` is done")));
        }
        if began.place != self.place() {
            let place = &began.place;
            return Err(Error::new(
                Kind::FailedPrecondition,
                format!("transfer `{id}` ran against `{place}`, not against `{}`", self.place()),
            ));
        }
        let terms = self.terms(&began.request.source).await?;
        if !began.request.options.force {
            busy(&archive, &began.request.source, Some(id))?;
        }
        let escort = Box::pin(self.escort(&began)).await?;
        archive.forget_cancel(id);
        let resumed = Record::Resumed { at: Timestamp::now() };
        journal.commit(Vec::new(), std::slice::from_ref(&resumed))?;
        story.add(resumed);
        self.launch(&archive, journal, &story, began, terms, escort)
    }

    /// Begins to run a transfer in the background.
    fn launch(&self, archive: &Archive, journal: Journal, story: &Story, began: Began, terms: Terms, escort: Escort) -> Result<()> {
        let terms = if escort.reader().is_some() { terms.of_copy(self.cloud().place()) } else { terms };
        let past = archive.past(&began.request.source, &began.id, Timestamp::now())?;
        let file = match &began.request.source {
            Source::File(path) => Some((path.clone(), u64::MAX)),
            Source::Kept(id) => archive.kept(id).map(|(path, bytes_max, _)| Some((path, bytes_max)))?,
            Source::Subscription(_) | Source::Queue(_) => None,
        };
        let port = Port::open(self.clone(), began.id.clone(), began.request.clone(), file)?;
        let port = port.watching(escort.watcher()).reading(escort.reader());
        let port = Arc::new(port);
        let engine = Engine::new(settings(&began, &terms, &escort), past, story);
        let summary = Summary {
            id: began.id.clone(),
            request: began.request,
            state: State::Running,
            counts: engine.counts(),
            expected: began.expected,
            rate: None,
            started: began.at,
            ended: None,
            errors: Vec::new(),
            copy: None,
            duplicates_max: engine.unsure(),
            returned: story.returned.len() as u64,
            returned_causes: super::returned_causes(&story.causes),
        };
        let (sender, receiver) = watch::channel(summary);
        let (cancel, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        self.0.transfers.add(began.id, Handle { summary: receiver, cancel: cancel.clone(), proceed: proceed.clone() });
        let runner =
            Runner { ops: self.clone(), port, archive: archive.clone(), engine, journal, summary: sender, cancel, proceed, escort };
        tokio::spawn(runner.run());
        Ok(())
    }

    /// Finds how what is taken from the source comes.
    async fn terms(&self, source: &Source) -> Result<Terms> {
        let Source::Subscription(name) = source else { return Ok(Terms::READ_ONCE) };
        let subscription = self.cloud().get_subscription(name).await?;
        Ok(Terms {
            leased: true,
            ack_deadline: subscription.ack_deadline,
            ordered: subscription.ordered,
            exactly_once: subscription.exactly_once,
            late: Duration::ZERO,
        })
    }

    /// Returns the folders of this home's transfers.
    pub(super) fn archive(&self) -> Archive {
        Archive::new(Arc::new(RealDisk), &self.0.home)
    }

    /// Names where the calls go, as journals do.
    fn place(&self) -> String {
        match self.cloud().place() {
            Place::Google => "google".to_owned(),
            Place::Emulator(address) => address.clone(),
        }
    }

    fn listed(&self, archive: &Archive, id: &TransferId) -> Result<Option<Arc<Listed>>> {
        self.0.transfers.listed(archive, id)
    }

    fn known(&self, archive: &Archive, id: &TransferId) -> Result<Arc<Listed>> {
        self.listed(archive, id)?.ok_or_else(|| Error::new(Kind::NotFound, format!("transfer `{id}` never began")))
    }

    /// Returns a transfer as it is now: from this process where it runs here, else from its journal and whether somebody holds that.
    fn present(&self, archive: &Archive, listed: &Listed) -> Summary {
        let id = &listed.summary.id;
        if let Some(handle) = self.0.transfers.get(id)
            && is_running(handle.summary.borrow().state)
            && handle.summary.has_changed().is_ok()
        {
            return handle.summary.borrow().clone();
        }
        let mut summary = listed.summary.clone();
        if summary.ended.is_none() && archive.is_running(id) {
            summary.state = State::Running;
        }
        summary
    }
}

/// Reads a journal once, and holds it: a long one takes its time, off the async threads.
async fn reopen(archive: Archive, id: TransferId) -> Result<(Journal, Story, Began)> {
    if !id.is_plain() {
        return Err(unknown(&id));
    }
    let opened = tokio::task::spawn_blocking(move || archive.open(&id)).await;
    opened.map_err(|error| Error::new(Kind::Internal, "reading the journal broke off").with_source(error))?
}

/// How what is taken from a source comes.
struct Terms {
    leased: bool,
    ack_deadline: Duration,
    ordered: bool,
    exactly_once: bool,
    late: Duration,
}

impl Terms {
    /// Nothing is leased, nothing comes twice, and what is acknowledged is.
    const READ_ONCE: Self = Self { leased: false, ack_deadline: Duration::ZERO, ordered: false, exactly_once: true, late: Duration::ZERO };

    /// Returns how the copy of a subscription's backlog comes.
    fn of_copy(self, place: &Place) -> Self {
        let late = if *place == Place::Google { SEEK_LATE_MAX } else { Duration::ZERO };
        Self { ack_deadline: COPY_ACK_DEADLINE, exactly_once: false, late, ..self }
    }
}

fn is_running(state: State) -> bool {
    state.is_running()
}

fn words(state: State) -> &'static str {
    match state {
        State::Running | State::Confirming | State::Watching | State::Asking => "cut off",
        State::Done => "done",
        State::DoneInPart => "done in part",
        State::Cancelled => "cancelled",
        State::Stopped => "stopped",
    }
}

/// Refuses while another transfer takes messages of the same source: each would publish what the other published and could not acknowledge.
fn busy(archive: &Archive, source: &Source, except: Option<&TransferId>) -> Result<()> {
    match archive.running_on(source, except)? {
        Some(other) => Err(Error::new(Kind::FailedPrecondition, format!("transfer `{other}` runs on `{}`", source.id()))
            .with_hint(format!("wait for its end, or stop it with `redrive transfers cancel {other}`"))),
        None => Ok(()),
    }
}

/// Begins a journal under an id of its own: the time in base 36, so that ids sort by it.
fn create(archive: &Archive, mut began: Began) -> Result<(Journal, Began)> {
    let mut last = None;
    for offset in 0..ID_TRIES {
        began.id = TransferId(base36(began.at.as_millisecond().unsigned_abs() + u64::from(offset)));
        match archive.create(began.clone()) {
            Ok(journal) => return Ok((journal, began)),
            Err(error) if error.is_already_exists() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(Kind::Internal, "no id is free")))
}

/// Digits of an id: milliseconds fit until the year 5188.
const ID_DIGITS: usize = 9;

fn base36(mut number: u64) -> String {
    let mut digits = [b'0'; ID_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(number % 36).unwrap_or_default()];
        number /= 36;
    }
    String::from_utf8_lossy(&digits).into_owned()
}

fn settings(began: &Began, terms: &Terms, escort: &Escort) -> Settings {
    let request = began.request.clone();
    Settings {
        id: began.id.clone(),
        kind: request.kind,
        leave: request.leaves() && escort.reader().is_none(),
        drains: escort.reader().is_some(),
        late: terms.late,
        leased: terms.leased,
        marks: Marks::of(&request.source, &began.id),
        source: request.source,
        selection: request.selection,
        delivery: request.delivery,
        rate_max: request.rate_max,
        window: request.window as usize,
        max: request.max,
        cutoff: began.cutoff,
        routes: began.routes.clone(),
        ack_deadline: terms.ack_deadline,
        ordered: terms.ordered,
        exactly_once: terms.exactly_once,
        options: request.options,
        watched: escort.watcher().is_some(),
    }
}

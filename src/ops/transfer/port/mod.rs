//! The service, the files and the handlers, as the engine's calls need them: each call is one attempt. Must not decide what is done next.

mod file;
mod post;
mod tasks;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Mutex;

use super::cargo::Cargo;
use super::engine::{Arrival, Call, Event, Fault, Target};
use super::{Delivery, Request, Selection, Source, TransferId, draft};
use crate::cloud::Received;
use crate::error::{Error, Kind, Result};
use crate::model::message::Message;
use crate::model::task::Task;
use crate::names::{SubscriptionName, TopicName};
use crate::ops::Ops;

pub(super) use file::count;
pub(super) use post::Endpoint;
pub(in crate::ops) use post::addresses;
pub(super) use tasks::{LISTED_MAX, alive};

/// The subscription that a replay pretends to be where a message names none.
const PRETENDED: &str = "replay";

/// So many returns are taken in at once.
const RETURNS_MAX: u32 = 500;

/// Everything that a transfer calls.
pub(super) struct Port {
    ops: Ops,
    id: TransferId,
    request: Request,
    source: Reader,
    endpoints: post::Endpoints,
    handler: tokio::sync::OnceCell<Endpoint>,
    /// The subscription that receives what comes back.
    watcher: Option<SubscriptionName>,
}

/// Where it takes from.
enum Reader {
    Subscription(SubscriptionName),
    Tasks(Mutex<tasks::Cursor>),
    Lines(Mutex<Option<file::Lines>>),
}

impl Port {
    /// Opens the way to the source. Of a file, `bytes_max` is how much of it holds.
    pub(super) fn open(ops: Ops, id: TransferId, request: Request, file: Option<(PathBuf, u64)>) -> Result<Self> {
        let source = match (&request.source, file) {
            (Source::Subscription(name), _) => Reader::Subscription(name.clone()),
            (Source::Queue(queue), _) => Reader::Tasks(Mutex::new(tasks::Cursor::new(queue.clone(), &request.selection)?)),
            (Source::File(_) | Source::Kept(_), Some((path, bytes_max))) => {
                Reader::Lines(Mutex::new(Some(file::Lines::open(&path, bytes_max)?)))
            }
            (Source::File(_) | Source::Kept(_), None) => return Err(Error::new(Kind::Internal, "a file to read from is not named")),
        };
        Ok(Self { ops, id, request, source, endpoints: post::Endpoints::default(), handler: tokio::sync::OnceCell::new(), watcher: None })
    }

    /// Looks for what comes back in this subscription.
    pub(super) fn watching(mut self, watcher: Option<SubscriptionName>) -> Self {
        self.watcher = watcher;
        self
    }

    /// Reads this copy of the source in its place.
    pub(super) fn reading(mut self, copy: Option<SubscriptionName>) -> Self {
        if let Some(copy) = copy {
            self.source = Reader::Subscription(copy);
        }
        self
    }

    /// Takes what came back out of the subscription made for that.
    async fn look(&self) -> Result<Vec<Message>> {
        let Some(watcher) = &self.watcher else { return Ok(Vec::new()) };
        let pulled = self.ops.cloud().pull(watcher, RETURNS_MAX, Duration::ZERO).await?.messages;
        let ack_ids: Vec<String> = pulled.iter().map(|one| one.ack_id.clone()).collect();
        self.ops.cloud().acknowledge(watcher, &ack_ids).await?;
        Ok(pulled.into_iter().map(|one| one.message).collect())
    }

    /// Gives leases back; what is not leased needs nothing.
    pub(super) async fn release(&self, ack_ids: Vec<String>) {
        let Reader::Subscription(from) = &self.source else { return };
        if let Err(error) = self.ops.cloud().modify_ack_deadline(from, &ack_ids, Duration::ZERO).await {
            tracing::warn!(%error, "leases could not be given back; they end by themselves");
        }
    }

    /// Makes a call; its answer, where it has one.
    pub(super) async fn ask(&self, call: Call) -> Option<Event> {
        let fault = |error: Error| Fault::from(&error);
        Some(match call {
            Call::Pull { max, wait } => Event::Pulled(self.pull(max, wait).await.map_err(fault)),
            Call::Find(source) => {
                let found = self.find(&source).await.map_err(fault);
                Event::Found(source, found)
            }
            Call::Publish { call, topic, load } => {
                let drafts = load.drafts();
                // What it was made of is the engine's alone now, and goes with it.
                drop(load);
                Event::Published(call, self.ops.cloud().publish_all_once(&topic, drafts).await.map_err(fault))
            }
            Call::Send { call, to, cargo } => Event::Published(call, self.send(&to, *cargo).await.map(|new| vec![new])),
            Call::Ack { call, ack_ids } => Event::Acked(call, self.acknowledge(&ack_ids).await.map_err(fault)),
            Call::Extend { call, ack_ids, deadline } => Event::Extended(call, self.extend(&ack_ids, deadline).await.map_err(fault)),
            Call::Look => Event::Looked(self.look().await.map_err(fault)),
            Call::Release { ack_ids } => {
                self.release(ack_ids).await;
                return None;
            }
        })
    }

    async fn pull(&self, max: usize, wait: Duration) -> Result<Vec<Arrival>> {
        match &self.source {
            Reader::Subscription(from) => {
                let pulled = self.ops.cloud().pull(from, u32::try_from(max).unwrap_or(u32::MAX), wait).await?;
                let arrival = |Received { ack_id, message }| Arrival { ack_id, cargo: Cargo::Message(message) };
                Ok(pulled.messages.into_iter().map(arrival).collect())
            }
            Reader::Tasks(cursor) => cursor.lock().await.next(&self.ops, max).await,
            Reader::Lines(lines) => file::next(&mut *lines.lock().await, max).await,
        }
    }

    async fn acknowledge(&self, ack_ids: &[String]) -> Result<()> {
        match &self.source {
            Reader::Subscription(from) => self.ops.cloud().acknowledge(from, ack_ids).await,
            Reader::Tasks(_) => tasks::delete(&self.ops, ack_ids).await,
            Reader::Lines(_) => Ok(()),
        }
    }

    async fn extend(&self, ack_ids: &[String], deadline: Duration) -> Result<()> {
        match &self.source {
            Reader::Subscription(from) => self.ops.cloud().modify_ack_deadline(from, ack_ids, deadline).await,
            Reader::Tasks(_) | Reader::Lines(_) => Ok(()),
        }
    }

    /// Delivers one message or task; returns what it is called there.
    async fn send(&self, to: &Target, cargo: Cargo) -> std::result::Result<String, Fault> {
        let fault = |error: Error| Fault::from(&error);
        let sent = match (to, cargo) {
            (Target::Endpoint(name), Cargo::Message(message)) => {
                let private = matches!(self.request.delivery, Delivery::Direct { private: true });
                let endpoint = self.endpoints.of(&self.ops, name, private).await.map_err(fault)?;
                return endpoint.post(&self.ops, &message, name).await;
            }
            (Target::Handler, Cargo::Message(message)) => {
                let to = self.pretended(&message).map_err(fault)?;
                return self.handler().await.map_err(fault)?.post(&self.ops, &draft::tried_out(&message), &to).await;
            }
            (Target::Handler, Cargo::Task(task)) => return self.replay_task(&task).await,
            (Target::Queue(_), Cargo::Task(task)) => match &self.request.delivery {
                Delivery::Task(change) => tasks::create(&self.ops, &self.id, &self.request, change, &task).await,
                _ => Err(undeliverable(to)),
            },
            (Target::Run, Cargo::Task(task)) => self.ops.cloud().run_task(&task.name).await.map(|_| String::new()),
            _ => Err(undeliverable(to)),
        };
        sent.map_err(fault)
    }

    /// Returns the handler that the request names, which is looked at the first time.
    async fn handler(&self) -> Result<&Endpoint> {
        let Delivery::Handler { url, anywhere } = &self.request.delivery else { return Err(undeliverable(&Target::Handler)) };
        self.handler.get_or_try_init(|| Endpoint::handler(url, *anywhere)).await
    }

    /// Names the subscription whose push a handler is to take it for.
    fn pretended(&self, message: &Message) -> Result<SubscriptionName> {
        let known = message.provenance().and_then(|from| from.subscription).or_else(|| self.request.source.subscription().cloned());
        known.map_or_else(|| SubscriptionName::parse_in(PRETENDED, self.ops.cloud().project()), Ok)
    }

    async fn replay_task(&self, task: &Task) -> std::result::Result<String, Fault> {
        let Delivery::Handler { url, anywhere } = &self.request.delivery else { return Err(Fault::from(&undeliverable(&Target::Handler))) };
        let answer = crate::ops::debug::try_out(task, url, *anywhere).await.map_err(|error| Fault::from(&error))?;
        post::judge(answer.status, (200..300).contains(&answer.status), "the handler")
    }

    /// Finds where messages of a source that the plan did not know go.
    async fn find(&self, source: &SubscriptionName) -> Result<TopicName> {
        let gone =
            |what: &str| Error::new(Kind::FailedPrecondition, format!("{what} `{source}` is deleted: name a topic for its messages"));
        let topic = match self.ops.cloud().get_subscription(source).await {
            Ok(subscription) => subscription.topic.ok_or_else(|| gone("the topic of"))?,
            Err(error) if error.is_not_found() => return Err(gone("subscription")),
            Err(error) => return Err(error),
        };
        match self.ops.receivers(&topic, &[]).await? {
            Ok(_) => Ok(topic),
            Err(why) => Err(Error::new(Kind::FailedPrecondition, why)),
        }
    }
}

fn undeliverable(to: &Target) -> Error {
    Error::invalid(format!("this cannot be delivered to {to}"))
}

/// Names the tasks that are chosen one by one.
fn chosen(selection: &Selection) -> Result<Option<Vec<crate::names::TaskName>>> {
    match selection {
        Selection::Messages(ids) => ids.iter().map(|id| id.parse()).collect::<Result<_>>().map(Some),
        _ => Ok(None),
    }
}

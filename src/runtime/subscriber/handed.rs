//! A message whose work is a task: handed to Cloud Tasks when it comes, and done when that calls.
//!
//! Pub/Sub has its acknowledgement by then and counts no more: what fails as often as its subscriber allows is published to its dead-letter topic from here.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::names::QueueId;
use crate::runtime::delivery::Ended;
use crate::runtime::propagation::Headers;
use crate::runtime::publisher::bytes_as_base64;
use crate::runtime::subscriber::SubscriberEntry;
use crate::runtime::{App, Compat, Context, MessageInfo, Outcome, Task, TaskOptions, Verdict, discard, retry};

/// What is larger than this as it is does not fit into a task (1 MiB) as base64 within JSON, with attributes and headers.
const DATA_BYTES_MAX: usize = 700 * 1024;
/// An attempt may take the longest that Cloud Tasks gives one.
const DISPATCH_DEADLINE: Duration = Duration::from_mins(30);
/// The handler of a message that was handed over may take this long: the rest is for publishing a dead letter and for the answer.
pub(super) const HANDLER_DEADLINE_MAX: Duration = Duration::from_mins(29);

/// A message on its way through Cloud Tasks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Handed {
    subscriber: String,
    #[serde(with = "bytes_as_base64")]
    data: Bytes,
    info: MessageInfo,
}

impl<S: Send + Sync + 'static> Task<S> for Handed {
    const NAME: &'static str = "redrive.message";

    fn options() -> TaskOptions {
        TaskOptions::new().dispatch_deadline(DISPATCH_DEADLINE)
    }

    async fn run(self, cx: Context<S>) -> Outcome {
        let Self { subscriber, data, mut info } = self;
        // The attempts are now those of the task.
        info.delivery_attempt = Some(cx.attempt().number);
        let Some(entry) = cx.app().registry().subscriber(&subscriber) else { return discard("the subscriber is not registered any more") };
        // What the subscriber allows at once is allowed here too.
        let Some(_place) = cx.app().place_of_message(&subscriber).await else { return retry("all places of the subscriber are taken") };
        let ended = cx.app().do_subscribed(entry, &data, info.clone(), cx.headers().clone()).await;
        if let Some(why) = ended.why().filter(|_| ended.has_failed())
            && let Some(topic) = cx.app().given_up_to(entry, &info)?
        {
            // Only when the dead letter is published the task is done; else it is tried again.
            let id = cx.app().publish_dead(entry, topic, data, &info, cx.headers()).await?;
            return discard(format!("it is dead letter {id} after its last attempt: {why}"));
        }
        outcome_of(&subscriber, ended)
    }
}

/// Says of a message's end what its task is told.
fn outcome_of(subscriber: &str, ended: Ended) -> Outcome {
    match ended {
        Ended::Done(result) => Ok(Verdict::Done(result)),
        Ended::Discarded(why) => discard(why),
        Ended::Retry { why, after } => Ok(Verdict::Retry { why, after }),
        Ended::Failed(failure) => Err(failure),
        Ended::Malformed(why) => Err(format!("the message is not what `{subscriber}` takes: {why}").into()),
        Ended::Panicked(words) => Err(format!("the handler panicked: {words}").into()),
        Ended::TimedOut(limit) => Err(format!("the handler took longer than {} s", limit.as_secs()).into()),
        Ended::Skipped | Ended::Dead(_) | Ended::Busy | Ended::Unknown => Err("the message was not processed".into()),
    }
}

impl<S: Send + Sync + 'static> App<S> {
    /// Hands a message to Cloud Tasks; `None` where it has to be worked on at once.
    pub(super) async fn hand_over(
        &self,
        entry: &SubscriberEntry<S>,
        queue: Option<&QueueId>,
        data: &Bytes,
        info: &MessageInfo,
        headers: &Headers,
    ) -> Option<Ended> {
        let fits = data.len() <= DATA_BYTES_MAX;
        if !fits || self.config().compat == Compat::SingleEndpoint || self.config().mode != crate::runtime::Mode::Normal {
            tracing::debug!(target: "redrive::runtime", subscriber = entry.name, bytes = data.len(), "the message does not go through Cloud Tasks");
            return None;
        }
        let handed = Handed { subscriber: entry.name.to_owned(), data: data.clone(), info: info.clone() };
        let task = handed.enqueue(self);
        // Bare bodies have no id: under one name only the first of them would become a task.
        let task = if info.id.is_empty() { task } else { task.named(self.name_of_handed(entry.name, &info.id).parse().ok()?) };
        let task = match queue {
            Some(queue) => task.queue(queue.clone()),
            None => task,
        };
        match crate::runtime::propagation::under(headers.clone(), Box::pin(task.send())).await {
            Ok(enqueued) => Some(Ended::Done(serde_json::json!({ "task": enqueued.id }))),
            // Delivered twice: the task is there, or was.
            Err(error) if error.is_already_exists() => Some(Ended::Done(serde_json::Value::Null)),
            Err(error) => Some(Ended::Failed(error.into())),
        }
    }

    /// Names the task after message and subscriber, so that a message that comes twice is one task.
    ///
    /// Cloud Tasks keeps a name for up to 24 hours after its task is gone: what is replayed by a seek within that time is taken as a second delivery, and
    /// acknowledged without work ([`Subscription::via_tasks`](crate::runtime::Subscription::via_tasks) says so).
    fn name_of_handed(&self, subscriber: &str, message: &str) -> String {
        let digest = Sha256::digest(format!("{}{subscriber}\n{message}", self.layout().prefix()));
        let number = digest.iter().take(16).fold(0_u128, |number, &byte| (number << 8) | u128::from(byte));
        format!("{number:032x}-message")
    }
}

//! Does the work for a message: for whom it is, what goes along, who does it.

use std::time::Duration;

use bytes::Bytes;
use tracing::Instrument as _;

use crate::runtime::delivery::Ended;
use crate::runtime::dispatch::run;
use crate::runtime::propagation::Headers;
use crate::runtime::registry::Malformed;
use crate::runtime::subscriber::handed::HANDLER_DEADLINE_MAX;
use crate::runtime::subscriber::{SubscriberEntry, addressed};
use crate::runtime::{App, Compat, Context, MessageInfo, Origin};

/// A message that is pulled is leased for this long at most, unless its subscriber has another deadline.
pub(crate) const LEASE_MAX: Duration = Duration::from_hours(1);

impl<S: Send + Sync + 'static> App<S> {
    /// Does the work for a message that has come by push or pull.
    pub(crate) async fn do_message(&self, subscriber: &str, data: Bytes, info: MessageInfo, headers: Headers) -> Ended {
        let (data, mut within) = self.layout().message_content(data, &info.attributes, &self.config().propagated);
        within.fill(&headers);
        let headers = within;
        let Some(entry) = self.registry().subscriber(subscriber) else { return self.do_task_message(data, info, headers).await };
        let own = self.subscription_name(entry);
        if addressed::is_for_another(&info, own.as_ref().map(crate::names::SubscriptionName::id).unwrap_or_default()) {
            return Ended::Skipped;
        }
        if let Some(queue) = &entry.options.via_tasks {
            let handed = self.hand_over(entry, queue.as_ref(), &data, &info, &headers).await;
            // What cannot become a task is worked on here and now.
            if let Some(ended) = handed {
                return ended;
            }
        }
        self.do_subscribed(entry, &data, info, headers).await
    }

    /// Calls the handler of a message.
    pub(crate) async fn do_subscribed(&self, entry: &SubscriberEntry<S>, data: &Bytes, info: MessageInfo, headers: Headers) -> Ended {
        let cx = Context::new(self.clone(), Origin::Message(info.clone()), entry.attempts_max(), headers.clone());
        let attempt = cx.attempt().number;
        let subscription = info.subscription.as_ref().map(crate::names::SubscriptionName::id).unwrap_or_default().to_owned();
        let span = tracing::info_span!(target: "redrive::runtime", "message", subscriber = entry.name, subscription, message_id = info.id, attempt);
        run(|| (entry.run)(data, info, cx), headers, Self::deadline_of(entry)).instrument(span).await
    }

    /// Returns how long the handler of a message may take.
    fn deadline_of(entry: &SubscriberEntry<S>) -> Duration {
        let options = &entry.options;
        let usual = if options.pulled { LEASE_MAX } else { options.ack_deadline };
        let own = options.handler_deadline;
        if options.via_tasks.is_some() { own.unwrap_or(HANDLER_DEADLINE_MAX).min(HANDLER_DEADLINE_MAX) } else { own.unwrap_or(usual) }
    }

    /// Does the task that a message holds: tasks over Pub/Sub, whose names are in their payloads.
    async fn do_task_message(&self, data: Bytes, info: MessageInfo, headers: Headers) -> Ended {
        if self.config().compat != Compat::SingleEndpoint {
            return Ended::Unknown;
        }
        let task = match self.layout().decode(None, data) {
            Ok(task) => task,
            Err(Malformed(why)) => return Ended::Malformed(why),
        };
        match self.registry().task(&task.name) {
            Some(entry) => self.do_task(entry, task.payload, Origin::Message(info), headers).await,
            None => Ended::Unknown,
        }
    }
}

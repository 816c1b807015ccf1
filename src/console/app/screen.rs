//! The screens: what each holds of its own, and what it shows of what is shared.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::console::action::Kind;
use crate::console::app::causes::{self, Cause};
use crate::console::app::data::{Data, items};
use crate::console::app::doc::{self, Doc};
use crate::console::app::list::{List, Table};
use crate::console::app::load::{Load, Meta, Phase};
use crate::console::app::rows::{
    ActivityRow, AttentionRow, CauseRow, DeadLetterRow, FindingRow, JobRow, MessageRow, QueueRow, SubscriptionRow, TaskRow, TopicRow,
    TransferRow, attention,
};
use crate::console::message::Fetch;
use crate::model::message::Message;
use crate::model::task::Task;
use crate::names::{JobName, QueueName, SubscriptionName, TaskName, TopicName};
use crate::ops::PeekMode;
use crate::ops::transfer::TransferId;
use std::sync::Arc;

/// The tasks of a queue.
pub(crate) struct Tasks {
    /// The queue.
    pub(crate) queue: QueueName,
    /// Where the fetching stands.
    pub(crate) load: Load<Meta>,
    /// The rows.
    pub(crate) list: List<TaskRow>,
}

/// The messages of a subscription, all or those of one cause.
pub(crate) struct Messages {
    /// The subscription.
    pub(crate) subscription: SubscriptionName,
    /// How they are looked at.
    pub(crate) mode: PeekMode,
    /// The one cause that is shown.
    pub(crate) cause: Option<Cause>,
    /// Where the fetching stands.
    pub(crate) load: Load<Meta>,
    /// The rows.
    pub(crate) list: List<MessageRow>,
}

/// A screen.
#[expect(clippy::large_enum_variant, reason = "there are few, and they stay where they are")]
pub(crate) enum Screen {
    Overview(List<AttentionRow>),
    Queues(List<QueueRow>),
    Tasks(Tasks),
    Task { name: TaskName, task: Load<Task>, doc: Doc },
    Topics(List<TopicRow>),
    Subscriptions { topic: Option<TopicName>, list: List<SubscriptionRow> },
    DeadLetters(List<DeadLetterRow>),
    Messages(Messages),
    Causes { subscription: SubscriptionName, mode: PeekMode, rows: Vec<MessageRow>, as_of: Option<Timestamp>, list: List<CauseRow> },
    Message { subscription: SubscriptionName, message: Arc<Message>, doc: Doc },
    Jobs(List<JobRow>),
    Job { name: JobName, doc: Doc },
    Transfers(List<TransferRow>),
    Transfer { id: TransferId, doc: Doc },
    Activity(List<ActivityRow>),
    Doctor(List<FindingRow>),
    Text { title: String, raw: Option<Json>, json: bool, doc: Doc },
}

impl Screen {
    /// Makes the screen of a kind that needs nothing to be named.
    pub(crate) fn top(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Overview => Screen::Overview(List::new()),
            Kind::Queues => Screen::Queues(List::new()),
            Kind::Topics => Screen::Topics(List::new()),
            Kind::Subscriptions => Screen::Subscriptions { topic: None, list: List::new() },
            Kind::DeadLetters => Screen::DeadLetters(List::sorted("held", true)),
            Kind::Jobs => Screen::Jobs(List::new()),
            Kind::Transfers => Screen::Transfers(List::new()),
            Kind::Activity => Screen::Activity(List::new()),
            Kind::Doctor => Screen::Doctor(List::new()),
            _ => return None,
        })
    }

    /// Makes the screen of a queue's tasks.
    pub(crate) fn tasks(queue: QueueName) -> Self {
        Screen::Tasks(Tasks { queue, load: Load::Idle, list: List::new() })
    }

    /// Makes the screen of a subscription's messages.
    pub(crate) fn messages(subscription: SubscriptionName, mode: PeekMode) -> Self {
        Screen::Messages(Messages { subscription, mode, cause: None, load: Load::Idle, list: List::new() })
    }

    /// Makes the screen of a message.
    pub(crate) fn message(subscription: SubscriptionName, message: Arc<Message>) -> Self {
        let doc = doc::of_message(&message);
        Screen::Message { subscription, message, doc }
    }

    /// Makes the screen of messages grouped by cause.
    pub(crate) fn causes(from: &Messages) -> Self {
        let rows: Vec<MessageRow> = from.list.shown().cloned().collect();
        let mut list = List::new();
        list.set_rows(causes::group(rows.iter()), Timestamp::UNIX_EPOCH);
        let as_of = from.load.value().and_then(|meta| meta.as_of);
        Screen::Causes { subscription: from.subscription.clone(), mode: from.mode, rows, as_of, list }
    }

    /// Returns its kind.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Screen::Overview(_) => Kind::Overview,
            Screen::Queues(_) => Kind::Queues,
            Screen::Tasks(_) => Kind::Tasks,
            Screen::Task { .. } => Kind::Task,
            Screen::Topics(_) => Kind::Topics,
            Screen::Subscriptions { .. } => Kind::Subscriptions,
            Screen::DeadLetters(_) => Kind::DeadLetters,
            Screen::Messages(_) => Kind::Messages,
            Screen::Causes { .. } => Kind::Causes,
            Screen::Message { .. } => Kind::Message,
            Screen::Jobs(_) => Kind::Jobs,
            Screen::Job { .. } => Kind::Job,
            Screen::Transfers(_) => Kind::Transfers,
            Screen::Transfer { .. } => Kind::Transfer,
            Screen::Activity(_) => Kind::Activity,
            Screen::Doctor(_) => Kind::Doctor,
            Screen::Text { .. } => Kind::Text,
        }
    }

    /// Tells whether `q` quits here.
    pub(crate) fn is_top(&self) -> bool {
        match self {
            Screen::Subscriptions { topic, .. } => topic.is_none(),
            other => Screen::top(other.kind()).is_some(),
        }
    }

    /// Returns the way to it, from the project on.
    pub(crate) fn crumbs(&self) -> Vec<String> {
        let say = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        match self {
            Screen::Tasks(tasks) => say(&["queues", tasks.queue.id()]),
            Screen::Task { name, .. } => say(&["queues", name.queue().id(), name.id()]),
            Screen::Subscriptions { topic: Some(topic), .. } => say(&["topics", topic.id(), "subscriptions"]),
            Screen::Messages(messages) => match &messages.cause {
                Some(cause) => {
                    say(&["messages", messages.subscription.id(), "by cause", cause.error.as_deref().unwrap_or("no error attribute")])
                }
                None => say(&["messages", messages.subscription.id()]),
            },
            Screen::Causes { subscription, .. } => say(&["messages", subscription.id(), "by cause"]),
            Screen::Message { subscription, message, .. } => say(&["messages", subscription.id(), &message.id]),
            Screen::Job { name, .. } => say(&["jobs", name.id()]),
            Screen::Transfer { id, .. } => say(&["transfers", &id.0]),
            Screen::Text { title, .. } => say(&[title]),
            other => say(&[other.kind().title()]),
        }
    }

    /// Returns its list, if it has one.
    pub(crate) fn table(&self) -> Option<&dyn Table> {
        Some(match self {
            Screen::Overview(list) => list,
            Screen::Queues(list) => list,
            Screen::Tasks(tasks) => &tasks.list,
            Screen::Topics(list) => list,
            Screen::Subscriptions { list, .. } => list,
            Screen::DeadLetters(list) => list,
            Screen::Messages(messages) => &messages.list,
            Screen::Causes { list, .. } => list,
            Screen::Jobs(list) => list,
            Screen::Transfers(list) => list,
            Screen::Activity(list) => list,
            Screen::Doctor(list) => list,
            Screen::Task { .. } | Screen::Message { .. } | Screen::Job { .. } | Screen::Transfer { .. } | Screen::Text { .. } => {
                return None;
            }
        })
    }

    /// Returns its list for changing, if it has one.
    pub(crate) fn table_mut(&mut self) -> Option<&mut dyn Table> {
        Some(match self {
            Screen::Overview(list) => list,
            Screen::Queues(list) => list,
            Screen::Tasks(tasks) => &mut tasks.list,
            Screen::Topics(list) => list,
            Screen::Subscriptions { list, .. } => list,
            Screen::DeadLetters(list) => list,
            Screen::Messages(messages) => &mut messages.list,
            Screen::Causes { list, .. } => list,
            Screen::Jobs(list) => list,
            Screen::Transfers(list) => list,
            Screen::Activity(list) => list,
            Screen::Doctor(list) => list,
            Screen::Task { .. } | Screen::Message { .. } | Screen::Job { .. } | Screen::Transfer { .. } | Screen::Text { .. } => {
                return None;
            }
        })
    }

    /// Returns what it shows in full, if it shows one thing.
    pub(crate) fn doc(&self) -> Option<&Doc> {
        match self {
            Screen::Task { doc, .. }
            | Screen::Message { doc, .. }
            | Screen::Job { doc, .. }
            | Screen::Transfer { doc, .. }
            | Screen::Text { doc, .. } => Some(doc),
            _ => None,
        }
    }

    /// Returns what it shows in full for changing.
    pub(crate) fn doc_mut(&mut self) -> Option<&mut Doc> {
        match self {
            Screen::Task { doc, .. }
            | Screen::Message { doc, .. }
            | Screen::Job { doc, .. }
            | Screen::Transfer { doc, .. }
            | Screen::Text { doc, .. } => Some(doc),
            _ => None,
        }
    }

    /// Returns what has to be fetched for it. Messages are only fetched when asked for: looking may cost a delivery attempt.
    pub(crate) fn needs(&self) -> Vec<Fetch> {
        match self {
            Screen::Overview(_) => vec![Fetch::DeadLetters, Fetch::Queues, Fetch::Subscriptions, Fetch::Jobs, Fetch::Numbers],
            Screen::Queues(_) => vec![Fetch::Queues, Fetch::Numbers],
            Screen::Tasks(tasks) => vec![Fetch::Tasks(tasks.queue.clone())],
            Screen::Task { name, .. } => vec![Fetch::Task(name.clone())],
            Screen::Topics(_) => vec![Fetch::Topics, Fetch::Subscriptions, Fetch::Numbers],
            Screen::Subscriptions { .. } => vec![Fetch::Subscriptions, Fetch::Numbers],
            Screen::DeadLetters(_) => vec![Fetch::DeadLetters, Fetch::Subscriptions, Fetch::Numbers],
            Screen::Messages(messages) => vec![Fetch::Messages(messages.subscription.clone(), messages.mode)],
            Screen::Jobs(_) | Screen::Job { .. } => vec![Fetch::Jobs],
            Screen::Transfers(_) | Screen::Transfer { .. } => vec![Fetch::Transfers],
            Screen::Activity(_) => vec![Fetch::Activity],
            Screen::Doctor(_) => vec![Fetch::Doctor],
            Screen::Causes { .. } | Screen::Message { .. } | Screen::Text { .. } => vec![],
        }
    }

    /// Notes that it is being fetched.
    pub(crate) fn begin(&mut self) {
        match self {
            Screen::Tasks(tasks) => tasks.load.begin(),
            Screen::Messages(messages) => messages.load.begin(),
            Screen::Task { task, .. } => task.begin(),
            _ => {}
        }
    }

    /// Rebuilds its rows from what is shared.
    pub(crate) fn sync(&mut self, data: &Data, now: Timestamp) {
        match self {
            Screen::Overview(list) => {
                let rows = attention(&data.dead_letter_rows(), &data.queue_rows(now), &data.subscription_rows(None), &data.job_rows(), now);
                list.set_rows(rows, now);
            }
            Screen::Queues(list) => list.set_rows(data.queue_rows(now), now),
            Screen::Topics(list) => list.set_rows(data.topic_rows(), now),
            Screen::Subscriptions { topic, list } => list.set_rows(data.subscription_rows(topic.as_ref()), now),
            Screen::DeadLetters(list) => list.set_rows(data.dead_letter_rows(), now),
            Screen::Jobs(list) => list.set_rows(data.job_rows(), now),
            Screen::Job { name, doc } => {
                if let Some(job) = items(&data.jobs).iter().find(|job| job.name == *name) {
                    doc.replace(doc::of_job(job));
                }
            }
            Screen::Transfers(list) => list.set_rows(data.transfer_rows(), now),
            Screen::Transfer { id, doc } => {
                if let Some(summary) = items(&data.transfers).iter().find(|summary| summary.id == *id) {
                    doc.replace(doc::of_transfer(summary));
                }
            }
            Screen::Activity(list) => list.set_rows(data.activity_rows(), now),
            Screen::Doctor(list) => list.set_rows(data.finding_rows(), now),
            Screen::Tasks(_)
            | Screen::Task { .. }
            | Screen::Messages(_)
            | Screen::Causes { .. }
            | Screen::Message { .. }
            | Screen::Text { .. } => {}
        }
    }

    /// Tells where it stands.
    pub(crate) fn phase<'a>(&'a self, data: &'a Data) -> Phase<'a> {
        let ready = |as_of| Phase::Ready { as_of, stale: None, notes: vec![] };
        match self {
            Screen::Overview(_) => data.overview_phase(),
            Screen::Queues(_) => data.queues.phase(),
            Screen::Topics(_) => data.topics.phase(),
            Screen::Subscriptions { .. } => data.subscriptions.phase(),
            Screen::DeadLetters(_) => data.dead_letters.phase(),
            Screen::Jobs(_) | Screen::Job { .. } => data.jobs.phase(),
            Screen::Transfers(_) | Screen::Transfer { .. } => data.transfers.phase(),
            Screen::Activity(_) => data.activity.phase(),
            Screen::Doctor(_) => data.doctor.phase(),
            Screen::Tasks(tasks) => tasks.load.phase(),
            Screen::Messages(messages) => messages.load.phase(),
            Screen::Task { task: Load::Failed(error), .. } => Phase::Failed(error),
            Screen::Task { task: Load::Idle | Load::Loading, .. } => Phase::Loading,
            Screen::Task { task, .. } => Phase::Ready { as_of: None, stale: task.error(), notes: vec![] },
            Screen::Causes { as_of, .. } => ready(*as_of),
            Screen::Message { .. } | Screen::Text { .. } => ready(None),
        }
    }

    /// Returns what is under the cursor, or shown, as the service told it: title and JSON.
    pub(crate) fn raw(&self, data: &Data) -> Option<(String, Json)> {
        let row = |name: &str, raw: &Json| Some((name.to_owned(), raw.clone()));
        match self {
            Screen::Queues(list) => list.selected().and_then(|row_| row(row_.queue.name.id(), &row_.queue.raw)),
            Screen::Tasks(tasks) => tasks.list.selected().and_then(|row_| row(row_.task.name.id(), &row_.task.raw)),
            Screen::Task { task, .. } => task.value().and_then(|task| row(task.name.id(), &task.raw)),
            Screen::Topics(list) => list.selected().and_then(|row_| row(row_.topic.name.id(), &row_.topic.raw)),
            Screen::Subscriptions { list, .. } => list.selected().and_then(|row_| row(row_.subscription.name.id(), &row_.subscription.raw)),
            Screen::DeadLetters(list) => {
                let source = &list.selected()?.relation.source;
                let found = items(&data.subscriptions).iter().find(|s| s.name == *source)?;
                row(source.id(), &found.raw)
            }
            Screen::Messages(messages) => messages.list.selected().map(|row_| (row_.message.id.clone(), doc::message_json(&row_.message))),
            Screen::Message { message, .. } => Some((message.id.clone(), doc::message_json(message))),
            Screen::Jobs(list) => list.selected().and_then(|row_| row(row_.job.name.id(), &row_.job.raw)),
            Screen::Job { name, .. } => items(&data.jobs).iter().find(|job| job.name == *name).and_then(|job| row(name.id(), &job.raw)),
            Screen::Transfers(list) => list.selected().map(|row_| (row_.summary.id.0.clone(), json!(row_.summary))),
            Screen::Transfer { id, .. } => items(&data.transfers).iter().find(|one| one.id == *id).map(|one| (id.0.clone(), json!(one))),
            Screen::Activity(list) => list.selected().map(|row_| (row_.activity.action.clone(), json!(row_.activity))),
            Screen::Doctor(list) => list.selected().map(|row_| (row_.finding.about.clone(), json!(row_.finding))),
            Screen::Text { title, raw, .. } => raw.as_ref().map(|raw| (title.clone(), raw.clone())),
            Screen::Overview(_) | Screen::Causes { .. } => None,
        }
    }
}

//! The look before a transfer of tasks, or out of a file. Changes nothing.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::cargo::Cargo;
use super::port::{LISTED_MAX, alive, count};
use super::{Delivery, Kind, Plan, Receiver, Request, Route, Selection, Source, TaskChange};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::numbers::{Measured, Source as NumberSource};
use crate::model::queue::{Queue, QueueState};
use crate::names::{QueueName, TopicName};
use crate::ops::Ops;

/// `RunTask` is limited to so many calls a minute in a region: more are created again instead.
pub const RUN_TASKS_MAX: u64 = 60;

/// Dead letters of more sources than this in one file are looked at one source at a time.
const FILE_SOURCES_MAX: usize = 100;

/// What was seen in a file.
struct Content {
    count: u64,
    messages: u64,
    tasks: u64,
    selected: u64,
    sources: std::collections::BTreeSet<Option<crate::names::SubscriptionName>>,
    path: PathBuf,
}

impl Plan {
    /// Makes the plan of a request at which nobody looked yet.
    pub(in crate::ops) fn of(request: Request, cutoff: Timestamp) -> Self {
        Self {
            request,
            cutoff,
            expected: None,
            looked: None,
            takes: None,
            routes: Vec::new(),
            refusals: Vec::new(),
            warnings: Vec::new(),
            fan_out_confirmed: false,
        }
    }

    fn expect(&mut self, count: u64) {
        self.expected = Some(Measured { value: count, source: NumberSource::Counted, as_of: Timestamp::now() });
    }
}

impl Ops {
    /// Looks at the tasks of a queue, and at where they would go.
    pub(super) async fn plan_tasks(&self, request: Request, queue: &QueueName) -> Result<Plan> {
        // The service cuts creation times to seconds, so that the second that has begun counts; a task that is created by this transfer says so itself.
        let cutoff = self.cloud().server_time_of_queue(queue).await? + SignedDuration::from_secs(1);
        let held_by = self.cloud().get_queue(queue).await?;
        let mut plan = Plan::of(request, cutoff);
        if let Some(other) = self.archive().running_on(&plan.request.source, None)? {
            plan.refusals.push(format!("transfer `{other}` runs on queue `{}`: wait for its end, or cancel it", queue.id()));
        }
        let found = self.selected_tasks(queue, &plan).await?;
        if let Some((count, truncated)) = found {
            plan.expect(count);
            if truncated {
                plan.warnings.push(format!("only the first {LISTED_MAX} tasks of the queue are looked at"));
            }
        }
        match plan.request.delivery.clone() {
            Delivery::Run => check_run(&held_by, &mut plan),
            Delivery::Task(change) => self.check_queue(queue, &change, &mut plan).await?,
            Delivery::Handler { .. } => self.check_handler(&mut plan).await?,
            Delivery::File(path) => plan.request.delivery = Delivery::File(absolute(&path)?),
            _ => {}
        }
        if plan.request.kind != Kind::Run && held_by.state == QueueState::Running && plan.request.takes() {
            plan.warnings.push(format!("queue `{}` is running: a task may be dispatched before it is taken away", queue.id()));
        }
        Ok(plan)
    }

    /// Counts the tasks that are selected; the ids of chosen ones say it themselves.
    async fn selected_tasks(&self, queue: &QueueName, plan: &Plan) -> Result<Option<(u64, bool)>> {
        let full = match &plan.request.selection {
            Selection::Messages(ids) => return Ok(Some((ids.len() as u64, false))),
            Selection::Matching(query) => query.reads_content(),
            Selection::All => false,
            Selection::Cause(_) => return Err(Error::invalid("tasks have no causes").with_hint("select them with `--filter`")),
        };
        let rows = self.cloud().list_tasks(queue, full, LISTED_MAX).await?;
        let in_time = rows.items.into_iter().filter(|task| task.create_time.is_none_or(|time| time <= plan.cutoff));
        let selected = in_time.filter(|task| plan.request.selection.selects(&Cargo::Task(Box::new(task.clone())), plan.cutoff)).count();
        Ok(Some((selected as u64, rows.truncated)))
    }

    async fn check_queue(&self, from: &QueueName, change: &TaskChange, plan: &mut Plan) -> Result<()> {
        let redrive = plan.request.kind == Kind::Redrive;
        let to = change.queue.clone().or_else(|| alive(from).filter(|_| redrive)).unwrap_or_else(|| from.clone());
        if to.location().project() != from.location().project() {
            plan.refusals.push(format!("queue `{to}` is in another project"));
            return Ok(());
        }
        match self.cloud().get_queue(&to).await {
            Ok(queue) => {
                if queue.state != QueueState::Running {
                    plan.warnings.push(format!("queue `{}` does not run: the tasks wait there until it is resumed", to.id()));
                }
                if to == *from {
                    plan.warnings.push("each task gets a new name and its attempts begin at zero".to_owned());
                } else {
                    plan.warnings.push(format!(
                        "the tasks are created in queue `{}`, and deleted here after that; their attempts begin at zero",
                        to.id()
                    ));
                }
            }
            Err(error) if error.is_not_found() => plan.refusals.push(format!("queue `{}` does not exist", to.id())),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Looks at what a file holds, and at where it would go.
    pub(super) async fn plan_file(&self, mut request: Request) -> Result<Plan> {
        let (path, bytes_max, kept_of) = match &request.source {
            Source::Kept(id) => {
                let (path, bytes_max, began) = self.archive().kept(id)?;
                if began.request.kind != Kind::Discard {
                    return Err(Error::new(ErrorKind::FailedPrecondition, format!("transfer `{id}` kept no copies: it is no discard")));
                }
                if bytes_max == 0 {
                    return Err(Error::new(
                        ErrorKind::FailedPrecondition,
                        format!("transfer `{id}` has no copies: it discarded nothing, or they were pruned"),
                    ));
                }
                (path, bytes_max, Some(began.request.source))
            }
            Source::File(path) => (absolute(path)?, u64::MAX, None),
            Source::Subscription(_) | Source::Queue(_) => return Err(Error::new(ErrorKind::Internal, "this is no file")),
        };
        if let Source::File(file) = &mut request.source {
            file.clone_from(&path);
        }
        // Ages are measured from here; what is in a file was there before.
        let mut plan = Plan::of(request, Timestamp::now());
        let (request, cutoff) = (plan.request.clone(), plan.cutoff);
        let content = tokio::task::spawn_blocking(move || look_through(path, bytes_max, &request, cutoff)).await;
        let content = content.map_err(|error| Error::new(ErrorKind::Internal, "reading the file broke off").with_source(error))??;
        plan.expect(content.selected);
        if content.count == 0 {
            plan.refusals.push(format!("`{}` holds nothing", content.path.display()));
        }
        if let Some(other) = self.archive().running_on(&plan.request.source, None)? {
            plan.refusals.push(format!("transfer `{other}` reads the same copies: wait for its end, or cancel it"));
        }
        if plan.request.kind == Kind::Undo {
            self.plan_undo(&mut plan, kept_of, &content).await?;
        } else {
            self.plan_import(&mut plan, &content).await?;
        }
        Ok(plan)
    }

    /// Puts copies back where they were: the topic that the subscription listens to, or the queue of each task.
    async fn plan_undo(&self, plan: &mut Plan, kept_of: Option<Source>, content: &Content) -> Result<()> {
        if content.tasks > 0 {
            if !matches!(plan.request.delivery, Delivery::Task(_)) {
                plan.request.delivery = Delivery::Task(Box::default());
            }
            if let (Delivery::Task(change), Some(Source::Queue(queue))) = (plan.request.delivery.clone(), &kept_of) {
                self.check_queue(queue, &change, plan).await?;
                let running = self.cloud().get_queue(queue).await.is_ok_and(|queue| queue.state == QueueState::Running);
                if running && change.at.is_none() {
                    plan.warnings.push("what is put back runs at once: give it a time with `--at TIME`".to_owned());
                }
            }
            return Ok(());
        }
        if plan.request.delivery == Delivery::SourceTopic {
            let Some(Source::Subscription(name)) = kept_of else {
                plan.refusals.push("nothing tells where these messages lay: name a topic for them (`--to TOPIC`)".to_owned());
                return Ok(());
            };
            match self.cloud().get_subscription(&name).await.map(|subscription| subscription.topic) {
                Ok(Some(topic)) => plan.request.delivery = Delivery::Topic(topic),
                Ok(None) => plan.refusals.push(format!("the topic of `{}` is deleted: name another (`--to TOPIC`)", name.id())),
                Err(error) if error.is_not_found() => {
                    plan.refusals.push(format!("subscription `{}` is deleted: name a topic (`--to TOPIC`)", name.id()));
                }
                Err(error) => return Err(error),
            }
        }
        if let Delivery::Topic(topic) = plan.request.delivery.clone() {
            self.route_to(&topic, None, plan).await?;
        }
        Ok(())
    }

    /// Puts the content of a file where the request says.
    async fn plan_import(&self, plan: &mut Plan, content: &Content) -> Result<()> {
        match plan.request.delivery.clone() {
            Delivery::Task(change) if content.messages == 0 => {
                if let Some(queue) = &change.queue {
                    self.check_queue(queue, &change, plan).await?;
                }
            }
            Delivery::Topic(topic) if content.tasks == 0 => self.route_to(&topic, None, plan).await?,
            Delivery::SourceTopic | Delivery::Addressed if content.tasks == 0 => {
                for source in content.sources.iter().take(FILE_SOURCES_MAX) {
                    match source {
                        Some(source) => match self.cloud().get_subscription(source).await.map(|subscription| subscription.topic) {
                            Ok(Some(topic)) => self.route_to(&topic, Some(source), plan).await?,
                            Ok(None) => plan.warnings.push(format!("some messages will stay: the topic of `{}` is deleted", source.id())),
                            Err(error) if error.is_not_found() => {
                                plan.warnings.push(format!("some messages will stay: subscription `{}` is deleted", source.id()));
                            }
                            Err(error) => return Err(error),
                        },
                        None => plan.warnings.push(
                            "some messages do not say which subscription gave them up: they will stay (`--to TOPIC` takes them too)"
                                .to_owned(),
                        ),
                    }
                }
                if plan.routes.is_empty() {
                    plan.refusals.push("nothing tells where these messages came from: name a topic for them (`--to TOPIC`)".to_owned());
                }
            }
            Delivery::Handler { .. } => self.check_handler(plan).await?,
            Delivery::Direct { .. } if content.tasks == 0 => {
                self.check_direct(&content.sources.iter().flatten().cloned().collect(), plan).await?;
            }
            _ if content.tasks > 0 => plan.refusals.push("the file holds tasks: create them in a queue".to_owned()),
            _ => plan.refusals.push("the file holds messages: publish them to a topic".to_owned()),
        }
        super::delivery::check_addressed(plan);
        if let Some(before) = self.archive().read_before(&plan.request.source)? {
            plan.warnings.push(format!("transfer `{before}` read this file before: what it delivered is delivered a second time"));
        }
        Ok(())
    }

    async fn route_to(&self, topic: &TopicName, source: Option<&crate::names::SubscriptionName>, plan: &mut Plan) -> Result<()> {
        match self.receivers(topic, &[]).await? {
            Ok(receivers) => {
                let receivers = receivers.into_iter().map(|one| Receiver::new(one, source)).collect();
                plan.routes.push(Route { source: source.cloned(), topic: topic.clone(), messages: 0, receivers });
            }
            Err(why) => plan.refusals.push(why),
        }
        Ok(())
    }
}

/// Sees how many can be run, and how.
fn check_run(queue: &Queue, plan: &mut Plan) {
    if plan.expected.is_none_or(|expected| expected.value <= RUN_TASKS_MAX) {
        return;
    }
    if queue.state == QueueState::Running {
        plan.request.delivery = Delivery::Task(Box::new(TaskChange {
            queue: Some(queue.name.clone()),
            at: Some(Timestamp::UNIX_EPOCH),
            ..TaskChange::default()
        }));
        plan.warnings.push(format!(
            "more than {RUN_TASKS_MAX}: `RunTask` takes that many a minute, so each is created again, due at once, and the old one deleted; attempts begin at zero"
        ));
    } else {
        plan.request.rate_max = Some(1);
        plan.warnings.push(format!(
            "`RunTask` takes {RUN_TASKS_MAX} a minute, and in a queue that does not run there is no other way: one a second"
        ));
    }
}

fn look_through(path: PathBuf, bytes_max: u64, request: &Request, cutoff: Timestamp) -> Result<Content> {
    let (mut messages, mut tasks, mut selected) = (0, 0, 0);
    let mut sources = std::collections::BTreeSet::new();
    let count = count(&path, bytes_max, |cargo| {
        match cargo {
            Cargo::Message(_) => messages += 1,
            Cargo::Task(_) => tasks += 1,
        }
        if request.selection.selects(cargo, cutoff) {
            selected += 1;
            if matches!(cargo, Cargo::Message(_)) {
                sources.insert(cargo.source());
            }
        }
    })?;
    Ok(Content { count, messages, tasks, selected, sources, path })
}

/// Names a file from the root: a resumed transfer may run in another folder.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::invalid(format!("`{}` is no path: {error}", path.display())).with_source(error))
}

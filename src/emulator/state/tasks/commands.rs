//! What clients may ask of queues and tasks.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::emulator::state::target::{HttpTarget, Method};
use crate::emulator::state::{Code, Command, Effects, Moment, Refusal, State};
use crate::names::{Location, QueueName, TaskName};

use super::filter::Filter;
use super::queue::{Queue, QueueState};
use super::settings::{QueueDraft, Settings};
use super::task::{Target, Task, TaskDraft};
use super::{QUEUE_NAME_BLOCKED, Tasks, no_queue, no_task};
use crate::emulator::state::saved::saved;

/// Queues in one location of a project.
const QUEUES_PER_LOCATION_MAX: usize = 1000;

/// One page of a list and the place where the next begins.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

pub(crate) struct CreateQueue {
    pub(crate) name: QueueName,
    pub(crate) draft: QueueDraft,
}

saved!(struct CreateQueue { name, draft });

/// Creates the queue if it does not exist, as the service does.
pub(crate) struct UpdateQueue {
    pub(crate) name: QueueName,
    pub(crate) draft: QueueDraft,
    /// Paths of fields in the proto's spelling; empty is all.
    pub(crate) mask: Vec<String>,
}

saved!(struct UpdateQueue { name, draft, mask });

pub(crate) struct DeleteQueue(pub(crate) QueueName);
pub(crate) struct PurgeQueue(pub(crate) QueueName);
pub(crate) struct PauseQueue(pub(crate) QueueName);
pub(crate) struct ResumeQueue(pub(crate) QueueName);

pub(crate) struct CreateTask {
    pub(crate) queue: QueueName,
    pub(crate) draft: TaskDraft,
}

saved!(struct CreateTask { queue, draft });

/// Creates a task of a body alone: where it goes is the queue's.
pub(crate) struct BufferTask {
    pub(crate) queue: QueueName,
    /// Empty to have one made.
    pub(crate) id: String,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

saved!(struct BufferTask { queue, id, content_type, body });

pub(crate) struct DeleteTask(pub(crate) TaskName);
/// Dispatches a task now, even of a paused queue.
pub(crate) struct RunTask(pub(crate) TaskName);

saved!(tuple DeleteQueue);
saved!(tuple PurgeQueue);
saved!(tuple PauseQueue);
saved!(tuple ResumeQueue);
saved!(tuple DeleteTask);
saved!(tuple RunTask);

impl Tasks {
    pub(crate) fn queue(&self, name: &QueueName) -> Result<&Queue, Refusal> {
        self.queues.get(name.to_string().as_str()).ok_or_else(no_queue)
    }

    pub(crate) fn task(&self, name: &TaskName) -> Result<&Task, Refusal> {
        self.queues.get(name.queue().to_string().as_str()).and_then(|queue| queue.task(name.id())).ok_or_else(no_task)
    }

    /// The same for those who ask whether it was there lately.
    pub(crate) fn task_or_trace(&self, name: &TaskName, now: Timestamp) -> Result<&Task, Refusal> {
        let lately = |queue: &Queue| queue.is_blocked(name.id(), now);
        self.task(name).map_err(|refusal| match self.queue(name.queue()) {
            Ok(queue) if lately(queue) => Refusal::not_found(
                "The task no longer exists, though a task with this name existed recently. \
                 The task either successfully completed or was deleted.",
            ),
            _ => refusal,
        })
    }

    /// Lists the queues of a location from after `from` on, in order of their names.
    pub(crate) fn list_queues(&self, location: &Location, filter: &str, from: Option<&str>, limit: usize) -> Result<Page<&Queue>, Refusal> {
        let filter = Filter::parse(filter)?;
        let prefix = format!("{location}/queues/");
        let from = format!("{prefix}{}", from.unwrap_or_default());
        let mut queues = self
            .queues
            .range::<str, _>((Bound::Excluded(from.as_str()), Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(&prefix))
            .filter(|(_, queue)| filter.matches(queue))
            .map(|(_, queue)| queue);
        let items: Vec<&Queue> = queues.by_ref().take(limit).collect();
        let next = queues.next().and(items.last()).map(|queue| queue.name.id().to_owned());
        Ok(Page { items, next })
    }

    /// Lists the tasks of a queue from after `from` on, in order of their ids. Only an empty page is the last, as with the service.
    pub(crate) fn list_tasks(&self, queue: &QueueName, from: Option<&str>, limit: usize) -> Result<Page<&Task>, Refusal> {
        let queue = self.queue(queue)?;
        let tasks = queue.tasks.range::<str, _>((Bound::Excluded(from.unwrap_or_default()), Bound::Unbounded)).map(|(_, task)| &**task);
        let items: Vec<&Task> = tasks.take(limit).collect();
        let next = items.last().map(|task| task.id.to_string());
        Ok(Page { items, next })
    }

    fn change<T>(&mut self, name: &QueueName, change: impl FnOnce(&mut Queue) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.change_by(&name.to_string(), change)
    }

    /// The same, by full name.
    fn change_by<T>(&mut self, name: &str, change: impl FnOnce(&mut Queue) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let reply = change(self.queues.get_mut(name).ok_or_else(no_queue)?)?;
        self.replan(name);
        Ok(reply)
    }

    fn create(&mut self, name: QueueName, settings: Settings, now: Timestamp) -> Result<(), Refusal> {
        let key: Arc<str> = name.to_string().into();
        self.blocked.retain(|_, until| now < *until);
        if self.queues.contains_key(&key) {
            return Err(Refusal::exists("Queue already exists"));
        }
        if self.blocked.contains_key(&key) {
            return Err(Refusal::precondition("The queue cannot be created because a queue with this name existed too recently."));
        }
        let prefix = format!("{}/queues/", name.location());
        let neighbours = self
            .queues
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(&prefix))
            .count();
        if neighbours >= QUEUES_PER_LOCATION_MAX {
            return Err(Refusal::new(Code::ResourceExhausted, "The project has too many queues in this location."));
        }
        self.touched.touch(&key);
        self.queues.insert(key, Queue::new(name, settings));
        Ok(())
    }
}

impl Command for CreateQueue {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        let settings = self.draft.check(&self.name)?;
        state.tasks.create(self.name, settings, at.now)
    }
}

impl Command for UpdateQueue {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        let Ok(queue) = state.tasks.queue(&self.name) else {
            // What the mask does not name gets defaults.
            let new = self.draft.check(&self.name)?;
            let mut settings = QueueDraft::default().check(&self.name)?;
            settings.update(new, &self.mask, &self.name)?;
            return state.tasks.create(self.name, settings, at.now);
        };
        let new = self.draft.beside(&queue.settings, &self.mask).check(&self.name)?;
        state.tasks.change(&self.name, |queue| queue.settings.update(new, &self.mask, &self.name))
    }
}

impl Command for DeleteQueue {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        let tasks = &mut state.tasks;
        let (key, queue) = tasks.queues.remove_entry(self.0.to_string().as_str()).ok_or_else(no_task)?;
        tasks.touched.touch(&key);
        if let Some(planned) = queue.planned {
            tasks.due.remove(&(planned, Arc::clone(&key)));
        }
        tasks.blocked.insert(key, at.now.checked_add(QUEUE_NAME_BLOCKED).unwrap_or(Timestamp::MAX));
        Ok(())
    }
}

impl Command for PurgeQueue {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.tasks.change(&self.0, |queue| {
            queue.purge(at.now);
            Ok(())
        })
    }
}

impl Command for PauseQueue {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.tasks.change(&self.0, |queue| {
            queue.state = QueueState::Paused;
            Ok(())
        })
    }
}

impl Command for ResumeQueue {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.tasks.change(&self.0, |queue| {
            queue.state = QueueState::Running;
            Ok(())
        })
    }
}

impl Command for CreateTask {
    /// The task as created, before it is dispatched.
    type Reply = Arc<Task>;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<Arc<Task>, Refusal> {
        let queue = self.queue.to_string();
        let http = state.tasks.queues.get(queue.as_str()).ok_or_else(no_queue)?.settings.http.as_ref();
        let token = http.and_then(|http| http.token.clone());
        let task = self.draft.check(&self.queue, token, at.seed, at.now)?;
        state.tasks.change_by(&queue, |queue| queue.add(task, at.now))
    }
}

impl Command for BufferTask {
    type Reply = Arc<Task>;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Arc<Task>, Refusal> {
        let settings = &state.tasks.queue(&self.queue)?.settings;
        let http = settings.http.as_ref().and_then(|http| Some((http, http.uri.as_ref()?.host.as_ref()?)));
        let (http, host) =
            http.ok_or_else(|| Refusal::precondition("The queue must have an HTTP target with a host to buffer tasks without one."))?;
        let method = http.method.unwrap_or_default();
        let url = http.uri.as_ref().map_or_else(String::new, |uri| uri.apply(&format!("https://{host}/")));
        let headers = Some(self.content_type).filter(|kind| !kind.is_empty()).map(|kind| ("Content-Type".to_owned(), kind));
        let body = if matches!(method, Method::Post | Method::Put | Method::Patch) { self.body } else { Bytes::new() };
        let target = HttpTarget { url, method, headers: headers.into_iter().collect(), body, token: http.token.clone() };
        let name = if self.id.is_empty() { String::new() } else { format!("{}/tasks/{}", self.queue, self.id) };
        let draft = TaskDraft { name, target: Some(Target::Http(target)), ..TaskDraft::default() };
        CreateTask { queue: self.queue, draft }.apply(state, at, out)
    }
}

impl Command for DeleteTask {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.tasks.task(&self.0)?;
        state.tasks.change(self.0.queue(), |queue| {
            queue.remove(self.0.id(), at.now);
            Ok(())
        })
    }
}

impl Command for RunTask {
    /// The task as dispatched, before any answer.
    type Reply = Arc<Task>;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Arc<Task>, Refusal> {
        state.tasks.queue(self.0.queue())?;
        let id = Arc::clone(&state.tasks.task(&self.0)?.id);
        let tasks = &mut state.tasks;
        tasks.runs.count(self.0.queue().location(), at.now)?;
        let key = self.0.queue().to_string();
        let (attempts, app_engine) = (&mut tasks.attempts, tasks.app_engine.as_deref());
        let queue = tasks.queues.get_mut(key.as_str()).ok_or_else(no_queue)?;
        queue.force(&id, attempts, app_engine, at.now, out);
        let task = queue.tasks.get(&*id).cloned();
        tasks.replan(&key);
        task.ok_or_else(no_task)
    }
}

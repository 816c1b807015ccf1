//! Tasks that failed too often are kept in a paused queue, `<queue>-dead`, instead of being deleted: the contract of `redrive.md`, "Tasks: a dead set".
//!
//! The order of work is what keeps tasks from being lost: the copy is made first, and only when it is there the original is answered as done.

use std::time::Duration;

use google_cloud_tasks_v2::model as google;
use google_cloud_tasks_v2::model::HttpMethod;
use jiff::Timestamp;
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::model::text;
use crate::names::{QueueName, TaskId, TaskName};
use crate::runtime::delivery::Ended;
use crate::runtime::registry::TaskEntry;
use crate::runtime::wire::{Call, ENQUEUED_HEADER, TASK_BYTES_MAX, short_hash};
use crate::runtime::{App, Attempt, TaskInfo};

/// What the name of a dead set ends with.
pub(crate) const SUFFIX: &str = "-dead";
/// The header in which the reason travels with the copy.
const ERROR_HEADER: &str = "redrive-error";
/// The header that says how many attempts there were.
const ATTEMPTS_HEADER: &str = "redrive-attempts";
/// The reason is cut to this: headers of a task have 80 KB in all, and an operator reads a line.
const ERROR_CHARS_MAX: usize = 500;

impl<S: Send + Sync + 'static> App<S> {
    /// Keeps a task whose last attempt failed; what was to be said of any other is passed on.
    ///
    /// Where the copy cannot be made the task stays where it is and is tried again: 503, and an error in the log.
    pub(crate) async fn keep_dead(&self, entry: &TaskEntry<S>, info: TaskInfo, request: Call, ended: Ended) -> Ended {
        let Some(why) = ended.why().filter(|_| ended.has_failed() && attempt_of(entry, &info).is_some_and(Attempt::is_last)) else {
            return ended;
        };
        match Dying::new(info, request, why, entry.options.dispatch_deadline) {
            Some(dying) => self.keep(entry.name, dying).await,
            None => ended,
        }
    }

    /// Keeps a task that has no handler here (any more), once it was tried as often as any task of its queue may be: provisioning made the attempts of a queue with
    /// a dead set endless, so that nothing else ends it. Before that it is answered as unknown: another revision of the service may have its handler.
    pub(crate) async fn keep_unknown(&self, name: &str, info: TaskInfo, request: Call) -> Ended {
        let max = info.queue.as_ref().and_then(|queue| self.attempts_in(queue));
        if max.is_none_or(|max| info.retry_count.saturating_add(1) < max) {
            return Ended::Unknown;
        }
        let why = Ended::Unknown.why().unwrap_or_default();
        match Dying::new(info, request, why, None) {
            Some(dying) => self.keep(name, dying).await,
            None => Ended::Unknown,
        }
    }

    /// Returns the most attempts that a task with a dead set has in a queue of this app; nothing where there is none.
    fn attempts_in(&self, queue: &QueueName) -> Option<u32> {
        let own = self.registry().tasks().filter(|entry| entry.options.dead_set && self.queues_of(&entry.options).contains(queue));
        own.filter_map(|entry| entry.options.attempts_max).max()
    }

    async fn keep(&self, task: &str, dying: Dying) -> Ended {
        let (app, why, id) = (self.clone(), dying.why.clone(), dying.name.id().to_owned());
        // A task of its own: it is made also when the caller hangs up meanwhile.
        let kept = tokio::spawn(async move { app.copy_to_dead_set(dying).await }).await;
        match kept.unwrap_or_else(|panic| Err(Error::new(Kind::Internal, panic.to_string()))) {
            Ok(()) => Ended::Dead(why),
            Err(error) => {
                tracing::error!(target: "redrive::runtime", task = %text::line(task), task_id = id, %error, hint = error.hint(), "the task failed for the last time and could not be kept in the dead set; it stays where it is");
                Ended::Retry { why, after: Some(RETRY_AFTER) }
            }
        }
    }

    /// Tells of a task whose attempts are used up without that any has come to an end here (handlers that hang, or take the process with them), or whose copy
    /// could not be made: it is kept, and not run again.
    pub(crate) fn is_spent(entry: &TaskEntry<S>, info: &TaskInfo) -> Option<Ended> {
        let attempt = attempt_of(entry, info)?;
        let is_spent = attempt.max.is_some_and(|max| attempt.number > max);
        is_spent.then(|| Ended::Failed(format!("{} attempts before this one have not settled it", attempt.number - 1).into()))
    }

    async fn copy_to_dead_set(&self, dying: Dying) -> Result<()> {
        let mut copy = self.dead_task(&dying)?;
        let mut made = false;
        loop {
            let Err(error) = self.cloud().create_task(&dying.dead, copy.clone()).await else { return Ok(()) };
            match error.kind() {
                Kind::NotFound if self.config().creates_queues && !made => {
                    self.make_dead_set(&dying.dead).await?;
                    made = true;
                }
                Kind::AlreadyExists => match self.taken_by(&copy, &dying).await? {
                    // An earlier answer was lost: the copy is there.
                    TakenBy::Itself => return Ok(()),
                    TakenBy::Earlier(created) => copy = copy.set_name(dying.name_of_copy(&created.as_second().to_string())?),
                    // It was settled from there and its name is blocked: one too many is better than one too few.
                    TakenBy::Nothing => copy = copy.set_name(format!("{}/tasks/{}", dying.dead, Uuid::new_v4().simple())),
                },
                // A task as large as they may be has no room for the reason.
                Kind::InvalidInput if dying.is_large() && has_reason(&copy) => copy = self.http_copy(&dying, None)?,
                _ => return Err(error),
            }
        }
    }

    /// Tells whose copy is there under a name; where it may not be looked at, the name has to do.
    async fn taken_by(&self, copy: &google::Task, dying: &Dying) -> Result<TakenBy> {
        let found = match self.cloud().get_task(&copy.name.parse()?, false).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(TakenBy::Nothing),
            Err(error) if error.is_access() => return Ok(if dying.enqueued().is_some() { TakenBy::Itself } else { TakenBy::Nothing }),
            Err(error) => return Err(error),
        };
        if dying.enqueued().is_some() {
            return Ok(TakenBy::Itself);
        }
        // Others say nothing that would tell it from an earlier task of the same name and body; a copy that is older than the task is none of it.
        let own = self.cloud().get_task(&dying.name, false).await.ok().and_then(|own| own.create_time);
        Ok(match (own, found.create_time) {
            (Some(own), Some(copied)) if copied < own => TakenBy::Earlier(own),
            _ => TakenBy::Itself,
        })
    }

    /// Makes the queue and pauses it before anything is in it. Provisioning does the same beforehand.
    async fn make_dead_set(&self, dead: &QueueName) -> Result<()> {
        let retry = google::RetryConfig::new().set_max_attempts(-1);
        match self.cloud().create_queue(dead.location(), google::Queue::new().set_name(dead.to_string()).set_retry_config(retry)).await {
            Err(error) if !error.is_already_exists() => return Err(error),
            _ => {}
        }
        self.cloud().pause_queue(dead).await.map(drop)
    }

    fn dead_task(&self, dying: &Dying) -> Result<google::Task> {
        self.http_copy(dying, Some(&dying.why))
    }

    fn http_copy(&self, dying: &Dying, why: Option<&str>) -> Result<google::Task> {
        let mut headers = dying.request.headers.clone();
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(ERROR_HEADER) && !name.eq_ignore_ascii_case(ATTEMPTS_HEADER));
        if let Some(why) = why {
            headers.push((ERROR_HEADER.to_owned(), header_text(why)));
            headers.push((ATTEMPTS_HEADER.to_owned(), dying.attempts.to_string()));
        }
        let deadline = dying.dispatch_deadline.and_then(|limit| google_cloud_wkt::Duration::try_from(limit).ok());
        let call = Call { path: dying.request.path.clone(), headers, body: dying.request.body.clone() };
        Ok(self.http_task(&call).set_name(dying.name_of_copy("")?).set_or_clear_dispatch_deadline(deadline))
    }

    /// Returns the task that makes a request to this service.
    pub(crate) fn http_task(&self, call: &Call) -> google::Task {
        let request = google::HttpRequest::new()
            .set_url(self.layout().url(&call.path))
            .set_http_method(HttpMethod::Post)
            .set_headers(call.headers.iter().cloned())
            .set_body(call.body.clone());
        let request = match &self.host().account {
            Some(account) => request.set_oidc_token(
                google::OidcToken::new().set_service_account_email(account).set_audience(self.layout().audience(&call.path)),
            ),
            None => request,
        };
        google::Task::new().set_http_request(request)
    }
}

/// What is there under the name of a copy.
enum TakenBy {
    /// The copy of this very task.
    Itself,
    /// That of an earlier task; this one is from then.
    Earlier(Timestamp),
    /// Nothing any more; the name is blocked for a while.
    Nothing,
}

/// A task that is to be kept.
struct Dying {
    dead: QueueName,
    queue: QueueName,
    name: TaskName,
    request: Call,
    dispatch_deadline: Option<Duration>,
    attempts: u32,
    why: String,
}

impl Dying {
    /// `dispatch_deadline` is that of its type.
    fn new(info: TaskInfo, request: Call, why: String, dispatch_deadline: Option<Duration>) -> Option<Self> {
        let (queue, name) = (info.queue?, info.name?);
        let dead = dead_set_of(&queue).ok()?;
        let dispatch_deadline = info.dispatch_deadline.or(dispatch_deadline);
        Some(Self { dead, queue, name, request, dispatch_deadline, attempts: info.retry_count.saturating_add(1), why })
    }

    /// What tells it from another task of the same name: a name is free again after a day, and a copy may lie for a month.
    fn incarnation(&self) -> String {
        short_hash(self.enqueued().map_or(&self.request.body[..], str::as_bytes))
    }

    /// Returns the full name of its copy; `distinction` tells it from one that has that name already.
    fn name_of_copy(&self, distinction: &str) -> Result<String> {
        let incarnation = match distinction {
            "" => self.incarnation(),
            _ => short_hash(format!("{}{distinction}", self.incarnation()).as_bytes()),
        };
        let id: TaskId = id_of_copy(&self.queue, &self.name, &incarnation).parse()?;
        Ok(TaskName::new(self.dead.clone(), id).to_string())
    }

    /// What its enqueueing was called, where that was this runtime's.
    fn enqueued(&self) -> Option<&str> {
        self.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(ENQUEUED_HEADER)).map(|(_, value)| value.as_str())
    }

    /// Tells whether there may be no room for what is said of it.
    fn is_large(&self) -> bool {
        self.request.body.len() > TASK_BYTES_MAX - 2 * 1024
    }
}

/// Returns which attempt of a task with a dead set this is; a task that is in one already has none of its own.
fn attempt_of<S>(entry: &TaskEntry<S>, info: &TaskInfo) -> Option<Attempt> {
    let queue = info.queue.as_ref().filter(|queue| entry.options.dead_set && !queue.id().ends_with(SUFFIX));
    queue.zip(info.name.as_ref()).map(|_| Attempt { number: info.retry_count.saturating_add(1), max: entry.options.attempts_max })
}

fn has_reason(copy: &google::Task) -> bool {
    copy.http_request().is_some_and(|request| request.headers.contains_key(ERROR_HEADER))
}

/// A task that could not be kept comes again after this time.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// Returns the dead set of a queue.
pub(crate) fn dead_set_of(queue: &QueueName) -> Result<QueueName> {
    Ok(QueueName::new(queue.location().clone(), format!("{}{SUFFIX}", queue.id()).parse()?))
}

/// The name of a copy follows from the queue, the task and what tells it from earlier tasks of its name, so that a second copy finds the first. Names are limited to
/// 500 characters: a long one is cut, and its hash keeps it apart from others.
fn id_of_copy(queue: &QueueName, name: &TaskName, incarnation: &str) -> String {
    const CHARS_MAX: usize = 500;
    let whole = format!("{}-{}-{}", queue.id(), name.id(), &incarnation[..8]);
    if whole.len() <= CHARS_MAX {
        return whole;
    }
    let hash = short_hash(format!("{whole}{incarnation}").as_bytes());
    format!("{}-{hash}", &whole[..CHARS_MAX - hash.len() - 1])
}

/// Any text as the value of a header: one line of visible ASCII, cut.
fn header_text(why: &str) -> String {
    let escaped: String = text::line(why).chars().flat_map(char::escape_default).take(ERROR_CHARS_MAX).collect();
    escaped.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_follow_from_the_task_and_fit() {
        let queue: QueueName = "projects/p/locations/l/queues/emails".parse().unwrap();
        let id = |task: &str| id_of_copy(&queue, &TaskName::new(queue.clone(), task.parse().unwrap()), "0123456789");
        assert_eq!(id("7"), "emails-7-01234567");
        let (a, b) = (id(&format!("{}a", "x".repeat(499))), id(&format!("{}b", "x".repeat(499))));
        assert!(a.len() == 500 && b.len() == 500 && a != b);
        assert!(a.parse::<TaskId>().is_ok());
    }

    #[test]
    fn a_reason_is_a_header() {
        let value = header_text(&format!("no\r\nX-Evil: 1 é \u{1b}[31m{}", "x".repeat(9000)));
        assert!(value.parse::<http::HeaderValue>().is_ok() && value.len() <= ERROR_CHARS_MAX && value.is_ascii(), "{value}");
        assert!(!value.contains('\r') && !value.contains('\u{1b}'));
    }
}

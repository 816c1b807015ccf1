//! Tasks that failed too often are kept in a paused queue, `<queue>-dead`, instead of being deleted: the contract of `redrive.md`, "Tasks: a dead set".
//!
//! The order of work is what keeps tasks from being lost: the copy is made first, and only when it is there the original is answered as done.

use google_cloud_tasks_v2::model as google;
use google_cloud_tasks_v2::model::HttpMethod;

use crate::error::Result;
use crate::model::text;
use crate::names::{QueueName, TaskId, TaskName};
use crate::runtime::delivery::Ended;
use crate::runtime::registry::TaskEntry;
use crate::runtime::wire::{Call, short_hash};
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
    pub(crate) async fn keep_dead(&self, entry: &TaskEntry<S>, info: &TaskInfo, request: Call, ended: Ended) -> Ended {
        let attempt = Attempt { number: info.retry_count.saturating_add(1), max: entry.options.attempts_max };
        let (Some(queue), Some(name)) = (&info.queue, &info.name) else { return ended };
        let is_meant = entry.options.dead_set && attempt.is_last() && !queue.id().ends_with(SUFFIX);
        let Some(why) = ended.why().filter(|_| is_meant && ended.has_failed()) else { return ended };
        // Boxed: it is large, and made rarely.
        match Box::pin(self.copy_to_dead_set(queue, name, request, attempt.number, &why)).await {
            Ok(()) => Ended::Dead(why),
            Err(error) => {
                tracing::error!(target: "redrive::runtime", task = entry.name, task_id = name.id(), %error, hint = error.hint(), "the task failed for the last time and could not be kept in the dead set; it stays where it is");
                Ended::Retry { why, after: Some(RETRY_AFTER) }
            }
        }
    }

    async fn copy_to_dead_set(&self, queue: &QueueName, name: &TaskName, request: Call, attempts: u32, why: &str) -> Result<()> {
        let dead = dead_set_of(queue)?;
        let copy = self.dead_task(&dead, queue, name, request, attempts, why)?;
        let created = match self.cloud().create_task(&dead, copy.clone()).await {
            Err(error) if error.is_not_found() && self.config().creates_queues => {
                self.make_dead_set(&dead).await?;
                self.cloud().create_task(&dead, copy).await
            }
            created => created,
        };
        match created {
            // An earlier answer was lost: the copy is there.
            Err(error) if error.is_already_exists() => Ok(()),
            created => created.map(drop),
        }
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

    fn dead_task(
        &self,
        dead: &QueueName,
        queue: &QueueName,
        name: &TaskName,
        request: Call,
        attempts: u32,
        why: &str,
    ) -> Result<google::Task> {
        let id: TaskId = id_of_copy(queue, name).parse()?;
        let mut headers = request.headers;
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(ERROR_HEADER) && !name.eq_ignore_ascii_case(ATTEMPTS_HEADER));
        headers.push((ERROR_HEADER.to_owned(), header_text(why)));
        headers.push((ATTEMPTS_HEADER.to_owned(), attempts.to_string()));
        let task = self.http_task(&Call { headers, ..request });
        Ok(task.set_name(TaskName::new(dead.clone(), id).to_string()))
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

/// A task that could not be kept comes again after this time.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_mins(1);

/// Returns the dead set of a queue.
pub(crate) fn dead_set_of(queue: &QueueName) -> Result<QueueName> {
    Ok(QueueName::new(queue.location().clone(), format!("{}{SUFFIX}", queue.id()).parse()?))
}

/// The name of a copy follows from the queue and the task, so that a second one finds the first. Names are limited to 500 characters: a long one is cut, and its
/// hash keeps it apart from others.
fn id_of_copy(queue: &QueueName, name: &TaskName) -> String {
    const CHARS_MAX: usize = 500;
    let whole = format!("{}-{}", queue.id(), name.id());
    if whole.len() <= CHARS_MAX {
        return whole;
    }
    let hash = short_hash(whole.as_bytes());
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
        let id = |task: &str| id_of_copy(&queue, &TaskName::new(queue.clone(), task.parse().unwrap()));
        assert_eq!(id("7"), "emails-7");
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

//! Calls of Cloud Tasks: queues and tasks as our models.

use google_cloud_tasks_v2::model::http_request::AuthorizationHeader;
use google_cloud_tasks_v2::model::queue::State;
use google_cloud_tasks_v2::model::task::{MessageType, View};
use google_cloud_tasks_v2::model::{self as google, HttpMethod};

use crate::cloud::Cloud;
use crate::cloud::call::{ATTEMPT_TIMEOUT, call};
use crate::cloud::convert::{count, duration, timestamp};
use crate::cloud::endpoint::Api;
use crate::cloud::pages::{Rows, read_all, read_kept};
use crate::cloud::raw;
use crate::cloud::rest::Request;
use crate::error::Result;
use crate::model::queue::{Queue, QueueState, TaskRetry};
use crate::model::task::{Attempt, Task, TaskRequest};
use crate::names::{Location, LocationId, QueueName, TaskName};

/// A project has at most 1,000 queues in a region, unless its quota was raised.
const QUEUES_MAX: usize = 10_000;

/// Rows asked for in one page: Google's maximum for tasks.
const PAGE_ROWS: i32 = 1000;
/// Tasks in full may have a megabyte each.
const FULL_PAGE_ROWS: i32 = 100;

impl Cloud {
    /// Lists the locations that Cloud Tasks serves in this project.
    pub(crate) async fn list_task_locations(&self) -> Result<Vec<LocationId>> {
        let asked = self.asked(Api::Tasks, "list the locations", self.project(), "cloudtasks.locations.list");
        let (client, project) = (self.cloud_tasks().await?, self.project().to_string());
        let (rows, _) = read_all(super::locations::LOCATIONS_MAX, async |token| {
            let page =
                call(&asked, client.list_locations().set_name(&project).set_page_size(PAGE_ROWS).set_page_token(token).send()).await?;
            Ok((page.locations, page.next_page_token))
        })
        .await?;
        Ok(rows.iter().filter_map(|row| row.location_id.parse().ok()).collect())
    }

    /// Lists the queues of a location.
    pub(crate) async fn list_queues(&self, location: &Location) -> Result<Rows<Queue>> {
        let asked = self.asked(Api::Tasks, "list the queues", location, "cloudtasks.queues.list");
        let (client, parent) = (self.cloud_tasks().await?, location.to_string());
        let rows = read_all(QUEUES_MAX, async |token| {
            let page = call(&asked, client.list_queues().set_parent(&parent).set_page_size(PAGE_ROWS).set_page_token(token).send()).await?;
            Ok((page.queues, page.next_page_token))
        })
        .await?;
        Ok(Rows::convert(rows, |row| &row.name, queue))
    }

    /// Lists at most `max` tasks of a queue.
    pub(crate) async fn list_tasks(&self, queue: &QueueName, full: bool, max: usize) -> Result<Rows<Task>> {
        let asked = self.asked(Api::Tasks, "list the tasks", queue, if full { FULL_VIEW } else { "cloudtasks.tasks.list" });
        let (client, parent) = (self.cloud_tasks().await?, queue.to_string());
        let size = i32::try_from(max).unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS);
        let rows = read_all(max, async |token| {
            let list = client.list_tasks().set_parent(&parent).set_response_view(view(full)).set_page_size(size).set_page_token(token);
            let page = call(&asked, list.send()).await?;
            Ok((page.tasks, page.next_page_token))
        })
        .await?;
        Ok(Rows::convert(rows, |row| &row.name, task))
    }

    /// Lists at most `max` tasks of a queue, and returns what `keep` makes of them, with whether there are more. What is not kept stays no longer than its page; what
    /// cannot be read is left out.
    pub(crate) async fn filter_tasks<T>(
        &self,
        queue: &QueueName,
        full: bool,
        max: usize,
        keep: impl Fn(Task) -> Option<T>,
    ) -> Result<(Vec<T>, bool)> {
        let asked = self.asked(Api::Tasks, "list the tasks", queue, if full { FULL_VIEW } else { "cloudtasks.tasks.list" });
        let (client, parent) = (self.cloud_tasks().await?, queue.to_string());
        let most = if full { FULL_PAGE_ROWS } else { PAGE_ROWS };
        let size = i32::try_from(max).unwrap_or(most).clamp(1, most);
        let fetch = async |token| {
            let list = client.list_tasks().set_parent(&parent).set_response_view(view(full)).set_page_size(size).set_page_token(token);
            let page = call(&asked, list.send()).await?;
            Ok((page.tasks, page.next_page_token))
        };
        read_kept(max, fetch, |row| task(&row).ok().and_then(&keep)).await
    }

    /// Gets a task.
    pub(crate) async fn get_task(&self, name: &TaskName, full: bool) -> Result<Task> {
        let asked = self.asked(Api::Tasks, "get the task", name, if full { FULL_VIEW } else { "cloudtasks.tasks.get" });
        let get = self.cloud_tasks().await?.get_task().set_name(name.to_string()).set_response_view(view(full));
        task(&call(&asked, get.send()).await?)
    }

    /// Creates a task in one attempt, as Google's own JSON describes it.
    pub(crate) async fn create_task_once(&self, task: &serde_json::Value, queue: &QueueName) -> Result<()> {
        let asked = self.asked(Api::Tasks, "create a task", queue, "cloudtasks.tasks.create");
        let request = Request::post(format!("/v2/{queue}/tasks"), &serde_json::json!({ "task": task }), ATTEMPT_TIMEOUT)?;
        self.rest::<serde::de::IgnoredAny>(&asked, request).await.map(drop)
    }

    /// Gets a queue.
    pub(crate) async fn get_queue(&self, name: &QueueName) -> Result<Queue> {
        let asked = self.asked(Api::Tasks, "get the queue", name, "cloudtasks.queues.get");
        queue(&call(&asked, self.cloud_tasks().await?.get_queue().set_name(name.to_string()).send()).await?)
    }

    /// Dispatches a task now.
    pub(crate) async fn run_task(&self, name: &TaskName) -> Result<Task> {
        let asked = self.asked(Api::Tasks, "run the task", name, "cloudtasks.tasks.run");
        task(&call(&asked, self.cloud_tasks().await?.run_task().set_name(name.to_string()).send()).await?)
    }

    /// Deletes a task.
    pub(crate) async fn delete_task(&self, name: &TaskName) -> Result<()> {
        let asked = self.asked(Api::Tasks, "delete the task", name, "cloudtasks.tasks.delete");
        call(&asked, self.cloud_tasks().await?.delete_task().set_name(name.to_string()).send()).await
    }

    /// Stops a queue's dispatches.
    pub(crate) async fn pause_queue(&self, name: &QueueName) -> Result<Queue> {
        let asked = self.asked(Api::Tasks, "pause the queue", name, "cloudtasks.queues.pause");
        queue(&call(&asked, self.cloud_tasks().await?.pause_queue().set_name(name.to_string()).send()).await?)
    }

    /// Starts a queue's dispatches again.
    pub(crate) async fn resume_queue(&self, name: &QueueName) -> Result<Queue> {
        let asked = self.asked(Api::Tasks, "resume the queue", name, "cloudtasks.queues.resume");
        queue(&call(&asked, self.cloud_tasks().await?.resume_queue().set_name(name.to_string()).send()).await?)
    }

    /// Deletes all tasks of a queue.
    pub(crate) async fn purge_queue(&self, name: &QueueName) -> Result<Queue> {
        let asked = self.asked(Api::Tasks, "purge the queue", name, "cloudtasks.queues.purge");
        queue(&call(&asked, self.cloud_tasks().await?.purge_queue().set_name(name.to_string()).send()).await?)
    }
}

/// Reads a task off Google's own JSON of it, as it was kept.
pub(crate) fn task_of(raw: serde_json::Value) -> Result<Task> {
    let read: google::Task = serde_json::from_value(raw)
        .map_err(|error| crate::error::Error::invalid(format!("this is no task of Cloud Tasks: {error}")).with_source(error))?;
    task(&read)
}

/// The permission that headers and bodies need.
pub(crate) const FULL_VIEW: &str = "cloudtasks.tasks.fullView";

fn view(full: bool) -> View {
    if full { View::Full } else { View::Basic }
}

fn queue(queue: &google::Queue) -> Result<Queue> {
    let limits = queue.rate_limits.clone().unwrap_or_default();
    let retry = queue.retry_config.clone().unwrap_or_default();
    let span = |span: &Option<google_cloud_wkt::Duration>| span.as_ref().map(duration);
    Ok(Queue {
        name: queue.name.parse()?,
        state: match queue.state {
            State::Running => QueueState::Running,
            State::Paused => QueueState::Paused,
            State::Disabled => QueueState::Disabled,
            _ => QueueState::Unknown,
        },
        dispatches_per_second_max: limits.max_dispatches_per_second,
        burst_max: count(limits.max_burst_size),
        concurrent_max: count(limits.max_concurrent_dispatches),
        retry: TaskRetry {
            attempts_max: Some(count(retry.max_attempts)).filter(|&attempts| attempts > 0),
            duration_max: span(&retry.max_retry_duration).filter(|duration| !duration.is_zero()),
            backoff_min: span(&retry.min_backoff).unwrap_or_default(),
            backoff_max: span(&retry.max_backoff).unwrap_or_default(),
            doublings_max: count(retry.max_doublings),
        },
        purge_time: queue.purge_time.as_ref().and_then(timestamp),
        raw: raw::queue(queue),
    })
}

fn task(task: &google::Task) -> Result<Task> {
    Ok(Task {
        name: task.name.parse()?,
        request: request(task.message_type.as_ref()),
        schedule_time: task.schedule_time.as_ref().and_then(timestamp),
        create_time: task.create_time.as_ref().and_then(timestamp),
        dispatch_deadline: task.dispatch_deadline.as_ref().map(duration),
        dispatch_count: count(task.dispatch_count),
        response_count: count(task.response_count),
        first_attempt: task.first_attempt.as_ref().map(attempt),
        last_attempt: task.last_attempt.as_ref().map(attempt),
        full: task.view == View::Full,
        raw: raw::task(task),
    })
}

fn attempt(attempt: &google::Attempt) -> Attempt {
    Attempt {
        schedule_time: attempt.schedule_time.as_ref().and_then(timestamp),
        dispatch_time: attempt.dispatch_time.as_ref().and_then(timestamp),
        response_time: attempt.response_time.as_ref().and_then(timestamp),
        status: attempt.response_status.as_ref().map(|status| (status.code, status.message.clone())),
    }
}

fn request(message: Option<&MessageType>) -> TaskRequest {
    match message {
        Some(MessageType::HttpRequest(http)) => TaskRequest {
            method: method(&http.http_method),
            url: http.url.clone(),
            app_engine: false,
            headers: headers(&http.headers),
            body: http.body.clone(),
            token_account: http.authorization_header.as_ref().map(|header| match header {
                AuthorizationHeader::OidcToken(token) => token.service_account_email.clone(),
                AuthorizationHeader::OauthToken(token) => token.service_account_email.clone(),
                _ => "unknown".to_owned(),
            }),
        },
        Some(MessageType::AppEngineHttpRequest(http)) => TaskRequest {
            method: method(&http.http_method),
            url: http.relative_uri.clone(),
            app_engine: true,
            headers: headers(&http.headers),
            body: http.body.clone(),
            token_account: None,
        },
        _ => TaskRequest {
            method: String::new(),
            url: String::new(),
            app_engine: false,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            token_account: None,
        },
    }
}

/// POST is what both services take where none is set.
fn method(method: &HttpMethod) -> String {
    match method {
        HttpMethod::Unspecified => "POST".to_owned(),
        method => method.name().unwrap_or("POST").to_owned(),
    }
}

fn headers(headers: &std::collections::HashMap<String, String>) -> Vec<(String, String)> {
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    headers.sort();
    headers
}

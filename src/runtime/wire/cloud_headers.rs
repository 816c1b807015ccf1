//! What Cloud Tasks and Cloud Scheduler say in headers.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use jiff::Timestamp;

use crate::names::{Location, QueueName, TaskName};
use crate::runtime::{JobInfo, TaskInfo};

/// The header in which a task's own dispatch deadline travels, in seconds: Cloud Tasks does not tell its handler.
pub(crate) const DEADLINE_HEADER: &str = "redrive-dispatch-deadline";
/// The header that tells a task of a type with a dead set from an earlier one of the same name.
pub(crate) const ENQUEUED_HEADER: &str = "redrive-enqueued";

/// The names that are looked up in each request, read once.
mod names {
    use super::{DEADLINE_HEADER, HeaderName};

    pub(super) static QUEUE: HeaderName = HeaderName::from_static("x-cloudtasks-queuename");
    pub(super) static TASK: HeaderName = HeaderName::from_static("x-cloudtasks-taskname");
    pub(super) static RETRIES: HeaderName = HeaderName::from_static("x-cloudtasks-taskretrycount");
    pub(super) static EXECUTIONS: HeaderName = HeaderName::from_static("x-cloudtasks-taskexecutioncount");
    pub(super) static ETA: HeaderName = HeaderName::from_static("x-cloudtasks-tasketa");
    pub(super) static RESPONSE: HeaderName = HeaderName::from_static("x-cloudtasks-taskpreviousresponse");
    pub(super) static REASON: HeaderName = HeaderName::from_static("x-cloudtasks-taskretryreason");
    pub(super) static DEADLINE: HeaderName = HeaderName::from_static(DEADLINE_HEADER);
    pub(super) static SCHEDULER: HeaderName = HeaderName::from_static("x-cloudscheduler");
    pub(super) static JOB: HeaderName = HeaderName::from_static("x-cloudscheduler-jobname");
    pub(super) static SCHEDULED: HeaderName = HeaderName::from_static("x-cloudscheduler-scheduletime");
}

/// Tells whether Cloud Tasks takes this dispatch deadline: 15 s to 30 min for HTTP targets (Google's limits).
pub(crate) fn is_dispatch_deadline(deadline: &Duration) -> bool {
    (Duration::from_secs(15)..=Duration::from_mins(30)).contains(deadline)
}

/// Reads the headers of a task or of a job's run; what is missing or malformed is left out: anybody can send headers.
pub(crate) fn task_info(headers: &HeaderMap, location: &Location) -> TaskInfo {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name: &HeaderName| text(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let queue: Option<QueueName> = text(&names::QUEUE).and_then(|id| QueueName::parse_in(id, location).ok());
    let name = queue.as_ref().zip(text(&names::TASK));
    TaskInfo {
        name: name.and_then(|(queue, id)| TaskName::parse_in(id, queue).ok()),
        retry_count: number(&names::RETRIES),
        execution_count: number(&names::EXECUTIONS),
        eta: text(&names::ETA).and_then(epoch_seconds),
        previous_response: text(&names::RESPONSE).and_then(|text| text.parse().ok()),
        retry_reason: text(&names::REASON).filter(|reason| !reason.is_empty()).map(str::to_owned),
        dispatch_deadline: text(&names::DEADLINE).and_then(|text| text.parse().ok()).map(Duration::from_secs).filter(is_dispatch_deadline),
        job: text(&names::SCHEDULER).map(|_| JobInfo {
            name: text(&names::JOB).map(str::to_owned),
            schedule_time: text(&names::SCHEDULED).and_then(|text| text.parse().ok()),
        }),
        queue,
    }
}

/// Headers that belong to one attempt, to its connection or to who sent it: a copy of the task is made without them.
const OF_THE_ATTEMPT: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-cloud-trace-context",
];
const OF_THE_ATTEMPT_BEGIN: &[&str] = &["proxy-", "x-appengine-", "x-cloudscheduler", "x-cloudtasks-", "x-forwarded-", "x-google-"];

/// Returns the headers that the task itself has, as it was created; what is not text is left out, for no task can have it.
pub(crate) fn own_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let of_the_attempt = |name: &str| OF_THE_ATTEMPT.contains(&name) || OF_THE_ATTEMPT_BEGIN.iter().any(|begin| name.starts_with(begin));
    let own = headers.iter().filter(|(name, _)| !of_the_attempt(name.as_str()) || name.as_str() == "x-cloudtasks-projectname");
    own.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

/// Reads `1480000000.123456`.
fn epoch_seconds(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.get(..fraction.len().min(9))?;
    let digits = if digits.is_empty() { "0" } else { digits };
    let nanos = digits.parse::<i32>().ok()? * 10_i32.pow(9 - u32::try_from(digits.len()).ok()?);
    Timestamp::new(seconds.parse().ok()?, nanos).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> TaskInfo {
        let location = Location::new("projects/shop".parse().unwrap(), "europe-west1".parse().unwrap());
        task_info(
            &headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect(),
            &location,
        )
    }

    #[test]
    fn of_a_task() {
        let info = read(&[
            ("X-CloudTasks-QueueName", "emails"),
            ("X-CloudTasks-TaskName", "7"),
            ("X-CloudTasks-TaskRetryCount", "3"),
            ("X-CloudTasks-TaskExecutionCount", "1"),
            ("X-CloudTasks-TaskETA", "1780000000.25"),
            ("X-CloudTasks-TaskPreviousResponse", "500"),
            ("X-CloudTasks-TaskRetryReason", "Handler failed"),
        ]);
        assert_eq!(info.name.unwrap().to_string(), "projects/shop/locations/europe-west1/queues/emails/tasks/7");
        assert_eq!((info.retry_count, info.execution_count, info.previous_response), (3, 1, Some(500)));
        assert_eq!(info.eta.unwrap().to_string(), "2026-05-28T20:26:40.25Z");
        assert_eq!((info.retry_reason.as_deref(), info.job), (Some("Handler failed"), None));
    }

    #[test]
    fn a_copy_has_what_the_task_was_created_with() {
        let all = [
            ("X-CloudTasks-TaskName", "7"),
            ("X-CloudTasks-Projectname", "p"),
            ("Content-Type", "application/json"),
            ("Authorization", "Bearer x"),
        ];
        let headers: HeaderMap = all.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        let mut own = own_headers(&headers);
        own.sort();
        let expected = [("content-type", "application/json"), ("x-cloudtasks-projectname", "p")];
        assert_eq!(own, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn of_a_job_and_of_anybody() {
        let info = read(&[
            ("X-CloudScheduler", "true"),
            ("X-CloudScheduler-JobName", "nightly"),
            ("X-CloudScheduler-ScheduleTime", "2026-11-28T03:00:00Z"),
        ]);
        assert_eq!(info.job.unwrap().name.as_deref(), Some("nightly"));
        let info = read(&[("X-CloudTasks-QueueName", "../x"), ("X-CloudTasks-TaskETA", "1.é"), ("X-CloudTasks-TaskRetryCount", "-1")]);
        assert_eq!(info, TaskInfo::default());
    }
}

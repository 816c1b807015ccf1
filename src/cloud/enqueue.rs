//! New tasks and queues. Each is one attempt: whoever repeats it knows that he does.

use google_cloud_gax::error::Error as GaxError;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_tasks_v2::model as google;

use crate::cloud::Cloud;
use crate::cloud::call::{ATTEMPT_TIMEOUT, call};
use crate::cloud::endpoint::Api;
use crate::error::{Error, Kind, Result};
use crate::names::{Location, QueueName, TaskName};

impl Cloud {
    /// Creates a task; without a name in it the service finds one.
    pub(crate) async fn create_task(&self, queue: &QueueName, task: google::Task) -> Result<TaskName> {
        let asked = self.asked(Api::Tasks, "create a task", queue, "cloudtasks.tasks.create");
        let create = self.cloud_tasks().await?.create_task().set_parent(queue.to_string()).set_task(task);
        call(&asked, create.with_retry_policy(NeverRetry).with_attempt_timeout(ATTEMPT_TIMEOUT).send()).await?.name.parse()
    }

    /// Creates a queue.
    pub(crate) async fn create_queue(&self, location: &Location, queue: google::Queue) -> Result<()> {
        let asked = self.asked(Api::Tasks, "create a queue", location, "cloudtasks.queues.create");
        let create = self.cloud_tasks().await?.create_queue().set_parent(location.to_string()).set_queue(queue);
        call(&asked, create.with_retry_policy(NeverRetry).with_attempt_timeout(ATTEMPT_TIMEOUT).send()).await.map(drop)
    }
}

/// Returns the canonical code that a failed call was answered with; no connection counts as `UNAVAILABLE`.
pub(crate) fn code_of(error: &Error) -> Option<Code> {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<GaxError>());
    let answered = source.and_then(GaxError::status).map(|status| status.code);
    answered.or_else(|| match error.kind() {
        Kind::Unavailable => Some(Code::Unavailable),
        Kind::Timeout => Some(Code::DeadlineExceeded),
        _ => None,
    })
}

//! The one table from how work ended to what its caller is told. The cause is never in it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::runtime::Compat;
use crate::runtime::delivery::Ended;
use crate::runtime::wire::dumps;

/// What most work is answered with: there is nothing to write anew each time.
const DONE: &str = r#"{"result":null,"status":"executed"}"#;

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In JSON, as this format writes it.
    pub(crate) body: Option<Bytes>,
    pub(crate) retry_after: Option<Duration>,
}

/// What the work was: acknowledging has other rules for messages than for tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Task,
    Message,
    Event,
}

/// Says what is answered. Cloud Tasks and Cloud Scheduler take 200–299 as done; Pub/Sub takes 102, 200, 201, 202 and 204.
pub(crate) fn answer(compat: Compat, what: What, ended: &Ended, id: Option<&str>, task: &str) -> Answer {
    let status = status(compat, what, ended);
    let retry_after = match ended {
        Ended::Retry { after, .. } => *after,
        _ => None,
    };
    Answer { status, body: if status == 204 { None } else { Some(written(compat, what, ended, id, task)) }, retry_after }
}

fn written(compat: Compat, what: What, ended: &Ended, id: Option<&str>, task: &str) -> Bytes {
    match (compat, ended) {
        (Compat::Native, Ended::Done(Value::Null)) => Bytes::from_static(DONE.as_bytes()),
        (Compat::Native, _) => serde_json::to_vec(&body(compat, what, ended, id, task)).unwrap_or_default().into(),
        _ => dumps(&body(compat, what, ended, id, task)).into(),
    }
}

/// Returns the status of the answer.
pub(crate) fn status(compat: Compat, what: What, ended: &Ended) -> u16 {
    match ended {
        Ended::Done(_) if what == What::Event && compat == Compat::DjangoGcp => 201,
        Ended::Done(_) if compat == Compat::SingleEndpoint => 204,
        Ended::Done(_) => 200,
        Ended::Skipped => 204,
        Ended::Discarded(_) | Ended::Dead(_) => 202,
        Ended::Retry { after: Some(_), .. } => 503,
        Ended::Retry { .. } | Ended::Failed(_) | Ended::Panicked(_) => 500,
        Ended::TimedOut(_) => 504,
        Ended::Busy => 429,
        Ended::Unknown if compat == Compat::SingleEndpoint => 400,
        Ended::Unknown => 404,
        Ended::Malformed(_) => 400,
    }
}

fn body(compat: Compat, what: What, ended: &Ended, id: Option<&str>, task: &str) -> Value {
    match (compat, ended) {
        (Compat::DjangoGcp, Ended::Done(_)) if what == What::Event => json!({}),
        (Compat::DjangoGcp, Ended::Done(result)) => json!({ "result": result }),
        (Compat::DjangoTasksCloudTasks, Ended::Done(_)) => json!({ "status": "success", "task_id": id }),
        (Compat::DjangoTasksCloudTasks, Ended::Failed(_) | Ended::Panicked(_) | Ended::TimedOut(_) | Ended::Retry { .. }) => {
            json!({ "status": "failed", "task_id": id, "errors": [] })
        }
        (_, Ended::Done(result)) => json!({ "result": result, "status": "executed" }),
        (_, Ended::Discarded(_) | Ended::Dead(_)) => json!({ "result": null, "status": "discarded" }),
        (_, Ended::Unknown) => json!({ "error": format!("Task {task} not found") }),
        (_, Ended::Malformed(_)) => json!({ "error": "the body is not what this endpoint takes" }),
        (_, Ended::Busy) => json!({ "error": "all places are taken" }),
        _ => json!({ "error": "the work failed" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_anew_is_what_would_be() {
        let ended = Ended::Done(Value::Null);
        assert_eq!(DONE, body(Compat::Native, What::Task, &ended, None, "Work").to_string());
    }
}

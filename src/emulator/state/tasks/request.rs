//! The request that an attempt at a task makes.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::emulator::state::target::{HttpTarget, Method, Outcome, Routing, encode};
use crate::emulator::state::{Caller, HttpCall};
use crate::names::QueueName;

use super::settings::Settings;
use super::task::{AGENT, Target, Task};

/// Builds the request of attempt number `attempt`; `None` for an App Engine target when no app is there.
pub(super) fn build(queue: &QueueName, settings: &Settings, task: &Task, attempt: u64, app_engine: Option<&str>) -> Option<HttpCall> {
    let caller = Caller::Task { task: format!("{queue}/tasks/{}", task.id), attempt };
    let (prefix, mut call) = match &task.target {
        Target::Http(http) => {
            let call = HttpCall {
                caller,
                method: http.method.as_str(),
                url: encode(&http.url).into_owned(),
                headers: http_headers(http).into_iter().collect(),
                body: http.body.clone(),
                timeout: task.deadline,
                token: None,
            };
            ("X-CloudTasks", overridden(call, settings, http.token.as_ref()))
        }
        Target::AppEngine(app) => {
            // The queue's counts for all its tasks, whatever they say themselves.
            let routing = settings.routing.as_ref().or(app.routing.as_ref());
            let own = app.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
            let call = HttpCall {
                caller,
                method: app.method.as_str(),
                url: encode(&format!("{}{}", app_engine?.trim_end_matches('/'), app.relative_uri)).into_owned(),
                headers: own.chain(routing.map(Routing::header)).collect(),
                body: app.body.clone(),
                timeout: task.deadline,
                token: None,
            };
            ("X-AppEngine", call)
        }
    };
    call.headers.extend(about(prefix, queue, task));
    Some(call)
}

/// The headers of an HTTP target as they are shown and sent: with the service's own name, which is kept in no task.
pub(crate) fn http_headers(http: &HttpTarget) -> BTreeMap<String, String> {
    let mut headers = http.headers.clone();
    headers.insert("User-Agent".to_owned(), AGENT.to_owned());
    headers
}

/// Puts in what the queue sets for all its tasks.
fn overridden(mut call: HttpCall, settings: &Settings, own_token: Option<&crate::emulator::state::target::Token>) -> HttpCall {
    let http = settings.http.as_ref();
    if let Some(uri) = http.and_then(|http| http.uri.as_ref()) {
        call.url = uri.apply(&call.url);
    }
    if let Some(method) = http.and_then(|http| http.method) {
        call.method = method.as_str();
        if method == Method::Get {
            call.body = Bytes::new();
        }
    }
    for (name, value) in http.iter().flat_map(|http| &http.headers) {
        call.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        call.headers.push((name.clone(), value.clone()));
    }
    call.token = http.and_then(|http| http.token.as_ref()).or(own_token).map(|token| token.kind(&call.url));
    if call.token.is_some() {
        call.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    }
    call
}

/// The headers that tell a handler about its task.
fn about(prefix: &str, queue: &QueueName, task: &Task) -> Vec<(String, String)> {
    let eta = task.schedule_time.as_microsecond();
    let mut headers = vec![
        (format!("{prefix}-QueueName"), queue.id().to_owned()),
        (format!("{prefix}-TaskName"), task.id.to_string()),
        (format!("{prefix}-TaskRetryCount"), task.dispatches.to_string()),
        (format!("{prefix}-TaskExecutionCount"), task.executions.to_string()),
        (format!("{prefix}-TaskETA"), format!("{}.{:06}", eta.div_euclid(1_000_000), eta.rem_euclid(1_000_000))),
    ];
    if let Some(previous) = &task.previous {
        headers.extend(previous.http.map(|status| (format!("{prefix}-TaskPreviousResponse"), status.to_string())));
        headers.push((format!("{prefix}-TaskRetryReason"), reason(previous)));
    }
    headers
}

fn reason(previous: &Outcome) -> String {
    match (previous.http, previous.status.code) {
        (Some(status), _) => format!("HTTP status code {status}"),
        (None, 4) => "no response within the deadline".to_owned(),
        (None, _) => "no connection".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::emulator::state::target::AppEngineTarget;
    use crate::emulator::state::tasks::{QueueDraft, TaskDraft};

    #[test]
    fn app_engine_is_told_the_service_of_the_queue_or_else_of_the_task() {
        let queue: QueueName = "projects/demo/locations/l/queues/q".parse().unwrap();
        let check = |of_queue: Option<Routing>, of_task: Option<Routing>, expected: &str| {
            let settings = QueueDraft { routing: of_queue, ..QueueDraft::default() }.check(&queue).unwrap();
            let app = AppEngineTarget { routing: of_task, ..AppEngineTarget::default() };
            let draft = TaskDraft { target: Some(Target::AppEngine(app)), ..TaskDraft::default() };
            let task = draft.check(&queue, 1, Timestamp::UNIX_EPOCH).unwrap();
            let call = build(&queue, &settings, &task, 1, Some("http://localhost:8080")).unwrap();
            let hosts: Vec<&str> = call.headers.iter().filter(|(name, _)| name == "Host").map(|(_, host)| host.as_str()).collect();
            assert_eq!(hosts, [expected]);
        };
        let routing =
            |service: &str, version: &str| Some(Routing { service: service.to_owned(), version: version.to_owned(), ..Routing::default() });
        check(None, None, "demo.appspot.com");
        check(None, routing("worker", ""), "worker.demo.appspot.com");
        check(routing("override", "v9"), routing("worker", ""), "v9.override.demo.appspot.com");
    }
}

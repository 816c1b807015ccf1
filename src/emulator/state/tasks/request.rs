//! The request that an attempt at a task makes.

use std::collections::BTreeMap;

use http::HeaderName;
use jiff::Timestamp;

use crate::emulator::state::target::{HttpTarget, Method, NO_APP_ENGINE, Outcome, Routing, Token, encode};
use crate::emulator::state::{Answer, Caller, HttpCall};
use crate::names::QueueName;

use super::settings::Settings;
use super::task::{AGENT, Target, Task};

/// Builds the request of attempt number `attempt`, or says how that ends without one.
pub(super) fn build(
    queue: &QueueName,
    settings: &Settings,
    task: &Task,
    attempt: u64,
    app_engine: Option<&str>,
) -> Result<HttpCall, Outcome> {
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
            ("X-CloudTasks", overridden(call, settings, http.token.as_ref())?)
        }
        Target::AppEngine(app) => {
            let app_engine = app_engine.ok_or_else(|| Outcome::of(&Answer::Failed(NO_APP_ENGINE.to_owned())))?;
            // The queue's counts for all its tasks, whatever they say themselves.
            let routing = settings.routing.as_ref().or(app.routing.as_ref());
            let own = app.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
            let call = HttpCall {
                caller,
                method: app.method.as_str(),
                url: encode(&format!("{}{}", app_engine.trim_end_matches('/'), app.relative_uri)).into_owned(),
                headers: own.chain(routing.map(Routing::header)).collect(),
                body: app.body.clone(),
                timeout: task.deadline,
                token: None,
            };
            ("X-AppEngine", call)
        }
    };
    // What a user calls like the headers below is shown with the task, and not sent; nor is what is no name of a header in HTTP.
    let begin = format!("{prefix}-");
    let own = |name: &str| name.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(&begin));
    call.headers.retain(|(name, _)| HeaderName::try_from(name.as_str()).is_ok() && !own(name));
    call.headers.extend(about(prefix, queue, task));
    Ok(call)
}

/// The headers of an HTTP target as they are shown and sent: with the service's own name, which is kept in no task.
pub(crate) fn http_headers(http: &HttpTarget) -> BTreeMap<String, String> {
    let mut headers = http.headers.clone();
    headers.insert("User-Agent".to_owned(), AGENT.to_owned());
    headers
}

/// Puts in what the queue sets for all its tasks.
fn overridden(mut call: HttpCall, settings: &Settings, own_token: Option<&Token>) -> Result<HttpCall, Outcome> {
    let http = settings.http.as_ref();
    // The audience, unless one is named: the service takes the task's own URL for it.
    let url = call.url.clone();
    if let Some(uri) = http.and_then(|http| http.uri.as_ref()) {
        call.url = uri.apply(&call.url);
    }
    if let Some(method) = http.and_then(|http| http.method) {
        call.method = method.as_str();
        if method == Method::Get && !call.body.is_empty() {
            return Err(Outcome::of_task(&Answer::Failed("a GET has no body".to_owned())));
        }
    }
    for (name, value) in http.iter().flat_map(|http| &http.headers) {
        call.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        call.headers.push((name.clone(), value.clone()));
    }
    call.token = http.and_then(|http| http.token.as_ref()).or(own_token).map(|token| token.kind(&url));
    if call.token.is_some() {
        call.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    }
    Ok(call)
}

/// The headers that tell a handler about its task.
fn about(prefix: &str, queue: &QueueName, task: &Task) -> Vec<(String, String)> {
    let mut headers = vec![
        (format!("{prefix}-QueueName"), queue.id().to_owned()),
        (format!("{prefix}-TaskName"), task.id.to_string()),
        (format!("{prefix}-TaskRetryCount"), task.dispatches.to_string()),
        (format!("{prefix}-TaskExecutionCount"), task.executions.to_string()),
        (format!("{prefix}-TaskETA"), eta(task.schedule_time)),
    ];
    if let Some(previous) = &task.previous {
        headers.extend(previous.http.map(|status| (format!("{prefix}-TaskPreviousResponse"), status.to_string())));
        // Sent with each retry, and without a reason.
        headers.push((format!("{prefix}-TaskRetryReason"), String::new()));
    }
    headers
}

/// Seconds since 1970, with as many digits of a fraction as there have to be.
fn eta(at: Timestamp) -> String {
    let micros = at.as_microsecond();
    let text = format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
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
            let task = draft.check(&queue, None, 1, Timestamp::UNIX_EPOCH).unwrap();
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

    #[test]
    fn an_eta_has_no_more_digits_than_it_needs() {
        let at = |micros: i64| eta(Timestamp::from_microsecond(micros).unwrap());
        assert_eq!([at(1_767_225_600_120_000), at(10_000_000), at(1_123_456)], ["1767225600.12", "10", "1.123456"]);
    }
}

//! Tasks from and to the wire.

use std::time::Duration;

use jiff::Timestamp;
use prost_types::Timestamp as ProtoTimestamp;

use super::super::wkt;
use super::{named, pb, queue, queue_name};
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, Token};
use crate::emulator::state::tasks::{Attempt, CreateTask, Target, Task, TaskDraft, http_headers};
use crate::emulator::state::{Refusal, kept};
use crate::names::QueueName;

use pb::http_request::AuthorizationHeader;
use pb::task::{MessageType, View};

/// A deadline for what is less than nothing: out of the range of any target, for the state to refuse.
const NEGATIVE: Duration = Duration::from_nanos(1);

pub(super) fn create(request: pb::CreateTaskRequest) -> Result<CreateTask, Refusal> {
    Ok(CreateTask {
        queue: queue_name(named(&request.parent, "google.cloud.tasks.v2.CloudTasks.CreateTask")?)?,
        draft: from_proto(request.task.unwrap_or_default())?,
    })
}

pub(super) fn from_proto(proto: pb::Task) -> Result<TaskDraft, Refusal> {
    Ok(TaskDraft {
        name: proto.name,
        target: proto.message_type.map(target).transpose()?,
        schedule_time: proto.schedule_time.map(schedule_time).transpose()?,
        deadline: proto.dispatch_deadline.map(|deadline| Duration::try_from(wkt::from_duration(deadline)).unwrap_or(NEGATIVE)),
        retry: proto.retry_config.map(queue::retry),
    })
}

fn schedule_time(at: ProtoTimestamp) -> Result<Timestamp, Refusal> {
    wkt::from_timestamp(at, "Task.scheduleTime").map_err(|_| Refusal::invalid("Request contains an invalid argument."))
}

fn target(proto: MessageType) -> Result<Target, Refusal> {
    Ok(match proto {
        MessageType::HttpRequest(request) => Target::Http(HttpTarget {
            url: request.url,
            method: queue::method(request.http_method)?.unwrap_or_default(),
            headers: request.headers,
            body: kept(request.body),
            token: request.authorization_header.map(|header| match header {
                AuthorizationHeader::OauthToken(token) => queue::oauth(token),
                AuthorizationHeader::OidcToken(token) => queue::oidc(token),
            }),
        }),
        MessageType::AppEngineHttpRequest(request) => Target::AppEngine(AppEngineTarget {
            method: queue::method(request.http_method)?.unwrap_or_default(),
            routing: request.app_engine_routing.map(queue::routing),
            relative_uri: request.relative_uri,
            headers: request.headers,
            body: kept(request.body),
        }),
    })
}

/// The task as `view` shows it; BASIC, which is the default, leaves out the body.
pub(super) fn to_proto(queue: &QueueName, task: &Task, view: View) -> pb::Task {
    let full = view == View::Full;
    pb::Task {
        name: format!("{queue}/tasks/{}", task.id),
        schedule_time: Some(wkt::timestamp(task.schedule_time)),
        create_time: Some(wkt::timestamp(task.create_time)),
        dispatch_deadline: Some(wkt::duration(task.deadline)),
        dispatch_count: task.dispatches.cast_signed(),
        response_count: task.responses.cast_signed(),
        // Of the first attempt the service keeps this time only.
        first_attempt: task.first_attempt.map(|at| pb::Attempt { dispatch_time: Some(wkt::timestamp(at)), ..pb::Attempt::default() }),
        last_attempt: task.last_attempt.as_ref().map(attempt),
        view: if full { View::Full } else { View::Basic }.into(),
        retry_config: task.retry.as_ref().map(queue::retry_to_proto),
        message_type: Some(target_to_proto(&task.target, full)),
    }
}

/// The same as the answer to `RunTask` has it: the attempt that it began is counted, and not dispatched yet.
pub(super) fn to_proto_as_run(queue: &QueueName, task: &Task, view: View) -> pb::Task {
    let mut proto = to_proto(queue, task, view);
    if let Some(last) = &mut proto.last_attempt {
        last.dispatch_time = None;
    }
    if task.dispatches == 1 {
        proto.first_attempt = None;
    }
    proto
}

fn attempt(attempt: &Attempt) -> pb::Attempt {
    pb::Attempt {
        schedule_time: Some(wkt::timestamp(attempt.schedule_time)),
        dispatch_time: Some(wkt::timestamp(attempt.dispatch_time)),
        response_time: attempt.response_time.map(wkt::timestamp),
        response_status: attempt.status.as_ref().map(wkt::status),
    }
}

fn target_to_proto(target: &Target, full: bool) -> MessageType {
    match target {
        Target::Http(http) => MessageType::HttpRequest(pb::HttpRequest {
            url: http.url.clone(),
            http_method: queue::method_to_proto(http.method).into(),
            headers: http_headers(http),
            body: if full { http.body.clone() } else { bytes::Bytes::new() },
            authorization_header: http.token.clone().map(|token| match token {
                Token::OAuth { email, scope } => AuthorizationHeader::OauthToken(pb::OAuthToken { service_account_email: email, scope }),
                Token::Oidc { email, audience } => AuthorizationHeader::OidcToken(pb::OidcToken { service_account_email: email, audience }),
            }),
        }),
        Target::AppEngine(app) => MessageType::AppEngineHttpRequest(pb::AppEngineHttpRequest {
            http_method: queue::method_to_proto(app.method).into(),
            app_engine_routing: app.routing.as_ref().map(queue::routing_to_proto),
            relative_uri: app.relative_uri.clone(),
            headers: app.headers.clone(),
            body: if full { app.body.clone() } else { bytes::Bytes::new() },
        }),
    }
}

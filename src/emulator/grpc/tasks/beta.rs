//! Cloud Tasks v2beta3, as far as it alone tells a queue's `stats`.

use jiff::{SignedDuration, Timestamp};
use prost_types::FieldMask;
use tonic::{Request, Response, Status};

use super::super::{Engine, page, wkt};
use super::{PAGE_QUEUES_MAX, location, queue, queue_name};
use crate::emulator::pb::google::cloud::tasks::v2beta3 as pb;
use crate::emulator::pb::google::cloud::tasks::v2beta3::cloud_tasks_server::CloudTasks;
use crate::emulator::state::Refusal;
use crate::emulator::state::tasks::{Queue, QueueState, TASK_TTL};

use pb::queue::QueueType;

/// How long a used task name is blocked.
const TOMBSTONE_TTL: SignedDuration = SignedDuration::from_hours(1);

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) engine: Engine,
}

#[tonic::async_trait]
impl CloudTasks for Service {
    async fn list_queues(&self, request: Request<pb::ListQueuesRequest>) -> Result<Response<pb::ListQueuesResponse>, Status> {
        let request = request.into_inner();
        let location = location(&request.parent)?;
        let wanted = page::wanted(request.page_size, &request.page_token, PAGE_QUEUES_MAX)?;
        let response = self.engine.read(|state, now| {
            let page = state.tasks.list_queues(&location, &request.filter, wanted.from.as_deref(), wanted.limit)?;
            let queues = page.items.into_iter().map(|queue| to_proto(queue, request.read_mask.as_ref(), now)).collect();
            Ok::<_, Refusal>(pb::ListQueuesResponse { queues, next_page_token: page::token(page.next.as_deref()) })
        })?;
        Ok(Response::new(response))
    }

    async fn get_queue(&self, request: Request<pb::GetQueueRequest>) -> Result<Response<pb::Queue>, Status> {
        let request = request.into_inner();
        let name = queue_name(&request.name)?;
        let queue =
            self.engine.read(|state, now| Ok::<_, Refusal>(to_proto(state.tasks.queue(&name)?, request.read_mask.as_ref(), now)))?;
        Ok(Response::new(queue))
    }
}

/// The queue as the mask wants it: without one everything but `stats`.
fn to_proto(queue: &Queue, mask: Option<&FieldMask>, now: Timestamp) -> pb::Queue {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    let names = |field: &str| paths.iter().any(|path| path == field || path.split('.').next() == Some(field));
    let wants = |field: &str| paths.is_empty() || names(field) || names("*");
    let settings = &queue.settings;
    let mut proto = pb::Queue::default();
    if wants("name") {
        proto.name = queue.name.to_string();
    }
    if wants("app_engine_http_queue") {
        let routing = settings.routing.as_ref().map(queue::routing_to_proto);
        let app_engine = routing.map(|routing| pb::AppEngineHttpQueue { app_engine_routing_override: Some(routing) });
        proto.queue_type = app_engine.map(QueueType::AppEngineHttpQueue);
    }
    if wants("http_target") {
        proto.http_target = settings.http.as_ref().map(queue::http_override_to_proto);
    }
    if wants("rate_limits") {
        proto.rate_limits = Some(pb::RateLimits {
            max_dispatches_per_second: settings.per_second,
            max_burst_size: settings.burst.cast_signed(),
            max_concurrent_dispatches: settings.concurrent.cast_signed(),
        });
    }
    if wants("retry_config") {
        proto.retry_config = Some(pb::RetryConfig {
            max_attempts: settings.retry.attempts_max.map_or(-1, u32::cast_signed),
            max_retry_duration: settings.retry.duration_max.map(wkt::duration),
            min_backoff: Some(wkt::duration(settings.retry.backoff_min)),
            max_backoff: Some(wkt::duration(settings.retry.backoff_max)),
            max_doublings: settings.retry.doublings_max.cast_signed(),
        });
    }
    if wants("state") {
        let state = if queue.state == QueueState::Paused { pb::queue::State::Paused } else { pb::queue::State::Running };
        proto.state = state.into();
    }
    if wants("purge_time") {
        proto.purge_time = queue.purge_time.map(wkt::timestamp);
    }
    if wants("stackdriver_logging_config") {
        proto.stackdriver_logging_config = settings.sampling_ratio.map(|sampling_ratio| pb::StackdriverLoggingConfig { sampling_ratio });
    }
    if wants("task_ttl") {
        proto.task_ttl = Some(wkt::duration(TASK_TTL.unsigned_abs()));
    }
    if wants("tombstone_ttl") {
        proto.tombstone_ttl = Some(wkt::duration(TOMBSTONE_TTL.unsigned_abs()));
    }
    if wants("type") {
        proto.r#type = pb::queue::Type::Push.into();
    }
    if names("stats") {
        proto.stats = Some(stats(queue, now));
    }
    proto
}

fn stats(queue: &Queue, now: Timestamp) -> pb::QueueStats {
    let stats = queue.stats(now);
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    pb::QueueStats {
        tasks_count: count(stats.tasks),
        oldest_estimated_arrival_time: stats.oldest_due.map(wkt::timestamp),
        executed_last_minute_count: count(stats.executed_last_minute),
        concurrent_dispatches_count: count(stats.under_way),
        effective_execution_rate: stats.rate,
    }
}

//! Makes what the tables say. What is there already is used, and pointed at this process.

use std::time::Duration;

use google_cloud_pubsub::model::{DeadLetterPolicy, PushConfig, RetryPolicy, Subscription as PubSubSubscription};
use google_cloud_scheduler_v1::model::{HttpMethod, HttpTarget, Job as SchedulerJob, PubsubTarget};
use google_cloud_tasks_v2::model::{Queue as TasksQueue, RateLimits, RetryConfig};
use google_cloud_wkt::Duration as WireDuration;

use super::clients::{Clients, call, make};
use super::topology::{JOBS, Job, QUEUES, Queue, Run, SUBSCRIPTIONS, Subscription, TOPICS};
use crate::error::Result;

/// A refused message comes again after this time, at least and at most: five deliveries are through within seconds.
const BACKOFF_MS: (u64, u64) = (400, 2000);

/// Receivers acknowledge within this time; none needs longer.
const ACK_DEADLINE_SECONDS: i32 = 10;

/// Makes topics and subscriptions; `base` is where the shop's handlers listen.
pub(super) async fn messaging(clients: &Clients, base: &str) -> Result<()> {
    for id in TOPICS {
        make(&format!("make topic `{id}`"), clients.topics.create_topic().set_name(clients.topic(id)).send()).await?;
    }
    for subscription in SUBSCRIPTIONS {
        let Subscription { id, push, .. } = *subscription;
        let wanted = wire_subscription(clients, subscription, base);
        let push_config = wanted.push_config.clone();
        let request = clients.subscriptions.create_subscription().with_request(wanted).send();
        let made = make(&format!("make subscription `{id}`"), request).await?;
        if !made && push {
            let request = clients.subscriptions.modify_push_config().set_subscription(clients.subscription(id));
            call(&format!("redirect subscription `{id}`"), request.set_or_clear_push_config(push_config).send()).await?;
        }
    }
    Ok(())
}

/// Makes queues and jobs.
pub(super) async fn tasks_and_jobs(clients: &Clients, base: &str) -> Result<()> {
    for queue in QUEUES {
        let Queue { id, location, paused, .. } = *queue;
        let (parent, wanted) = (clients.location(location), wire_queue(clients, queue));
        let name = wanted.name.clone();
        make(&format!("make queue `{id}`"), clients.tasks.create_queue().set_parent(parent).set_queue(wanted).send()).await?;
        if paused {
            call(&format!("pause queue `{id}`"), clients.tasks.pause_queue().set_name(name).send()).await?;
        }
    }
    for job in JOBS {
        let Job { id, location, paused, run_at_start, .. } = *job;
        let wanted = wire_job(clients, job, base);
        let name = wanted.name.clone();
        let request = clients.jobs.create_job().set_parent(clients.location(location)).set_job(wanted.clone());
        if !make(&format!("make job `{id}`"), request.send()).await? {
            call(&format!("redirect job `{id}`"), clients.jobs.update_job().set_job(wanted).send()).await?;
        }
        if paused {
            call(&format!("pause job `{id}`"), clients.jobs.pause_job().set_name(&name).send()).await?;
        }
        if run_at_start {
            call(&format!("run job `{id}`"), clients.jobs.run_job().set_name(&name).send()).await?;
        }
    }
    Ok(())
}

fn wire_subscription(clients: &Clients, wanted: &Subscription, base: &str) -> PubSubSubscription {
    let backoff = RetryPolicy::new().set_minimum_backoff(millis(BACKOFF_MS.0)).set_maximum_backoff(millis(BACKOFF_MS.1));
    let dead_letters = wanted
        .dead_letters
        .map(|(topic, attempts)| DeadLetterPolicy::new().set_dead_letter_topic(clients.topic(topic)).set_max_delivery_attempts(attempts));
    let push = wanted.push.then(|| PushConfig::new().set_push_endpoint(format!("{base}/pubsub/{}", wanted.id)));
    PubSubSubscription::new()
        .set_name(clients.subscription(wanted.id))
        .set_topic(clients.topic(wanted.topic))
        .set_ack_deadline_seconds(ACK_DEADLINE_SECONDS)
        .set_enable_message_ordering(wanted.ordered)
        .set_filter(wanted.filter)
        .set_or_clear_dead_letter_policy(dead_letters)
        .set_or_clear_push_config(push)
        .set_retry_policy(backoff)
}

fn wire_queue(clients: &Clients, wanted: &Queue) -> TasksQueue {
    let limits =
        RateLimits::new().set_max_dispatches_per_second(wanted.per_second_max).set_max_concurrent_dispatches(wanted.concurrent_max);
    let retry = RetryConfig::new()
        .set_max_attempts(wanted.attempts_max)
        .set_min_backoff(millis(wanted.backoff_min_ms))
        .set_max_backoff(millis(wanted.backoff_max_ms));
    TasksQueue::new()
        .set_name(format!("{}/queues/{}", clients.location(wanted.location), wanted.id))
        .set_rate_limits(limits)
        .set_retry_config(retry)
}

fn wire_job(clients: &Clients, wanted: &Job, base: &str) -> SchedulerJob {
    let job = SchedulerJob::new()
        .set_name(format!("{}/jobs/{}", clients.location(wanted.location), wanted.id))
        .set_description(wanted.description)
        .set_schedule(wanted.schedule)
        .set_time_zone(wanted.time_zone);
    match wanted.run {
        Run::Post => {
            let target = HttpTarget::new().set_uri(format!("{base}/jobs/{}", wanted.id)).set_http_method(HttpMethod::Post);
            job.set_http_target(target.set_body(r#"{"asked_by":"schedule"}"#))
        }
        Run::Publish(topic) => {
            let target = PubsubTarget::new().set_topic_name(clients.topic(topic)).set_data(r#"{"report":"sales","minutes":1}"#);
            job.set_pubsub_target(target.set_attributes([("kind", "report")]))
        }
    }
}

fn millis(ms: u64) -> WireDuration {
    WireDuration::try_from(Duration::from_millis(ms)).expect("a constant of seconds is in range")
}

//! What is desired, as Google's own models say it.

use std::time::Duration;

use google_cloud_pubsub::model as pubsub;
use google_cloud_pubsub::model::push_config::{NoWrapper, OidcToken as PushToken};
use google_cloud_scheduler_v1::model as scheduler;
use google_cloud_tasks_v2::model as tasks;

use super::desired::{Job, Push, Queue, Subscription, Wrapping};
use super::found::Labels;

fn span(span: Duration) -> google_cloud_wkt::Duration {
    google_cloud_wkt::Duration::clamp(i64::try_from(span.as_secs()).unwrap_or(i64::MAX), 0)
}

pub(super) fn topic(labels: &Labels) -> pubsub::Topic {
    pubsub::Topic::new().set_labels(labels.0.clone())
}

pub(super) fn subscription(wanted: &Subscription, labels: &Labels) -> pubsub::Subscription {
    let policy = wanted.dead_letters.as_ref().map(|policy| {
        let attempts = i32::try_from(policy.attempts_max).unwrap_or(i32::MAX);
        pubsub::DeadLetterPolicy::new().set_dead_letter_topic(policy.topic.to_string()).set_max_delivery_attempts(attempts)
    });
    let retry = wanted.backoff.map(|(min, max)| pubsub::RetryPolicy::new().set_minimum_backoff(span(min)).set_maximum_backoff(span(max)));
    let expiration = pubsub::ExpirationPolicy::new().set_or_clear_ttl(wanted.expires.map(span));
    pubsub::Subscription::new()
        .set_topic(wanted.topic.as_ref().map(ToString::to_string).unwrap_or_default())
        .set_labels(labels.0.clone())
        .set_ack_deadline_seconds(i32::try_from(wanted.ack_deadline.as_secs()).unwrap_or(i32::MAX))
        .set_filter(wanted.filter.as_str())
        .set_enable_message_ordering(wanted.ordered)
        .set_enable_exactly_once_delivery(wanted.exactly_once)
        .set_or_clear_push_config(wanted.push.as_ref().map(push))
        .set_or_clear_dead_letter_policy(policy)
        .set_or_clear_retry_policy(retry)
        .set_or_clear_message_retention_duration(wanted.retention.map(span))
        .set_expiration_policy(expiration)
}

fn push(push: &Push) -> pubsub::PushConfig {
    let config = pubsub::PushConfig::new().set_push_endpoint(push.endpoint.as_str());
    let config = match push.wrapping {
        Wrapping::Wrapped => config,
        Wrapping::WithMetadata => config.set_no_wrapper(NoWrapper::new().set_write_metadata(true)),
        Wrapping::Bare => config.set_no_wrapper(NoWrapper::new()),
    };
    match &push.token {
        Some((account, audience)) => {
            config.set_oidc_token(PushToken::new().set_service_account_email(account.as_str()).set_audience(audience.as_str()))
        }
        None => config,
    }
}

pub(super) fn queue(wanted: &Queue) -> tasks::Queue {
    let queue = tasks::Queue::new().set_name(wanted.name.to_string());
    if wanted.endless {
        let forever = tasks::RetryConfig::new().set_max_attempts(-1).set_max_retry_duration(span(Duration::ZERO));
        queue.set_retry_config(forever)
    } else {
        queue
    }
}

pub(super) fn job(wanted: &Job) -> scheduler::Job {
    let target = scheduler::HttpTarget::new()
        .set_uri(wanted.url.as_str())
        .set_http_method(scheduler::HttpMethod::Post)
        .set_headers(wanted.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .set_body(wanted.body.clone());
    let target = match &wanted.token {
        Some((account, audience)) => {
            target.set_oidc_token(scheduler::OidcToken::new().set_service_account_email(account.as_str()).set_audience(audience.as_str()))
        }
        None => target,
    };
    scheduler::Job::new()
        .set_name(wanted.name.to_string())
        .set_description(wanted.description.as_str())
        .set_schedule(wanted.schedule.as_str())
        .set_time_zone(wanted.time_zone.as_str())
        .set_http_target(target)
        .set_retry_config(scheduler::RetryConfig::new().set_retry_count(i32::try_from(wanted.retries).unwrap_or(i32::MAX)))
        .set_attempt_deadline(span(wanted.attempt_deadline))
}

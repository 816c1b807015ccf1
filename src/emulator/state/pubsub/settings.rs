//! A subscription's settings: defaults, limits and update masks.

use jiff::SignedDuration;
use prost_types::Duration as PbDuration;

use super::convert::{duration, pb_duration};
use super::{labels, mask, names};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Code, Refusal};
use crate::model::filter::Filter;

const MINUTE_S: i64 = 60;
const DAY_S: i64 = 24 * 60 * MINUTE_S;

/// Ack deadline, in seconds, of subscriptions that name none.
const ACK_DEADLINE_S_DEFAULT: i32 = 10;
/// Retention, in seconds, of subscriptions that name none.
const RETENTION_S_DEFAULT: i64 = 7 * DAY_S;
/// Idle time, in seconds, after which subscriptions that name none expire.
const EXPIRATION_S_DEFAULT: i64 = 31 * DAY_S;
/// Deliveries before a dead letter, of policies that name none.
const DELIVERY_ATTEMPTS_DEFAULT: i32 = 5;
/// Back-off, in seconds, of retry policies that name none.
const BACKOFF_S_DEFAULT: (i64, i64) = (10, 600);
/// Fields that never change.
const FIXED: [&str; 5] = ["name", "topic", "filter", "enable_message_ordering", "detached"];

/// Fills in the defaults and refuses what Pub/Sub refuses; returns the parsed filter.
pub(super) fn complete(settings: &mut pb::Subscription) -> Result<Option<Filter>, Refusal> {
    if settings.ack_deadline_seconds == 0 {
        settings.ack_deadline_seconds = ACK_DEADLINE_S_DEFAULT;
    }
    let deadline = settings.ack_deadline_seconds;
    if !(10..=600).contains(&deadline) {
        return Err(Refusal::invalid(format!(
            "Invalid ack deadline given (ack_deadline={deadline}). The ack deadline must be between 10 and 600 seconds."
        )));
    }
    labels::check(&settings.labels)?;
    check_transforms(&settings.message_transforms)?;
    let retention = settings.message_retention_duration.get_or_insert(pb_duration(RETENTION_S_DEFAULT));
    check_retention(retention)?;
    complete_expiration(settings)?;
    if let Some(policy) = &mut settings.dead_letter_policy {
        complete_dead_letters(policy)?;
    }
    if let Some(policy) = &mut settings.retry_policy {
        complete_retries(policy)?;
    }
    complete_delivery(settings)?;
    settings.state = pb::subscription::State::Active.into();
    settings.tags.clear();
    if settings.filter.is_empty() {
        return Ok(None);
    }
    let filter = settings.filter.parse().map_err(|error| Refusal::invalid(format!("Invalid filter given: {error}.")))?;
    Ok(Some(filter))
}

/// Refuses transforms that would have to run: a test must not take messages that never met them for those that did.
pub(super) fn check_transforms(transforms: &[pb::MessageTransform]) -> Result<(), Refusal> {
    if transforms.iter().all(|transform| transform.disabled) {
        return Ok(());
    }
    let why = "The emulator does not run message transforms. Give it those that are disabled, or none.";
    Err(Refusal::new(Code::Unimplemented, why))
}

/// Checks how long messages are kept, by a topic or a subscription.
pub(super) fn check_retention(retention: &PbDuration) -> Result<(), Refusal> {
    in_range(retention, 10 * MINUTE_S, 31 * DAY_S, "message_retention_duration", "10 minutes and 31 days")
}

fn in_range(value: &PbDuration, min_s: i64, max_s: i64, field: &str, says: &str) -> Result<(), Refusal> {
    let range = SignedDuration::from_secs(min_s)..=SignedDuration::from_secs(max_s);
    if range.contains(&duration(value)) {
        return Ok(());
    }
    let given = duration(value).as_secs_f64();
    Err(Refusal::invalid(format!("Invalid {field} given ({field}={given}s). It must be between {says}.")))
}

/// An expiration policy without a time to live means: never.
fn complete_expiration(settings: &mut pb::Subscription) -> Result<(), Refusal> {
    let policy = settings.expiration_policy.get_or_insert_with(|| pb::ExpirationPolicy { ttl: Some(pb_duration(EXPIRATION_S_DEFAULT)) });
    match &policy.ttl {
        Some(ttl) if duration(ttl) < SignedDuration::from_secs(DAY_S) => {
            Err(Refusal::invalid("Invalid expiration policy given: the time to live must be at least 1 day."))
        }
        _ => Ok(()),
    }
}

fn complete_dead_letters(policy: &mut pb::DeadLetterPolicy) -> Result<(), Refusal> {
    names::check_field("dead_letter_topic", &policy.dead_letter_topic, "topics")?;
    if policy.max_delivery_attempts == 0 {
        policy.max_delivery_attempts = DELIVERY_ATTEMPTS_DEFAULT;
    }
    let attempts = policy.max_delivery_attempts;
    if !(5..=100).contains(&attempts) {
        return Err(Refusal::invalid(format!(
            "Invalid dead letter policy given (max_delivery_attempts={attempts}). It must be between 5 and 100."
        )));
    }
    Ok(())
}

fn complete_retries(policy: &mut pb::RetryPolicy) -> Result<(), Refusal> {
    let (min_default, max_default) = BACKOFF_S_DEFAULT;
    let min = policy.minimum_backoff.get_or_insert(pb_duration(min_default));
    in_range(min, 0, 600, "minimum_backoff", "0 and 600 seconds")?;
    let min = duration(min);
    let max = policy.maximum_backoff.get_or_insert(pb_duration(max_default));
    in_range(max, 0, 600, "maximum_backoff", "0 and 600 seconds")?;
    if duration(max) < min {
        return Err(Refusal::invalid("Invalid retry policy given: minimum_backoff must not be more than maximum_backoff."));
    }
    Ok(())
}

/// Exactly one of pull, push and the exports; pull is an empty push configuration, as Google returns it.
fn complete_delivery(settings: &mut pb::Subscription) -> Result<(), Refusal> {
    let push = settings.push_config.get_or_insert_default();
    let endpoint = &push.push_endpoint;
    let pushes = !endpoint.is_empty();
    if pushes && !is_http_url(endpoint) {
        return Err(Refusal::invalid(format!("Invalid push endpoint given (endpoint={endpoint}).")));
    }
    let others = [settings.bigquery_config.is_some(), settings.cloud_storage_config.is_some(), settings.bigtable_config.is_some()];
    if usize::from(pushes) + others.into_iter().filter(|set| *set).count() > 1 {
        return Err(Refusal::invalid("At most one of push_config, bigquery_config, cloud_storage_config and bigtable_config may be set."));
    }
    if settings.enable_exactly_once_delivery && pushes {
        return Err(Refusal::invalid("Exactly-once delivery is not supported for push subscriptions."));
    }
    Ok(())
}

/// Plain `http` is let through, unlike by Google: endpoints of an emulator are on the same machine.
fn is_http_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

/// Copies the named fields from `new`; those that never change are refused.
pub(super) fn update(settings: &mut pb::Subscription, new: &pb::Subscription, paths: &[String]) -> Result<(), Refusal> {
    for path in paths {
        if path.contains('.') {
            update_part(settings, new, path)?;
            continue;
        }
        let new = new.clone();
        match path.as_str() {
            "ack_deadline_seconds" => settings.ack_deadline_seconds = new.ack_deadline_seconds,
            "bigquery_config" => settings.bigquery_config = new.bigquery_config,
            "bigtable_config" => settings.bigtable_config = new.bigtable_config,
            "cloud_storage_config" => settings.cloud_storage_config = new.cloud_storage_config,
            "dead_letter_policy" => settings.dead_letter_policy = new.dead_letter_policy,
            "enable_exactly_once_delivery" => settings.enable_exactly_once_delivery = new.enable_exactly_once_delivery,
            "expiration_policy" => settings.expiration_policy = new.expiration_policy,
            "labels" => settings.labels = new.labels,
            "message_retention_duration" => settings.message_retention_duration = new.message_retention_duration,
            "message_transforms" => settings.message_transforms = new.message_transforms,
            "push_config" => settings.push_config = new.push_config,
            "retain_acked_messages" => settings.retain_acked_messages = new.retain_acked_messages,
            "retry_policy" => settings.retry_policy = new.retry_policy,
            _ => return Err(bad_path(path, "Subscription", &FIXED)),
        }
    }
    Ok(())
}

/// Copies a field inside one of the messages of the settings that may change.
fn update_part(settings: &mut pb::Subscription, new: &pb::Subscription, path: &str) -> Result<(), Refusal> {
    let parts = [
        "bigquery_config.",
        "bigtable_config.",
        "cloud_storage_config.",
        "dead_letter_policy.",
        "expiration_policy.",
        "push_config.",
        "retry_policy.",
    ];
    if parts.iter().any(|part| path.starts_with(part)) && mask::copy(settings, new, "google.pubsub.v1.Subscription", path) {
        return Ok(());
    }
    Err(bad_path(path, "Subscription", &FIXED))
}

/// The refusal of a path in an update mask: a field that cannot change, or none at all.
pub(super) fn bad_path(path: &str, resource: &str, fixed: &[&str]) -> Refusal {
    let mask = format!("Invalid update_mask provided in the Update{resource}Request:");
    if fixed.contains(&path) {
        return Refusal::invalid(format!("{mask} the '{path}' field in the {resource} is not mutable."));
    }
    Refusal::invalid(format!(
        "{mask} '{path}' is not a known {resource} field. Note that field paths must be of the form 'push_config' rather than 'pushConfig'."
    ))
}

/// Takes the paths of a mask, which must not be empty.
pub(super) fn paths(mask: Option<prost_types::FieldMask>, resource: &str) -> Result<Vec<String>, Refusal> {
    mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty()).ok_or_else(|| {
        Refusal::invalid(format!("The update_mask in the Update{resource}Request must be set, and must contain a non-empty paths list."))
    })
}

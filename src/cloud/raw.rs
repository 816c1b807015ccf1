//! Google's own JSON of a resource. The official models write enumerations as numbers; Google's REST interface writes their names.

use google_cloud_pubsub::model as pubsub;
use google_cloud_scheduler_v1::model as scheduler;
use google_cloud_tasks_v2::model as tasks;
use serde::Serialize;
use serde_json::Value;

/// A place in a resource that holds an enumeration, and how its numbers are called.
type Enumeration = (&'static str, fn(i32) -> Option<String>);

macro_rules! named {
    ($($pointer:literal => $type:path),* $(,)?) => {
        &[$(($pointer, |number| <$type>::from(number).name().map(str::to_owned))),*]
    };
}

const QUEUE: &[Enumeration] = named! {
    "/state" => tasks::queue::State,
    "/httpTarget/httpMethod" => tasks::HttpMethod,
    "/httpTarget/uriOverride/scheme" => tasks::uri_override::Scheme,
    "/httpTarget/uriOverride/uriOverrideEnforceMode" => tasks::uri_override::UriOverrideEnforceMode,
};

const TASK: &[Enumeration] = named! {
    "/view" => tasks::task::View,
    "/httpRequest/httpMethod" => tasks::HttpMethod,
    "/appEngineHttpRequest/httpMethod" => tasks::HttpMethod,
};

const JOB: &[Enumeration] = named! {
    "/state" => scheduler::job::State,
    "/httpTarget/httpMethod" => scheduler::HttpMethod,
    "/appEngineHttpTarget/httpMethod" => scheduler::HttpMethod,
};

const TOPIC: &[Enumeration] = named! {
    "/state" => pubsub::topic::State,
    "/schemaSettings/encoding" => pubsub::Encoding,
    "/ingestionDataSourceSettings/platformLogsSettings/severity" => pubsub::platform_logs_settings::Severity,
    "/ingestionDataSourceSettings/awsKinesis/state" => pubsub::ingestion_data_source_settings::aws_kinesis::State,
    "/ingestionDataSourceSettings/cloudStorage/state" => pubsub::ingestion_data_source_settings::cloud_storage::State,
    "/ingestionDataSourceSettings/azureEventHubs/state" => pubsub::ingestion_data_source_settings::azure_event_hubs::State,
    "/ingestionDataSourceSettings/awsMsk/state" => pubsub::ingestion_data_source_settings::aws_msk::State,
    "/ingestionDataSourceSettings/confluentCloud/state" => pubsub::ingestion_data_source_settings::confluent_cloud::State,
};

const SUBSCRIPTION: &[Enumeration] = named! {
    "/state" => pubsub::subscription::State,
    "/bigqueryConfig/state" => pubsub::big_query_config::State,
    "/bigtableConfig/state" => pubsub::bigtable_config::State,
    "/cloudStorageConfig/state" => pubsub::cloud_storage_config::State,
};

pub(crate) fn queue(queue: &tasks::Queue) -> Value {
    write(queue, QUEUE)
}

pub(crate) fn task(task: &tasks::Task) -> Value {
    write(task, TASK)
}

pub(crate) fn job(job: &scheduler::Job) -> Value {
    write(job, JOB)
}

pub(crate) fn topic(topic: &pubsub::Topic) -> Value {
    write(topic, TOPIC)
}

pub(crate) fn subscription(subscription: &pubsub::Subscription) -> Value {
    write(subscription, SUBSCRIPTION)
}

fn write(resource: &impl Serialize, enumerations: &[Enumeration]) -> Value {
    // Only maps with keys that are no strings could fail, and no model has one.
    let mut raw = serde_json::to_value(resource).unwrap_or_default();
    for (pointer, name) in enumerations {
        if let Some(value) = raw.pointer_mut(pointer) {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            if let Some(name) = number.and_then(name) {
                *value = Value::String(name);
            }
        }
    }
    raw
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn enumerations_have_their_names() {
        let of = |name: &str| tasks::Queue::new().set_name("q").set_state(tasks::queue::State::from(name));
        assert_eq!(queue(&of("PAUSED")), json!({"name": "q", "state": "PAUSED"}));
        assert_eq!(queue(&of("A_NEW_STATE")), json!({"name": "q", "state": "A_NEW_STATE"}));
        let request = tasks::HttpRequest::new().set_url("http://h/").set_http_method("PUT");
        let made = tasks::Task::new().set_http_request(request).set_view("FULL").set_dispatch_count(3);
        let expected = json!({"dispatchCount": 3, "view": "FULL", "httpRequest": {"url": "http://h/", "httpMethod": "PUT"}});
        assert_eq!(task(&made), expected);
    }

    /// Numbers as the emulator and Google send them to the official clients.
    #[test]
    fn numbers_become_names_everywhere() {
        let cases = [
            (
                TOPIC,
                json!({"state": 1, "schemaSettings": {"encoding": 1}}),
                json!({"state": "ACTIVE", "schemaSettings": {"encoding": "JSON"}}),
            ),
            (
                SUBSCRIPTION,
                json!({"state": 2, "bigqueryConfig": {"state": 1}}),
                json!({"state": "RESOURCE_ERROR", "bigqueryConfig": {"state": "ACTIVE"}}),
            ),
            (JOB, json!({"state": 2, "httpTarget": {"httpMethod": 1}}), json!({"state": "PAUSED", "httpTarget": {"httpMethod": "POST"}})),
            (JOB, json!({"state": 99}), json!({"state": 99})),
            (TASK, json!({"view": "FULL"}), json!({"view": "FULL"})),
        ];
        for (enumerations, given, expected) in cases {
            assert_eq!(write(&given, enumerations), expected);
        }
    }
}

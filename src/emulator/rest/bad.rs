//! Bad requests of every kind, each over REST and, where it can be said at all, over gRPC: the right code, and a text that says what was wrong.

use serde_json::json;

use super::*;
use crate::emulator::engine::Engine;

/// Method, URI, body, code, a part of the text.
type Row = (&'static str, &'static str, &'static str, Code, &'static str);

use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound};

const TOPIC: &str = "/v1/projects/p/topics/one";
const SUBSCRIPTION: &str = "/v1/projects/p/subscriptions/one";
const NEW_SUBSCRIPTION: &str = "/v1/projects/p/subscriptions/new";
const QUEUES: &str = "/v2/projects/p/locations/l/queues";
const TASKS: &str = "/v2/projects/p/locations/l/queues/one/tasks";
const JOBS: &str = "/v1/projects/p/locations/l/jobs";

/// What no message can be made of: only REST can say it.
const MALFORMED: &[Row] = &[
    ("GET", "/", "", NotFound, "was not found on this server"),
    ("GET", "/v9/projects/p/topics", "", NotFound, "/v9/projects/p/topics was not found"),
    ("DELETE", "/v1/projects/p/topics", "", NotFound, "DELETE /v1/projects/p/topics was not found"),
    ("POST", "/v1/projects/p/topics/one:explode", "{}", NotFound, ":explode"),
    ("PUT", TOPIC, "{", InvalidArgument, "Invalid JSON payload"),
    ("PUT", TOPIC, "[]", InvalidArgument, "Invalid JSON payload"),
    ("PUT", TOPIC, "null x", InvalidArgument, "Invalid JSON payload"),
    ("PUT", TOPIC, "\"text\"", InvalidArgument, "Invalid"),
    ("PUT", TOPIC, r#"{"nonsense": 1}"#, InvalidArgument, "\"nonsense\""),
    ("PUT", TOPIC, r#"{"labels": 1}"#, InvalidArgument, "labels"),
    ("PUT", TOPIC, r#"{"labels": {"a": 1}}"#, InvalidArgument, "labels"),
    ("PUT", TOPIC, r#"{"messageRetentionDuration": "1 day"}"#, InvalidArgument, "message_retention_duration"),
    ("PUT", TOPIC, r#"{"messageRetentionDuration": 5}"#, InvalidArgument, "message_retention_duration"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"ackDeadlineSeconds": "ten"}"#, InvalidArgument, "ack_deadline_seconds"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"ackDeadlineSeconds": 1.5}"#, InvalidArgument, "ack_deadline_seconds"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"ackDeadlineSeconds": 3000000000}"#, InvalidArgument, "ack_deadline_seconds"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"enableMessageOrdering": "yes"}"#, InvalidArgument, "enable_message_ordering"),
    ("POST", "/v1/projects/p/topics/one:publish", r#"{"messages": [{"data": "%%%"}]}"#, InvalidArgument, "data"),
    ("POST", "/v1/projects/p/topics/one:publish", r#"{"messages": {}}"#, InvalidArgument, "messages"),
    ("POST", "/v1/projects/p/subscriptions/one:seek", r#"{"time": "yesterday"}"#, InvalidArgument, "time"),
    ("GET", "/v1/projects/p/topics?pageSize=many", "", InvalidArgument, "page_size"),
    ("GET", "/v1/projects/p/topics?colour=red", "", InvalidArgument, "colour"),
    ("GET", "/v1/projects/p/topics/%ff", "", InvalidArgument, "UTF-8"),
    ("POST", TASKS, r#"{"task": {"httpRequest": {"url": "http://x/", "httpMethod": "BREW"}}}"#, InvalidArgument, "http_method"),
    ("POST", TASKS, r#"{"task": {"httpRequest": {}, "appEngineHttpRequest": {}}}"#, InvalidArgument, "oneof"),
];

/// What the services refuse, over gRPC and REST alike.
const REFUSED: &[Row] = &[
    // Names.
    ("PUT", "/v1/projects/p/topics/x", "{}", InvalidArgument, "projects/p/topics/x"),
    ("PUT", "/v1/projects/p/topics/goog-x", "{}", InvalidArgument, "goog-x"),
    ("PUT", "/v1/projects/p/topics/0nine", "{}", InvalidArgument, "0nine"),
    ("PUT", TOPIC, "{}", AlreadyExists, "resource=one"),
    ("GET", "/v1/projects/p/topics/none", "", NotFound, "resource=none"),
    ("DELETE", "/v1/projects/p/topics/none", "", NotFound, "resource=none"),
    ("GET", "/v1/projects/p/subscriptions/none", "", NotFound, "resource=none"),
    ("GET", "/v1/projects/p/snapshots/none", "", NotFound, "resource=none"),
    ("POST", "/v1/projects/p/subscriptions/none:detach", "", NotFound, "resource=none"),
    // Topics.
    ("PUT", "/v1/projects/p/topics/new", r#"{"messageRetentionDuration": "1s"}"#, InvalidArgument, "retention"),
    ("PUT", "/v1/projects/p/topics/new", r#"{"messageRetentionDuration": "99999999s"}"#, InvalidArgument, "retention"),
    ("PATCH", TOPIC, r#"{"topic": {}}"#, InvalidArgument, "update_mask"),
    ("PATCH", TOPIC, r#"{"topic": {}, "updateMask": "noSuch"}"#, InvalidArgument, "no_such"),
    ("PATCH", TOPIC, r#"{"topic": {}, "updateMask": "name"}"#, InvalidArgument, "name"),
    ("GET", "/v1/projects/p/topics?pageToken=%21", "", InvalidArgument, "page token"),
    ("GET", "/v1/projects/p/topics?pageSize=-1", "", InvalidArgument, "page"),
    // Publishing.
    ("POST", "/v1/projects/p/topics/none:publish", r#"{"messages": [{"data": "YQ=="}]}"#, NotFound, "resource=none"),
    ("POST", "/v1/projects/p/topics/one:publish", "{}", InvalidArgument, "message_count"),
    ("POST", "/v1/projects/p/topics/one:publish", r#"{"messages": [{}]}"#, InvalidArgument, "empty"),
    ("POST", "/v1/projects/p/topics/one:publish", r#"{"messages": [{"attributes": {"": "x"}}]}"#, InvalidArgument, "attribute keys"),
    // Subscriptions.
    ("PUT", NEW_SUBSCRIPTION, "{}", InvalidArgument, "(name=)"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "orders"}"#, InvalidArgument, "orders"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "projects/p/topics/none"}"#, NotFound, "resource=none"),
    ("PUT", SUBSCRIPTION, r#"{"topic": "projects/p/topics/one"}"#, AlreadyExists, "resource=one"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "projects/p/topics/one", "ackDeadlineSeconds": 5}"#, InvalidArgument, "ack deadline"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "projects/p/topics/one", "ackDeadlineSeconds": 601}"#, InvalidArgument, "ack deadline"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "projects/p/topics/one", "messageRetentionDuration": "1s"}"#, InvalidArgument, "retention"),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "projects/p/topics/one", "filter": "attributes.a = 1"}"#, InvalidArgument, "column"),
    (
        "PUT",
        NEW_SUBSCRIPTION,
        r#"{"topic": "projects/p/topics/one", "pushConfig": {"pushEndpoint": "ftp://x"}}"#,
        InvalidArgument,
        "ftp://x",
    ),
    (
        "PUT",
        NEW_SUBSCRIPTION,
        r#"{"topic": "projects/p/topics/one", "retryPolicy": {"minimumBackoff": "700s"}}"#,
        InvalidArgument,
        "backoff",
    ),
    (
        "PUT",
        NEW_SUBSCRIPTION,
        r#"{"topic": "projects/p/topics/one", "retryPolicy": {"minimumBackoff": "20s", "maximumBackoff": "10s"}}"#,
        InvalidArgument,
        "backoff",
    ),
    (
        "PUT",
        NEW_SUBSCRIPTION,
        r#"{"topic": "projects/p/topics/one", "deadLetterPolicy": {"deadLetterTopic": "projects/p/topics/one", "maxDeliveryAttempts": 4}}"#,
        InvalidArgument,
        "max_delivery_attempts",
    ),
    (
        "PUT",
        NEW_SUBSCRIPTION,
        r#"{"topic": "projects/p/topics/one", "deadLetterPolicy": {"deadLetterTopic": "dead"}}"#,
        InvalidArgument,
        "dead",
    ),
    ("PUT", NEW_SUBSCRIPTION, r#"{"topic": "projects/p/topics/one", "expirationPolicy": {"ttl": "60s"}}"#, InvalidArgument, "time to live"),
    ("PATCH", SUBSCRIPTION, r#"{"subscription": {}}"#, InvalidArgument, "update_mask"),
    ("PATCH", SUBSCRIPTION, r#"{"subscription": {"filter": "attributes:a"}, "updateMask": "filter"}"#, InvalidArgument, "filter"),
    ("PATCH", SUBSCRIPTION, r#"{"subscription": {"topic": "projects/p/topics/one"}, "updateMask": "topic"}"#, InvalidArgument, "topic"),
    (
        "POST",
        "/v1/projects/p/subscriptions/one:modifyPushConfig",
        r#"{"pushConfig": {"pushEndpoint": "nowhere"}}"#,
        InvalidArgument,
        "nowhere",
    ),
    // Pulling and settling.
    ("POST", "/v1/projects/p/subscriptions/one:pull", "{}", InvalidArgument, "max_messages"),
    ("POST", "/v1/projects/p/subscriptions/one:pull", r#"{"maxMessages": -1}"#, InvalidArgument, "-1"),
    ("POST", "/v1/projects/p/subscriptions/none:pull", r#"{"maxMessages": 1}"#, NotFound, "resource=none"),
    ("POST", "/v1/projects/p/subscriptions/pushed:pull", r#"{"maxMessages": 1}"#, FailedPrecondition, "not supported"),
    ("POST", "/v1/projects/p/subscriptions/one:acknowledge", "{}", InvalidArgument, "ack ids"),
    ("POST", "/v1/projects/p/subscriptions/one:acknowledge", r#"{"ackIds": ["nonsense"]}"#, InvalidArgument, "nonsense"),
    (
        "POST",
        "/v1/projects/p/subscriptions/one:modifyAckDeadline",
        r#"{"ackIds": ["x"], "ackDeadlineSeconds": 601}"#,
        InvalidArgument,
        "601",
    ),
    ("POST", "/v1/projects/p/subscriptions/one:modifyAckDeadline", r#"{"ackIds": ["x"], "ackDeadlineSeconds": -1}"#, InvalidArgument, "-1"),
    ("POST", "/v1/projects/p/subscriptions/one:seek", "{}", InvalidArgument, "target"),
    ("POST", "/v1/projects/p/subscriptions/one:seek", r#"{"snapshot": "projects/p/snapshots/none"}"#, NotFound, "resource=none"),
    ("PUT", "/v1/projects/p/snapshots/snap", r#"{"subscription": "projects/p/subscriptions/none"}"#, NotFound, "resource=none"),
    ("PUT", "/v1/projects/p/snapshots/snap", "{}", InvalidArgument, "(name=)"),
    // Queues.
    ("POST", QUEUES, "{}", InvalidArgument, "name"),
    ("POST", QUEUES, r#"{"name": "emails"}"#, InvalidArgument, "name"),
    (
        "POST",
        QUEUES,
        r#"{"name": "projects/p/locations/other/queues/x"}"#,
        InvalidArgument,
        "queues/x must begin with projects/p/locations/l.",
    ),
    ("POST", QUEUES, r#"{"name": "projects/p/locations/l/queues/one"}"#, AlreadyExists, "already exists"),
    (
        "POST",
        QUEUES,
        r#"{"name": "projects/p/locations/l/queues/x", "rateLimits": {"maxDispatchesPerSecond": 501}}"#,
        InvalidArgument,
        "maxDispatchesPerSecond",
    ),
    (
        "POST",
        QUEUES,
        r#"{"name": "projects/p/locations/l/queues/x", "rateLimits": {"maxDispatchesPerSecond": -1}}"#,
        InvalidArgument,
        "maxDispatchesPerSecond",
    ),
    (
        "POST",
        QUEUES,
        r#"{"name": "projects/p/locations/l/queues/x", "rateLimits": {"maxConcurrentDispatches": 5001}}"#,
        InvalidArgument,
        "maxConcurrentDispatches",
    ),
    ("POST", QUEUES, r#"{"name": "projects/p/locations/l/queues/x", "retryConfig": {"maxAttempts": -2}}"#, InvalidArgument, "maxAttempts"),
    (
        "POST",
        QUEUES,
        r#"{"name": "projects/p/locations/l/queues/x", "retryConfig": {"minBackoff": "10s", "maxBackoff": "1s"}}"#,
        InvalidArgument,
        "Backoff",
    ),
    ("GET", "/v2/projects/p/locations/l/queues/none", "", NotFound, "Queue does not exist"),
    ("DELETE", "/v2/projects/p/locations/l/queues/none", "", NotFound, "Requested entity was not found."),
    ("POST", "/v2/projects/p/locations/l/queues/none:pause", "{}", NotFound, "Queue does not exist"),
    ("POST", "/v2/projects/p/locations/l/queues/none:purge", "{}", NotFound, "Queue does not exist"),
    ("PATCH", "/v2/projects/p/locations/l/queues/one?updateMask=noSuch", "{}", InvalidArgument, "Invalid mask: no_such"),
    ("GET", "/v2/projects/p/locations/l/queues?pageToken=x", "", InvalidArgument, "Invalid page_token"),
    ("GET", "/v2/projects/p/locations/l/queues?pageSize=-1", "", InvalidArgument, "ListQueuesRequest.pageSize cannot be negative."),
    ("GET", "/v2/projects/p/locations/l/queues?filter=colour%3Dred", "", InvalidArgument, "Field not found: 'colour'."),
    // Tasks.
    ("POST", TASKS, "{}", InvalidArgument, "Task.payload_type is not set."),
    ("POST", TASKS, r#"{"task": {}}"#, InvalidArgument, "Task.payload_type is not set."),
    ("POST", TASKS, r#"{"task": {"httpRequest": {}}}"#, InvalidArgument, "url"),
    ("POST", TASKS, r#"{"task": {"httpRequest": {"url": "ftp://x/"}}}"#, InvalidArgument, "url"),
    ("POST", TASKS, r#"{"task": {"httpRequest": {"url": "http://x/", "httpMethod": "GET", "body": "YQ=="}}}"#, InvalidArgument, "Body can"),
    ("POST", TASKS, r#"{"task": {"httpRequest": {"url": "http://x/"}, "name": "t"}}"#, InvalidArgument, "Task name must be formatted"),
    (
        "POST",
        TASKS,
        r#"{"task": {"httpRequest": {"url": "http://x/"}, "name": "projects/p/locations/l/queues/two/tasks/t"}}"#,
        InvalidArgument,
        "must be the same",
    ),
    (
        "POST",
        TASKS,
        r#"{"task": {"httpRequest": {"url": "http://x/"}, "name": "projects/p/locations/l/queues/one/tasks/t"}}"#,
        AlreadyExists,
        "exist",
    ),
    (
        "POST",
        TASKS,
        r#"{"task": {"httpRequest": {"url": "http://x/"}, "scheduleTime": "2999-01-01T00:00:00Z"}}"#,
        InvalidArgument,
        "too far in the future",
    ),
    ("POST", TASKS, r#"{"task": {"httpRequest": {"url": "http://x/"}, "dispatchDeadline": "1s"}}"#, InvalidArgument, "dispatchDeadline"),
    ("POST", TASKS, r#"{"task": {"appEngineHttpRequest": {"relativeUri": "no-slash"}}}"#, InvalidArgument, "relative"),
    (
        "POST",
        "/v2/projects/p/locations/l/queues/none/tasks",
        r#"{"task": {"httpRequest": {"url": "http://x/"}}}"#,
        NotFound,
        "Queue does not exist",
    ),
    ("GET", "/v2/projects/p/locations/l/queues/one/tasks/none", "", NotFound, "Requested entity was not found"),
    ("DELETE", "/v2/projects/p/locations/l/queues/one/tasks/none", "", NotFound, "Requested entity was not found"),
    ("POST", "/v2/projects/p/locations/l/queues/one/tasks/none:run", "{}", NotFound, "Requested entity was not found"),
    ("GET", "/v2/projects/p/locations/l/queues/one/tasks?pageToken=x", "", InvalidArgument, "page"),
    // Jobs.
    ("POST", JOBS, "{}", InvalidArgument, "Schedule or time zone is invalid"),
    ("POST", JOBS, r#"{"name": "projects/p/locations/l/jobs/x"}"#, InvalidArgument, "Schedule or time zone is invalid"),
    ("POST", JOBS, r#"{"name": "projects/p/locations/l/jobs/x", "httpTarget": {"uri": "http://x/"}}"#, InvalidArgument, "chedule"),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/x", "schedule": "* * *", "httpTarget": {"uri": "http://x/"}}"#,
        InvalidArgument,
        "chedule",
    ),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/x", "schedule": "* * * * *", "timeZone": "Mars/Olympus", "httpTarget": {"uri": "http://x/"}}"#,
        InvalidArgument,
        "time zone is invalid",
    ),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/x", "schedule": "* * * * *", "httpTarget": {"uri": "x"}}"#,
        InvalidArgument,
        "uri",
    ),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/x", "schedule": "* * * * *", "pubsubTarget": {"topicName": "t"}}"#,
        InvalidArgument,
        "topic",
    ),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/x", "schedule": "* * * * *", "pubsubTarget": {"topicName": "projects/p/topics/one"}}"#,
        InvalidArgument,
        "data",
    ),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/x", "schedule": "* * * * *", "attemptDeadline": "1s", "httpTarget": {"uri": "http://x/"}}"#,
        InvalidArgument,
        "eadline",
    ),
    (
        "POST",
        JOBS,
        r#"{"name": "projects/p/locations/l/jobs/one", "schedule": "* * * * *", "httpTarget": {"uri": "http://x/"}}"#,
        AlreadyExists,
        "jobs/one",
    ),
    ("GET", "/v1/projects/p/locations/l/jobs/none", "", NotFound, "ob"),
    ("POST", "/v1/projects/p/locations/l/jobs/one:resume", "{}", FailedPrecondition, "ob"),
    ("POST", "/v1/projects/p/locations/l/jobs/none:run", "{}", NotFound, "ob"),
    ("PATCH", "/v1/projects/p/locations/l/jobs/one?updateMask=noSuch", "{}", InvalidArgument, "no_such"),
    // Monitoring.
    ("GET", "/v3/projects/p/timeSeries", "", InvalidArgument, "interval.endTime"),
    ("GET", "/v3/projects/p/timeSeries?filter=nonsense&interval.endTime=2026-01-01T00:00:00Z", "", InvalidArgument, "filter"),
];

/// What is there before: one of each, and a task and a job of the name `t` and `one`.
const GROUND: &[(&str, &str, &str)] = &[
    ("PUT", TOPIC, "{}"),
    ("PUT", SUBSCRIPTION, r#"{"topic": "projects/p/topics/one"}"#),
    (
        "PUT",
        "/v1/projects/p/subscriptions/pushed",
        r#"{"topic": "projects/p/topics/one", "pushConfig": {"pushEndpoint": "http://localhost:1/"}}"#,
    ),
    ("POST", QUEUES, r#"{"name": "projects/p/locations/l/queues/one"}"#),
    ("POST", "/v2/projects/p/locations/l/queues/one:pause", "{}"),
    ("POST", TASKS, r#"{"task": {"name": "projects/p/locations/l/queues/one/tasks/t", "httpRequest": {"url": "http://localhost:1/"}}}"#),
    ("POST", JOBS, r#"{"name": "projects/p/locations/l/jobs/one", "schedule": "0 0 1 1 *", "httpTarget": {"uri": "http://localhost:1/"}}"#),
];

fn request((method, uri, body): (&str, &str, &str)) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::from(body.to_owned())).expect("a request of the table")
}

/// The services with what the table speaks of.
async fn ground() -> Services {
    let services = Services::new(&Engine::start(1).0);
    for row in GROUND {
        let response = answer(&services, request(*row)).await;
        assert_eq!(response.status(), 200, "{row:?}");
    }
    services
}

/// What a row gets over REST: code and text.
async fn over_rest(services: &Services, &(method, uri, body, ..): &Row) -> (Json, String) {
    let response = answer(services, request((method, uri, body))).await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("a body in memory").to_bytes();
    let json: Json = serde_json::from_slice(&bytes).expect("an answer is JSON");
    assert_eq!(json["error"]["code"], status, "{method} {uri}: {json}");
    (json["error"]["status"].clone(), json["error"]["message"].as_str().unwrap_or_default().to_owned())
}

/// What the same message gets over gRPC.
async fn over_grpc(services: &Services, &(method, uri, body, ..): &Row) -> (Code, String) {
    let (parts, _) = request((method, uri, body)).into_parts();
    let (route, segments) = ROUTES.find(&parts.method, parts.uri.path()).expect("a route");
    let texts = variables(route, &segments).unwrap_or_else(|failure| panic!("{method} {uri}: {}", failure.message));
    let json = (!body.is_empty() && route.body != BodyRule::None).then(|| serde_json::from_str(body).expect("JSON"));
    let (message, _) = assemble(route, texts, &parts, json).unwrap_or_else(|failure| panic!("{method} {uri}: {}", failure.message));
    match invoke(services, route, &message, None).await {
        Ok(_) => panic!("{method} {uri} {body} is not refused"),
        Err(failure) => (failure.code, failure.message),
    }
}

fn named(code: Code) -> Json {
    match code {
        InvalidArgument => json!("INVALID_ARGUMENT"),
        NotFound => json!("NOT_FOUND"),
        AlreadyExists => json!("ALREADY_EXISTS"),
        FailedPrecondition => json!("FAILED_PRECONDITION"),
        other => panic!("{other:?} is not in the table"),
    }
}

#[tokio::test]
async fn bad_requests_get_the_right_code_and_a_text_that_says_what_was_wrong() {
    let services = ground().await;
    let mut wrong = Vec::new();
    for row in MALFORMED.iter().chain(REFUSED) {
        let (code, text) = (row.3, row.4);
        let (status, message) = over_rest(&services, row).await;
        if status != named(code) || !message.contains(text) {
            wrong.push(format!("{} {} {}\n    {status} {message}", row.0, row.1, row.2));
        }
    }
    for row in REFUSED {
        let (_, told) = over_rest(&services, row).await;
        let (code, message) = over_grpc(&services, row).await;
        if code != row.3 || message != told {
            wrong.push(format!("over gRPC: {} {} {}\n    {code:?} {message}", row.0, row.1, row.2));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_limit() {
    let services = ground().await;
    let publish = |messages: Json| ("POST", "/v1/projects/p/topics/one:publish", json!({"messages": messages}).to_string());
    let task = |body: usize| json!({"task": {"httpRequest": {"url": "http://localhost:1/", "body": "AAAA".repeat(body / 3)}}}).to_string();
    let many: Vec<Json> = (0..101).map(|number| json!(format!("a{number}"))).collect();
    let attributes: serde_json::Map<_, _> = many.iter().map(|key| (key.as_str().unwrap_or_default().to_owned(), json!("x"))).collect();
    let rows = [
        (publish(vec![json!({"data": "YQ=="}); 1001].into()), "message_count"),
        (publish(json!([{"data": "AAAA".repeat(3_400_000)}])), "10000000"),
        (publish(json!([{"attributes": attributes}])), "attribute_count"),
        (publish(json!([{"attributes": {"k".repeat(257): "x"}}])), "attribute_key_size"),
        (publish(json!([{"attributes": {"k": "x".repeat(1025)}}])), "attribute_value_size"),
        (publish(json!([{"data": "YQ==", "orderingKey": "k".repeat(1025)}])), "ordering_key_size"),
        (("POST", TASKS, task(1_100_000)), "Task size too large"),
        (("POST", TASKS, "x".repeat(BODY_BYTES_MAX + 1)), "Request payload size exceeds the limit"),
        (("PUT", NEW_SUBSCRIPTION, json!({"topic": "projects/p/topics/one", "filter": "(".repeat(257)}).to_string()), "256"),
    ];
    for ((method, uri, body), text) in rows {
        let response = answer(&services, request((method, uri, &body))).await;
        assert_eq!(response.status(), 400, "{text}");
        let bytes = response.into_body().collect().await.expect("a body in memory").to_bytes();
        let json: Json = serde_json::from_slice(&bytes).expect("an answer is JSON");
        assert!(json["error"]["message"].as_str().is_some_and(|message| message.contains(text)), "{text}: {json}");
    }
}

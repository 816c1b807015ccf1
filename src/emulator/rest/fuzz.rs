//! Damaged requests at every route: whatever comes as path, query and body, the answer is JSON, and a refusal says what was wrong.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::emulator::engine::Engine;
use crate::model::campaign::{damaged, explore};

/// Cases that CI runs, each of some requests at one emulator.
const CASES: u64 = 400;
const REQUESTS_MAX: usize = 6;

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"];
const PATHS: &[&str] = &[
    "/v1/projects/p/topics/one",
    "/v1/projects/p/topics/one:publish",
    "/v1/projects/p/topics?pageSize=1&pageToken=a",
    "/v1/projects/p/subscriptions/one",
    "/v1/projects/p/subscriptions/one:pull",
    "/v1/projects/p/subscriptions/one:acknowledge",
    "/v1/projects/p/subscriptions/one:modifyAckDeadline",
    "/v1/projects/p/subscriptions/one:seek",
    "/v1/projects/p/snapshots/one",
    "/v1/projects/p/schemas?schemaId=s",
    "/v1/projects/p/topics/one:setIamPolicy",
    "/v2/projects/p/locations/l/queues",
    "/v2/projects/p/locations/l/queues/q?updateMask=rateLimits.maxBurstSize,retryConfig",
    "/v2/projects/p/locations/l/queues/q/tasks?responseView=FULL",
    "/v2/projects/p/locations/l/queues/q/tasks/t:run",
    "/v2/projects/p/locations/l/queues/q/tasks/t:buffer",
    "/v2beta3/projects/p/locations/l/queues/q/tasks:buffer",
    "/v1/projects/p/locations/l/jobs",
    "/v1/projects/p/locations/l/jobs/j:pause",
    "/v3/projects/p/timeSeries?filter=metric.type%3D%22x%22&interval.endTime=2026-01-01T00:00:00Z",
];
const PATH_WORDS: &[&str] = &[
    "/",
    "//",
    ":",
    "?",
    "&",
    "=",
    "%",
    "%2F",
    "%00",
    "%C3%A9",
    "%zz",
    "*",
    "..",
    "~",
    "projects",
    "v1",
    "v2beta3",
    "$alt=json;enum-encoding=int",
    "$.xgafv=2",
    "name=",
    "pageSize=-1",
    "pageSize=9999999999",
    "updateMask=*",
    "labels.a=b",
    "alt=proto",
    "#",
];
const BODIES: &[&str] = &[
    "",
    "{}",
    r#"{"messages": [{"data": "aGk=", "attributes": {"a": "b"}, "orderingKey": "k"}]}"#,
    r#"{"topic": "projects/p/topics/one", "ackDeadlineSeconds": 10, "filter": "attributes:a", "retryPolicy": {"minimumBackoff": "1.5s"}}"#,
    r#"{"maxMessages": 10, "returnImmediately": true}"#,
    r#"{"ackIds": ["AAAA"], "ackDeadlineSeconds": 0}"#,
    r#"{"name": "projects/p/locations/l/queues/q", "rateLimits": {"maxDispatchesPerSecond": 1e1}, "retryConfig": {"maxAttempts": -1}}"#,
    r#"{"task": {"httpRequest": {"url": "http://localhost:1/", "headers": {"a": "b"}, "body": "aGk="}, "scheduleTime": "2026-01-01T00:00:00Z"}}"#,
    r#"{"name": "projects/p/locations/l/jobs/j", "schedule": "* * * * *", "timeZone": "Europe/Paris", "pubsubTarget": {"topicName": "projects/p/topics/one", "data": "aGk="}}"#,
    r#"{"policy": {"bindings": [{"role": "r", "members": ["allUsers"]}], "etag": "AAAA"}}"#,
    r#"{"time": "2026-01-01T00:00:00.123456789Z", "snapshot": null}"#,
    r#"{"subscription": {"labels": {"a": "b"}}, "updateMask": "labels,pushConfig.pushEndpoint"}"#,
    r#"{"body": {"contentType": "text/plain", "data": "aGk="}}"#,
];
const BODY_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "-0",
    "1e400",
    "9223372036854775808",
    "\"NaN\"",
    "\\u0000",
    "\\ud800",
    "\"a\":",
    "\"name\":",
    "[[[[[[",
    "{\"a\":{\"a\":",
    "0001-01-01T00:00:00Z",
    "-315576000001s",
    "====",
    "\u{feff}",
    "é",
    "\\",
    " ",
    "\n",
    "projects/p/topics/two",
];

/// Method, path with query, body.
type Asked = (&'static str, String, String);

/// Sends it if it is HTTP at all.
async fn ask(services: &Services, (method, uri, body): &Asked) {
    let Ok(request) = Request::builder().method(*method).uri(uri).body(Body::from(body.clone())) else { return };
    // A pull of an empty subscription waits: it is given up, as clients do.
    let Ok(response) = tokio::time::timeout(Duration::from_millis(10), answer(services, request)).await else { return };
    let status = response.status();
    assert!(status != 500 && response.headers()[CONTENT_TYPE] == error::JSON, "{status}");
    let bytes = response.into_body().collect().await.expect("a body in memory").to_bytes();
    let json: Json = serde_json::from_slice(&bytes).expect("an answer is JSON");
    if !status.is_success() {
        assert_eq!(json["error"]["code"], status.as_u16());
        assert!(json["error"]["message"].as_str().is_some_and(|message| message.len() > 5), "{json}");
    }
}

#[test]
fn damaged_requests_are_answered_in_json_and_refused_in_words() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let request = (select(METHODS), damaged(PATHS, PATH_WORDS), damaged(BODIES, BODY_WORDS));
    explore(CASES, &prop::collection::vec(request, 1..=REQUESTS_MAX), |requests| {
        runtime.block_on(async {
            let services = Services::new(&Engine::start(1).0);
            let made = [
                ("PUT", "/v1/projects/p/topics/one", "{}"),
                ("PUT", "/v1/projects/p/subscriptions/one", r#"{"topic": "projects/p/topics/one"}"#),
                ("POST", "/v2/projects/p/locations/l/queues", r#"{"name": "projects/p/locations/l/queues/q"}"#),
            ];
            for (method, uri, body) in made {
                ask(&services, &(method, uri.into(), body.into())).await;
            }
            for request in &requests {
                ask(&services, request).await;
            }
        });
    });
}

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::emulator::engine::Engine;

/// Transcodes a request up to the gRPC call: its method and message, or what Google would say.
fn transcode(method: &str, uri: &str, body: &str) -> Result<(String, Json), String> {
    transcode_as("application/json", method, uri, body.as_bytes())
}

/// The same for a body of any content type.
fn transcode_as(kind: &str, method: &str, uri: &str, body: &[u8]) -> Result<(String, Json), String> {
    let (parts, ()) = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, kind).body(()).unwrap().into_parts();
    let (route, segments) = ROUTES.find(&parts.method, parts.uri.path()).ok_or("no route")?;
    let texts = variables(route, &segments).map_err(|failure| failure.message)?;
    let json = payload::parse(&route.body, &parts.headers, body).map_err(|failure| failure.message)?;
    let (message, _) = assemble(route, texts, &parts, json).map_err(|failure| failure.message)?;
    let name = route.grpc.path().rsplit_once('/').unwrap().1.to_owned();
    Ok((name, serde_json::to_value(&message).unwrap()))
}

#[test]
fn every_rule_of_the_served_protos_is_a_route() {
    assert!(ROUTES.count() > 60, "{}", ROUTES.count());
}

/// Checks rows of method, path, body, name of the gRPC method and its message.
fn check<const N: usize>(table: [(&str, &str, &str, &str, Json); N]) {
    for (method, uri, body, name, message) in table {
        assert_eq!(transcode(method, uri, body), Ok((name.to_owned(), message)), "{method} {uri}");
    }
}

#[test]
fn paths_and_queries_become_messages() {
    check([
        ("GET", "/v1/projects/p/topics/t", "", "GetTopic", json!({"topic": "projects/p/topics/t"})),
        ("GET", "/v1/projects/p/topics/a%2Bb~%25", "", "GetTopic", json!({"topic": "projects/p/topics/a+b~%"})),
        ("GET", "/v1/projects/a.com:p/topics?", "", "ListTopics", json!({"project": "projects/a.com:p"})),
        ("GET", "/v1/projects/p/topics?pageSize=5&pageToken=&filter", "", "ListTopics", json!({"project": "projects/p", "pageSize": 5})),
        (
            "GET",
            "/v1/projects/p/topics?page_size=5&key=k&%24prettyPrint=true&alt=json",
            "",
            "ListTopics",
            json!({"project": "projects/p", "pageSize": 5}),
        ),
        (
            "GET",
            "/v1/projects/p/topics?$alt=json;enum-encoding=int&page_token=a%20b+c%2Bd",
            "",
            "ListTopics",
            json!({"project": "projects/p", "pageToken": "a b c+d"}),
        ),
        ("GET", "/v1/projects/p/locations", "", "ListLocations", json!({"name": "projects/p"})),
        ("GET", "/v2/projects/p/locations/x-y1", "", "GetLocation", json!({"name": "projects/p/locations/x-y1"})),
        (
            "GET",
            "/v2/projects/p/locations/l/queues/q/tasks/t?responseView=FULL",
            "",
            "GetTask",
            json!({"name": "projects/p/locations/l/queues/q/tasks/t", "responseView": "FULL"}),
        ),
        (
            "GET",
            "/v2/projects/p/locations/l/queues/q/tasks/t?responseView=2",
            "",
            "GetTask",
            json!({"name": "projects/p/locations/l/queues/q/tasks/t", "responseView": "FULL"}),
        ),
    ]);
}

#[test]
fn bodies_become_messages() {
    check([
        (
            "PUT",
            "/v1/projects/p/topics/t",
            r#"{"labels":{"a":"b"},"messageRetentionDuration":"600s"}"#,
            "CreateTopic",
            json!({"name": "projects/p/topics/t", "labels": {"a": "b"}, "messageRetentionDuration": "600s"}),
        ),
        ("PUT", "/v1/projects/p/topics/t", "", "CreateTopic", json!({"name": "projects/p/topics/t"})),
        (
            "POST",
            "/v1/projects/p/topics/t:publish",
            r#"{"messages":[{"data":"_-8","attributes":{"k":"v"},"ordering_key":"o"},{"data":"/+8="}]}"#,
            "Publish",
            json!({"topic": "projects/p/topics/t", "messages": [{"data": "/+8=", "attributes": {"k": "v"}, "orderingKey": "o"}, {"data": "/+8="}]}),
        ),
        (
            "PATCH",
            "/v1/projects/p/subscriptions/s",
            r#"{"subscription":{"ackDeadlineSeconds":"30","retainAckedMessages":true,"topic":null},"updateMask":"ackDeadlineSeconds,retain_acked_messages"}"#,
            "UpdateSubscription",
            json!({"subscription": {"name": "projects/p/subscriptions/s", "ackDeadlineSeconds": 30, "retainAckedMessages": true}, "updateMask": "ackDeadlineSeconds,retainAckedMessages"}),
        ),
        (
            "POST",
            "/v1/projects/p/subscriptions/s:pull",
            r#"{"maxMessages":1e1}"#,
            "Pull",
            json!({"subscription": "projects/p/subscriptions/s", "maxMessages": 10}),
        ),
        (
            "POST",
            "/v1/projects/p/subscriptions/s:seek",
            r#"{"time":"2026-01-02T03:04:05.5Z"}"#,
            "Seek",
            json!({"subscription": "projects/p/subscriptions/s", "time": "2026-01-02T03:04:05.500Z"}),
        ),
        (
            "PATCH",
            "/v2/projects/p/locations/l/queues/q?updateMask=rateLimits.maxDispatchesPerSecond,retry_config",
            r#"{"rateLimits":{"maxDispatchesPerSecond":"1.5"}}"#,
            "UpdateQueue",
            json!({"queue": {"name": "projects/p/locations/l/queues/q", "rateLimits": {"maxDispatchesPerSecond": 1.5}}, "updateMask": "rateLimits.maxDispatchesPerSecond,retryConfig"}),
        ),
        (
            "PATCH",
            "/v2/projects/p/locations/l/queues/q?updateMask.paths=a&updateMask.paths=b",
            "",
            "UpdateQueue",
            json!({"queue": {"name": "projects/p/locations/l/queues/q"}, "updateMask": "a,b"}),
        ),
    ]);
}

#[test]
fn a_payload_is_taken_from_its_message_or_as_it_is() {
    let buffer = |kind: &str, body: &[u8]| {
        transcode_as(kind, "POST", "/v2/projects/p/locations/l/queues/q/tasks:buffer", body).map(|(_, message)| message["body"].clone())
    };
    for (kind, body, expected) in [
        ("text/plain", "", Json::Null),
        ("", r#"{"body": {"contentType": "a/b", "data": "aGk="}}"#, json!({"contentType": "a/b", "data": "aGk="})),
        ("text/plain", r#" {"body": {"content_type": "a/b"}}"#, json!({"contentType": "a/b"})),
        ("text/plain", r#"{"body": {}}"#, json!({})),
        ("text/plain", "hi", json!({"contentType": "text/plain", "data": "aGk="})),
        ("text/plain", " ", json!({"contentType": "text/plain", "data": "IA=="})),
        ("", "hi", json!({"data": "aGk="})),
        ("application/json", "{}", Json::Null),
        ("application/json", r#"{"body":1}"#, json!({"contentType": "application/json", "data": "eyJib2R5IjoxfQ=="})),
        ("application/json", r#"{"body":{"a":1}}"#, json!({"contentType": "application/json", "data": "eyJib2R5Ijp7ImEiOjF9fQ=="})),
        ("application/json", r#"{"body":{},"a":1}"#, json!({"contentType": "application/json", "data": "eyJib2R5Ijp7fSwiYSI6MX0="})),
    ] {
        assert_eq!(buffer(kind, body.as_bytes()), Ok(expected), "{body}");
    }
    assert_eq!(buffer("a/b", b"\xff\0"), Ok(json!({"contentType": "a/b", "data": "/wA="})), "any bytes");
    let refused = "Invalid value at 'body.data' (TYPE_BYTES), Base64 decoding failed for \"!!\"";
    assert_eq!(buffer("", br#"{"body": {"data": "!!"}}"#), Err(refused.to_owned()));
    for (method, version) in [("POST", "v2"), ("GET", "v2"), ("POST", "v2beta3"), ("GET", "v2beta3")] {
        for (path, id) in [("tasks:buffer", None), ("tasks/:buffer", None), ("tasks/one:buffer", Some("one"))] {
            let uri = format!("/{version}/projects/p/locations/l/queues/q/{path}");
            let (name, message) = transcode(method, &uri, "hi").unwrap();
            assert_eq!((name.as_str(), message["taskId"].as_str()), ("BufferTask", id), "{method} {uri}");
            let (queue, data) = (message["queue"].as_str(), message["body"]["data"].as_str());
            assert_eq!((queue, data), (Some("projects/p/locations/l/queues/q"), Some("aGk=")), "{method} {uri}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_in_googles_words() {
    let put = |body: &str| transcode("PUT", "/v1/projects/p/subscriptions/s", body).unwrap_err();
    let get = |query: &str| transcode("GET", &format!("/v1/projects/p/topics?{query}"), "").unwrap_err();
    let table = [
        (put(r#"{"x\u001b":1}"#), r#"Invalid JSON payload received. Unknown name "x\u001b": Cannot find field."#),
        (put(r#"{"pushConfig":{"y":1}}"#), r#"Invalid JSON payload received. Unknown name "y" at 'push_config': Cannot find field."#),
        (put(r#"{"ackDeadlineSeconds":"soon"}"#), r#"Invalid value at 'ack_deadline_seconds' (TYPE_INT32), "soon""#),
        (put(r#"{"ackDeadlineSeconds":3000000000}"#), r"Invalid value at 'ack_deadline_seconds' (TYPE_INT32), 3000000000"),
        (put(r#"{"ackDeadlineSeconds":1.5}"#), r"Invalid value at 'ack_deadline_seconds' (TYPE_INT32), 1.5"),
        (put(r#"{"topic":{}}"#), r"Invalid value at 'topic' (TYPE_STRING), {…}"),
        (
            put(r#"{"topic":["a"]}"#),
            r#"Invalid JSON payload received. Unknown name "topic": Proto field is not repeating, cannot start list."#,
        ),
        (put(r#"{"enableMessageOrdering":1}"#), r"Invalid value at 'enable_message_ordering' (TYPE_BOOL), 1"),
        (
            put(r#"{"messageRetentionDuration":"1 day"}"#),
            r#"Invalid value at 'message_retention_duration' (type.googleapis.com/google.protobuf.Duration), "1 day""#,
        ),
        (put(r#"{"pushConfig":"http"}"#), r#"Invalid value at 'push_config' (type.googleapis.com/google.pubsub.v1.PushConfig), "http""#),
        (put(r#"{"labels":[]}"#), r"Invalid value at 'labels' (Map), Cannot bind a non-object to a map."),
        (put(r"[]"), r#"Invalid JSON payload received. Unknown name "": Root element must be a message."#),
        (
            put(r#"{"a":1,"b":2}"#),
            "Invalid JSON payload received. Unknown name \"a\": Cannot find field.\nInvalid JSON payload received. Unknown name \"b\": Cannot find field.",
        ),
        (
            get("nope=1"),
            r#"Invalid JSON payload received. Unknown name "nope": Cannot bind query parameter. Field 'nope' could not be found in request message."#,
        ),
        (get("page_size=many"), r#"Invalid value at 'page_size' (TYPE_INT32), "many""#),
        (get("project.x=1").split(':').next().unwrap().to_owned(), r#"Invalid JSON payload received. Unknown name "project.x""#),
        (
            transcode("POST", "/v1/projects/p/topics/t:publish", r#"{"messages":[{},{"data":"!!"}]}"#).unwrap_err(),
            r#"Invalid value at 'messages[1].data' (TYPE_BYTES), Base64 decoding failed for "!!""#,
        ),
        (
            transcode("POST", "/v2/projects/p/locations/l/queues/q/tasks", r#"{"task":{"httpRequest":{},"appEngineHttpRequest":{}}}"#)
                .unwrap_err(),
            "Invalid value at 'task' (oneof), oneof field 'message_type' is already set. Cannot set 'appEngineHttpRequest'",
        ),
        (transcode("GET", "/v1/projects/p/topics/%ff", "").unwrap_err(), "The path of the URL is not UTF-8."),
    ];
    for (said, expected) in table {
        assert_eq!(said, expected);
    }
    let long = put(&format!(r#"{{"ackDeadlineSeconds":"{}"}}"#, "é".repeat(100_000)));
    assert!(long.len() < 300, "quotes are cut: {}", long.len());
}

#[test]
fn what_is_not_a_route_is_not_found() {
    for (method, uri) in [
        ("GET", "/"),
        ("GET", "//"),
        ("POST", "/v1/projects/p/topics/t"),
        ("POST", "/v1/projects/p/topics/t:nope"),
        ("POST", "/v1/projects//topics/t:publish"),
        ("POST", "/v1/projects/p/subscriptions/s:streamingPull"),
        ("GET", "/v1/projects/p/topics/t/"),
        ("GET", "/v3/projects/p/topics"),
    ] {
        assert_eq!(transcode(method, uri, ""), Err("no route".to_owned()), "{method} {uri}");
    }
    let deep = format!("/v1/{}", "x/".repeat(10_000));
    assert_eq!(transcode("GET", &deep, ""), Err("no route".to_owned()));
    let nested = format!("/v1/projects/p/topics?{}x=1", "a.".repeat(1000));
    assert!(transcode("GET", &nested, "").is_err());
}

fn request(method: &str, uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(body.into()).unwrap()
}

async fn ask(services: &Services, request: Request<Body>) -> (u16, Json) {
    let response = answer(services, request).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json; charset=UTF-8");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn services() -> Services {
    Services::new(&Engine::start(1).0)
}

#[tokio::test]
async fn answers_and_errors_come_back_as_google_sends_them() {
    let services = services();
    let (status, json) = ask(&services, request("GET", "/v1/projects/p/locations/europe-west3", Body::empty())).await;
    let expected = json!({"name": "projects/p/locations/europe-west3", "locationId": "europe-west3", "labels": {"cloud.googleapis.com/region": "europe-west3"}});
    assert_eq!((status, json), (200, expected));
    let (status, json) = ask(&services, request("GET", "/v1/projects/p/locations?pageSize=-1", Body::empty())).await;
    let error = json!({"error": {"code": 400, "message": "The page size must not be negative.", "status": "INVALID_ARGUMENT"}});
    assert_eq!((status, json), (400, error));
    let (_, json) = ask(&services, request("PUT", "/v1/projects/p/subscriptions/s", r#"{"x": 1, "ackDeadlineSeconds": "soon"}"#)).await;
    let violations = json!([
        {"description": "Invalid JSON payload received. Unknown name \"x\": Cannot find field."},
        {"field": "ack_deadline_seconds", "description": "Invalid value at 'ack_deadline_seconds' (TYPE_INT32), \"soon\""},
    ]);
    let details = json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]);
    assert_eq!(json["error"]["details"], details);
    let (status, json) = ask(&services, request("GET", "/v1/nothing/here", Body::empty())).await;
    assert_eq!(status, 404);
    assert_eq!(json["error"]["message"], "The requested URL GET /v1/nothing/here was not found on this server.");
    let (status, json) = ask(&services, request("PUT", "/v1/projects/p/topics/t", "{\"labels\":\n {\"a\" 1}}")).await;
    assert_eq!(status, 400);
    assert_eq!(json["error"]["message"], "Invalid JSON payload received. expected `:` at line 2 column 7");
}

#[tokio::test]
async fn pages_of_locations_follow_each_other_to_the_end() {
    let services = services();
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let (_, page) =
            ask(&services, request("GET", &format!("/v2/projects/p/locations?pageSize=3&pageToken={token}"), Body::empty())).await;
        seen.extend(page["locations"].as_array().unwrap().iter().map(|location| location["locationId"].as_str().unwrap().to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert!(seen.contains(&"us-central1".to_owned()) && seen.len() >= 8 && seen.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let body = Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
    let (status, json) = ask(&services(), request("PUT", "/v1/projects/p/topics/t", body)).await;
    assert_eq!((status, &json["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert!(json["error"]["message"].as_str().unwrap().starts_with("Request payload size exceeds the limit"));
    let endless = Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096]))));
    assert_eq!(ask(&services(), request("PUT", "/v1/projects/p/topics/t", endless)).await.0, 400);
}

#[tokio::test]
async fn a_grpc_message_beyond_the_limit_is_refused_in_googles_words() {
    let length = u32::try_from(super::super::grpc::MESSAGE_BYTES_MAX + 1).unwrap();
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    let mut request = request("POST", "/google.cloud.location.Locations/ListLocations", frame);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let response = services().call(request.map(tonic::body::Body::new)).await;
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "Request payload size exceeds the limit: 20971520 bytes."));
}

/// Mostly plausible requests with something odd in them, and some that are nothing but odd.
fn odd_uri() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec!["v1", "v2", "projects", "p", "topics", "t:publish", "locations", "queues", "q", "tasks", "subscriptions", "s:pull", "**", "%2F", "%", "{name}"]),
        1 => Just(""),
    ];
    let path = prop::collection::vec(prop_oneof![8 => part.prop_map(str::to_owned), 1 => ".{0,8}"], 0..9)
        .prop_map(|parts| format!("/{}", parts.join("/")));
    let query = prop::collection::vec(
        (prop::sample::select(vec!["updateMask", "updateMask.paths", "pageSize", "$alt", "queue.rateLimits", "a.b", ""]), ".{0,6}"),
        0..4,
    )
    .prop_map(|pairs| pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"));
    prop_oneof![4 => (path, query).prop_map(|(path, query)| format!("{path}?{query}")), 1 => "/.{0,40}"]
}

fn odd_body() -> impl Strategy<Value = Vec<u8>> {
    let leaf =
        prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::from), any::<f64>().prop_map(Json::from), ".{0,8}".prop_map(Json::from)];
    let name = prop::sample::select(vec![
        "messages",
        "data",
        "attributes",
        "task",
        "queue",
        "httpRequest",
        "labels",
        "rateLimits",
        "scheduleTime",
        "updateMask",
        "x",
    ]);
    let json = leaf.prop_recursive(4, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, json)| (name.to_owned(), json)).collect()),
        ]
    });
    prop_oneof![json.prop_map(|json| json.to_string().into_bytes()), prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_is_answered_in_json(
        method in prop::sample::select(vec!["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD"]),
        uri in odd_uri(),
        body in odd_body(),
    ) {
        prop_assume!(uri.parse::<http::Uri>().is_ok());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, json) = runtime.block_on(async { ask(&services(), request(method, &uri, body)).await });
        if status >= 400 {
            prop_assert_eq!(json["error"]["code"].as_u64(), Some(u64::from(status)));
            prop_assert!(json["error"]["message"].is_string() && json["error"]["status"].is_string());
        } else {
            prop_assert!(status == 200 && json.is_object());
        }
    }
}

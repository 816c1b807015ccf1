use serde_json::{Value, json};

use super::*;
use crate::cloud::address::Address;
use crate::cloud::endpoint::Overrides;

fn asked(api: Api, verb: &'static str, resource: &str, permission: &'static str) -> Asked {
    Asked { api, endpoint: Endpoint::Google(Overrides::default()), verb, resource: resource.to_owned(), permission }
}

fn queues() -> Asked {
    asked(Api::Tasks, "list the queues", "projects/shop/locations/europe-west1", "cloudtasks.queues.list")
}

fn publish() -> Asked {
    asked(Api::PubSub, "publish", "projects/shop/topics/orders", "pubsub.topics.publish")
}

/// The body of an error as Google's REST interface writes it.
fn body(status: &str, message: &str, info: Value) -> bytes::Bytes {
    let mut details = Vec::new();
    if let Value::Object(mut info) = info {
        info.insert("@type".to_owned(), "type.googleapis.com/google.rpc.ErrorInfo".into());
        details.push(Value::Object(info));
    }
    json!({"error": {"code": 400, "status": status, "message": message, "details": details}}).to_string().into()
}

struct Case {
    asked: Asked,
    http: u16,
    body: bytes::Bytes,
    kind: Kind,
    says: &'static str,
    hint: Option<&'static str>,
}

fn case(asked: Asked, body: bytes::Bytes, kind: Kind, says: &'static str, hint: impl Into<Option<&'static str>>) -> Case {
    Case { asked, http: 400, body, kind, says, hint: hint.into() }
}

fn check(cases: Vec<Case>) {
    for Case { asked, http, body, kind, says, hint } in cases {
        let error = Failure::of_body(http, &body).explain(&asked);
        assert_eq!(error.to_string(), says, "{body:?}");
        assert_eq!(error.kind(), kind, "{says}");
        match hint {
            Some(hint) => assert!(error.hint().is_some_and(|given| given.contains(hint)), "{says}: {:?}", error.hint()),
            None => assert_eq!(error.hint(), None, "{says}"),
        }
    }
}

const DENIED: &str = "PERMISSION_DENIED";

fn info(reason: &str, metadata: impl Into<Value>) -> Value {
    let metadata = metadata.into();
    json!({"reason": reason, "domain": "googleapis.com", "metadata": metadata})
}

#[test]
fn access_is_told_with_the_command_that_helps() {
    let consumer = json!({"service": "cloudtasks.googleapis.com", "consumer": "projects/123"});
    let denied = DENIED;
    check(vec![
        case(
            queues(),
            body(denied, "Cloud Tasks API has not been used in project 123 before or it is disabled.", info("SERVICE_DISABLED", consumer)),
            Kind::ApiDisabled,
            "cannot list the queues: the Cloud Tasks API is not enabled in project `shop`",
            "gcloud services enable cloudtasks.googleapis.com --project shop",
        ),
        case(
            queues(),
            body(
                denied,
                "Permission 'cloudtasks.queues.list' denied on resource '//cloudtasks.googleapis.com/projects/shop' (or it may not exist).",
                info(
                    "IAM_PERMISSION_DENIED",
                    json!({"permission": "cloudtasks.queues.list", "resource": "projects/shop/locations/europe-west1"}),
                ),
            ),
            Kind::PermissionDenied,
            "cannot list the queues: permission `cloudtasks.queues.list` is missing on `projects/shop/locations/europe-west1`",
            "gcloud projects add-iam-policy-binding shop --member=user:YOU --role=roles/cloudtasks.viewer",
        ),
        case(
            queues(),
            body(denied, "The principal lacks IAM permission \"cloudtasks.tasks.fullView\" for the resource.", Value::Null),
            Kind::PermissionDenied,
            "cannot list the queues: permission `cloudtasks.tasks.fullView` is missing on `projects/shop/locations/europe-west1`",
            "--role=roles/cloudtasks.admin",
        ),
        case(
            publish(),
            body(denied, "User not authorized to perform this action.", Value::Null),
            Kind::PermissionDenied,
            "cannot publish: permission `pubsub.topics.publish` is missing on `projects/shop/topics/orders`",
            "--role=roles/pubsub.publisher",
        ),
    ]);
}

#[test]
fn projects_and_credentials_that_will_not_do_are_told_with_the_command_that_helps() {
    let gcloud = json!({"service": "pubsub.googleapis.com", "consumer": "projects/764086051850"});
    let denied = DENIED;
    check(vec![
        case(
            publish(),
            body(
                denied,
                "The pubsub.googleapis.com API requires a quota project, which is not set by default.",
                info("SERVICE_DISABLED", gcloud.clone()),
            ),
            Kind::PermissionDenied,
            "cannot publish: user credentials need a quota project, and none is set",
            "gcloud auth application-default set-quota-project PROJECT",
        ),
        case(
            publish(),
            body(denied, "disabled", info("SERVICE_DISABLED", gcloud)),
            Kind::PermissionDenied,
            "cannot publish: user credentials need a quota project, and none is set",
            "GOOGLE_CLOUD_QUOTA_PROJECT=PROJECT",
        ),
        case(
            publish(),
            body(
                denied,
                "Caller does not have required permission to use project other.",
                info("USER_PROJECT_DENIED", json!({"consumer": "projects/other"})),
            ),
            Kind::PermissionDenied,
            "cannot publish: permission `serviceusage.services.use` is missing on quota project `projects/other`",
            "roles/serviceusage.serviceUsageConsumer",
        ),
        case(
            publish(),
            body(denied, "Request had insufficient authentication scopes.", info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", json!({}))),
            Kind::PermissionDenied,
            "cannot publish: the access token lacks the scope `cloud-platform`",
            "gcloud auth application-default login",
        ),
        case(
            publish(),
            body(denied, "This API method requires billing to be enabled.", info("BILLING_DISABLED", json!({}))),
            Kind::FailedPrecondition,
            "cannot publish: project `shop` has no billing account",
            "gcloud billing projects link shop",
        ),
        case(
            publish(),
            body("UNAUTHENTICATED", "Request had invalid authentication credentials.", info("ACCESS_TOKEN_EXPIRED", json!({}))),
            Kind::Unauthenticated,
            "cannot publish: Request had invalid authentication credentials",
            "gcloud auth application-default login",
        ),
    ]);
}

#[test]
fn codes_have_kinds() {
    let limit = json!({"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "ListCallsPerMinute"}});
    let on = |resource| asked(Api::Tasks, "run the task", resource, "cloudtasks.tasks.run");
    check(vec![
        case(
            on("projects/p/locations/l/queues/q/tasks/t"),
            body("NOT_FOUND", "The task no longer exists.", Value::Null),
            Kind::NotFound,
            "cannot run the task: `projects/p/locations/l/queues/q/tasks/t` does not exist",
            None,
        ),
        case(
            publish(),
            body("NOT_FOUND", "Resource not found (resource=orders).", Value::Null),
            Kind::NotFound,
            "cannot publish: `projects/shop/topics/orders` does not exist",
            None,
        ),
        case(
            queues(),
            body("NOT_FOUND", "Project 'shop' not found.", Value::Null),
            Kind::NotFound,
            "cannot list the queues of `projects/shop/locations/europe-west1`: Project 'shop' not found",
            "gcloud projects list",
        ),
        case(publish(), body("ALREADY_EXISTS", "It is there.", Value::Null), Kind::AlreadyExists, "cannot publish: It is there", None),
        case(publish(), body("INVALID_ARGUMENT", "bad\u{1b}[2J", Value::Null), Kind::InvalidInput, "cannot publish: bad\\u{1b}[2J", None),
        case(
            publish(),
            body("FAILED_PRECONDITION", "Not a pull subscription", Value::Null),
            Kind::FailedPrecondition,
            "cannot publish: Not a pull subscription",
            None,
        ),
        case(
            publish(),
            body("RESOURCE_EXHAUSTED", "Quota exceeded.", limit),
            Kind::Exhausted,
            "cannot publish: the quota `ListCallsPerMinute` is used up",
            "wait a minute",
        ),
        case(
            publish(),
            body("RESOURCE_EXHAUSTED", "Quota exceeded.", Value::Null),
            Kind::Exhausted,
            "cannot publish: Quota exceeded",
            "wait a minute",
        ),
        case(publish(), body("UNAVAILABLE", "", Value::Null), Kind::Unavailable, "cannot publish: UNAVAILABLE", "try again"),
        case(publish(), body("DEADLINE_EXCEEDED", "late", Value::Null), Kind::Timeout, "cannot publish: late", "try again"),
        case(
            publish(),
            body("UNIMPLEMENTED", "no", Value::Null),
            Kind::Unsupported,
            "cannot publish: the server at `pubsub.googleapis.com:443` does not offer this call",
            None,
        ),
        case(publish(), body("CANCELLED", "gone", Value::Null), Kind::Cancelled, "cannot publish: gone", None),
        case(publish(), body("INTERNAL", "oops", Value::Null), Kind::Internal, "cannot publish: oops", None),
        case(publish(), body("DATA_LOSS", "oops", Value::Null), Kind::Internal, "cannot publish: oops", None),
    ]);
}

#[test]
fn answers_that_are_not_googles() {
    let html = bytes::Bytes::from_static(b"<html>");
    let unknown = |http, kind, says, hint| Case { asked: publish(), http, body: html.clone(), kind, says, hint };
    check(vec![
        unknown(404, Kind::Unsupported, "cannot publish: the server at `pubsub.googleapis.com:443` does not offer this call", None),
        unknown(401, Kind::Unauthenticated, "cannot publish: `pubsub.googleapis.com:443` answered HTTP 401", Some("login")),
        unknown(429, Kind::Exhausted, "cannot publish: `pubsub.googleapis.com:443` answered HTTP 429", Some("wait")),
        unknown(503, Kind::Unavailable, "cannot publish: `pubsub.googleapis.com:443` answered HTTP 503", None),
        unknown(
            418,
            Kind::Internal,
            "cannot publish: `pubsub.googleapis.com:443` answered HTTP 418, and not in the way of Pub/Sub",
            Some("proxy"),
        ),
    ]);
}

#[test]
fn an_endpoint_that_is_not_there_is_named_with_who_named_it() {
    let mut asked = publish();
    assert!(Failure::Connect.explain(&asked).to_string().contains("pubsub.googleapis.com:443"));
    for (named_by, hint) in [("PUBSUB_EMULATOR_HOST", "`PUBSUB_EMULATOR_HOST` points there"), ("--emulator", "`--emulator` points there")] {
        asked.endpoint = Endpoint::Emulator(Address::parse("localhost:8085", named_by).unwrap());
        let error = Failure::Connect.explain(&asked);
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unavailable, "cannot publish: no connection to `localhost:8085`"));
        assert!(
            error.hint().is_some_and(|given| given.starts_with(hint) && given.contains("redrive emulator --listen localhost:8085")),
            "{error:?}"
        );
    }
}

#[test]
fn time_credentials_and_broken_connections() {
    let limit = Duration::from_millis(4500);
    let credentials = |transient| Failure::Credentials { transient, message: "invalid_grant".to_owned() };
    let cases = [
        (Failure::Timeout(limit), Kind::Timeout, "cannot publish: no answer from `pubsub.googleapis.com:443` within 4.5 s"),
        (credentials(false), Kind::Unauthenticated, "cannot publish: the credentials give no access token: invalid_grant"),
        (credentials(true), Kind::Unavailable, "cannot publish: no access token could be fetched: invalid_grant"),
        (
            Failure::Broken("reset".to_owned()),
            Kind::Unavailable,
            "cannot publish: the connection to `pubsub.googleapis.com:443` broke: reset",
        ),
    ];
    for (failure, kind, says) in cases {
        let error = failure.explain(&publish());
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, says));
    }
    let of_client = Failure::of_client(&GaxError::timeout("late"), limit);
    assert_eq!(of_client, Failure::Timeout(limit));
}

#[test]
fn long_texts_are_cut() {
    let error = Failure::of_body(400, &body("INTERNAL", &"x".repeat(5000), Value::Null)).explain(&publish());
    assert!(error.to_string().chars().count() < 450 && error.to_string().ends_with('…'));
}

//! Against a server that does not give all: what it does give is shown, and the rest is told.

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use redrive::cloud::Cloud;
use redrive::error::Kind;
use redrive::ops::Ops;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{queue, task};

fn refusal(code: StatusCode, status: &str, message: &str) -> (StatusCode, Value) {
    (code, json!({"error": {"code": code.as_u16(), "status": status, "message": message}}))
}

/// Two locations, of which one is down; no permission for the view FULL; a queue whose name is none; no Monitoring.
fn answer(method: &Method, path: &str, query: &str) -> (StatusCode, Value) {
    let ok = |body| (StatusCode::OK, body);
    let down = || refusal(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "the region is on fire");
    // As numbers and as names: both are how clients say it.
    let full = query.contains("responseView=2") || query.contains("responseView=FULL");
    match (method.as_str(), path) {
        ("GET", "/v2/projects/shop/locations") => ok(json!({"locations": [{"locationId": "europe-west1"}, {"locationId": "us-east1"}]})),
        ("GET", "/v2/projects/shop/locations/europe-west1/queues") => ok(
            json!({"queues": [{"name": queue("emails").to_string(), "state": "A_STATE_OF_TOMORROW", "fieldOfTomorrow": 1}, {"name": "nonsense"}]}),
        ),
        ("GET", path) if path.starts_with("/v2/projects/shop/locations/us-east1") => down(),
        ("GET", path) if path.ends_with("/tasks") && !full => ok(json!({"tasks": [{"name": task("emails", "one").to_string()}]})),
        ("GET", path) if path.ends_with("/tasks/one") && !full => ok(json!({"name": task("emails", "one").to_string()})),
        ("GET", path) if path.contains("/tasks") => refusal(StatusCode::FORBIDDEN, "PERMISSION_DENIED", "lacks cloudtasks.tasks.fullView"),
        ("DELETE", _) => panic!("nothing may be deleted without a copy"),
        _ => (StatusCode::NOT_FOUND, json!("no such page")),
    }
}

async fn start() -> (Ops, TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let app = Router::new().fallback(async |method: Method, uri: Uri, RawQuery(query): RawQuery| {
        let (status, body) = answer(&method, uri.path(), &query.unwrap_or_default());
        (status, axum::Json(body)).into_response()
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let home = tempfile::tempdir().unwrap();
    let cloud = Cloud::emulator(&host, "shop".parse().unwrap()).unwrap();
    (Ops::new(cloud, home.path().join("home"), false).unwrap(), home)
}

#[tokio::test]
async fn a_location_that_fails_does_not_hide_the_others() {
    let (ops, _home) = start().await;
    let listing = ops.queues().await.unwrap();
    assert_eq!(listing.items.len(), 1);
    assert_eq!(listing.items[0].raw["fieldOfTomorrow"], 1);
    assert_eq!(listing.items[0].raw["state"], "A_STATE_OF_TOMORROW");
    let [(location, down), (row, unreadable)] = &listing.failed[..] else { panic!("{:?}", listing.failed) };
    assert_eq!((location.as_str(), down.kind()), ("us-east1", Kind::Unavailable));
    assert_eq!(down.to_string(), "cannot list the queues: the region is on fire");
    assert_eq!((row.as_str(), unreadable.kind()), ("nonsense", Kind::InvalidInput));
}

#[tokio::test]
async fn without_the_permission_bodies_are_left_out_and_nothing_is_deleted() {
    let (ops, _home) = start().await;
    let listing = ops.tasks(&queue("emails"), true, 10).await.unwrap();
    assert_eq!((listing.items.len(), listing.items[0].full), (1, false));
    let (place, error) = &listing.failed[0];
    assert_eq!((place, error.kind()), (&queue("emails").to_string(), Kind::PermissionDenied));
    assert_eq!(error.to_string(), "headers and bodies are left out: permission `cloudtasks.tasks.fullView` is missing");
    assert!(!ops.task(&task("emails", "one")).await.unwrap().full);
    let report = ops.discard_tasks(vec![task("emails", "one")], |_| {}).await.unwrap();
    assert_eq!((report.done, report.gone, report.failed.len(), report.copy), (0, 0, 1, None));
    let words = report.failed[0].1.to_string();
    assert!(words.contains("cloudtasks.tasks.fullView"), "{words}");
    let error = ops.debug_task(&task("emails", "one"), "localhost:1").await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(ops.activity(5).unwrap().iter().any(|entry| entry.action == "tasks.discard.end" && entry.result.contains("Stopped")));
}

#[tokio::test]
async fn figures_that_are_not_offered_are_problems_not_errors() {
    let (ops, _home) = start().await;
    let numbers = ops.numbers().await.unwrap();
    assert!(numbers.queues.is_empty() && numbers.subscriptions.is_empty());
    let [monitoring, stats] = &numbers.problems[..] else { panic!("{:?}", numbers.problems) };
    assert!(monitoring.starts_with("Monitoring: cannot read the figures: the server at `127.0.0.1:"), "{monitoring}");
    assert!(monitoring.ends_with("does not offer this call"), "{monitoring}");
    assert!(stats.starts_with("Cloud Tasks: cannot read the statistics of the queues: "), "{stats}");
}

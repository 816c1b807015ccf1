//! Push delivery to a server of our own.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use google_cloud_pubsub::model::PushConfig;
use google_cloud_pubsub::model::push_config::{NoWrapper, OidcToken};
use tokio::sync::mpsc;

use super::*;

type Request = (HeaderMap, Vec<u8>);

/// Serves an endpoint that answers as told, then well; returns its address and what it gets.
async fn endpoint(answers: Vec<u16>) -> (String, mpsc::UnboundedReceiver<Request>) {
    type Shared = (mpsc::UnboundedSender<Request>, std::sync::Arc<std::sync::Mutex<std::vec::IntoIter<u16>>>);
    async fn take(State((sender, answers)): State<Shared>, headers: HeaderMap, body: axum::body::Bytes) -> StatusCode {
        sender.send((headers, body.to_vec())).unwrap();
        let status = answers.lock().unwrap().next().unwrap_or(204);
        StatusCode::from_u16(status).unwrap()
    }
    let (sender, requests) = mpsc::unbounded_channel();
    let shared: Shared = (sender, std::sync::Arc::new(std::sync::Mutex::new(answers.into_iter())));
    let router = Router::new().route("/hook", axum::routing::post(take)).with_state(shared);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, requests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrapped_again_until_acked() {
    let (url, mut requests) = endpoint(vec![500, 403]).await;
    let oidc = OidcToken::new().set_service_account_email("push@shop.iam.gserviceaccount.com").set_audience("shop");
    let config = PushConfig::new().set_push_endpoint(&url).set_oidc_token(oidc);
    let shop = Shop::with_billing(|settings| settings.set_push_config(config.clone())).await;
    let made = shop.subscriptions.get_subscription().set_subscription(subscription("billing")).send().await.unwrap();
    assert_eq!(made.push_config, Some(config));
    let ids = shop.publish("orders", vec![message("{\"n\":1}", &[("kind", "order")]).set_ordering_key("k")]).await;
    for _ in 0..3 {
        let (headers, body) = in_time(requests.recv()).await.unwrap();
        assert_eq!(headers["content-type"], "application/json");
        assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer "));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let time = body["message"]["publishTime"].clone();
        assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        let message = json!({
            "attributes": {"kind": "order"}, "data": "eyJuIjoxfQ==", "messageId": ids[0], "message_id": ids[0],
            "orderingKey": "k", "publishTime": time, "publish_time": time,
        });
        assert_eq!(body, json!({"message": message, "subscription": subscription("billing")}));
    }
    shop.publish("orders", vec![message("next", &[])]).await;
    let (_, body) = in_time(requests.recv()).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["message"]["data"], "bmV4dA==", "the first was acknowledged by 204");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unwrapped_with_metadata() {
    let (url, mut requests) = endpoint(vec![]).await;
    let config = PushConfig::new().set_push_endpoint(&url).set_no_wrapper(NoWrapper::new().set_write_metadata(true));
    let shop = Shop::with_billing(|settings| settings.set_push_config(config)).await;
    let ids = shop.publish("orders", vec![message("raw \u{1}", &[("kind", "order")])]).await;
    let (headers, body) = in_time(requests.recv()).await.unwrap();
    assert_eq!(body, b"raw \x01");
    assert_eq!((headers["kind"].to_str().unwrap(), headers["x-goog-pubsub-message-id"].to_str().unwrap()), ("order", ids[0].as_str()));
    assert_eq!(headers["x-goog-pubsub-subscription-name"].to_str().unwrap(), subscription("billing"));
    assert!(headers["x-goog-pubsub-publish-time"].to_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert!(!headers.contains_key("x-goog-pubsub-ordering-key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_pushed_once_there_is_an_endpoint() {
    let shop = Shop::with_billing(|settings| settings).await;
    let mut ids = shop.publish("orders", (0..200).map(|n| message(&n.to_string(), &[])).collect()).await;
    let (url, mut requests) = endpoint(vec![]).await;
    let config = PushConfig::new().set_push_endpoint(&url);
    shop.subscriptions.modify_push_config().set_subscription(subscription("billing")).set_push_config(config).send().await.unwrap();
    let mut pushed = Vec::new();
    while pushed.len() < ids.len() {
        let (_, body) = in_time(requests.recv()).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        pushed.push(body["message"]["messageId"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    pushed.sort_unstable();
    assert_eq!(pushed, ids, "each exactly once");
    let (status, answer) = shop.call("billing", "pull", json!({"maxMessages": 1})).await;
    assert_eq!((status, &answer["error"]["status"]), (400, &json!("FAILED_PRECONDITION")));
}

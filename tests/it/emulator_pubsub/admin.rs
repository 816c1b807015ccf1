//! Topics and subscriptions as resources.

use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::paginator::ItemPaginator as _;
use google_cloud_pubsub::model::{DeadLetterPolicy, ExpirationPolicy, PushConfig, RetryPolicy, Topic, subscription, topic as topic_model};
use google_cloud_wkt::FieldMask;

use super::*;

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: Code, message: &str) {
    let error = result.unwrap_err();
    let status = error.status().expect("the service should have answered");
    assert_eq!((status.code, words(&status.message, message)), (code, message));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics() {
    let shop = Shop::open().await;
    let client = &shop.topics;
    let made = client.create_topic().set_name(topic("orders")).set_labels([("team", "shop")]);
    let made = made.set_message_retention_duration(seconds(3600)).send().await.unwrap();
    let expected = Topic::new()
        .set_name(topic("orders"))
        .set_labels([("team", "shop")])
        .set_message_retention_duration(seconds(3600))
        .set_state(topic_model::State::Active);
    assert_eq!(made, expected);
    assert_eq!(client.get_topic().set_topic(topic("orders")).send().await.unwrap(), expected);
    let update = client.update_topic().set_topic(Topic::new().set_name(topic("orders")).set_labels([("team", "mail")]));
    let updated = update.set_update_mask(FieldMask::default().set_paths(["labels"])).send().await.unwrap();
    assert_eq!(updated, expected.set_labels([("team", "mail")]));
    for id in ["mails", "parcels"] {
        shop.add_topic(id).await;
    }
    let mut names = Vec::new();
    let mut pages = client.list_topics().set_project(project()).set_page_size(1).by_item();
    while let Some(topic) = pages.next().await {
        names.push(topic.unwrap().name);
    }
    assert_eq!(names, ["mails", "orders", "parcels"].map(topic));
    client.delete_topic().set_topic(topic("mails")).send().await.unwrap();
    refused(client.get_topic().set_topic(topic("mails")).send().await, Code::NotFound, "Resource not found (resource=mails).");
    let again = client.create_topic().set_name(topic("orders")).send().await;
    refused(again, Code::AlreadyExists, "Resource already exists in the project (resource=orders).");
    let malformed = client.create_topic().set_name(topic("1x")).send().await;
    let says = format!(
        "Invalid resource name given (name={}). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.",
        topic("1x")
    );
    refused(malformed, Code::InvalidArgument, &says);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions() {
    let shop = Shop::open().await;
    let client = &shop.subscriptions;
    shop.add_topic("orders").await;
    shop.add_topic("dead").await;
    let policy = DeadLetterPolicy::new().set_dead_letter_topic(topic("dead")).set_max_delivery_attempts(7);
    let retry = RetryPolicy::new().set_minimum_backoff(seconds(1)).set_maximum_backoff(seconds(20));
    let settings = |settings: Subscription| {
        settings
            .set_labels([("team", "shop")])
            .set_filter(r#"attributes.kind = "order""#)
            .set_dead_letter_policy(policy)
            .set_retry_policy(retry)
            .set_enable_message_ordering(true)
            .set_expiration_policy(ExpirationPolicy::new())
    };
    let expected = settings(Subscription::new().set_name(subscription("billing")).set_topic(topic("orders")))
        .set_push_config(PushConfig::new())
        .set_ack_deadline_seconds(10)
        .set_message_retention_duration(seconds(7 * 86_400))
        .set_state(subscription::State::Active);
    let create = client.create_subscription().with_request(expected.clone().set_state(subscription::State::default()));
    assert_eq!(create.send().await.unwrap(), expected);
    assert_eq!(client.get_subscription().set_subscription(subscription("billing")).send().await.unwrap(), expected);
    let change = Subscription::new().set_name(subscription("billing")).set_ack_deadline_seconds(60).set_retain_acked_messages(true);
    let mask = FieldMask::default().set_paths(["ack_deadline_seconds", "retain_acked_messages"]);
    let updated = client.update_subscription().set_subscription(change).set_update_mask(mask).send().await.unwrap();
    assert_eq!(updated, expected.set_ack_deadline_seconds(60).set_retain_acked_messages(true));
    shop.add_subscription("mail", "orders", |settings| settings).await;
    let listed = client.list_subscriptions().set_project(project()).send().await.unwrap();
    assert_eq!(listed.subscriptions.iter().map(|s| &s.name).collect::<Vec<_>>(), [&subscription("billing"), &subscription("mail")]);
    let of_topic = shop.topics.list_topic_subscriptions().set_topic(topic("orders")).send().await.unwrap();
    assert_eq!(of_topic.subscriptions, [subscription("billing"), subscription("mail")]);
    shop.topics.delete_topic().set_topic(topic("orders")).send().await.unwrap();
    assert_eq!(client.get_subscription().set_subscription(subscription("mail")).send().await.unwrap().topic, "_deleted-topic_");
    client.delete_subscription().set_subscription(subscription("billing")).send().await.unwrap();
    let gone = client.get_subscription().set_subscription(subscription("billing")).send().await;
    refused(gone, Code::NotFound, "Resource not found (resource=billing).");
    let short = Subscription::new().set_name(subscription("new")).set_topic(topic("dead")).set_ack_deadline_seconds(9);
    let short = client.create_subscription().with_request(short).send().await;
    let says = "Invalid ack deadline given (ack_deadline=9). The ack deadline must be between 10 and 600 seconds.";
    refused(short, Code::InvalidArgument, says);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_over_rest() {
    let shop = Shop::with_billing(|settings| settings).await;
    let get = || async {
        let url = format!("{}/v1/{}:getIamPolicy", shop.url(), subscription("billing"));
        in_time(shop.http.get(url).send()).await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(get().await, json!({"etag": "ACAB"}));
    let bindings = json!([{"role": "roles/pubsub.subscriber", "members": ["user:ada@example.com"]}]);
    let (status, policy) = shop.call("billing", "setIamPolicy", json!({"policy": {"bindings": bindings, "etag": "ACAB"}})).await;
    assert_eq!((status, &policy["bindings"], &policy["version"]), (200, &bindings, &json!(1)));
    assert_eq!(get().await, policy);
    let (status, answer) = shop.call("billing", "setIamPolicy", json!({"policy": {"etag": "ACAB"}})).await;
    assert_eq!((status, &answer["error"]["status"]), (409, &json!("ABORTED")));
    let asked = json!({"permissions": ["pubsub.subscriptions.consume"]});
    assert_eq!(shop.call("billing", "testIamPermissions", asked.clone()).await, (200, asked.clone()));
    assert_eq!(shop.call("missing", "testIamPermissions", asked).await, (200, json!({})), "of what is missing there are none");
    let (status, kept) = shop.call("billing", "setIamPolicy", json!({"policy": {"etag": ""}, "updateMask": "etag"})).await;
    assert_eq!((status, &kept["bindings"]), (200, &bindings), "only what the mask names changes");
    let unknown = json!({"policy": {"bindings": [{"role": "roles/pubsub.subscriber", "members": ["ada"]}]}});
    let (status, answer) = shop.call("billing", "setIamPolicy", unknown).await;
    let says = "The member ada is of an unknown type. Please set a valid type prefix for the member.";
    assert_eq!((status, &answer["error"]["message"]), (400, &json!(says)));
}

//! Publishing, streaming pull, acknowledgements, dead letters, ordering, filters.

use std::collections::HashMap;

use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::model::DeadLetterPolicy;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_as_it_was_published_until_it_is_acked() {
    let shop = Shop::with_billing(|settings| settings.set_enable_exactly_once_delivery(true)).await;
    let before = std::time::SystemTime::now();
    let sent = message("{\"n\":1}", &[("kind", "order")]).set_ordering_key("k");
    let ids = shop.publish("orders", vec![sent]).await;
    let mut stream = shop.subscribe("billing").await;
    let (received, handler) = next(&mut stream).await;
    assert_eq!((text(&received), &received.message_id, received.ordering_key.as_str()), ("{\"n\":1}", &ids[0], "k"));
    assert_eq!(received.attributes, HashMap::from([("kind".to_owned(), "order".to_owned())]));
    let published = std::time::SystemTime::try_from(received.publish_time.unwrap()).unwrap();
    assert!(published + Duration::from_millis(1) >= before && published <= std::time::SystemTime::now());
    assert_eq!(handler.delivery_attempt(), None, "unset without a dead-letter policy");
    let Handler::ExactlyOnce(handler) = handler else { panic!("the stream should say that delivery is exactly-once") };
    in_time(handler.confirmed_ack()).await.unwrap();
    drop(stream);
    let later = google_cloud_wkt::Timestamp::clamp(0, 0);
    shop.subscriptions.seek().set_subscription(subscription("billing")).set_time(later).send().await.unwrap();
    assert_eq!(shop.pull("billing", 10).await, Vec::<Value>::new(), "what is acked is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_arrive_once_each_at_two_streams() {
    let shop = Shop::with_billing(|settings| settings).await;
    let (mut one, mut two) = (shop.subscribe("billing").await, shop.subscribe("billing").await);
    let mut ids = shop.publish("orders", (0..1000).map(|n| message(&n.to_string(), &[])).collect()).await;
    let mut received = Vec::new();
    while received.len() < ids.len() {
        let (message, handler) = tokio::select! {
            next = next(&mut one) => next,
            next = next(&mut two) => next,
        };
        handler.ack();
        received.push(message.message_id);
    }
    ids.sort_unstable();
    received.sort_unstable();
    assert_eq!(received, ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_waits_and_settles_by_ack_id() {
    let shop = Shop::with_billing(|settings| settings.set_enable_exactly_once_delivery(true)).await;
    let waiting = shop.call("billing", "pull", json!({"maxMessages": 1}));
    let publish = shop.publish("orders", vec![message("a", &[("n", "1")])]);
    let ((status, answer), ids) = tokio::join!(waiting, publish);
    assert_eq!(status, 200);
    let received = &answer["receivedMessages"][0];
    assert_eq!(received["message"]["messageId"], json!(ids[0]));
    assert_eq!((&received["message"]["data"], &received["message"]["attributes"]), (&json!("YQ=="), &json!({"n": "1"})));
    let first = &received["ackId"];
    let nack = json!({"ackIds": [first], "ackDeadlineSeconds": 0});
    assert_eq!(shop.call("billing", "modifyAckDeadline", nack).await, (200, json!({})));
    let again = shop.pull("billing", 5).await;
    assert_eq!(again.len(), 1);
    let (status, answer) = shop.call("billing", "acknowledge", json!({"ackIds": [first, again[0]["ackId"]]})).await;
    let says = "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired or the acknowledgement ids were malformed.";
    let said = words(answer["error"]["message"].as_str().unwrap(), says);
    assert_eq!((status, &answer["error"]["status"], said), (400, &json!("INVALID_ARGUMENT"), says));
    let (status, _) = shop.call("billing", "acknowledge", json!({"ackIds": ["?"]})).await;
    assert_eq!(status, 400);
    assert!(shop.pull("billing", 5).await.is_empty(), "the good one of both was acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_bear_their_origin() {
    let shop = Shop::open().await;
    for id in ["orders", "dead"] {
        shop.add_topic(id).await;
    }
    shop.add_subscription("graves", "dead", |settings| settings).await;
    let policy = DeadLetterPolicy::new().set_dead_letter_topic(topic("dead")).set_max_delivery_attempts(5);
    shop.add_subscription("billing", "orders", |settings| settings.set_dead_letter_policy(policy)).await;
    let ids = shop.publish("orders", vec![message("poison", &[("kind", "order")])]).await;
    let mut stream = shop.subscribe("billing").await;
    let mut published = None;
    for attempt in 1..=5 {
        let (received, handler) = next(&mut stream).await;
        assert_eq!((handler.delivery_attempt(), &received.message_id), (Some(attempt), &ids[0]));
        published = received.publish_time;
        handler.nack();
    }
    let mut graves = shop.subscribe("graves").await;
    let (dead, handler) = next(&mut graves).await;
    handler.ack();
    assert_eq!(text(&dead), "poison");
    assert_ne!(dead.message_id, ids[0]);
    let time: jiff::Timestamp = dead.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"].parse().unwrap();
    assert_eq!(time.as_millisecond() / 1000, published.unwrap().seconds());
    let mut attributes: Vec<_> = dead.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    attributes.retain(|(key, _)| *key != "CloudPubSubDeadLetterSourceTopicPublishTime");
    attributes.sort_unstable();
    let project = project();
    let expected = [
        ("CloudPubSubDeadLetterSourceDeliveryCount", "5"),
        ("CloudPubSubDeadLetterSourceSubscription", "billing"),
        ("CloudPubSubDeadLetterSourceSubscriptionProject", project.trim_start_matches("projects/")),
        ("kind", "order"),
    ];
    assert_eq!(attributes, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_delivered_in_order() {
    let shop = Shop::with_billing(|settings| settings.set_enable_message_ordering(true)).await;
    let messages = (0..60).map(|n| message(&n.to_string(), &[]).set_ordering_key(format!("key-{}", n % 3)));
    shop.publish("orders", messages.collect()).await;
    let mut stream = shop.subscribe("billing").await;
    let mut seen: HashMap<String, Vec<u32>> = HashMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < 60 {
        let (received, handler) = next(&mut stream).await;
        seen.entry(received.ordering_key.clone()).or_default().push(text(&received).parse().unwrap());
        handler.ack();
    }
    for key in 0..3 {
        assert_eq!(seen[&format!("key-{key}")], (0..60).filter(|n| n % 3 == key).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_keep_messages_away() {
    let shop = Shop::with_billing(|settings| settings.set_filter(r#"NOT attributes:test AND hasPrefix(attributes.kind, "order")"#)).await;
    let sent = [&[("kind", "mail")][..], &[("kind", "order.new")], &[("kind", "order.new"), ("test", "")], &[]];
    shop.publish("orders", sent.iter().enumerate().map(|(n, attributes)| message(&n.to_string(), attributes)).collect()).await;
    let received = shop.pull("billing", 10).await;
    let data: Vec<_> = received.iter().map(|received| &received["message"]["data"]).collect();
    assert_eq!(data, [&json!("MQ==")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dropped_stream_held_comes_back() {
    let shop = Shop::with_billing(|settings| settings).await;
    shop.publish("orders", vec![message("a", &[])]).await;
    let mut stream = shop.subscribe("billing").await;
    let (_, handler) = next(&mut stream).await;
    drop((handler, stream));
    let mut stream = shop.subscribe("billing").await;
    let (received, handler) = next(&mut stream).await;
    assert_eq!(text(&received), "a");
    handler.ack();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_subscription_ends_its_streams() {
    let shop = Shop::with_billing(|settings| settings).await;
    let mut stream = shop.subscribe("billing").await;
    shop.publish("orders", vec![message("a", &[])]).await;
    let (_, handler) = next(&mut stream).await;
    handler.ack();
    let end = async {
        shop.subscriptions.delete_subscription().set_subscription(subscription("billing")).send().await.unwrap();
    };
    let ends = async { stream.next().await.unwrap().unwrap_err() };
    let both = Box::pin(async { tokio::join!(end, ends) });
    let ((), error) = in_time(both).await;
    assert_eq!(error.status().unwrap().code, Code::NotFound);
    let expected = "Resource not found (resource=billing).";
    assert_eq!(words(&error.status().unwrap().message, expected), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_refused_in_googles_words() {
    let shop = Shop::with_billing(|settings| settings).await;
    let publisher = shop.publisher("orders").await;
    let attributes: Vec<_> = (0..101).map(|n| (n.to_string(), String::new())).collect();
    let above =
        |what, given, max| format!("The value for {what} is too large. You passed {given} in the request, but the maximum value is {max}.");
    let cases = [
        (Message::new().set_data("x".repeat(12_000_000)), above("request_size", 12_000_039, 10_000_000)),
        (Message::new().set_data("x").set_attributes(attributes), above("attribute_count", 101, 100)),
    ];
    for (message, says) in cases {
        let error = in_time(publisher.publish(message)).await.unwrap_err();
        assert!(words(&format!("{error:?}"), &says).contains(&says), "{error:?}");
    }
    assert!(shop.pull("billing", 1).await.is_empty());
}

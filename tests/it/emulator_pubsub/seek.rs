//! Seeks and snapshots.

use super::*;

async fn data(shop: &Shop, id: &str) -> Vec<String> {
    let received = shop.pull(id, 10).await;
    received.iter().map(|received| received["message"]["data"].as_str().unwrap().to_owned()).collect()
}

async fn ack_all(shop: &Shop, id: &str) {
    let ack_ids: Vec<_> = shop.pull(id, 10).await.into_iter().map(|received| received["ackId"].clone()).collect();
    assert!(!ack_ids.is_empty());
    assert_eq!(shop.call(id, "acknowledge", json!({"ackIds": ack_ids})).await, (200, json!({})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_time() {
    let shop = Shop::with_billing(|settings| settings.set_retain_acked_messages(true)).await;
    shop.publish("orders", vec![message("a", &[])]).await;
    let between = google_cloud_wkt::Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    shop.publish("orders", vec![message("b", &[])]).await;
    ack_all(&shop, "billing").await;
    shop.subscriptions.seek().set_subscription(subscription("billing")).set_time(between).send().await.unwrap();
    assert_eq!(data(&shop, "billing").await, ["Yg=="]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_snapshot_also_of_another_subscription() {
    let shop = Shop::with_billing(|settings| settings).await;
    shop.add_subscription("peek", "orders", |settings| settings).await;
    shop.publish("orders", vec![message("a", &[])]).await;
    let name = &format!("{}/snapshots/before", project());
    let client = &shop.subscriptions;
    let create = client.create_snapshot().set_name(name).set_subscription(subscription("billing")).set_labels([("by", "test")]);
    let snapshot = create.send().await.unwrap();
    assert_eq!((&snapshot.name, &snapshot.topic), (name, &topic("orders")));
    assert_eq!(snapshot.labels["by"], "test");
    let life = snapshot.expire_time.unwrap().seconds() - jiff::Timestamp::now().as_second();
    assert!((7 * 86_400 - 60..=7 * 86_400).contains(&life), "{life}");
    assert_eq!(client.get_snapshot().set_snapshot(name).send().await.unwrap(), snapshot);
    assert_eq!(client.list_snapshots().set_project(project()).send().await.unwrap().snapshots, [snapshot]);
    shop.publish("orders", vec![message("b", &[])]).await;
    for id in ["billing", "peek"] {
        ack_all(&shop, id).await;
        client.seek().set_subscription(subscription(id)).set_snapshot(name).send().await.unwrap();
        assert_eq!(data(&shop, id).await, ["YQ==", "Yg=="], "what was there, and what came since");
    }
    client.delete_snapshot().set_snapshot(name).send().await.unwrap();
    let listed = shop.topics.list_topic_snapshots().set_topic(topic("orders")).send().await.unwrap();
    assert!(listed.snapshots.is_empty());
}

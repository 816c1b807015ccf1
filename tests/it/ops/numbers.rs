use std::time::Duration;

use jiff::Timestamp;
use redrive::model::message::Draft;
use redrive::model::numbers::{Series, Source};
use redrive::ops::PeekMode;

use super::{World, eventually, queue, subscription, topic};

const SHOP: &str = "
topics: [{ name: orders }, { name: dead }]
subscriptions:
  - { name: hold, topic: orders }
  - { name: strict, topic: orders, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: morgue, topic: dead }
  - { name: pushed, topic: orders, push_endpoint: 'http://127.0.0.1:9/' }
queues: [{ name: emails, paused: true }, { name: empty, location: us-east1 }]
tasks:
  - { queue: emails, name: one, http: { url: 'http://127.0.0.1:9/' } }
  - { queue: emails, name: two, http: { url: 'http://127.0.0.1:9/' } }
";

/// Counts are whole numbers, whatever type carries them.
fn whole(value: f64) -> String {
    format!("{value:.3}")
}

fn sum(series: &Series) -> String {
    whole(series.values().sum())
}

#[tokio::test]
async fn every_number_has_a_source_and_an_age() {
    let begun = Timestamp::now();
    let world = World::start(SHOP).await;
    for n in 0..3 {
        world.ops.publish(&topic("orders"), Draft { data: n.to_string().into(), ..Draft::default() }).await.unwrap();
    }
    let pulled = world.ops.cloud().pull(&subscription("hold"), 1, Duration::ZERO).await.unwrap();
    world.ops.cloud().acknowledge(&subscription("hold"), &[pulled.messages[0].ack_id.clone()]).await.unwrap();
    let numbers = eventually("the push endpoint was tried", || async {
        let numbers = world.ops.numbers().await.unwrap();
        (!numbers.subscriptions.get(&subscription("pushed"))?.pushes.is_empty()).then_some(numbers)
    })
    .await;
    assert!(numbers.problems.is_empty(), "{:?}", numbers.problems);
    assert!(numbers.as_of.is_some_and(|as_of| as_of >= begun));

    let emails = &numbers.queues[&queue("emails")];
    let depth = emails.depth.unwrap();
    assert_eq!((depth.value, depth.source), (2, Source::Stats));
    // The server tells whole seconds.
    assert!(depth.as_of.duration_since(begun).as_secs() >= -1 && depth.as_of <= Timestamp::now(), "{depth:?}");
    assert_eq!(whole(emails.depth_series.latest().unwrap().1), "2.000");
    let oldest = emails.oldest.unwrap();
    assert!(oldest.value.duration_since(begun).as_secs().abs() <= 20 && oldest.source == Source::Stats, "{oldest:?}");
    assert_eq!((emails.executed_last_minute.unwrap().value, emails.concurrent.unwrap().value), (0, 0));
    assert!(emails.effective_rate.unwrap().value >= 0.0);
    let empty = &numbers.queues[&"projects/shop/locations/us-east1/queues/empty".parse().unwrap()];
    assert_eq!((empty.depth.unwrap().value, empty.oldest), (0, None));

    let hold = &numbers.subscriptions[&subscription("hold")];
    let backlog = hold.backlog.unwrap();
    assert_eq!((backlog.value, backlog.source, hold.backlog_bytes.unwrap().value > 0), (2, Source::Monitoring, true));
    assert!(backlog.as_of >= begun);
    assert_eq!(whole(hold.backlog_series.latest().unwrap().1), "2.000");
    assert!(hold.oldest_age.unwrap().value < Duration::from_mins(1));
    assert_eq!((sum(&hold.acked).as_str(), sum(&hold.dead_lettered).as_str()), ("1.000", "0.000"));
    assert_eq!(sum(&numbers.topics[&topic("orders")]), "3.000");
    let (answer, count) = &numbers.subscriptions[&subscription("pushed")].pushes[0];
    assert_eq!((answer.as_str(), *count >= 1), ("unreachable", true));
}

#[tokio::test]
async fn dead_letters_are_counted_on_their_source() {
    let world = World::start(SHOP).await;
    world.ops.publish(&topic("orders"), Draft { data: "poison".into(), ..Draft::default() }).await.unwrap();
    let morgue = eventually("the message is given up", || async {
        world.ops.peek(&subscription("strict"), PeekMode::Leased, 5).await.unwrap();
        let held = world.ops.peek(&subscription("morgue"), PeekMode::Leased, 5).await.unwrap();
        (!held.messages.is_empty()).then_some(held)
    })
    .await;
    let from = morgue.messages[0].provenance().unwrap();
    assert_eq!((from.subscription, from.delivery_count), (Some(subscription("strict")), Some(5)));
    let numbers = world.ops.numbers().await.unwrap();
    assert_eq!(sum(&numbers.subscriptions[&subscription("strict")].dead_lettered), "1.000");
    assert_eq!(numbers.subscriptions[&subscription("strict")].backlog.unwrap().value, 0);
    assert_eq!(numbers.subscriptions[&subscription("morgue")].backlog.unwrap().value, 1);
}

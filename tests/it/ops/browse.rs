use std::time::Duration;

use redrive::cloud::{Cloud, Environment, Found, Settings};
use redrive::error::Kind;
use redrive::model::dead_letter::Broken;
use redrive::model::job::{JobState, JobTarget};
use redrive::model::queue::QueueState;
use redrive::model::subscription::Delivery;
use redrive::ops::Ops;
use serde_json::json;

use super::{World, subscription, topic};

const SHOP: &str = r#"
topics:
  - { name: orders, retention: 1h }
  - name: orders-dead
  - name: mail-dead
  - name: mail
subscriptions:
  - { name: billing, topic: orders, dead_letter: { topic: orders-dead, max_attempts: 7 }, filter: 'attributes.kind = "order"', ack_deadline: 30s, ordered: true, retry: { min_backoff: 20s, max_backoff: 5m } }
  - { name: orders-hold, topic: orders-dead, retention: 2d }
  - { name: mailer, topic: mail, push_endpoint: 'http://127.0.0.1:9/mail', dead_letter: { topic: mail-dead }, exactly_once: false }
queues:
  - { name: emails, max_dispatches_per_second: 2.5, max_concurrent_dispatches: 4, retry: { max_attempts: 9, min_backoff: 2s, max_backoff: 1h, max_doublings: 3 } }
  - { name: reports, location: us-east1, retry: { max_attempts: -1 }, paused: true }
jobs:
  - { name: nightly, schedule: 0 3 * * *, time_zone: Europe/Paris, description: the report, publish: { topic: orders, json: { kind: report } } }
  - { name: ping, location: us-east1, schedule: '*/5 * * * *', http: { url: 'http://127.0.0.1:9/ping', json: {} }, paused: true }
"#;

#[tokio::test]
async fn queues_of_all_locations_with_their_settings() {
    let world = World::start(SHOP).await;
    let listing = world.ops.queues().await.unwrap();
    assert!(listing.failed.is_empty() && !listing.truncated, "{:?}", listing.failed);
    let names: Vec<_> = listing.items.iter().map(|queue| queue.name.to_string()).collect();
    assert_eq!(names, ["projects/shop/locations/europe-west1/queues/emails", "projects/shop/locations/us-east1/queues/reports"]);
    let (emails, reports) = (&listing.items[0], &listing.items[1]);
    assert_eq!((emails.state, reports.state), (QueueState::Running, QueueState::Paused));
    assert_eq!((emails.dispatches_per_second_max, emails.concurrent_max), (2.5, 4));
    assert!(emails.burst_max > 0);
    assert_eq!((emails.retry.attempts_max, reports.retry.attempts_max), (Some(9), None));
    assert_eq!((emails.retry.backoff_min, emails.retry.backoff_max), (Duration::from_secs(2), Duration::from_hours(1)));
    assert_eq!((emails.retry.doublings_max, emails.retry.duration_max), (3, None));
    assert_eq!(emails.raw["state"], "RUNNING");
    assert_eq!(emails.raw["rateLimits"]["maxDispatchesPerSecond"], json!(2.5));
    assert_eq!(emails.raw["retryConfig"]["minBackoff"], "2s");
    let locations = world.ops.locations().await.unwrap();
    assert!(["europe-west1", "us-east1"].iter().all(|id| locations.iter().any(|known| known.as_str() == *id)), "{locations:?}");
}

#[tokio::test]
async fn locations_can_be_narrowed() {
    let world = World::start(SHOP).await;
    let emulator = Some(world.emulator.address().to_string());
    let settings =
        Settings { project: Some("shop".parse().unwrap()), locations: vec!["us-east1".parse().unwrap()], emulator, ..Settings::default() };
    let Found::Ready(cloud) = Cloud::discover_in(&settings, &Environment::default()).await else { panic!("the emulator is named") };
    let ops = Ops::new(*cloud, world.home.clone(), false).unwrap();
    let names: Vec<_> = ops.queues().await.unwrap().items.into_iter().map(|queue| queue.name.id().to_owned()).collect();
    assert_eq!(names, ["reports"]);
    assert_eq!(ops.locations().await.unwrap(), ["us-east1".parse().unwrap()]);
    assert_eq!(ops.jobs().await.unwrap().items[0].name.id(), "ping");
}

#[tokio::test]
async fn jobs_with_targets() {
    let world = World::start(SHOP).await;
    let jobs = world.ops.jobs().await.unwrap();
    assert!(jobs.failed.is_empty(), "{:?}", jobs.failed);
    let [nightly, ping] = &jobs.items[..] else { panic!("{:?}", jobs.items) };
    assert_eq!(nightly.name.to_string(), "projects/shop/locations/europe-west1/jobs/nightly");
    assert_eq!((nightly.schedule.as_str(), nightly.time_zone.as_str()), ("0 3 * * *", "Europe/Paris"));
    assert_eq!((nightly.description.as_str(), nightly.state), ("the report", JobState::Enabled));
    assert_eq!(nightly.target, JobTarget::PubSub(topic("orders")));
    assert_eq!((nightly.last_attempt, nightly.status.clone()), (None, None));
    assert!(nightly.next_run.is_some());
    assert_eq!(nightly.raw["state"], "ENABLED");
    assert_eq!(ping.state, JobState::Paused);
    assert_eq!(ping.target, JobTarget::Http { method: "POST".to_owned(), url: "http://127.0.0.1:9/ping".to_owned() });
}

#[tokio::test]
async fn topics_and_subscriptions() {
    let world = World::start(SHOP).await;
    let topics = world.ops.topics().await.unwrap();
    let ids: Vec<_> = topics.items.iter().map(|topic| topic.name.id()).collect();
    assert_eq!(ids, ["mail", "mail-dead", "orders", "orders-dead"]);
    assert_eq!((topics.items[2].retention, topics.items[0].retention), (Some(Duration::from_hours(1)), None));
    assert_eq!(topics.items[2].raw["messageRetentionDuration"], "3600s");
    let subscriptions = world.ops.subscriptions().await.unwrap().items;
    let [billing, mailer, hold] = &subscriptions[..] else { panic!("{subscriptions:?}") };
    assert_eq!((&billing.topic, &billing.delivery), (&Some(topic("orders")), &Delivery::Pull));
    assert_eq!((billing.ack_deadline, billing.filter.as_str()), (Duration::from_secs(30), "attributes.kind = \"order\""));
    assert!(billing.ordered && !billing.exactly_once && !billing.detached && !billing.retain_acked);
    assert_eq!(billing.backoff, Some((Duration::from_secs(20), Duration::from_mins(5))));
    let policy = billing.dead_letters.as_ref().unwrap();
    assert_eq!((&policy.topic, policy.attempts_max), (&Some(topic("orders-dead")), 7));
    assert_eq!(mailer.delivery, Delivery::Push { endpoint: "http://127.0.0.1:9/mail".to_owned(), unwrapped: false, account: None });
    assert_eq!(mailer.dead_letters.as_ref().unwrap().attempts_max, 5);
    assert_eq!((hold.retention, hold.dead_letters.is_none()), (Duration::from_hours(48), true));
    assert_eq!(billing.raw["deadLetterPolicy"]["maxDeliveryAttempts"], 7);
    assert_eq!(billing.raw["state"], "ACTIVE");
}

#[tokio::test]
async fn dead_letter_relations_and_what_is_broken() {
    let world = World::start(SHOP).await;
    let listing = world.ops.dead_letters().await.unwrap();
    assert!(listing.failed.is_empty(), "{:?}", listing.failed);
    let [billing, mailer] = &listing.items[..] else { panic!("{:?}", listing.items) };
    assert_eq!((&billing.source, &billing.topic), (&subscription("billing"), &Some(topic("orders"))));
    assert_eq!((&billing.dead_letter_topic, billing.attempts_max), (&Some(topic("orders-dead")), 7));
    assert_eq!((&billing.holders[..], billing.broken), (&[subscription("orders-hold")][..], None));
    assert_eq!((&mailer.holders[..], mailer.broken), (&[][..], Some(Broken::NoHolder)));
}

/// A holder in another project counts, and nothing of another project is called missing without having been asked for.
#[tokio::test]
async fn holders_in_other_projects_are_found() {
    let world = World::start("topics: [{ name: orders }]").await;
    let base = format!("http://{}/v1/projects", world.emulator.address());
    let put = async |path: &str, body: serde_json::Value| {
        let answer = reqwest::Client::new().put(format!("{base}/{path}")).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    };
    put("graveyard/topics/dead", json!({})).await;
    let policy = json!({"deadLetterTopic": "projects/graveyard/topics/dead", "maxDeliveryAttempts": 5});
    put("shop/subscriptions/billing", json!({"topic": "projects/shop/topics/orders", "deadLetterPolicy": policy})).await;
    assert_eq!(world.ops.dead_letters().await.unwrap().items[0].broken, Some(Broken::NoHolder));
    put("graveyard/subscriptions/keeper", json!({"topic": "projects/graveyard/topics/dead"})).await;
    let relations = world.ops.dead_letters().await.unwrap().items;
    assert_eq!(relations[0].broken, None);
    assert_eq!(relations[0].holders, ["projects/graveyard/subscriptions/keeper".parse().unwrap()]);
}

#[tokio::test]
async fn an_unknown_project_is_empty_or_told() {
    let world = World::start("").await;
    let cloud = Cloud::emulator(&world.emulator.address().to_string(), "nobody-knows-it".parse().unwrap()).unwrap();
    let ops = Ops::new(cloud, world.home.clone(), false).unwrap();
    match ops.topics().await {
        Ok(listing) => assert!(listing.items.is_empty()),
        Err(error) => assert_eq!(error.kind(), Kind::NotFound, "{error}"),
    }
    let error = ops.tasks(&"projects/nobody-knows-it/locations/europe-west1/queues/q".parse().unwrap(), false, 5).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

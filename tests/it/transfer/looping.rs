//! A receiver that always fails: its dead letters come straight back, and no transfer runs for ever.

use super::*;

/// What is redriven so often is in a loop.
const GENERATIONS: usize = 20;

/// `fails` refuses everything: what it is given lies in `hold` at once.
const SEED: &str = "
topics: [{ name: orders }, { name: dead }]
subscriptions:
  - { name: fails, topic: orders, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: hold, topic: dead, exactly_once: true }
";

/// Refuses whatever comes, until it is dropped.
struct Receiver(tokio::task::JoinHandle<()>);

impl Receiver {
    fn start(world: &World) -> Self {
        let (cloud, name) = (world.ops.cloud().clone(), subscription("fails"));
        Self(tokio::spawn(async move {
            loop {
                let pulled = cloud.pull(&name, 100, Duration::from_millis(500)).await.unwrap().messages;
                let ack_ids: Vec<String> = pulled.into_iter().map(|received| received.ack_id).collect();
                cloud.modify_ack_deadline(&name, &ack_ids, Duration::ZERO).await.unwrap();
            }
        }))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until so many lie among the dead letters again.
async fn came_back(world: &World, count: u64) {
    eventually("all came back", async || {
        let numbers = world.ops.numbers().await.unwrap();
        (numbers.subscriptions[&subscription("hold")].backlog?.value == count).then_some(())
    })
    .await;
}

/// Without `max`, so that only the rules of the end stop it.
async fn redrive(world: &World) -> Summary {
    let id = start(&world.ops, request(Kind::Redrive, "hold")).await;
    follow(&world.ops, &id, is_over).await
}

#[tokio::test]
async fn a_receiver_that_always_fails_does_not_keep_a_transfer_going() {
    let world = World::start(SEED).await;
    for n in 0..30_u8 {
        world.ops.publish(&topic("orders"), Draft { data: vec![n].into(), ..Draft::default() }).await.unwrap();
    }
    let _receiver = Receiver::start(&world);
    came_back(&world, 30).await;
    let done = redrive(&world).await;
    assert_eq!((done.state, done.counts.moved, done.duplicates_max), (State::Done, 30, 0), "each went once: {done:?}");
    assert!(done.returned > 0, "what came straight back was met, told and left: {done:?}");
    came_back(&world, 30).await;
    for message in everything(&world, "hold").await {
        assert_eq!(message.attributes["redrive-generation"], "1", "nothing went round twice");
    }
}

#[tokio::test]
async fn the_cap_of_generations_ends_a_loop_of_transfers() {
    let world = World::start(SEED).await;
    world.ops.publish(&topic("orders"), Draft { data: "poison".into(), ..Draft::default() }).await.unwrap();
    let _receiver = Receiver::start(&world);
    for generation in 0..=GENERATIONS {
        came_back(&world, 1).await;
        // One is known to be there: no ack deadlines are waited out.
        let wanted = Request { max: Some(1), ..request(Kind::Redrive, "hold") };
        let plan = world.ops.plan_transfer(wanted).await.unwrap();
        if generation == GENERATIONS {
            assert!(plan.refusals.iter().any(|words| words.contains("redriven 20 times already")), "{:?}", plan.refusals);
            assert!(world.ops.start_transfer(plan).await.unwrap_err().is_refused());
            break;
        }
        let id = world.ops.start_transfer(plan).await.unwrap();
        let done = follow(&world.ops, &id, is_over).await;
        assert_eq!((done.state, done.counts.moved), (State::Done, 1), "{generation}: {done:?}");
    }
    // A plan that did not look at it does not get past the engine either.
    let other = Draft { data: "fine".into(), attributes: dead_letter_of("fails"), ..Draft::default() };
    world.ops.publish(&topic("dead"), other).await.unwrap();
    let wanted = Request { max: Some(2), ..request(Kind::Redrive, "hold") };
    let id = start(&world.ops, wanted).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.counts.failed), (State::DoneInPart, 1, 1), "{done:?}");
    assert!(done.errors.iter().any(|words| words.contains("seems to be in a loop")), "{:?}", done.errors);
}

fn dead_letter_of(source: &str) -> BTreeMap<String, String> {
    let told = [("", source), ("Project", "shop")];
    told.map(|(name, value)| (format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned())).into()
}

//! Sending a few first, looking what comes back, editing on the way, and what contexts and other operators forbid.

use redrive::ops::transfer::{Canary, Options, read_patch};
use redrive::ops::{Guard, Typed};

use super::*;

/// Gives up again what this transfer sent to `stamps`, as a failing receiver would; returns how many.
async fn fail_again(world: &World, count: usize) -> usize {
    let messages = drain(world, "stamps", count).await;
    for message in &messages {
        let mut attributes = message.attributes.clone();
        for (name, value) in [("", "stamps"), ("Project", "shop")] {
            attributes.insert(format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned());
        }
        attributes.insert("error".to_owned(), "card declined".to_owned());
        let draft = Draft { data: message.data.clone(), attributes, ordering_key: String::new() };
        world.ops.publish(&topic("dead-strict"), draft).await.unwrap();
    }
    messages.len()
}

fn canary(count: u64, wait: Duration, go_on: bool) -> Options {
    Options { canary: Some(Canary { count, wait, go_on }), ..Options::default() }
}

#[tokio::test]
async fn a_canary_that_comes_back_keeps_the_rest() {
    let world = World::start(SHOP).await;
    give_up(&world, 12).await;
    let options = canary(3, Duration::from_mins(5), true);
    let id = start(&world.ops, Request { options, ..request(Kind::Redrive, "strict") }).await;
    let out = follow(&world.ops, &id, |summary| summary.state == State::Watching).await;
    assert_eq!((out.counts.moved, out.counts.seen), (3, 3), "only the canary is out");
    assert_eq!(fail_again(&world, 3).await, 3);
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.returned), (State::Cancelled, 3, 3), "{done:?}");
    assert_eq!((done.returned_causes.len(), done.returned_causes[0].count), (1, 3));
    assert!(done.returned_causes[0].cause.contains("card declined"), "{done:?}");
    assert!(done.errors.iter().any(|words| words.contains("3 of the first 3 came back")), "{done:?}");
    assert_eq!(world.ops.transfers().unwrap()[0].returned, 3, "the journal knows it");
    let left: Vec<String> = world.ops.subscriptions().await.unwrap().items.iter().map(|one| one.name.id().to_owned()).collect();
    assert!(left.iter().all(|name| !name.starts_with("redrive-")), "{left:?}");
}

#[tokio::test]
async fn the_rest_follows_a_canary_when_it_is_told_to() {
    let world = World::start(SHOP).await;
    give_up(&world, 10).await;
    let options = canary(2, Duration::from_millis(100), false);
    let id = start(&world.ops, Request { options, max: Some(10), ..request(Kind::Redrive, "strict") }).await;
    let asking = follow(&world.ops, &id, |summary| summary.state == State::Asking).await;
    assert_eq!((asking.counts.moved, asking.returned), (2, 0));
    world.ops.proceed_transfer(&id).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 10), "{done:?}");
    assert!(world.ops.proceed_transfer(&id).await.is_err());
}

#[tokio::test]
async fn returns_above_a_share_stop_it() {
    let world = World::start(SHOP).await;
    give_up(&world, 60).await;
    let options = Options { stop_on_return: Some(10), ..Options::default() };
    let id = start(&world.ops, Request { options, rate_max: Some(4), max: Some(60), ..request(Kind::Redrive, "strict") }).await;
    follow(&world.ops, &id, |summary| summary.counts.moved >= 4).await;
    fail_again(&world, 4).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!(done.state, State::Cancelled, "{done:?}");
    assert!(done.counts.moved < 60 && done.returned >= 1, "{done:?}");
    assert!(done.errors.iter().any(|words| words.contains("came back, more than 10 %")), "{done:?}");
}

#[tokio::test]
async fn edited_messages_are_sent_and_the_originals_kept() {
    let world = World::start(SHOP).await;
    let from = [("", "stamps"), ("Project", "shop")];
    let from = from.map(|(name, value)| (format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned()));
    for data in [r#"{"order": 7, "vat": null}"#, r#"{"order": 8}"#] {
        let draft = Draft { data: data.into(), attributes: from.clone().into(), ordering_key: String::new() };
        world.ops.publish(&topic("dead-strict"), draft).await.unwrap();
    }
    let patch =
        r#"[{"op": "replace", "path": "/payload/vat", "value": "DE1"}, {"op": "add", "path": "/attributes/fixed", "value": "yes"}]"#;
    let options = Options { patch: Some(read_patch(patch).unwrap()), ..Options::default() };
    let plan = world.ops.plan_transfer(Request { options, max: Some(2), ..request(Kind::Redrive, "strict") }).await.unwrap();
    let problems = &plan.looked.as_ref().unwrap().problems;
    assert!(problems.len() == 1 && problems[0].refused && problems[0].count == 1, "the one without `vat` is told before: {problems:?}");
    let id = world.ops.start_transfer(plan.confirmed()).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.counts.failed), (State::DoneInPart, 1, 1), "{done:?}");
    let sent = drain(&world, "stamps", 1).await.remove(0);
    assert_eq!((sent.data.as_ref(), sent.attributes["fixed"].as_str()), (&br#"{"order":7,"vat":"DE1"}"#[..], "yes"));
    assert!(sent.attributes["redrive-source"].contains("/strict/messages/"));
    let kept = std::fs::read_to_string(done.copy.unwrap()).unwrap();
    assert_eq!(kept.lines().count(), 1, "{kept}");
    assert!(kept.contains("eyJvcmRlciI6IDcsICJ2YXQiOiBudWxsfQ=="), "the original, as it was: {kept}");
    let left = world.ops.peek(&subscription("strict"), redrive::ops::PeekMode::Leased, 10).await.unwrap();
    assert_eq!(left.messages.len(), 1);
}

#[tokio::test]
async fn another_operators_transfer_is_noticed_across_data_folders() {
    let world = World::start(SHOP).await;
    give_up(&world, 40).await;
    let elsewhere = Ops::new(world.ops.cloud().clone(), world.home.join("another-machine"), false).unwrap();
    let slow = || Request { rate_max: Some(2), max: Some(40), ..request(Kind::Redrive, "strict") };
    let early = elsewhere.plan_transfer(slow()).await.unwrap();
    let id = start(&world.ops, slow()).await;
    follow(&world.ops, &id, |summary| summary.counts.moved >= 1).await;

    let plan = elsewhere.plan_transfer(slow()).await.unwrap();
    assert!(plan.refusals[0].contains(&format!("transfer `{id}` of another operator")) && plan.refusals[0].contains("--force"), "{plan:?}");
    let error = elsewhere.start_transfer(early.confirmed()).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("of another operator"), "{error}");
    // The operator's own folder is told by the journal's lock, not by the mark.
    let here = world.ops.plan_transfer(slow()).await.unwrap();
    assert!(here.refusals.len() == 1 && here.refusals[0].contains("runs on subscription"), "{:?}", here.refusals);

    let forced = Request { options: Options { force: true, ..Options::default() }, max: Some(1), ..slow() };
    let plan = elsewhere.plan_transfer(forced).await.unwrap();
    assert!(plan.refusals.is_empty() && plan.warnings.iter().any(|words| words.contains("of another operator")), "{plan:?}");
    let other = elsewhere.start_transfer(plan.confirmed()).await.unwrap();
    follow(&elsewhere, &other, is_over).await;

    world.ops.cancel_transfer(&id).await.unwrap();
    follow(&world.ops, &id, is_over).await;
    let free = elsewhere.plan_transfer(request(Kind::Redrive, "strict")).await.unwrap();
    assert_eq!(free.refusals, [] as [String; 0], "the mark is taken off at the end");
}

#[tokio::test]
async fn contexts_bound_what_one_action_may_move() {
    let world = World::start(SHOP).await;
    give_up(&world, 5).await;
    let guard = Guard { max_bulk: Some(3), typed: Typed::Nothing, read_only: false };
    let ops = Ops::guarded(world.ops.cloud().clone(), world.home.clone(), guard).unwrap();
    let plan = ops.plan_transfer(request(Kind::Redrive, "strict")).await.unwrap();
    assert!(plan.refusals[0].contains("5 messages are more than this context allows at once (3)"), "{:?}", plan.refusals);
    assert!(ops.start_transfer(plan.confirmed()).await.unwrap_err().is_refused());
    // A plan that was made without the guard is refused all the same.
    let unbounded = world.ops.plan_transfer(Request { max: Some(4), ..request(Kind::Redrive, "strict") }).await.unwrap();
    assert!(ops.start_transfer(unbounded.confirmed()).await.unwrap_err().is_refused());
    let id = start(&ops, Request { max: Some(3), ..request(Kind::Redrive, "strict") }).await;
    assert_eq!(follow(&ops, &id, is_over).await.counts.moved, 3);
    assert!(ops.purge_queue(&"projects/shop/locations/europe-west1/queues/none".parse().unwrap()).await.unwrap_err().is_refused());
}

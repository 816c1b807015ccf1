//! What a discard took away is put back, once; and pruned only when that is asked for.

use super::*;

async fn discarded(world: &World, count: usize) -> TransferId {
    give_up(world, count).await;
    let id = start(&world.ops, Request { max: Some(count as u64), ..request(Kind::Discard, "strict") }).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.discarded), (State::Done, count as u64), "{done:?}");
    id
}

fn undo(id: &TransferId) -> Request {
    Request::new(Kind::Undo, Source::Kept(id.clone()))
}

#[tokio::test]
async fn a_discard_is_undone_with_all_attributes_and_only_once() {
    let world = World::start(SHOP).await;
    let id = discarded(&world, 3).await;
    let plan = world.ops.plan_transfer(undo(&id)).await.unwrap();
    assert_eq!((plan.refusals.len(), plan.expected.unwrap().value), (0, 3));
    let receivers: Vec<&str> = plan.routes[0].receivers.iter().map(|receiver| receiver.subscription.id()).collect();
    assert_eq!(receivers, ["strict"], "every subscription that receives them is named");
    let undone = world.ops.start_transfer(plan).await.unwrap();
    let done = follow(&world.ops, &undone, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 3), "{done:?}");
    let back = drain(&world, "strict", 3).await;
    let numbers: BTreeSet<&str> = back.iter().map(|message| message.attributes["n"].as_str()).collect();
    assert_eq!(numbers, ["0", "1", "2"].into());
    for message in &back {
        assert_eq!(message.attributes["CloudPubSubDeadLetterSourceSubscription"], "stamps");
        assert_eq!((&message.data[..3], message.ordering_key.starts_with("key ")), (&[0, 0xff, b'\n'][..], true));
        assert!(message.attributes["redrive-source"].starts_with(&format!("transfer:{id}/messages/")), "{:?}", message.attributes);
    }

    let again = start(&world.ops, undo(&id)).await;
    let done = follow(&world.ops, &again, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 3), "{done:?}");
    assert!(done.errors.iter().any(|error| error.contains("was moved by an earlier transfer")), "{:?}", done.errors);
    let numbers = world.ops.numbers().await.unwrap();
    assert_eq!(numbers.subscriptions[&subscription("strict")].backlog.unwrap().value, 0, "nothing came a second time");
}

#[tokio::test]
async fn copies_are_kept_until_they_are_pruned() {
    let world = World::start(SHOP).await;
    let id = discarded(&world, 2).await;
    let prunable = world.ops.prunable_transfers(None).unwrap();
    assert_eq!(prunable.iter().map(|summary| &summary.id).collect::<Vec<_>>(), [&id]);
    let copy = prunable[0].copy.clone().unwrap();
    let bytes = copy.metadata().unwrap().len();
    assert!(world.ops.prunable_transfers(Some(prunable[0].started)).unwrap().is_empty(), "none ended before it began");
    assert!(world.read_only().prune_transfers(std::slice::from_ref(&id)).await.unwrap_err().is_refused());
    let pruned = world.ops.prune_transfers(std::slice::from_ref(&id)).await.unwrap();
    assert_eq!((pruned.transfers, pruned.bytes, copy.exists()), (vec![id.clone()], bytes, false));
    let error = world.ops.plan_transfer(undo(&id)).await.unwrap_err();
    assert!(error.to_string().contains("they were pruned"), "{error}");
    assert!(world.ops.prunable_transfers(None).unwrap().is_empty());
    assert_eq!(world.ops.transfers().unwrap()[0].counts.discarded, 2, "what was done is still known");
}

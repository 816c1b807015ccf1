//! Ordering keys.

use super::*;

fn ordered() -> World {
    World::with_billing(|settings| settings.enable_message_ordering = true)
}

#[test]
fn one_batch_of_a_key_is_out_at_a_time() {
    let mut world = ordered();
    for n in 0..3 {
        world.publish_keyed("orders", "k", &format!("k{n}"));
    }
    world.publish("orders", "plain");
    let batch = world.pull("billing", 2);
    assert_eq!(texts(&batch), ["k0", "k1"]);
    let other = world.pull("billing", 5);
    assert_eq!(texts(&other), ["plain"], "the key waits, the others do not");
    world.publish_keyed("orders", "k", "k3");
    world.ack("billing", &batch[..1]);
    assert_eq!(world.pull("billing", 5), []);
    world.woken("billing");
    world.ack("billing", &batch[1..]);
    assert!(world.woken("billing"));
    assert_eq!(texts(&world.pull("billing", 5)), ["k2", "k3"]);
}

#[test]
fn a_nack_brings_back_what_came_after_it_of_its_key() {
    let mut world = ordered();
    for n in 0..4 {
        world.publish_keyed("orders", "k", &format!("k{n}"));
    }
    let batch = world.pull("billing", 4);
    world.nack("billing", &batch[1..2]);
    assert_eq!(world.pull("billing", 5), [], "the first of the batch is still out");
    let settled = world.ack("billing", &batch[..3]);
    assert_eq!((settled.done.len(), settled.stale.len()), (1, 2), "k1 was refused, and with it k2 was taken back");
    assert_eq!(texts(&world.pull("billing", 5)), ["k1", "k2", "k3"]);
    assert_eq!(world.stats("billing").undelivered, 3);
}

#[test]
fn an_expired_lease_keeps_the_order_too() {
    let mut world = ordered();
    world.publish_keyed("orders", "k", "k0");
    world.publish_keyed("orders", "k", "k1");
    let batch = world.pull("billing", 2);
    world.modify("billing", &batch[1..], 300);
    world.pass(10_000);
    assert_eq!(texts(&world.pull("billing", 5)), ["k0", "k1"]);
}

#[test]
fn a_back_off_holds_the_whole_key() {
    let mut world = World::with_billing(|settings| {
        settings.enable_message_ordering = true;
        settings.retry_policy = Some(pb::RetryPolicy { minimum_backoff: pb_duration(5), maximum_backoff: pb_duration(5) });
    });
    world.publish_keyed("orders", "k", "k0");
    world.publish_keyed("orders", "k", "k1");
    let batch = world.pull("billing", 1);
    world.nack("billing", &batch);
    world.pass(4_999);
    assert_eq!(world.pull("billing", 5), []);
    world.pass(1);
    assert_eq!(texts(&world.pull("billing", 5)), ["k0", "k1"]);
}

#[test]
fn without_ordering_keys_do_not_matter() {
    let mut world = World::with_billing(|_| {});
    world.publish_keyed("orders", "k", "k0");
    world.publish_keyed("orders", "k", "k1");
    assert_eq!(texts(&world.pull("billing", 1)), ["k0"]);
    assert_eq!(texts(&world.pull("billing", 1)), ["k1"]);
}

//! What a message costs in allocations and in memory, counted, and that what is idle costs nothing.

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use prost::Message as _;

use super::*;

const MESSAGES: usize = 10_000;
const BATCH: usize = 100;
const PAYLOAD_BYTES: u8 = 100;

/// Allocations for each message, on its way in, out, and gone; the requests around them included.
const PUBLISH_ALLOCATIONS_MAX: f64 = 4.0;
const PULL_ALLOCATIONS_MAX: f64 = 6.0;
const ACK_ALLOCATIONS_MAX: f64 = 2.5;
/// Memory of a message that waits, above its payload.
const OVERHEAD_BYTES_MAX: f64 = 160.0;
/// The same of one that stays leased while all around it are gone, its payload included.
const LEFT_BYTES_MAX: f64 = 1000.0;

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn each(total: i64) -> f64 {
    total as f64 / MESSAGES as f64
}

/// Shows a figure to those who ask for it with `--nocapture`, and checks it.
#[track_caller]
fn at_most(what: &str, found: f64, max: f64) {
    println!("{what}: {found:.2}");
    assert!(found <= max, "{what}: {found:.2}, at most {max}");
}

/// A publish request as it comes off the wire: payloads are slices of one buffer.
fn request(messages: usize) -> pb::PublishRequest {
    let message = pb::PubsubMessage { data: Bytes::from(vec![b'x'; PAYLOAD_BYTES.into()]), ..Default::default() };
    let request = pb::PublishRequest { topic: topic("orders"), messages: vec![message; messages] };
    pb::PublishRequest::decode(Bytes::from(request.encode_to_vec())).unwrap()
}

fn publish_all(world: &mut World) {
    for _ in 0..MESSAGES / BATCH {
        world.run(request(BATCH)).unwrap();
    }
}

#[test]
fn a_message_costs_few_allocations_and_little_memory_and_none_once_it_is_gone() {
    let mut world = World::with_billing(|_| {});
    // The first round makes buffers that stay.
    publish_all(&mut world);
    let first: Vec<_> = (0..MESSAGES / BATCH).flat_map(|_| world.pull("billing", 100)).collect();
    world.ack("billing", &first);
    drop(first);

    let published: AllocationInfo = measure(|| publish_all(&mut world));
    at_most("bytes of overhead", each(published.bytes_current) - f64::from(PAYLOAD_BYTES), OVERHEAD_BYTES_MAX);
    let decoded = measure(|| (0..MESSAGES / BATCH).for_each(|_| drop(request(BATCH))));
    at_most(
        "allocations of a publish",
        each(published.count_total.cast_signed() - decoded.count_total.cast_signed()),
        PUBLISH_ALLOCATIONS_MAX,
    );

    let mut received = Vec::new();
    let pulled = measure(|| received = (0..MESSAGES / BATCH).flat_map(|_| world.pull("billing", 100)).collect());
    at_most("allocations of a pull", each(pulled.count_total.cast_signed()), PULL_ALLOCATIONS_MAX);
    let acked = measure(|| drop(world.ack("billing", &std::mem::take(&mut received))));
    at_most("allocations of an acknowledgement", each(acked.count_total.cast_signed()), ACK_ALLOCATIONS_MAX);
    let left = published.bytes_current + pulled.bytes_current + acked.bytes_current;
    at_most("bytes left of a message that is gone", each(left), 8.0);
}

#[test]
fn a_message_that_stays_does_not_keep_the_request_it_came_with() {
    let mut world = World::with_billing(|_| {});
    let kept = measure(|| {
        for _ in 0..MESSAGES / BATCH {
            world.run(request(BATCH)).unwrap();
            // All but one of each request are acknowledged.
            let mut received = world.pull("billing", i32::try_from(BATCH).unwrap());
            received.pop();
            world.ack("billing", &received);
        }
    });
    let left = world.stats("billing").undelivered;
    assert_eq!(left, (MESSAGES / BATCH) as u64);
    let kept_bytes = each(kept.bytes_current) * f64::from(u32::try_from(BATCH).unwrap());
    at_most("bytes of a message that is left", kept_bytes, LEFT_BYTES_MAX);
}

/// Counts the allocations of a message's way through `billing`, and of a tick.
fn a_way_through(world: &mut World) -> (u64, u64) {
    let through = measure(|| {
        world.publish("orders", "x");
        let received = world.pull("billing", 1);
        world.ack("billing", &received);
    });
    let tick = measure(|| world.run(Tick).unwrap());
    (through.count_total, tick.count_total)
}

#[test]
fn idle_subscriptions_and_a_backlog_add_no_work() {
    let mut world = World::with_billing(|_| {});
    a_way_through(&mut world);
    let alone = a_way_through(&mut world);
    world.add_topic("quiet");
    for number in 0..2000 {
        world.add_subscription(&format!("idle-{number}"), "quiet", |_| {});
    }
    world.publish("quiet", "kept by all");
    world.out.list.clear();
    let (through, tick) = a_way_through(&mut world);
    // Larger maps take a node more now and then.
    assert!(through <= alone.0 + 8 && tick == alone.1, "{through} and {tick} allocations, {alone:?} without");
    let rung: Vec<_> = world.out.list.iter().map(|effect| format!("{effect:?}")).collect();
    assert_eq!(rung, [format!("Ready({:?})", subscription("billing"))], "nobody else is woken");
}

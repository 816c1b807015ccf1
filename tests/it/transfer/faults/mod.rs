//! The faults of the contract, each against the emulator's failure injection or a connection that misbehaves; at the end all of them, at random.
//!
//! `strict` confirms its acks, so that a transfer of known length ends at once; what only a plain subscription does wrong is tried on `hold`, in scenes
//! that wait side by side.

mod proxy;
mod random;

use redrive::emulator::Fault;

use super::*;
use proxy::Proxy;

/// Messages of a scene.
const COUNT: usize = 40;

/// Dead letters in a subscription, and what becomes of them.
struct Scene {
    world: World,
    /// `strict` or `hold`.
    from: &'static str,
    sent: BTreeMap<String, Message>,
}

impl Scene {
    async fn of(from: &'static str, count: usize) -> Self {
        let mut scene = Self { world: World::start(SHOP).await, from, sent: BTreeMap::new() };
        scene.give_up((0..count).map(|n| format!("payload {n}").into_bytes())).await;
        scene
    }

    async fn strict() -> Self {
        Self::of("strict", COUNT).await
    }

    /// Puts dead letters of the source there, as the service would have.
    async fn give_up(&mut self, payloads: impl IntoIterator<Item = Vec<u8>>) {
        let (dead, source) = if self.from == "strict" { ("dead-strict", "stamps") } else { ("dead", "billing") };
        let mut drafts = Vec::new();
        for data in payloads {
            let mut attributes = BTreeMap::from([("n".to_owned(), (self.sent.len() + drafts.len()).to_string())]);
            for (name, value) in [("", source), ("Project", "shop")] {
                attributes.insert(format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned());
            }
            drafts.push(Draft { data: data.into(), attributes, ..Draft::default() });
        }
        for drafts in drafts.chunks(1000) {
            let ids = self.world.ops.cloud().publish_once(&topic(dead), drafts).await.unwrap();
            for (id, draft) in ids.into_iter().zip(drafts) {
                let Draft { data, attributes, ordering_key } = draft.clone();
                self.sent.insert(id.clone(), Message { id, data, attributes, ordering_key, publish_time: None, delivery_attempt: None });
            }
        }
    }

    fn inject(&self, fault: Fault) {
        self.world.emulator.inject(fault).unwrap();
    }

    fn request(&self) -> Request {
        // A window goes in four publishes at least: here all goes in one.
        let window = u32::try_from(4 * COUNT).unwrap();
        Request { max: Some(self.sent.len() as u64), window, ..request(Kind::Redrive, self.from) }
    }

    async fn redrive(&self) -> Summary {
        let id = start(&self.world.ops, self.request()).await;
        follow(&self.world.ops, &id, is_over).await
    }

    /// Waits until the first fault struck so often.
    async fn struck(&self, times: u64) {
        eventually("the fault struck", async || (hits(&self.world).await >= times).then_some(())).await;
    }

    /// Checks what must hold whatever happened, empties everything, and returns how many copies were too many.
    async fn nothing_lost(&self, unsure: u64) -> u64 {
        self.world.emulator.clear_faults();
        // Whatever is leased to somebody comes back.
        self.world.emulator.advance(Duration::from_mins(11)).await.unwrap();
        let left: BTreeSet<String> = everything(&self.world, self.from).await.into_iter().map(|message| message.id).collect();
        let arrived = everything(&self.world, if self.from == "strict" { "stamps" } else { "billing" }).await;
        let mut copies: BTreeMap<&str, u64> = BTreeMap::new();
        for message in &arrived {
            let id = message.attributes["redrive-source"].rsplit_once('/').unwrap().1;
            *copies.entry(id).or_default() += 1;
            let sent = &self.sent[id];
            assert_eq!((&message.data, &message.ordering_key), (&sent.data, &sent.ordering_key));
            let mut expected = sent.attributes.clone();
            expected.retain(|key, _| !key.starts_with("CloudPubSubDeadLetter"));
            assert_eq!(own(&message.attributes), expected);
        }
        for id in self.sent.keys() {
            assert!(copies.contains_key(id.as_str()) || left.contains(id), "message {id} is lost");
        }
        let duplicates = copies.values().map(|count| count - 1).sum();
        assert!(duplicates <= unsure, "{duplicates} duplicates, {unsure} reported");
        duplicates
    }

    /// All went, none is left; returns how many copies were too many.
    async fn moved(&self, done: &Summary) -> u64 {
        let count = self.sent.len() as u64;
        assert_eq!((done.state, done.counts), (State::Done, Counts { seen: count, moved: count, ..Counts::default() }), "{done:?}");
        let left = self.world.ops.cloud().pull(&subscription(self.from), 1, Duration::ZERO).await.unwrap().messages;
        assert!(left.is_empty(), "{left:?}");
        self.nothing_lost(done.duplicates_max).await
    }
}

/// The topic that `strict` and `hold` redrive to.
fn publish(fault: Fault) -> Fault {
    fault.on("projects/shop/topics/orders")
}

#[tokio::test]
async fn publish_unavailable() {
    let scene = Scene::strict().await;
    scene.inject(publish(Fault::status("Publish", "UNAVAILABLE").times(2)));
    let done = scene.redrive().await;
    assert_eq!(done.duplicates_max, 2 * COUNT as u64, "each lost answer is counted");
    assert_eq!(scene.moved(&done).await, 0);
}

#[tokio::test]
async fn publish_deadline_exceeded_after_it_was_committed() {
    let scene = Scene::strict().await;
    scene.inject(publish(Fault::drop_after_commit("Publish").code("DEADLINE_EXCEEDED").times(1)));
    let done = scene.redrive().await;
    assert_eq!(done.duplicates_max, COUNT as u64);
    assert_eq!(scene.moved(&done).await, COUNT as u64, "what nobody could know is twice there, and was counted");
}

#[tokio::test]
async fn publish_exhausted() {
    let scene = Scene::strict().await;
    scene.inject(publish(Fault::status("Publish", "RESOURCE_EXHAUSTED").times(5)));
    let done = scene.redrive().await;
    assert_eq!(done.duplicates_max, 0, "a refusal is no doubt");
    assert_eq!(scene.moved(&done).await, 0);
}

#[tokio::test]
async fn one_bad_message_in_a_batch() {
    let mut scene = Scene::strict().await;
    scene.give_up([b"projects/shop/poison".to_vec(), b"fine".to_vec()]).await;
    // A fault for requests that name a resource; one payload here looks like one.
    scene.inject(Fault::status("Publish", "INVALID_ARGUMENT").on("projects/shop/poison").message("the schema says no"));
    let done = scene.redrive().await;
    let count = scene.sent.len() as u64;
    assert_eq!((done.state, done.counts.moved, done.counts.failed), (State::DoneInPart, count - 1, 1), "{done:?}");
    assert!(done.errors.iter().any(|error| error.contains("the schema says no")), "{:?}", done.errors);
    assert_eq!(done.duplicates_max, 0);
    // It is free at once, not left to its lease.
    let left = scene.world.ops.cloud().pull(&subscription("strict"), 10, Duration::from_secs(2)).await.unwrap().messages;
    assert_eq!((left.len(), left[0].message.data.as_ref()), (1, &b"projects/shop/poison"[..]));
    assert_eq!(scene.nothing_lost(0).await, 0);
}

#[tokio::test]
async fn every_call_cancelled_or_without_a_token_for_a_while() {
    for code in ["CANCELLED", "UNAUTHENTICATED", "ABORTED", "INTERNAL"] {
        let scene = Scene::strict().await;
        let id = start(&scene.world.ops, Request { rate_max: Some(100), ..scene.request() }).await;
        for method in ["Pull", "Publish", "Acknowledge", "ModifyAckDeadline"] {
            scene.inject(Fault::status(method, code).times(2));
        }
        let done = follow(&scene.world.ops, &id, is_over).await;
        assert_eq!(scene.moved(&done).await, 0, "{code}");
    }
}

#[tokio::test]
async fn an_ack_whose_answer_is_lost() {
    for fault in [Fault::drop_after_commit("Acknowledge"), Fault::status("Acknowledge", "UNAVAILABLE")] {
        let scene = Scene::strict().await;
        scene.inject(fault.times(2));
        let done = scene.redrive().await;
        assert_eq!((done.duplicates_max, scene.moved(&done).await), (0, 0));
    }
}

#[tokio::test]
async fn answers_in_any_order() {
    let mut scene = Scene::strict().await;
    scene.give_up((0..400).map(|n| vec![u8::try_from(n % 251).unwrap(); 10])).await;
    for (seed, method) in ["Publish", "Acknowledge", "Pull"].into_iter().enumerate() {
        scene.inject(Fault::delay(method, Duration::from_millis(150)).probability(0.5, seed as u64));
    }
    let id = start(&scene.world.ops, Request { window: 20, ..scene.request() }).await;
    let done = follow(&scene.world.ops, &id, is_over).await;
    assert_eq!((done.duplicates_max, scene.moved(&done).await), (0, 0));
}

#[tokio::test]
async fn connections_cut_in_the_middle() {
    let mut scene = Scene::strict().await;
    scene.give_up((0..400).map(|n| n.to_string().into_bytes())).await;
    let proxy = Proxy::before(&scene.world).await;
    let ops = proxy.ops(&scene.world);
    let id = start(&ops, Request { rate_max: Some(200), ..scene.request() }).await;
    let done = tokio::select! {
        done = follow(&ops, &id, is_over) => done,
        () = proxy.cut_often(12, Duration::from_millis(130)) => unreachable!("it never returns"),
    };
    scene.moved(&done).await;
}

#[tokio::test]
async fn the_clock_of_the_service_jumps_by_an_hour() {
    let scene = Scene::strict().await;
    let id = start(&scene.world.ops, Request { rate_max: Some(20), ..scene.request() }).await;
    follow(&scene.world.ops, &id, |summary| summary.counts.moved >= 5).await;
    // Every lease is over, and what was published is an hour old.
    scene.world.emulator.advance(Duration::from_hours(1)).await.unwrap();
    let done = follow(&scene.world.ops, &id, is_over).await;
    assert_eq!((done.duplicates_max, scene.moved(&done).await), (0, 0));
}

/// What only a subscription does that does not confirm its acks, or what takes a time-out to notice: side by side, for each waits out leases.
#[tokio::test]
async fn leases_that_end_and_connections_that_go_silent() {
    // Boxed: together they are too large for the stack of a test.
    tokio::join!(
        Box::pin(an_ack_id_that_ran_out()),
        Box::pin(a_lease_that_ends_while_publishing()),
        Box::pin(a_delivery_twice_at_once()),
        Box::pin(a_connection_that_goes_silent()),
        Box::pin(two_operators_with_their_own_folders()),
    );
}

async fn an_ack_id_that_ran_out() {
    let scene = Scene::of("hold", COUNT).await;
    scene.inject(Fault::delay("Acknowledge", Duration::from_secs(2)).times(1));
    let id = start(&scene.world.ops, scene.request()).await;
    scene.struck(1).await;
    // The ack is accepted, and does nothing: the messages come again.
    scene.world.emulator.advance(Duration::from_mins(1)).await.unwrap();
    let done = follow(&scene.world.ops, &id, is_over).await;
    assert_eq!((done.duplicates_max, scene.moved(&done).await), (0, 0), "acknowledged again, not published again");
}

async fn a_lease_that_ends_while_publishing() {
    let scene = Scene::of("hold", COUNT).await;
    // Time enough, on a busy machine too, to have them meanwhile.
    scene.inject(publish(Fault::delay("Publish", Duration::from_secs(10)).times(1)));
    let id = start(&scene.world.ops, scene.request()).await;
    scene.struck(1).await;
    scene.world.emulator.advance(Duration::from_mins(1)).await.unwrap();
    // Somebody else has some of them meanwhile, if we are not quicker, and lets go of them.
    let cloud = scene.world.ops.cloud();
    let theirs = cloud.pull(&subscription("hold"), 1000, Duration::from_secs(2)).await.unwrap().messages;
    let ack_ids: Vec<String> = theirs.into_iter().map(|received| received.ack_id).collect();
    cloud.modify_ack_deadline(&subscription("hold"), &ack_ids, Duration::ZERO).await.unwrap();
    let done = follow(&scene.world.ops, &id, is_over).await;
    assert_eq!((done.duplicates_max, scene.moved(&done).await), (0, 0));
}

async fn a_delivery_twice_at_once() {
    let scene = Scene::of("hold", COUNT).await;
    // The window has room, so that it pulls while the first batch is under way, and gets the same again.
    scene.inject(publish(Fault::delay("Publish", Duration::from_secs(3)).times(1)));
    let id = start(&scene.world.ops, Request { window: 1000, ..scene.request() }).await;
    scene.struck(1).await;
    scene.world.emulator.advance(Duration::from_mins(1)).await.unwrap();
    let done = follow(&scene.world.ops, &id, is_over).await;
    assert_eq!((done.duplicates_max, scene.moved(&done).await), (0, 0), "leased twice at once, published once");
}

async fn a_connection_that_goes_silent() {
    let scene = Scene::of("hold", COUNT).await;
    let proxy = Proxy::before(&scene.world).await;
    let ops = proxy.ops(&scene.world);
    scene.inject(publish(Fault::delay("Publish", Duration::from_millis(500)).times(1)));
    // Planned on the other side: connections that are kept for later would all go silent, and be found out one after the other.
    let plan = scene.world.ops.plan_transfer(scene.request()).await.unwrap();
    let id = ops.start_transfer(plan.confirmed()).await.unwrap();
    scene.struck(1).await;
    proxy.silence();
    let done = follow(&ops, &id, is_over).await;
    assert_eq!(scene.moved(&done).await, COUNT as u64, "they were published, and nobody heard of it");
}

async fn two_operators_with_their_own_folders() {
    let mut scene = Scene::of("hold", 0).await;
    scene.give_up((0..1000).map(|n| n.to_string().into_bytes())).await;
    let other = Ops::new(scene.world.ops.cloud().clone(), scene.world.home.join("of-another-machine"), false).unwrap();
    let mut wanted = Request { max: None, rate_max: Some(200), ..scene.request() };
    // Each may have noticed the other.
    wanted.options.force = true;
    let one = scene.world.ops.plan_transfer(wanted.clone()).await.unwrap();
    let two = other.plan_transfer(wanted).await.unwrap();
    let (one, two) = tokio::join!(scene.world.ops.start_transfer(one.confirmed()), other.start_transfer(two.confirmed()));
    let (one, two) = (one.unwrap(), two.unwrap());
    let (one, two) = tokio::join!(follow(&scene.world.ops, &one, is_over), follow(&other, &two, is_over));
    assert!(one.counts.moved > 0 && two.counts.moved > 0, "{one:?} {two:?}");
    assert_eq!((one.state, two.state, one.counts.moved + two.counts.moved), (State::Done, State::Done, 1000), "{one:?} {two:?}");
    assert_eq!(scene.nothing_lost(0).await, 0, "each message is leased to one of them");
}

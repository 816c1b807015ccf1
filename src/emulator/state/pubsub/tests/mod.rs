//! Pub/Sub by sequences of commands, in made-up time.

mod admin;
mod cost;
mod dead_letters;
mod delivery;
mod expiry;
mod model;
mod ordering;
mod publish;
mod push;
mod schemas;
mod seek;
mod seek_model;

use jiff::{SignedDuration, Timestamp};

use super::stats::{SubscriptionStats, TopicStats};
use super::{CloseStream, Due, OpenStream, Settled, StreamLease};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Answer, Answered, Code, Command, Effect, Effects, HttpCall, Moment, Refusal, State, Tick};

/// A state, its clock, and what it asked of the world.
struct World {
    state: State,
    now: Timestamp,
    seed: u64,
    out: Effects,
}

fn topic(id: &str) -> String {
    format!("projects/shop/topics/{id}")
}

fn subscription(id: &str) -> String {
    format!("projects/shop/subscriptions/{id}")
}

#[expect(clippy::unnecessary_wraps, reason = "as the fields take it")]
fn pb_duration(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

impl World {
    fn new() -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Self { state: State::default(), now, seed: 0, out: Effects::default() }
    }

    /// A topic `orders` with a subscription `billing`, set up as told.
    fn with_billing(set: impl FnOnce(&mut pb::Subscription)) -> Self {
        let mut world = Self::new();
        world.add_topic("orders");
        world.add_subscription("billing", "orders", set);
        world
    }

    fn run<C: Command>(&mut self, mut command: C) -> Result<C::Reply, Refusal> {
        self.seed += 1;
        command.detach();
        command.apply(&mut self.state, Moment { now: self.now, seed: self.seed }, &mut self.out)
    }

    #[track_caller]
    fn refused<C: Command>(&mut self, command: C, code: Code, message: &str) {
        let refusal = self.run(command).err().expect("should be refused");
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }

    /// Lets time pass, doing what falls due at its moment.
    fn pass(&mut self, ms: i64) {
        let end = self.now + SignedDuration::from_millis(ms);
        while let Some(due) = self.state.pubsub.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.run(Tick).unwrap();
        }
        self.now = end;
    }

    fn add_topic(&mut self, id: &str) {
        self.run(pb::Topic { name: topic(id), ..Default::default() }).unwrap();
    }

    fn add_subscription(&mut self, id: &str, of: &str, set: impl FnOnce(&mut pb::Subscription)) -> pb::Subscription {
        let mut settings = pb::Subscription { name: subscription(id), topic: topic(of), ..Default::default() };
        set(&mut settings);
        self.run(settings).unwrap()
    }

    fn publish_message(&mut self, to: &str, message: pb::PubsubMessage) -> String {
        let reply = self.run(pb::PublishRequest { topic: topic(to), messages: vec![message] }).unwrap();
        reply.into_texts().into_iter().next().unwrap()
    }

    fn publish(&mut self, to: &str, data: &str) -> String {
        self.publish_message(to, pb::PubsubMessage { data: data.to_owned().into(), ..Default::default() })
    }

    fn publish_keyed(&mut self, to: &str, key: &str, data: &str) -> String {
        let message = pb::PubsubMessage { data: data.to_owned().into(), ordering_key: key.into(), ..Default::default() };
        self.publish_message(to, message)
    }

    fn pull(&mut self, id: &str, max: i32) -> Vec<pb::ReceivedMessage> {
        self.run(pb::PullRequest { subscription: subscription(id), max_messages: max, ..Default::default() }).unwrap().received_messages
    }

    fn ack(&mut self, id: &str, messages: &[pb::ReceivedMessage]) -> Settled {
        self.run(pb::AcknowledgeRequest { subscription: subscription(id), ack_ids: ack_ids(messages) }).unwrap()
    }

    fn modify(&mut self, id: &str, messages: &[pb::ReceivedMessage], seconds: i32) -> Settled {
        let request =
            pb::ModifyAckDeadlineRequest { subscription: subscription(id), ack_ids: ack_ids(messages), ack_deadline_seconds: seconds };
        self.run(request).unwrap()
    }

    fn nack(&mut self, id: &str, messages: &[pb::ReceivedMessage]) {
        self.modify(id, messages, 0);
    }

    fn stats(&self, id: &str) -> SubscriptionStats<'_> {
        let name = subscription(id);
        self.state.pubsub.subscription_stats().find(|(found, _)| *found == name).unwrap().1
    }

    fn topic_stats(&self, id: &str) -> TopicStats {
        let name = topic(id);
        self.state.pubsub.topic_stats().find(|(found, _)| *found == name).unwrap().1
    }

    /// Requests that were to be sent since the last call.
    fn calls(&mut self) -> Vec<HttpCall> {
        let sent = self.out.list.drain(..).filter_map(|effect| match effect {
            Effect::Send(call) => Some(call),
            _ => None,
        });
        sent.collect()
    }

    fn answer(&mut self, call: &HttpCall, answer: Answer) {
        self.run(Answered { caller: call.caller.clone(), answer }).unwrap();
    }

    /// Tells whether receivers were woken since the last call.
    fn woken(&mut self, id: &str) -> bool {
        let name = subscription(id);
        self.out.list.drain(..).any(|effect| matches!(effect, Effect::Ready(ready) if ready == name))
    }

    fn open(&mut self, id: &str, messages_max: i64, bytes_max: i64) -> u64 {
        self.run(OpenStream { subscription: subscription(id), deadline_s: 60, messages_max, bytes_max }).unwrap()
    }

    fn stream(&mut self, id: &str, stream: u64) -> Vec<pb::ReceivedMessage> {
        self.run(StreamLease { subscription: subscription(id), stream }).unwrap().messages
    }

    fn close(&mut self, id: &str, stream: u64, left: bool) {
        self.run(CloseStream { subscription: subscription(id), stream, left }).unwrap();
    }
}

fn ack_ids(messages: &[pb::ReceivedMessage]) -> Vec<String> {
    messages.iter().map(|message| message.ack_id.clone()).collect()
}

fn texts(messages: &[pb::ReceivedMessage]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.message.as_ref().unwrap().data.to_vec()).unwrap()).collect()
}

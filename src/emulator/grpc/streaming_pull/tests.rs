//! Both halves of a stream without a connection between them.

use super::*;

const SUBSCRIPTION: &str = "projects/shop/subscriptions/billing";
const TOPIC: &str = "projects/shop/topics/orders";

struct Halves {
    engine: Engine,
    inbound: Inbound,
    outbound: Outbound,
}

async fn halves(exactly_once: bool) -> Halves {
    let (engine, _calls) = Engine::start(1);
    engine.run(pb::Topic { name: TOPIC.into(), ..Default::default() }).await.unwrap();
    let enable_exactly_once_delivery = exactly_once;
    let settings = pb::Subscription { name: SUBSCRIPTION.into(), topic: TOPIC.into(), enable_exactly_once_delivery, ..Default::default() };
    engine.run(settings).await.unwrap();
    let subscription = SUBSCRIPTION.to_owned();
    let open = OpenStream { subscription: subscription.clone(), deadline_s: 60, messages_max: 0, bytes_max: 0 };
    let (waiter, stream) = (engine.waiter(SUBSCRIPTION), engine.run(open).await.unwrap());
    let (reports, inbox) = mpsc::channel(CONFIRMATIONS_MAX);
    let inbound = Inbound { engine: engine.clone(), subscription: subscription.clone(), stream, reports };
    let reader = tokio::spawn(std::future::pending::<()>()).abort_handle();
    let outbound =
        Outbound { engine: engine.clone(), subscription, stream, waiter, inbox, reader, heartbeat: None, over: false, sent_away: false };
    Halves { engine, inbound, outbound }
}

impl Halves {
    async fn publish(&self, data: &'static str) {
        let message = pb::PubsubMessage { data: data.into(), ..Default::default() };
        self.engine.run(pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] }).await.unwrap();
    }

    async fn receive(&mut self) -> pb::StreamingPullResponse {
        self.outbound.next().await.unwrap().unwrap()
    }
}

fn ack(ids: &[&str]) -> pb::StreamingPullRequest {
    pb::StreamingPullRequest { ack_ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..Default::default() }
}

#[tokio::test]
async fn messages_come_with_the_subscriptions_properties() {
    for exactly_once in [true, false] {
        let mut halves = halves(exactly_once).await;
        let (response, ()) = tokio::join!(halves.outbound.next(), async {
            let message = pb::PubsubMessage { data: "a".into(), ..Default::default() };
            halves.engine.run(pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] }).await.unwrap();
        });
        let response = response.unwrap().unwrap();
        assert_eq!(response.received_messages[0].message.as_ref().unwrap().data, "a");
        let properties = response.subscription_properties.unwrap();
        assert_eq!((properties.exactly_once_delivery_enabled, properties.message_ordering_enabled), (exactly_once, false));
    }
}

#[tokio::test]
async fn exactly_once_confirms_what_was_settled() {
    let mut halves = halves(true).await;
    halves.publish("a").await;
    halves.publish("b").await;
    let received = halves.receive().await.received_messages;
    let (a, b) = (received[0].ack_id.as_str(), received[1].ack_id.as_str());
    let extend = pb::StreamingPullRequest {
        modify_deadline_ack_ids: vec![a.into(), b.into()],
        modify_deadline_seconds: vec![30, 0],
        ..Default::default()
    };
    let confirmed = halves.inbound.settle(extend).await.unwrap().unwrap().modify_ack_deadline_confirmation.unwrap();
    let mut done = confirmed.ack_ids;
    done.sort_unstable();
    let mut both = vec![a.to_owned(), b.to_owned()];
    both.sort_unstable();
    assert_eq!((done, confirmed.invalid_ack_ids), (both, vec![]));
    let confirmed = halves.inbound.settle(ack(&[a, b])).await.unwrap().unwrap().acknowledge_confirmation.unwrap();
    assert_eq!((confirmed.ack_ids, confirmed.invalid_ack_ids), (vec![a.to_owned()], vec![b.to_owned()]));
}

#[tokio::test]
async fn a_lease_is_extended_on_its_stream() {
    let mut halves = halves(false).await;
    halves.publish("a").await;
    halves.publish("b").await;
    let received = halves.receive().await.received_messages;
    let extend = pb::StreamingPullRequest {
        modify_deadline_ack_ids: vec![received[0].ack_id.clone()],
        modify_deadline_seconds: vec![120],
        ..Default::default()
    };
    halves.inbound.take(extend).await.unwrap();
    // The other one's lease is the stream's, of a minute.
    halves.engine.advance(jiff::SignedDuration::from_secs(61));
    let back = halves.receive().await.received_messages;
    assert_eq!(back.iter().map(|one| &one.message).collect::<Vec<_>>(), [&received[1].message]);
    halves.inbound.take(ack(&[&back[0].ack_id])).await.unwrap();
    // A deadline that the stream is given later holds for what it leases from then on.
    halves.inbound.take(pb::StreamingPullRequest { stream_ack_deadline_seconds: 10, ..Default::default() }).await.unwrap();
    halves.engine.advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(halves.receive().await.received_messages[0].message, received[0].message, "the extension is over");
    halves.engine.advance(jiff::SignedDuration::from_secs(11));
    assert_eq!(halves.receive().await.received_messages[0].message, received[0].message, "leased for ten seconds");
}

#[tokio::test]
async fn at_least_once_confirms_nothing() {
    let mut halves = halves(false).await;
    halves.publish("a").await;
    let received = halves.receive().await.received_messages;
    assert_eq!(halves.inbound.settle(ack(&[&received[0].ack_id])).await.unwrap(), None);
    assert_eq!(halves.inbound.settle(ack(&[&received[0].ack_id])).await.unwrap(), None);
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let halves = halves(false).await;
    let uneven = pb::StreamingPullRequest { modify_deadline_seconds: vec![1], ..Default::default() };
    assert_eq!(halves.inbound.settle(uneven).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    assert_eq!(halves.inbound.settle(ack(&["x"])).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    let again = pb::StreamingPullRequest { subscription: SUBSCRIPTION.into(), ..Default::default() };
    let refused = halves.inbound.configure(&again).await.unwrap_err();
    assert_eq!(refused.message(), "subscription can only be set on the initial StreamingPullRequest.");
    let short = pb::StreamingPullRequest { stream_ack_deadline_seconds: 9, ..Default::default() };
    assert_eq!(halves.inbound.configure(&short).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_half_close_ends_the_stream_well_after_what_was_confirmed() {
    let mut halves = halves(true).await;
    let confirmation = pb::StreamingPullResponse::default();
    halves.inbound.reports.send(Report::Respond(confirmation.clone())).await.unwrap();
    halves.inbound.reports.send(Report::HalfClosed).await.unwrap();
    halves.publish("a").await;
    assert_eq!(halves.receive().await, confirmation);
    assert!(halves.outbound.next().await.is_none());
    assert!(halves.outbound.next().await.is_none());
    drop(halves.outbound);
    let pull = pb::PullRequest { subscription: SUBSCRIPTION.into(), max_messages: 1, ..Default::default() };
    assert_eq!(halves.engine.run(pull).await.unwrap().received_messages.len(), 1, "nothing is leased to a stream that was ended");
}

#[tokio::test]
async fn what_a_half_closed_stream_holds_comes_back_soon_and_what_one_sent_away_holds_does_not() {
    for (sent_away, held) in [(false, false), (true, true)] {
        let mut halves = halves(false).await;
        halves.publish("a").await;
        assert_eq!(halves.receive().await.received_messages.len(), 1);
        let end = if sent_away { Report::Refuse(Status::unavailable("later")) } else { Report::HalfClosed };
        halves.inbound.reports.send(end).await.unwrap();
        assert_eq!(halves.outbound.next().await.is_some(), sent_away);
        drop(halves.outbound);
        halves.engine.advance(jiff::SignedDuration::from_secs(10));
        let pull = pb::PullRequest { subscription: SUBSCRIPTION.into(), max_messages: 1, ..Default::default() };
        assert_eq!(halves.engine.run(pull).await.unwrap().received_messages.is_empty(), held);
    }
}

#[tokio::test]
async fn it_ends_with_its_subscription_and_with_the_emulator() {
    let mut gone = halves(false).await;
    gone.engine.run(pb::DeleteSubscriptionRequest { subscription: SUBSCRIPTION.into() }).await.unwrap();
    assert_eq!(gone.outbound.next().await.unwrap().unwrap_err().code(), tonic::Code::NotFound);
    assert!(gone.outbound.next().await.is_none());
    let mut detached = halves(false).await;
    detached.engine.run(pb::DetachSubscriptionRequest { subscription: SUBSCRIPTION.into() }).await.unwrap();
    assert_eq!(detached.outbound.next().await.unwrap().unwrap_err().code(), tonic::Code::FailedPrecondition);
    let mut down = halves(false).await;
    down.engine.shut_down();
    assert_eq!(down.outbound.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
}

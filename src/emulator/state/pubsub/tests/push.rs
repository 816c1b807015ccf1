//! Push delivery.

use serde_json::{Value, json};

use super::*;
use crate::emulator::state::TokenKind;
use crate::emulator::state::pubsub::NO_ANSWER;

const ENDPOINT: &str = "http://127.0.0.1:9/hook";

fn push(set: impl FnOnce(&mut pb::PushConfig, &mut pb::Subscription)) -> World {
    World::with_billing(|settings| {
        let mut config = pb::PushConfig { push_endpoint: ENDPOINT.into(), ..Default::default() };
        set(&mut config, settings);
        settings.push_config = Some(config);
    })
}

fn message() -> pb::PubsubMessage {
    let attributes = [("kind", "order"), ("Host", "evil"), ("bad key", "x"), ("text", "line\nbreak")];
    pb::PubsubMessage {
        data: "{\"n\":1}".into(),
        attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ordering_key: "k".into(),
        ..Default::default()
    }
}

#[test]
fn wrapped_as_google_wraps() {
    let mut world = push(|config, _| {
        let oidc = pb::push_config::OidcToken { service_account_email: "push@shop.iam".into(), audience: String::new() };
        config.authentication_method = Some(pb::push_config::AuthenticationMethod::OidcToken(oidc));
    });
    let id = world.publish_message("orders", message());
    let calls = world.calls();
    let call = &calls[0];
    assert_eq!((call.method, call.url.as_str(), call.timeout.as_secs()), ("POST", ENDPOINT, 10));
    assert!(call.headers.contains(&("content-type".into(), "application/json".into())));
    assert!(matches!(&call.token, Some(TokenKind::Oidc { email, audience }) if email == "push@shop.iam" && audience == ENDPOINT));
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    let expected = json!({
        "message": {
            "attributes": {"Host": "evil", "bad key": "x", "kind": "order", "text": "line\nbreak"},
            "data": "eyJuIjoxfQ==",
            "messageId": id,
            "message_id": id,
            "orderingKey": "k",
            "publishTime": "2026-01-01T00:00:00Z",
            "publish_time": "2026-01-01T00:00:00Z",
        },
        "subscription": "projects/shop/subscriptions/billing",
    });
    assert_eq!(body, expected);
}

#[test]
fn unwrapped_with_metadata_in_headers() {
    for write_metadata in [true, false] {
        let mut world =
            push(|config, _| config.wrapper = Some(pb::push_config::Wrapper::NoWrapper(pb::push_config::NoWrapper { write_metadata })));
        let id = world.publish_message("orders", message());
        let call = world.calls().remove(0);
        assert_eq!(call.body, "{\"n\":1}");
        let mut headers: Vec<_> = call.headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        headers.sort_unstable();
        let metadata = [
            ("kind", "order"),
            ("user-agent", "CloudPubSub-Google"),
            ("x-goog-pubsub-message-id", id.as_str()),
            ("x-goog-pubsub-ordering-key", "k"),
            ("x-goog-pubsub-publish-time", "2026-01-01T00:00:00Z"),
            ("x-goog-pubsub-subscription-name", "projects/shop/subscriptions/billing"),
        ];
        assert_eq!(headers, if write_metadata { &metadata[..] } else { &metadata[1..2] });
    }
}

#[test]
fn only_five_answers_acknowledge() {
    for status in [102, 200, 201, 202, 203, 204, 206, 301, 404, 429, 500] {
        let mut world = push(|_, _| {});
        world.publish("orders", "a");
        let call = world.calls().remove(0);
        world.answer(&call, Answer::Status(status));
        let acked = world.stats("billing").undelivered == 0;
        assert_eq!(acked, [102, 200, 201, 202, 204].contains(&status), "{status}");
        assert_eq!(world.stats("billing").counters.push_requests, [(status, 1)].into());
    }
}

#[test]
fn the_window_grows_with_success_and_shrinks_with_failure() {
    let mut world = push(|_, _| {});
    for n in 0..40 {
        world.publish("orders", &n.to_string());
    }
    let mut calls = world.calls();
    assert_eq!(calls.len(), 1, "slow start");
    for expected in [2, 4, 8] {
        for call in calls {
            world.answer(&call, Answer::Status(200));
        }
        calls = world.calls();
        assert_eq!(calls.len(), expected);
    }
    for call in &calls {
        world.answer(call, Answer::Status(503));
    }
    assert!(world.calls().is_empty(), "a failing endpoint gets a pause");
    world.pass(100);
    assert_eq!(world.calls().len(), 1, "and one request after it");
}

#[test]
fn pauses_double_up_to_a_minute_and_end_with_success() {
    let mut world = push(|_, _| {});
    world.publish("orders", "a");
    let mut pause_ms = 100;
    for _ in 0..12 {
        let call = world.calls().remove(0);
        world.answer(&call, Answer::Failed("refused".into()));
        world.pass(pause_ms - 1);
        assert!(world.calls().is_empty());
        world.pass(1);
        pause_ms = (pause_ms * 2).min(60_000);
    }
    let call = world.calls().remove(0);
    world.answer(&call, Answer::Status(200));
    assert_eq!(world.stats("billing").counters.push_requests, [(NO_ANSWER, 12), (200, 1)].into());
    world.publish("orders", "b");
    assert_eq!(world.calls().len(), 1);
}

#[test]
fn a_retry_policy_takes_the_place_of_the_pause() {
    let mut world = push(|_, settings| {
        settings.retry_policy = Some(pb::RetryPolicy { minimum_backoff: pb_duration(30), maximum_backoff: pb_duration(60) });
    });
    world.publish("orders", "a");
    world.publish("orders", "b");
    let call = world.calls().remove(0);
    world.answer(&call, Answer::TimedOut);
    let next = world.calls();
    assert_eq!(next.len(), 1, "the other message does not wait");
    world.answer(&next[0], Answer::Status(200));
    world.pass(29_999);
    assert!(world.calls().is_empty());
    world.pass(1);
    assert_eq!(world.calls().len(), 1);
}

#[test]
fn a_push_whose_answer_never_comes_is_given_up() {
    let mut world = push(|_, _| {});
    world.publish("orders", "a");
    let lost = world.calls().remove(0);
    world.pass(15_000);
    world.pass(100);
    let again = world.calls();
    assert_eq!(again.len(), 1);
    world.answer(&lost, Answer::Status(200));
    assert_eq!(world.stats("billing").undelivered, 1, "a late answer settles nothing");
    world.answer(&again[0], Answer::Status(200));
    assert_eq!(world.stats("billing").undelivered, 0);
}

#[test]
fn ordered_pushes_go_one_by_one() {
    let mut world = push(|_, settings| settings.enable_message_ordering = true);
    world.publish("orders", "grow");
    let call = world.calls().remove(0);
    world.answer(&call, Answer::Status(200));
    for n in 0..3 {
        world.publish_keyed("orders", "k", &n.to_string());
    }
    for n in 0..3 {
        let calls = world.calls();
        assert_eq!(calls.len(), 1);
        let body: Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert_eq!(body["message"]["data"], ["MA==", "MQ==", "Mg=="][n]);
        world.answer(&calls[0], Answer::Status(204));
    }
}

#[test]
fn switching_between_push_and_pull() {
    let mut world = World::with_billing(|_| {});
    world.publish("orders", "a");
    let to = |endpoint: &str| pb::ModifyPushConfigRequest {
        subscription: subscription("billing"),
        push_config: Some(pb::PushConfig { push_endpoint: endpoint.into(), ..Default::default() }),
    };
    world.run(to(ENDPOINT)).unwrap();
    let pull = pb::PullRequest { subscription: subscription("billing"), max_messages: 1, ..Default::default() };
    world.refused(pull, Code::FailedPrecondition, "This method is not supported for this subscription type.");
    let call = world.calls().remove(0);
    world.run(to("")).unwrap();
    assert_eq!(world.pull("billing", 1), [], "the push is still under way");
    world.answer(&call, Answer::Status(500));
    assert_eq!(texts(&world.pull("billing", 1)), ["a"]);
    assert!(world.calls().is_empty());
}
